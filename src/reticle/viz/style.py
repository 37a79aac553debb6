"""What do all pictures share? Colours, fonts, and the way from a tensor to pixels."""

from functools import cache
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

PAGE, MARGIN, INK, MUTED, RULE = "#ffffff", "#eceef1", "#1f2328", "#5f6773", "#c9ced6"
RIGHT, WRONG = "#00704f", "#b34700"  # Okabe and Ito's green and vermilion, darkened until text on white reads well
# Okabe and Ito's palette: told apart with any kind of colour vision
WINDOWS = ("#e69f00", "#cc79a7", "#56b4e9", "#009e73")  # the outline of each parallel transformer
CORNERS = ("#d55e00", "#56b4e9", "#f0e442", "#009e73")
CHANNELS = ((0.35, 0.75, 1.0), (1.0, 0.5, 0.35))  # sky and salmon for the two channels of an image: white where both are bright
CORNER_NAMES = ("top left", "top right", "bottom right", "bottom left")
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1f2328")


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the DejaVu Sans that matplotlib brings along, ``size`` pixels high."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


def write(
    page: Image.Image, xy: tuple[float, float], text: str, *, size: int, fill: str = INK, anchor: str = "mm", bold: bool = False
) -> float:
    """Write one line of ``text`` on ``page`` and return its length; ``anchor`` is Pillow's two letters (``mm``: centred on ``xy``)."""
    draw, face = ImageDraw.Draw(page), font(size, bold=bold)
    draw.text(xy, text, fill=fill, font=face, anchor=anchor)
    return draw.textlength(text, font=face)


def fitted(text: str, size: int, width: float) -> tuple[str, int]:
    """Return ``text`` and the size at which it is at most ``width`` pixels long: smaller letters first, then fewer."""
    smallest = max(9, round(size * 0.7))
    while size > smallest and font(size).getlength(text) > width:
        size -= 1
    if font(size).getlength(text) > width:
        while len(text) > 1 and font(size).getlength(text + "…") > width:
            text = text[:-1]
        text = text.rstrip() + "…"
    return text, size


def size_of(image: Tensor) -> tuple[int, int]:
    """Return ``(H, W)`` of ``image`` ``(.., H, W)``."""
    height, width = image.shape[-2:]
    return height, width


def zoom_to(size: tuple[int, int], target: int) -> float:
    """Return the factor that makes the longer side about ``target`` pixels: whole when enlarging, so that pixels stay square."""
    longer = max(size)
    return max(1, round(target / longer)) if longer <= target else target / longer


def to_picture(image: Tensor, target: int) -> Image.Image:
    """Enlarge ``image`` ``(C, H, W)``, values in [0, 1], one to three channels, crisply to about ``target`` pixels."""
    values = torch.nan_to_num(image.detach().float().cpu(), nan=0.0).clamp(0, 1)
    if len(values) == 2:
        values = torch.einsum("chw,cr->rhw", values, torch.tensor(CHANNELS)).clamp(max=1)
    pixels = values.mul(255).round().byte()
    rgb = pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    height, width = size_of(image)
    zoom = zoom_to((height, width), target)
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    return Image.fromarray(rgb).resize(size, Image.Resampling.NEAREST if zoom >= 1 else Image.Resampling.BOX)
