"""How does one still image become a smooth closed loop of a moving one?"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..checks import check_positive_int, check_shape
from ..grid import base_grid
from ..registry import Registry
from ..sampling import grid_sample
from ..transforms import AbstractTransform, Projective, Similarity, ThinPlateSpline

Motion = Callable[[Tensor, Tensor], tuple[AbstractTransform, Tensor]]
"""From the phases ``(T,)``, in radians, and the image ``(C, H, W)`` to a family of maps and its ``theta (T, P)``, target to source."""

MOTIONS: Registry[Motion] = Registry("motion")


def moving_images(image: Float[Tensor, "c h w"], *, motion: str = "rts", frames: int = 48) -> Float[Tensor, "t c h w"]:
    """Lead ``image`` once round a closed loop through all that a distortion can do to it.

    Args:
        image: bright ink on black; the ink stays on the canvas.
        motion: a name in ``MOTIONS``, those of the distortions: ``r`` turns, ``rts`` turns, scales and shifts, ``tc`` shifts, ``p``
            tilts, ``e`` bends.
        frames: how many moments; the one after the last would be the first.
    Raises:
        ValueError: ``motion`` is unknown, ``frames`` is not positive, or the shape is wrong.
    """
    check_shape("reticle.viz.moving_images", "image", image, "C H W")
    check_positive_int("reticle.viz.moving_images", "frames", frames)
    phase = torch.arange(frames, dtype=torch.float64) * (2 * math.pi / frames)
    size = tuple(image.shape[-2:])
    transform, theta = MOTIONS[motion](phase, image)
    grid = transform(theta, base_grid(size, dtype=torch.float64), size)
    return grid_sample(image.expand(frames, -1, -1, -1), grid.to(image)).clamp(0, 1)


@MOTIONS.register("r")
def turn(phase: Tensor, image: Tensor) -> tuple[AbstractTransform, Tensor]:
    """Turn to and fro."""
    return _similar(phase, image, angle=math.radians(75), scale=0.0, shift=0.0)


@MOTIONS.register("rts")
def turn_scale_shift(phase: Tensor, image: Tensor) -> tuple[AbstractTransform, Tensor]:
    """Turn to and fro, shrink and grow, and go along a figure of eight."""
    return _similar(phase, image, angle=math.radians(42), scale=0.25, shift=0.9)


@MOTIONS.register("tc")
def shift(phase: Tensor, image: Tensor) -> tuple[AbstractTransform, Tensor]:
    """Go along a figure of eight."""
    return _similar(phase, image, angle=0.0, scale=0.0, shift=0.9)


@MOTIONS.register("p")
def tilt(phase: Tensor, image: Tensor) -> tuple[AbstractTransform, Tensor]:
    """Tilt like a coin that wobbles."""
    family = Projective()
    theta = family.identity().to(phase).repeat(len(phase), 1)
    theta[:, 1] = theta[:, 3] = 0.2 * torch.sin(2 * phase)
    theta[:, 6], theta[:, 7] = 0.35 * torch.cos(phase), 0.35 * torch.sin(phase)
    return family, theta


@MOTIONS.register("e")
def bend(phase: Tensor, image: Tensor) -> tuple[AbstractTransform, Tensor]:
    """Bend: every point of a lattice goes round, each in its own time."""
    family = ThinPlateSpline()
    along = phase[:, None] + 2.4 * torch.arange(family.num_params // 2)
    return family, 0.085 * torch.stack([torch.cos(along), torch.sin(along)], -1).flatten(1)


def _similar(phase: Tensor, image: Tensor, *, angle: float, scale: float, shift: float) -> tuple[AbstractTransform, Tensor]:
    log_scale = scale * (torch.cos(2 * phase) - 0.4)
    # as far as the ink allows while it has this size
    room = shift * (1 - log_scale.exp() * _reach(image)).clamp(min=0)
    moved = torch.stack([angle * torch.sin(phase), log_scale, room * torch.cos(phase), room * torch.sin(2 * phase)], 1)
    # that says where the ink goes; a grid says where a pixel's ink comes from
    return Similarity(), Similarity().inverse(moved, tuple(image.shape[-2:]))


def _reach(image: Tensor) -> float:
    """Distance of the farthest ink from the middle, as a share of half the shorter side."""
    height, width = image.shape[-2:]
    ink = (image.amax(0) > image.max() / 4).cpu()
    shorter = min(height, width)
    points = base_grid((height, width))[ink] * torch.tensor([width, height]) / shorter
    # a pixel more: interpolation spreads the ink
    return points.norm(dim=1).max().item() + 2 / shorter if len(points) else 1.0
