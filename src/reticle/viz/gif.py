"""How do frames become a small GIF?"""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageColor

from .style import CORNERS, MARGIN, PAGE, WINDOWS


def save_gif(frames: Sequence[Image.Image], path: Path, *, durations: Sequence[int]) -> Path:
    """Write ``frames`` as an endless GIF with one palette for all; ``durations`` in milliseconds, one for each frame.

    Raises:
        ValueError: there is no frame, or not one duration for each.
    """
    if not frames or len(frames) != len(durations):
        raise ValueError(f"reticle.viz.save_gif: `durations` must have one entry a frame; got {len(durations)} for {len(frames)} frames.")
    palette = _shared_palette(frames)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=others, duration=list(durations), loop=0, disposal=1, optimize=False)
    return path


def _shared_palette(frames: Sequence[Image.Image]) -> Image.Image:
    """Pick 256 colours for all frames, so that what stands still keeps its colour; those of lines and dots always among them."""
    fixed = [ImageColor.getrgb(colour) for colour in dict.fromkeys((PAGE, MARGIN, *CORNERS, *WINDOWS))]
    chosen = [frames[index] for index in sorted({0, len(frames) // 2, len(frames) - 1})]
    sheet = Image.new("RGB", (chosen[0].width, sum(frame.height for frame in chosen)))
    top = 0
    for frame in chosen:
        sheet.paste(frame, (0, top))
        top += frame.height
    found = sheet.quantize(256 - len(fixed), method=Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(channel for colour in fixed for channel in colour), *found])
    return palette
