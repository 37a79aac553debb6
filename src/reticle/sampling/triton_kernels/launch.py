"""From tensors to kernels and back. Arguments were checked by the public functions; ids are those of ``native_rules``."""

import contextlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .backward import backward as backward_kernel
from .forward import forward as forward_kernel
from .plan import Plan, accumulator, grid_strides, make_plan, shape_of

SOFT = os.environ.get("TRITON_INTERPRET", "0") == "1"
SUPPORT = (1, 2, 4, 4)  # pixels per axis that count, by mode
WEIGHTS = 2.6  # at most what the absolute weights of a point sum to: bicubic, 1.375 per axis


def is_matrix(input: Tensor, where: Tensor) -> bool:
    """Whether ``where`` is one, and not a grid."""
    return where.ndim == 3 and where.shape[-1] == input.ndim - 1


def forward_into(input: Tensor, where: Tensor, mode: int, padding: int, align_corners: bool, fill: Tensor | None, output: Tensor) -> None:
    """Sample ``input`` where ``where`` says, into ``output`` of any strides."""
    shapes, ndim = [shape_of(input), shape_of(output)], input.ndim - 2
    where, steps, kind = _where(input, where)
    plan = make_plan(output.shape[0], input.shape[1], SUPPORT[mode] ** ndim, shapes, shapes[1], steps if kind == 0 else (), 1024)
    if not plan.tiles:
        return
    scalars = (0, *plan.scalars, *shapes[0].size, *shapes[1].size, *shapes[0].stride, *shapes[1].stride, *steps)
    how = _how(ndim, mode, padding, align_corners, kind, plan)
    with _device(input):
        forward_kernel[(plan.programs,)](input, where, _fill(fill, input), output, *scalars, A=accumulator(input, where), SOFT=SOFT, **how)


def gradients(
    grad: Tensor, input: Tensor, where: Tensor, mode: int, padding: int, align_corners: bool, fill: Tensor | None, to_input: Tensor | None,
    need_where: bool,
) -> tuple[Tensor | None, Tensor | None]:  # fmt: skip
    """The gradients to ``input``, laid out as ``to_input`` if that is given, and to ``where`` if that is needed."""
    ndim, where_shape, dtype = input.ndim - 2, where.shape, where.dtype
    where, steps, kind = _where(input, where)
    shapes = [shape_of(x) for x in (grad, input, input if to_input is None else to_input)]
    plan = make_plan(grad.shape[0], input.shape[1], SUPPORT[mode] ** ndim, shapes, shapes[0], steps if kind == 0 else (), 512)
    arithmetic = torch.float64 if torch.float64 in (input.dtype, where.dtype) else torch.float32
    fixed = to_input is not None and torch.are_deterministic_algorithms_enabled()
    sums = torch.zeros_like(to_input, dtype=torch.int64 if fixed else arithmetic) if to_input is not None else input
    slopes = _room_for_slopes(plan, grad, where, kind, arithmetic) if need_where else where
    if plan.tiles:
        scale, exponent = _fixed_point(grad, input, arithmetic) if fixed else (where, where)
        strides = [*shapes[0].stride, *shapes[1].stride, *shape_of(sums).stride, *steps, scale.stride(0) if fixed and len(scale) > 1 else 0]
        scalars = (0, *plan.scalars, *shapes[1].size, *shapes[0].size, *strides)
        how = _how(ndim, mode, padding, align_corners, kind, plan)
        how |= {"A": accumulator(input, where), "TO_INPUT": to_input is not None, "TO_WHERE": need_where, "FIXED": fixed}
        with _device(input):
            backward_kernel[(plan.programs,)](grad, input, where, _fill(fill, input), scale, sums, slopes, *scalars, **how)
        if fixed:
            sums = _floating(sums, exponent, arithmetic)
    grad_where = None
    if need_where:
        grad_where = _gather(slopes, plan, grad.shape[0], where_shape, kind).to(dtype)
    return (None if to_input is None else sums.to(input.dtype)), grad_where


def _where(input: Tensor, where: Tensor) -> tuple[Tensor, Sequence[int], int]:
    """What says where to read, its strides, and its kind: a grid, an affine matrix, one with a last row."""
    if not is_matrix(input, where):
        return where, grid_strides(where), 0
    where = where.contiguous()
    return where, (where.stride(0) if len(where) > 1 else 0, 0, 0, 0, 0), where.shape[1] - (input.ndim - 2) + 1


def _how(ndim: int, mode: int, padding: int, align_corners: bool, kind: int, plan: Plan) -> dict[str, Any]:
    return {"NDIM": ndim, "MODE": mode, "PADDING": padding, "CORNERS": align_corners, "KIND": kind, **plan.options}


def _fill(fill: Tensor | None, input: Tensor) -> Tensor:
    """One value per channel, side by side; without one it is not read."""
    return input if fill is None else fill.contiguous()


def _device(x: Tensor) -> contextlib.AbstractContextManager:
    """Kernels start on the current device; the interpreter's arithmetic is NumPy's, which warns of infinities that are meant."""
    return torch.cuda.device(x.device) if x.is_cuda else np.errstate(all="ignore")


def _room_for_slopes(plan: Plan, grad: Tensor, where: Tensor, kind: int, dtype: torch.dtype) -> Tensor:
    """For each group of channels the slopes at each point of a grid; for a matrix the sums of each tile."""
    if kind == 0:
        return where.new_empty((plan.groups, grad.shape[0], *where.shape[1:]), dtype=dtype)
    return where.new_empty((grad.shape[0], plan.groups * plan.tiles, *where.shape[1:]), dtype=dtype)


def _gather(slopes: Tensor, plan: Plan, batch: int, shape: torch.Size, kind: int) -> Tensor:
    """The gradient from its parts, in an order that is always the same."""
    if not plan.tiles:
        return slopes.new_zeros(shape)
    if kind == 0:
        found = slopes[0] if len(slopes) == 1 else slopes.sum(0)
    else:
        found = slopes.sum(1, dtype=torch.float64)
    return found.sum(0, keepdim=True) if shape[0] == 1 != batch else found


def _fixed_point(grad: Tensor, input: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """For each channel of ``input``, by what its gradients are multiplied, a power of 2 so that no sum overflows, and what undoes it.

    Whole numbers add up to the same in any order. A gradient that is not finite has no such power: 0, undone by NaN.
    """
    axes = [*range(2, grad.ndim)] if len(input) == len(grad) else [0, *range(2, grad.ndim)]
    largest = grad.abs().amax(axes).to(dtype).view(-1, grad.shape[1])
    points = grad.numel() // (grad.shape[1] * len(largest))
    bits = 62 - int(points * WEIGHTS + 1).bit_length()
    lowest = -60 if dtype == torch.float32 else -900
    exponent = torch.frexp(largest.nan_to_num(0, 0, 0)).exponent.clamp(min=lowest)
    finite = largest.isfinite()
    return torch.where(finite, _power_of_2(bits - exponent).to(dtype), 0), torch.where(finite, _power_of_2(exponent - bits), torch.nan)


def _power_of_2(exponent: Tensor) -> Tensor:
    """In double; ``torch.ldexp`` is a power that a GPU may round."""
    return ((exponent.long() + 1023) << 52).view(torch.float64)


def _floating(sums: Tensor, undo: Tensor, dtype: torch.dtype) -> Tensor:
    return (sums * undo.view(*undo.shape, *[1] * (sums.ndim - 2))).to(dtype)
