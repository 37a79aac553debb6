"""What lies outside the image? For each padding mode: which pixel a tap index means, and after how long the world repeats."""

from collections.abc import Callable
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
    return torch.minimum(i, mirrored).clamp(max=size - 1)


PADDING_MODES.register("zeros")(Padding(_clamp, fills=True))
PADDING_MODES.register("constant")(Padding(_clamp, fills=True))
PADDING_MODES.register("border")(Padding(_clamp))
PADDING_MODES.register("reflection")(Padding(_reflect, period=_reflection_period))
PADDING_MODES.register("wrap")(Padding(_wrap, period=lambda size, align_corners: size))


def settle(norm: Tensor, size: int, padding_mode: str, align_corners: bool, support: int) -> Tensor:
    """Bring any coordinate of one axis to where index arithmetic is safe, without changing what is sampled there.

    NaN and infinity become a point far outside (zeros, constant) or the first pixel's centre, with gradient 0. Finite coordinates
    clamp beyond the reach of the kernel, or fold by whole periods, in double. Every backend shares this, so all agree.
    """
    padding = PADDING_MODES[padding_mode]
    if padding.period is None:
        far = 4.0 * support  # left of the first pixel: outside, and for border the same as that pixel
        return torch.where(norm.isfinite(), norm, -far).clamp(-far, far)  # not nan_to_num: its gradient is 0 times what may be NaN
    norm = torch.where(norm.isfinite(), norm, float(pixel_to_norm(0, size, align_corners=align_corners)))
    length = extent(size, align_corners=align_corners)
    if length == 0:
        return norm * 0  # one pixel, corners aligned: every point lies on it
    period = 2 * padding.period(size, align_corners) / length
    wide = norm.double().fmod(period)  # exact, however large
    return (wide - period * (wide.detach() / period).round()).to(norm.dtype)
