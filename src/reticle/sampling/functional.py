"""What does the input show at these points? The public sampler: checked once, computed by whoever can."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..checks import check_batch, check_device, check_finite, check_floating, check_shape
from .backends import choose, make_spec
from .modes import Mode

_INPUT = "(B, C, W), (B, C, H, W) or (B, C, D, H, W)"
_GRID = {1: "B W_out 1", 2: "B H_out W_out 2", 3: "B D_out H_out W_out 3"}
_HINT = {
    1: "The last axis holds (x,).",
    2: "The last axis holds (x, y); for flows stored (B, 2, H, W) call grid.movedim(1, -1).",
    3: "The last axis holds (x, y, z); for flows stored (B, 3, D, H, W) call grid.movedim(1, -1).",
}


def grid_sample(
    input: Float[Tensor, "#b c *size"],
    grid: Float[Tensor, "#b *out d"],
    mode: str | Mode = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
    *,
    value: float | Sequence[float] | Tensor = 0.0,
    backend: str = "auto",
) -> Float[Tensor, "b c *out"]:
    r"""Read ``input`` at the points of ``grid``. Takes what :func:`torch.nn.functional.grid_sample` takes, and more.

    .. math:: V_i^c = \sum_n \sum_m U_{nm}^c\, k(x_i - m)\, k(y_i - n)

    Convention:
        - ``grid[..., :]`` is ``(x, y)`` or ``(x, y, z)``; x right, y down; -1 and 1 are the outer edges of the border
          pixels (``align_corners=False``) or their centres (``True``).
        - target to source: ``grid[b, i, j]`` says where output pixel ``(i, j)`` is read *from*.
        - NaN and infinite coordinates are outside: zeros gives 0, constant the value, the other paddings pixel 0 of that axis.
    Args:
        input: signals ``(B, C, W)``, images ``(B, C, H, W)`` or volumes ``(B, C, D, H, W)``, floating.
        grid: points ``(B, W_out, 1)``, ``(B, H_out, W_out, 2)`` or ``(B, D_out, H_out, W_out, 3)``; its dtype may differ.
            A batch of 1 on either side serves all samples of the other.
        mode: a name in ``MODES``, or a :class:`Mode` of your own.
        padding_mode: a name in ``PADDING_MODES``.
        align_corners: the same as the grid's maker used.
        value: what ``padding_mode="constant"`` reads outside: a finite number, or one per channel.
        backend: ``"auto"``, or a name in ``BACKENDS``.
    Returns:
        ``(B, C, *out)``; dtype and device of ``input``. Coordinates and sums are computed in float32 or wider.
    Raises:
        ValueError: a shape, device or name is wrong.
        TypeError: a dtype is not floating.
        NotImplementedError: the backend asked for cannot do this call.
    Gradients:
        To ``input``, ``grid`` and the parameters of a mode of your own. Bilinear's derivative on a pixel centre is the right one,
        ``U[x+1] - U[x]``; nearest's is 0; at NaN and infinite coordinates it is 0. The reference backend has all higher ones.

    >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    >>> grid_sample(ramp, torch.tensor([[[[-0.75, 0.0], [0.5, 0.0]]]]))  # x = 0, 2.5
    tensor([[[[0.0000, 2.5000]]]])

    Reference: Jaderberg et al. 2015, sec. 3.3, eq. (3).
    """
    fn = "reticle.grid_sample"
    check_input(fn, input)
    check_floating(fn, "grid", grid)
    check_shape(fn, "grid", grid, _GRID[input.ndim - 2], hint=_HINT[input.ndim - 2])
    check_device(fn, "input", input, "grid", grid)
    check_batch(fn, "input", input, "grid", grid)
    fill = _fill(fn, value, padding_mode, input)
    input, grid = _same_batch(input, grid)
    chosen = choose(make_spec(input, mode, padding_mode, align_corners), backend)
    return chosen.run(input, grid, mode, padding_mode, align_corners, fill)


def check_input(fn: str, input: Tensor) -> None:
    """Raise unless ``input`` is a floating batch of signals, images or volumes with at least one pixel each."""
    check_floating(fn, "input", input)
    if input.ndim not in (3, 4, 5):
        raise ValueError(f"{fn}: `input` must have shape {_INPUT}; got {tuple(input.shape)}.\n  Add missing axes with input[None].")
    if 0 in input.shape[2:]:
        raise ValueError(f"{fn}: `input` must have at least one pixel along every axis; got {tuple(input.shape)}.")


def _fill(fn: str, value: float | Sequence[float] | Tensor, padding_mode: str, input: Tensor) -> Tensor:
    if padding_mode != "constant":
        return input.new_zeros(input.shape[1])
    check_finite(fn, "value", value, input.dtype)
    fill = torch.as_tensor(value, dtype=input.dtype, device=input.device)
    if fill.ndim > 1 or (fill.ndim == 1 and len(fill) != input.shape[1]):
        raise ValueError(f"{fn}: `value` must be a number or one per channel, C = {input.shape[1]}; got shape {tuple(fill.shape)}.")
    return fill.expand(input.shape[1])


def _same_batch(input: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    b = grid.shape[0] if input.shape[0] == 1 else input.shape[0]
    return input.expand(b, *input.shape[1:]), grid.expand(b, *grid.shape[1:])
