"""Every family of maps in every dimension it exists in, random members of each, and transformers around them."""

import inspect
import math

import torch
from torch import nn

from reticle import TRANSFORMS, AbstractMatrixTransform, AbstractTransform, Localizer, SpatialTransformer


def _dimensions(name: str) -> tuple[int, ...]:
    return (2, 3) if "ndim" in inspect.signature(TRANSFORMS[name]).parameters else (2,)


FAMILIES = {
    f"{name}_{ndim}d": (TRANSFORMS[name], {} if ndim == 2 else {"ndim": ndim}) for name in sorted(TRANSFORMS) for ndim in _dimensions(name)
}
MATRIX_FAMILIES = [key for key, (cls, _) in FAMILIES.items() if issubclass(cls, AbstractMatrixTransform)]
SIZES = {2: (5, 8), 3: (3, 5, 4)}


class Line(AbstractTransform):
    """x' = a x + b on signals: right, and not the library's, which has no family in one dimension."""

    num_params, ndim = 2, 1

    def identity(self):
        return torch.tensor([1.0, 0.0])

    def move(self, theta, points, size=None):
        return points * theta[:, None, :1] + theta[:, None, 1:]


def make(key: str) -> AbstractTransform:
    """The family called ``key`` in FAMILIES, a fresh one."""
    cls, arguments = FAMILIES[key]
    return cls(**arguments)


def random_theta(transform: AbstractTransform, batch: int = 3, *, spread: float = 0.2, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    """Members near the identity, ``(batch, P)``."""
    noise = torch.randn(batch, transform.num_params, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (transform.identity().double() + spread * noise).to(dtype)


def transformer(transform: AbstractTransform, input_shape: tuple[int, ...], **options) -> SpatialTransformer:
    """A spatial transformer with the smallest localiser that sees the whole input ``(C, *size)``."""
    return SpatialTransformer(Localizer(nn.Flatten(), math.prod(input_shape), transform), transform, **options)


def smooth_image(height: int, width: int) -> torch.Tensor:
    """Smooth, without symmetry, in [0, 1]: ``(height, width)`` float64."""
    y, x = torch.meshgrid(torch.linspace(0, 3, height).double(), torch.linspace(0, 3, width).double(), indexing="ij")
    return 0.5 + 0.25 * torch.sin(1.7 * x + 0.4 * y * y) + 0.25 * torch.cos(0.9 * x * y - 0.5)
