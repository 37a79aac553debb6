"""How do frames become a small GIF?"""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageColor

from .style import CORNERS, MARGIN, PAGE, WINDOWS

COLOURS = 128  # of 256 that a GIF may have: fewer make smaller files


def save_gif(frames: Sequence[Image.Image], path: Path, *, durations: Sequence[int]) -> Path:
    """Write ``frames`` as an endless GIF with one palette for all; ``durations`` in milliseconds, one for each frame.

    Raises:
        ValueError: there is no frame, or not one duration for each.
    """
    if not frames:
        raise ValueError("reticle.viz.save_gif: `frames` must hold at least one; got none.")
    if len(frames) != len(durations):
        raise ValueError(f"reticle.viz.save_gif: `durations` must have one entry a frame; got {len(durations)} for {len(frames)} frames.")
    palette = _shared_palette(frames)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=others, duration=list(durations), loop=0, disposal=1, optimize=False)
    return path


def _shared_palette(frames: Sequence[Image.Image]) -> Image.Image:
    """Pick the colours for all frames, so that what stands still keeps its colour; those of page, lines and dots always among them."""
    fixed = [ImageColor.getrgb(colour) for colour in dict.fromkeys((PAGE, MARGIN, "#000000", *CORNERS, *WINDOWS))]
    chosen = [frames[index] for index in sorted({0, len(frames) // 2, len(frames) - 1})]
    sheet = Image.new("RGB", (chosen[0].width, sum(frame.height for frame in chosen)))
    top = 0
    for frame in chosen:
        sheet.paste(frame, (0, top))
        top += frame.height
    flat = sheet.quantize(COLOURS - len(fixed), method=Image.Quantize.MEDIANCUT).getpalette() or []
    found = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    # Pillow's lookup is coarse: of two near colours it may take the other one
    apart = [colour for colour in found if all(max(abs(a - b) for a, b in zip(colour, own, strict=True)) > 8 for own in fixed)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in (*fixed, *apart) for channel in colour])
    return palette
