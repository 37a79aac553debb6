"""What does a case read, and from where? Seeded tensors, made before anything is timed."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..grid import apply_matrix, base_grid, norm_to_pixel, product, to_homogeneous
from ..transforms import ThinPlateSpline
from .cases import BOTH, Case

ANGLE, ANGLE_3D, SHIFT, SCALE, SCALE_3D = 0.3, 0.15, 0.1, (0.8, 1.2), (0.9, 1.1)
CROP, TILT, BEND = 0.5, 0.1, 0.05


@dataclass(frozen=True)
class Problem:
    """A case with its tensors. Every contestant gets the same ones, and may convert them before the clock starts."""

    case: Case
    input: Tensor
    where: Tensor
    """A matrix ``(B, D, D+1)`` or ``(B, D+1, D+1)``, or a grid ``(B, *out, D)``; normalised, ``align_corners=False``."""
    cotangent: Tensor | None
    """The fixed gradient of the output; None where only the forward pass is measured."""

    @property
    def is_matrix(self) -> bool:
        """Whether ``where`` is a matrix and not a grid."""
        return self.where.ndim == 3

    @property
    def is_projective(self) -> bool:
        """Whether ``where`` is a matrix that divides."""
        return self.is_matrix and self.where.shape[1] == self.where.shape[2]

    def pixel_matrix(self, where: Tensor) -> Tensor:
        """``where`` as float64 ``(B, D+1, D+1)`` from pixels of the output to pixels of the input; differentiable."""
        to_pixel = torch.diag(torch.tensor([*(n / 2 for n in reversed(self.case.input[2:])), 1.0], dtype=torch.float64))
        to_pixel[:-1, -1] = torch.tensor([(n - 1) / 2 for n in reversed(self.case.input[2:])])
        to_norm = torch.diag(torch.tensor([*(2 / n for n in reversed(self.case.size)), 1.0], dtype=torch.float64))
        to_norm[:-1, -1] = torch.tensor([1 / n - 1 for n in reversed(self.case.size)], dtype=torch.float64)
        return to_pixel.to(where.device) @ to_homogeneous(where.double()) @ to_norm.to(where.device)

    def pixels(self, where: Tensor) -> Tensor:
        """The points that are read, ``(B, *out, D)`` in pixels of the input, ``(x, y[, z])``; float64, differentiable."""
        grid = (
            apply_matrix(where, base_grid(self.case.size, dtype=torch.float64, device=where.device)) if self.is_matrix else where.double()
        )
        axes = zip(grid.unbind(-1), self.case.input[:1:-1], strict=True)
        return torch.stack([norm_to_pixel(axis, n) for axis, n in axes], dim=-1)


def make(case: Case, seed: int, device: str = "cpu") -> Problem:
    """The tensors of ``case``: the same for the same seed, on whatever device."""
    random = torch.Generator().manual_seed(seed)
    where = WHERE[case.where](case, random).to(torch.float64 if case.dtype == torch.float64 else torch.float32)
    if case.dtype == torch.uint8:
        image = torch.randint(0, 256, case.input, generator=random, dtype=torch.uint8)
    else:
        image = torch.randn(case.input, generator=random).to(case.dtype)
    cotangent = torch.randn(*case.input[:2], *case.size, generator=random).to(case.dtype) if BOTH in case.passes else None
    image, where = _laid_out(case, image).to(device), where.to(device)
    return Problem(case, image, where, None if cotangent is None else _laid_out(case, cotangent).to(device))


def _laid_out(case: Case, tensor: Tensor) -> Tensor:
    if not case.channels_last:
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last if tensor.ndim == 4 else torch.channels_last_3d)


def _uniform(low: float, high: float, *shape: int, random: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=random, dtype=torch.float64) * (high - low) + low


def _turn(angle: Tensor, axes: tuple[int, int], ndim: int) -> Tensor:
    """Rotations ``(B, D, D)`` in the plane of two axes."""
    i, j = axes
    turn = torch.eye(ndim, dtype=torch.float64).repeat(len(angle), 1, 1)
    turn[:, i, i], turn[:, i, j], turn[:, j, i], turn[:, j, j] = angle.cos(), -angle.sin(), angle.sin(), angle.cos()
    return turn


def _affine(case: Case, random: torch.Generator, *, angle: float | None = None, zoom: float = 1.0) -> Tensor:
    """Rotation, scale and shift, drawn or fixed."""
    batch, ndim = case.input[0], len(case.size)
    planes, most, scale = (((0, 1),), ANGLE, SCALE) if ndim == 2 else (((0, 1), (0, 2), (1, 2)), ANGLE_3D, SCALE_3D)
    linear = torch.eye(ndim, dtype=torch.float64).expand(batch, ndim, ndim)
    for plane in planes:
        drawn = _uniform(-most, most, batch, random=random)
        linear = product(linear, _turn(drawn if angle is None else torch.full_like(drawn, angle), plane, ndim))
    if angle is None:
        linear = linear * _uniform(*scale, batch, 1, 1, random=random)
    return torch.cat([linear * zoom, _uniform(-SHIFT, SHIFT, batch, ndim, 1, random=random)], dim=2)


def _projective(case: Case, random: torch.Generator) -> Tensor:
    matrix = to_homogeneous(_affine(case, random))
    matrix[:, 2, :2] = _uniform(-TILT, TILT, case.input[0], 2, random=random)
    return matrix


def _smooth(case: Case, random: torch.Generator) -> Tensor:
    """An affine map and waves, two across the image."""
    base = base_grid(case.size, dtype=torch.float64)
    phase = _uniform(-math.pi, math.pi, case.input[0], 1, 1, 2, random=random)
    return apply_matrix(_affine(case, random), base) + BEND * torch.sin(2 * math.pi * base.flip(-1) + phase)


def _random(case: Case, random: torch.Generator) -> Tensor:
    """Each point anywhere: no two neighbours read the same pixels."""
    return _uniform(-1.1, 1.1, case.input[0], *case.size, len(case.size), random=random)


def _tps(case: Case, random: torch.Generator) -> Tensor:
    family = ThinPlateSpline()
    return family(_uniform(-SHIFT, SHIFT, case.input[0], family.num_params, random=random), base_grid(case.size, dtype=torch.float64))


WHERE: dict[str, Callable[[Case, torch.Generator], Tensor]] = {
    "affine": _affine,
    "crop": lambda case, random: _affine(case, random, zoom=CROP),
    "rot0": lambda case, random: _affine(case, random, angle=0.0),
    "rot45": lambda case, random: _affine(case, random, angle=math.pi / 4),
    "rot90": lambda case, random: _affine(case, random, angle=math.pi / 2),
    "projective": _projective,
    "smooth": _smooth,
    "random": _random,
    "tps": _tps,
}
