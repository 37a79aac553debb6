"""What did a transformer do in three dimensions? A volume from the front and from above, with its window, and the sum along the depth."""

from collections.abc import Sequence
from itertools import product

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..grid import norm_to_pixel
from .cards import Card, View, side_by_side
from .panel import Layer, Look, framed, output_panel
from .style import CORNERS, INK, MARGIN, WINDOWS, size_of, to_picture, zoom_to

BOX = torch.tensor([[x, y, z] for z, y, x in product((-1.0, 1.0), repeat=3)])
"""The corners of a volume in normalised coordinates, ``(8, 3)``; the first four are its front."""
EDGES = [(a, b) for a in range(8) for b in range(a) if (BOX[a] != BOX[b]).sum() == 1]
FRONT = (0, 1, 3, 2)  # top left, top right, bottom right, bottom left
HEADS = ("from the front", "from above", "summed as it is", "network sees")
SIDES = ((1, (0, 1)), (2, (0, 2)))  # from the front, from above: the axis of (C, D, H, W) to look along, those of (x, y, z) to see


def volume_card(volume: Float[Tensor, "c d h w"], view: View, look: Look, *, captions: Sequence[tuple[str, str]]) -> Card:
    """Draw one volume: its brightest voxels from two sides with the window's box, its own sum, and the sum that the network sees.

    ``view.grid`` holds the corners of the window, ``(8, 3)``, in the order of ``BOX``; ``view.output`` the sum, ``(C, h, w)``.
    """
    panels = [side_of(volume, view, look, axis, seen) for axis, seen in SIDES]
    panels.append(framed(to_picture(bright(volume.sum(1)), look.side), look.pad, MARGIN))
    panels.append(output_panel(bright(view.output), look, colour=WINDOWS[0]))
    true, *predicted = captions
    return side_by_side(panels, look, arrow=3, captions=[true, ("", INK), ("", INK), *predicted])


def bright(total: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
    """A sum of many voxels, scaled so that its brightest is white."""
    return total / total.max().clamp(min=1e-12)


def box_overshoot(view: View) -> float:
    """How far the farthest finite corner of a window lies outside the volume, as a share of the volume's side."""
    beyond = (view.grid.detach().float().cpu().abs() - 1) / 2
    beyond = beyond[torch.isfinite(beyond)]
    return max(0.0, beyond.max().item()) if beyond.numel() else 0.0


def side_of(volume: Float[Tensor, "c d h w"], view: View, look: Look, axis: int, seen: tuple[int, int]) -> Image.Image:
    """Draw the brightest voxels along ``axis``, and the window's box on them; ``axis`` and ``seen`` are an entry of ``SIDES``."""
    flat = volume.amax(axis)
    panel = framed(to_picture(flat, look.side), look.pad, MARGIN)
    rows, columns = size_of(flat)
    box = view.grid.detach().float().cpu()[:, list(seen)].unbind(-1)
    pixels = [torch.as_tensor(norm_to_pixel(at, n, align_corners=view.align_corners)) for at, n in zip(box, (columns, rows), strict=True)]
    points = (torch.stack(pixels, -1) + 0.5) * zoom_to((rows, columns), look.side) + look.pad
    layer = Layer(panel.size)
    for a, b in EDGES:
        # the four edges of the front are the heavy ones
        width = look.stroke if max(a, b) < 4 else look.stroke * 0.5
        layer.line(points[[a, b]], INK, width * 1.9)
        layer.line(points[[a, b]], WINDOWS[0], width)
    for corner, colour in zip(FRONT, CORNERS, strict=True):
        layer.dot(points[corner], colour, look.dot)
    return layer.onto(panel)
