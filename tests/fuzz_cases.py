"""The calls that tests/fuzz.py makes: random shapes, strides, dtypes and modes, and coordinates, matrices and pixels that are absurd."""

from dataclasses import dataclass

import torch
from torch import Tensor

from reticle import PADDING_MODES
from reticle.grid import base_grid

MODES = {"nearest": 1, "bilinear": 2, "bicubic": 4, "bspline3": 4}
DTYPES = (torch.float32, torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8)
WILD = (torch.nan, torch.inf, -torch.inf, 1e30, -1e30, 3e38, 1e5, -1e10, 1e-40, -1e-42, 0.0)


@dataclass
class Case:
    """One call: what is read, where, and how."""

    image: Tensor
    where: Tensor
    out: tuple[int, ...]
    mode: str
    padding_mode: str
    align_corners: bool
    value: float
    cotangent: Tensor

    @property
    def is_matrix(self) -> bool:
        return self.where.shape[-1] == self.image.ndim - 1

    def __str__(self) -> str:
        tensors = ((n, getattr(self, n)) for n in ("image", "where", "cotangent"))
        shapes = ", ".join(f"{n} {t.dtype} {tuple(t.shape)} strides {t.stride()}" for n, t in tensors)
        return f"{self.mode}, {self.padding_mode}, align_corners={self.align_corners}, out {self.out}, {shapes}"


class Draw:
    """Choices by one seed."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def number(self, low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def one_of(self, things):
        return things[self.number(0, len(things) - 1)]

    def chance(self, p: float) -> bool:
        return float(torch.rand((), generator=self.generator)) < p

    def rand(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, dtype=torch.float64)

    def side(self) -> int:
        return self.one_of((1, 2, 3, self.number(4, 9), self.number(10, 40), self.number(1, 5)))

    def size(self, ndim: int) -> tuple[int, ...]:
        if self.chance(0.05):  # long and thin
            sides = [1] * ndim
            sides[self.number(0, ndim - 1)] = self.number(200, 900)
            return tuple(sides)
        return tuple(self.side() if ndim < 3 else min(self.side(), 9) for _ in range(ndim))

    def layout(self, x: Tensor) -> Tensor:
        """The same numbers, lying otherwise."""
        kind = self.number(0, 6)
        if kind == 0 and x.ndim in (4, 5):
            return x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)
        if kind == 1:
            return torch.stack([x, torch.full_like(x, 77)], dim=-1)[..., 0]
        if kind == 2:
            return torch.cat([torch.full_like(x, 77), x], dim=1)[:, x.shape[1] :]
        if kind == 3:
            order = torch.randperm(x.ndim, generator=self.generator).tolist()
            return x.permute(order).contiguous().permute([order.index(a) for a in range(x.ndim)])
        return x

    def wild(self, x: Tensor, p: float) -> Tensor:
        """Some of the numbers absurd."""
        absurd = torch.tensor([self.one_of(WILD) for _ in range(16)], dtype=torch.float64)
        which = torch.randint(0, 16, x.shape, generator=self.generator)
        return torch.where(self.rand(*x.shape) < p, absurd[which], x)


def make(seed: int) -> Case:
    """The case of that seed. Every third is of the commonest kind, for which there are kernels of its own."""
    draw = Draw(seed)
    common = draw.chance(1 / 3)  # an image under an affine matrix or by points in order, bilinear
    ndim = 2 if common else draw.one_of((1, 2, 2, 2, 3))
    size, out = [(draw.number(2, 70), draw.number(2, 70)) if common else draw.size(ndim) for _ in range(2)]
    layout = draw.layout if not common or draw.chance(0.2) else Tensor.contiguous
    dtype = draw.one_of(DTYPES)
    many = draw.one_of((1, 2, 3, 5))
    batch = draw.one_of(((many, many), (1, many), (many, 1)))
    channels = draw.one_of((1, 2, 3, draw.number(4, 8), draw.number(9, 35), 8 * draw.number(1, 4)))
    if draw.chance(0.02):  # treated in groups
        channels = draw.number(200, 400)
    image = draw.rand(batch[0], channels, *size)
    image = 255 * image if dtype == torch.uint8 else 2 * image - 1
    if dtype.is_floating_point and draw.chance(0.1):
        image = draw.wild(image, 0.05)
    image = layout(image.to(dtype))
    if draw.chance(0.1):
        image = image[:1].expand(batch[0], *image.shape[1:])
    where_dtype = torch.float64 if draw.chance(0.2) else torch.float16 if draw.chance(0.05) else torch.float32
    where = matrices(draw, batch[1], ndim) if draw.chance(0.6) else points(draw, batch[1], out, size, ordered=common)
    where = draw.layout(where.to(where_dtype))
    cotangent = 2 * draw.rand(max(batch), channels, *out) - 1
    # exact in 16 bits, to which the fill of such an image is rounded
    value = draw.number(-8, 8) / 8
    mode, padding_mode = (
        ("bilinear", draw.one_of(("zeros", "border"))) if common else (draw.one_of(list(MODES)), draw.one_of(sorted(PADDING_MODES)))
    )
    return Case(
        image, where, out, mode, padding_mode, draw.chance(0.5), value,
        layout(cotangent.to(dtype)) if dtype.is_floating_point else cotangent,
    )  # fmt: skip


def matrices(draw: Draw, batch: int, ndim: int) -> Tensor:
    """Near the identity, mirrored, turned, huge, tiny, singular, behind the viewer, absurd."""
    rows = ndim + draw.number(0, 1)
    matrix = torch.eye(ndim + 1, dtype=torch.float64)[:rows].repeat(batch, 1, 1)
    kind = draw.number(0, 8)
    if kind > 0:
        matrix += (2 * draw.rand(batch, rows, ndim + 1) - 1) * draw.one_of((0.001, 0.1, 0.3, 1.0, 3.0))
    if kind == 2:
        matrix[:, :ndim] *= draw.one_of((-1.0, 0.0, 1e-3, 50.0, 1e4, 1e20, -0.02))
    if kind == 3:
        matrix[:, draw.number(0, rows - 1)] = 0
    if kind == 4:
        matrix = draw.wild(matrix, 0.1)
    if kind == 5:
        matrix[:, :ndim, :ndim] = matrix[:, :ndim, :ndim].flip(1)
    return matrix


def points(draw: Draw, batch: int, out: tuple[int, ...], size: tuple[int, ...], *, ordered: bool) -> Tensor:
    """Along smooth lines or anywhere, inside and outside, on pixel centres, absurd."""
    ndim = len(out)
    if ordered or draw.chance(0.5):
        grid = base_grid(out, align_corners=False, dtype=torch.float64).repeat(batch, *[1] * (ndim + 1))
        if draw.chance(0.2):
            grid = grid.flip(-1)
        grid = grid * (draw.one_of((1.0, -1.0, 0.9, 0.5, 0.1, 0.01, 2.0, 6.0)) + 0.2 * draw.rand(batch, *[1] * ndim, ndim))
        wave = draw.one_of((0.0, 0.02, 0.1, 0.5)) * torch.sin(draw.one_of((1.0, 5.0, 40.0)) * grid.flip(-1))
        grid = grid + wave + draw.one_of((0.0, 1e-3, 0.02)) * (draw.rand(*grid.shape) - 0.5)
    else:
        grid = (2 * draw.rand(batch, *out, ndim) - 1) * draw.one_of((0.9, 1.5, 5.0, 100.0))
    if draw.chance(0.3):
        half = torch.tensor([2 / n for n in reversed(size)], dtype=torch.float64)
        grid = (grid / half).round() * half + draw.one_of((0.0, 0.5)) * half
    return draw.wild(grid, draw.one_of((0.001, 0.02, 0.5))) if draw.chance(0.3) else grid
