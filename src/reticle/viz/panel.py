"""How do one input with its windows, and one output, look? The panels that every picture is put together from."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from .outline import corners, inner_lines, outline
from .style import CORNERS, INK, MARGIN, PAGE, RULE, size_of, to_picture, zoom_to

SMOOTH = 3  # lines are drawn this many times larger and averaged


@dataclass(frozen=True)
class Look:
    """Sizes in pixels of one picture, all following from the length of an enlarged input.

    Args:
        side: the longer side of an enlarged input.
        margin: the strip round the input in which a window that leaves it still shows, as a share of ``side``.
        lines: how many rows and columns of a window's grid are drawn inside it.
    """

    side: int
    margin: float = 0.08
    lines: int = 0

    @property
    def pad(self) -> int:
        """Width of the strip round an input."""
        return round(self.side * self.margin)

    @property
    def text(self) -> int:
        """Size of the text."""
        return max(11, round(self.side * 0.095))

    @property
    def gap(self) -> int:
        """Space between neighbours."""
        return max(6, round(self.side * 0.1))

    @property
    def stroke(self) -> float:
        """Width of an outline."""
        return max(1.5, self.side / 75)

    @property
    def dot(self) -> float:
        """Radius of a corner's dot, without its rings."""
        return self.stroke * 1.7


class Layer:
    """Smooth lines and dots over a picture; points are in its pixels."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.image = Image.new("RGBA", (size[0] * SMOOTH, size[1] * SMOOTH))
        self.draw = ImageDraw.Draw(self.image)

    def line(self, points: Tensor, colour: str, width: float) -> None:
        """Join ``points`` ``(n, 2)``."""
        for piece in _drawable_pieces(points * SMOOTH):
            self.draw.line(piece, fill=colour, width=max(1, round(width * SMOOTH)))

    def dot(self, centre: Tensor, colour: str, radius: float) -> None:
        """Mark ``centre`` ``(2,)``."""
        # a dark ring round a white one: seen on black, on white and on every colour
        for piece in _drawable_pieces(centre.expand(2, 2) * SMOOTH):
            for fill, grow in (("#1f2328", 1.75), ("#ffffff", 1.45), (colour, 1.0)):
                self.draw.circle(piece[0], radius * grow * SMOOTH, fill=fill)

    def onto(self, picture: Image.Image) -> Image.Image:
        """Return ``picture`` with the layer over it."""
        # averaged with premultiplied alpha, or the edges would turn dark
        layer = self.image.convert("RGBa").resize(picture.size, Image.Resampling.BOX).convert("RGBA")
        return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def _drawable_pieces(line: Float[Tensor, "n 2"]) -> list[list[tuple[float, float]]]:
    """Cut a line where it is NaN, infinite or so far away that Pillow's integers would overflow."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for (x, y), near in zip(line.tolist(), (line.abs() < 1e5).all(-1).tolist(), strict=True):
        if near:
            pieces[-1].append((x, y))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if len(piece) > 1]


def input_panel(
    image: Float[Tensor, "c h w"], windows: Sequence[Float[Tensor, "_ _ 2"]], look: Look, *, colours: Sequence[str]
) -> Image.Image:
    """Draw ``image`` and on it each window, in pixels of the image, outlined in its colour, with a margin round all.

    The dots are the corners of the output, each in its own colour: they show turned and mirrored windows.
    """
    panel = framed(to_picture(image, look.side), look.pad, MARGIN)
    placed = [window * zoom_to(size_of(image), look.side) + look.pad for window in windows]
    layer = Layer(panel.size)
    for window, colour in zip(placed, colours, strict=True):
        for line in inner_lines(window, look.lines):
            layer.line(line, colour, look.stroke * 0.5)
        layer.line(outline(window), INK, look.stroke * 1.9)
        layer.line(outline(window), colour, look.stroke)
    for window in placed:
        for corner, colour in zip(corners(window), CORNERS, strict=True):
            layer.dot(corner, colour, look.dot)
    return layer.onto(panel)


def output_panel(output: Float[Tensor, "c h w"], look: Look, *, colour: str) -> Image.Image:
    """Draw ``output`` in a frame of its window's colour, with the same four dots at its corners."""
    picture = to_picture(output, look.side)
    pad = round(look.dot * 1.75) + 1
    panel = framed(picture, pad, PAGE)
    left, top, right, bottom = pad, pad, pad + picture.width, pad + picture.height
    ring = torch.tensor([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=torch.float32)
    layer = Layer(panel.size)
    layer.line(torch.cat([ring, ring[:2]]), colour, look.stroke)
    for corner, corner_colour in zip(ring, CORNERS, strict=True):
        layer.dot(corner, corner_colour, look.dot)
    return layer.onto(panel)


def framed(picture: Image.Image, pad: int, colour: str) -> Image.Image:
    """Put a thin line and a strip of ``colour``, ``pad`` pixels wide, round ``picture``."""
    panel = Image.new("RGB", (picture.width + 2 * pad, picture.height + 2 * pad), colour)
    # a line round it: where the image ends shows on white images too
    ImageDraw.Draw(panel).rectangle((pad - 1, pad - 1, pad + picture.width, pad + picture.height), outline=RULE)
    panel.paste(picture, (pad, pad))
    return panel
