"""What lies outside the image? For each padding mode: which pixel a tap index means, and after how long the world repeats."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..grid import extent, pixel_to_norm
from ..registry import Registry

PADDING_MODES: Registry["Padding"] = Registry("padding_mode")


@dataclass(frozen=True)
class Padding:
    """Maps tap indices, any integers, into ``0 .. size-1``."""

    index: Callable[[Tensor, int, bool], Tensor]
    """``(indices, size, align_corners) -> indices inside``."""
    fills: bool = False
    """Whether taps outside take the fill value (and their index is only a placeholder)."""
    period: Callable[[int, bool], int] | None = None
    """``(size, align_corners) -> pixels`` after which the world repeats; None: it does not."""


def _clamp(i: Tensor, size: int, align_corners: bool) -> Tensor:
    return i.clamp(0, size - 1)


def _wrap(i: Tensor, size: int, align_corners: bool) -> Tensor:
    return i.remainder(size)


def _reflection_period(size: int, align_corners: bool) -> int:
    return max(2 * extent(size, align_corners=align_corners), 1)


def _reflect(i: Tensor, size: int, align_corners: bool) -> Tensor:
    period = _reflection_period(size, align_corners)
    i = i.remainder(period)
    # mirrored about the outer centres (dcb|abcd|cba) or the outer edges (dcba|abcd|dcba)
    mirrored = period - i if align_corners else period - 1 - i
    return torch.minimum(i, mirrored)


PADDING_MODES.register("zeros")(Padding(_clamp, fills=True))
PADDING_MODES.register("constant")(Padding(_clamp, fills=True))
PADDING_MODES.register("border")(Padding(_clamp))
PADDING_MODES.register("reflection")(Padding(_reflect, period=_reflection_period))
PADDING_MODES.register("wrap")(Padding(_wrap, period=lambda size, align_corners: size))


def settle(grid: Tensor, size: Sequence[int], padding_mode: str, align_corners: bool, support: int) -> Tensor:
    """Bring any coordinates to where index arithmetic is safe, without changing what is sampled there.

    NaN and infinity become a point far outside (zeros, constant, border) or the first pixel's centre, with gradient 0. Finite
    coordinates clamp beyond the reach of the kernel, or fold by whole periods, in double. Every backend shares this, so all agree.
    """
    padding = PADDING_MODES[padding_mode]
    far = 4.0 * support
    if padding.fills:
        return torch.where(grid.abs() <= far, grid, -far)  # outside is outside, on whichever side
    if padding.period is None:
        # left of the first pixel, which under border is that pixel; not nan_to_num: its gradient is 0 times what may be NaN
        return torch.where(grid.abs() < torch.inf, grid, -far).clamp(-far, far)
    axes = zip(grid.unbind(-1), reversed(size), strict=True)
    return torch.stack([_fold(norm, n, padding.period(n, align_corners), align_corners) for norm, n in axes], dim=-1)


def _fold(norm: Tensor, size: int, period: int, align_corners: bool) -> Tensor:
    """The same place of the image, at most half a ``period``, in pixels, from the middle."""
    length = extent(size, align_corners=align_corners)
    if length == 0:
        return torch.where(norm.isfinite(), norm, 0) * 0  # one pixel, corners aligned: every point lies on it
    norm = torch.where(norm.isfinite(), norm, pixel_to_norm(0, size, align_corners=align_corners))
    whole = 2 * period / length
    wide = norm.double().fmod(whole)  # exact, however large
    return (wide - whole * (wide.detach() / whole).round()).to(norm.dtype)
