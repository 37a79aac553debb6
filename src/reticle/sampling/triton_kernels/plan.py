"""How is the work cut into programs? Simple rules from shapes and strides; no trial runs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

ENOUGH = 1024  # programs that fill a large GPU several times: with fewer, the channels are shared out too
LIMIT = 2**31 - 2**16  # offsets, in elements, that 32 bits hold with room for the lanes of a tile


class Shape(NamedTuple):
    """A tensor (B, C, *S) as (B, C, Z, Y, X); the stride of a batch or an axis of one is 0."""

    size: tuple[int, int, int]
    stride: tuple[int, int, int, int, int]

    def reach(self, channels: int) -> int:
        """The largest offset within ``channels`` channels of a sample."""
        steps = zip((*self.size, channels), (*self.stride[2:], self.stride[1]), strict=True)
        return sum((n - 1) * abs(step) for n, step in steps)


class Plan(NamedTuple):
    """What is the same for the programs of a call."""

    programs: int
    groups: int
    """Into which the channels of a sample are divided."""
    tiles: int
    """Of a sample, or 0 where there is no work."""
    scalars: tuple[int, ...]
    """``channels, chunk, groups, tiles_x, tiles_y``"""
    options: dict[str, Any]
    """The block sizes and what goes with them."""


def shape_of(x: Tensor) -> Shape:
    """``x`` as the kernels see it."""
    missing = 5 - x.ndim
    size = (*[1] * missing, *x.shape[2:])
    steps = [step if n > 1 else 0 for n, step in zip(x.shape, x.stride(), strict=True)]
    return Shape(size, (*steps[:2], *[0] * missing, *steps[2:]))  # type: ignore[arg-type]


def grid_strides(grid: Tensor) -> tuple[int, ...]:
    """Of sample, plane, row, column and coordinate."""
    missing = 5 - grid.ndim
    steps = [step if n > 1 else 0 for n, step in zip(grid.shape, grid.stride(), strict=True)]
    return steps[0], *[0] * missing, *steps[1:]


def make_plan(batch: int, channels: int, taps: int, shapes: Sequence[Shape], output: Shape, grid: Sequence[int], values: int) -> Plan:
    """Cut ``output`` into tiles; ``shapes`` are the tensors with channels, ``grid`` the strides of one that is given.

    A tile has some ``values`` values, fewer where each needs many taps: what a program keeps in registers.
    """
    last = all(shape.stride[1] == 1 for shape in shapes[:2]) and channels > 1
    lanes, points = _block(channels, taps, last, values)
    tile_x = _columns(output.size, points)
    tiles_x, tiles_y = triton.cdiv(output.size[2], tile_x), triton.cdiv(output.size[1], points // tile_x)
    tiles = output.size[0] * tiles_x * tiles_y
    blocks = triton.cdiv(channels, lanes)
    groups = max(1, min(blocks, ENOUGH // max(batch * tiles, 1)))
    chunk = triton.cdiv(blocks, groups) * lanes
    groups = triton.cdiv(channels, chunk) if channels else 1
    reach = [shape.reach(lanes) for shape in shapes]
    if grid:
        reach.append(sum(abs(step) * (n - 1) for n, step in zip((*output.size, 3), grid[1:], strict=True)))
    index = tl.int32 if max(reach) < LIMIT else tl.int64
    work = batch > 0 and channels > 0 and tiles > 0
    options = {"W": index, "TX": tile_x, "N": points, "CB": lanes, "LAST": last, "num_warps": 4}
    return Plan(batch * groups * tiles, groups, tiles if work else 0, (channels, chunk, groups, tiles_x, tiles_y), options)


def _block(channels: int, taps: int, last: bool, values: int) -> tuple[int, int]:
    """Channels and points of a tile."""
    values = values if taps <= 8 else values // 2
    if last:
        lanes = next(n for n in (64, 32, 16, 8, 4, 2) if triton.cdiv(channels, n) * n <= 1.25 * channels or n == 2)
        return lanes, max(values // 2 // lanes, 8)
    lanes = min(triton.next_power_of_2(max(channels, 1)), 4 if taps <= 8 else 2)
    return lanes, max(min(values // lanes, 256), 128)


def _columns(size: Sequence[int], points: int) -> int:
    """The width of a tile: of those near 32 the one that reaches least over the edges, so that turned images are read in squares."""
    height, width = size[1:]
    widths = [n for n in (32, 16, 64, 8, 128, 256) if n <= points]

    def covered(n: int) -> int:
        return triton.cdiv(width, n) * n * triton.cdiv(height, points // n) * (points // n)

    return min(widths, key=covered)


def accumulator(*tensors: Tensor) -> tl.dtype:
    """The dtype of the arithmetic: double if a tensor is, else single."""
    return tl.float64 if any(x.dtype == torch.float64 for x in tensors) else tl.float32
