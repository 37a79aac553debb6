"""What does the input show at these points? The public sampler: checked once, computed by whoever can."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ..checks import check_batch, check_bool, check_device, check_finite, check_floating, check_input, check_numbers, check_shape
from .backends import choose, make_spec
from .modes import Mode
from .output import check_out, compute
from .plain import sample_plainly

_GRID = {1: "B W_out 1", 2: "B H_out W_out 2", 3: "B D_out H_out W_out 3"}
_HINT = {
    1: "The last axis holds (x,).",
    2: "The last axis holds (x, y); for flows stored (B, 2, H, W) call grid.movedim(1, -1).",
    3: "The last axis holds (x, y, z); for flows stored (B, 3, D, H, W) call grid.movedim(1, -1).",
}


def grid_sample(
    input: Shaped[Tensor, "#b c *size"],
    grid: Float[Tensor, "#b *out d"],
    mode: str | Mode = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
    *,
    value: float | Sequence[float] | Tensor = 0.0,
    backend: str = "auto",
    out: Tensor | None = None,
) -> Shaped[Tensor, "b c *out"]:
    r"""Read ``input`` at the points of ``grid``. Takes what :func:`torch.nn.functional.grid_sample` takes, and more.

    .. math:: V_i^c = \sum_n \sum_m U_{nm}^c\, k(x_i - m)\, k(y_i - n)

    Convention:
        - ``grid[..., :]`` is ``(x, y)`` or ``(x, y, z)``; x right, y down; -1 and 1 are the outer edges of the border
          pixels (``align_corners=False``) or their centres (``True``).
        - target to source: ``grid[b, i, j]`` says where output pixel ``(i, j)`` is read *from*.
        - NaN and infinite coordinates are outside: zeros gives 0, constant the value, the other paddings pixel 0 of that axis.
    Args:
        input: signals ``(B, C, W)``, images ``(B, C, H, W)`` or volumes ``(B, C, D, H, W)``, floating or uint8.
        grid: points ``(B, W_out, 1)``, ``(B, H_out, W_out, 2)`` or ``(B, D_out, H_out, W_out, 3)``; its dtype may differ.
            A batch of 1 on either side serves all samples of the other.
        mode: a name in ``MODES``, or a :class:`Mode` of your own.
        padding_mode: a name in ``PADDING_MODES``.
        align_corners: the same as the grid's maker used.
        value: what ``padding_mode="constant"`` reads outside: a finite number, or one per channel. A tensor of it may require grad;
            the reference computes that.
        backend: ``"auto"``, or a name in ``BACKENDS``.
        out: write the result here, in place, and return it: its shape, dtype and device, any strides; no gradients.
    Returns:
        ``(B, C, *out)``; dtype and device of ``input``. Coordinates and sums are computed in float32 or wider; of uint8 images the
        result is rounded to the nearest whole number, half to even, and clamped to 0 .. 255.
    Raises:
        ValueError: a shape, device or name is wrong, or ``out`` is given where gradients are recorded.
        TypeError: a dtype is not floating, or that of ``out`` not the input's, or ``value`` holds no real numbers.
        NotImplementedError: the backend asked for cannot do this call.
    Gradients:
        To ``input``, ``grid`` and the parameters of a mode of your own. Bilinear's derivative on a pixel centre is the right one,
        ``U[x+1] - U[x]``; nearest's is 0; at NaN and infinite coordinates it is 0. None for uint8 images. Native and reference have all
        higher ones.

    >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    >>> grid_sample(ramp, torch.tensor([[[[-0.75, 0.0], [0.5, 0.0]]]]))  # x = 0, 2.5
    tensor([[[[0.0000, 2.5000]]]])

    Reference: Jaderberg et al. 2015, sec. 3.3, eq. (3).
    """
    found = sample_plainly("grid_sample", input, grid, (), mode, padding_mode, align_corners, backend) if out is None else None
    if isinstance(found, Tensor):
        return found
    fn = "reticle.grid_sample"
    check_input(fn, input, whole=True)
    check_floating(fn, "grid", grid)
    ndim = input.ndim - 2
    if grid.ndim != ndim + 2 or grid.shape[-1] != ndim:
        check_shape(fn, "grid", grid, _GRID[ndim], hint=_HINT[ndim])
    check_device(fn, "input", input, "grid", grid)
    check_batch(fn, "input", input, "grid", grid)
    check_bool(fn, "align_corners", align_corners)
    fill = make_fill(fn, value, padding_mode, input)
    chosen = choose(fn, make_spec(input, mode, padding_mode, align_corners, fill), backend)
    if out is not None:
        batch = grid.shape[0] if input.shape[0] == 1 else input.shape[0]
        size = (batch, input.shape[1], *grid.shape[1:-1])
        check_out(fn, out, size, mode, {"input": input, "grid": grid, "value": fill})
    if found is not None:
        raise found  # the arguments are not to blame
    return compute(chosen, chosen.run, (input, grid, mode, padding_mode, align_corners, fill), out)


def make_fill(fn: str, value: float | Sequence[float] | Tensor, padding_mode: str, input: Tensor) -> Tensor | None:
    """What taps outside take, one per channel; None where they take nothing or 0."""
    if padding_mode != "constant":
        return None
    dtype = input.dtype if input.dtype.is_floating_point else torch.float32
    check_numbers(fn, "value", value)
    check_finite(fn, "value", value, dtype)
    fill = torch.as_tensor(value, dtype=dtype, device=input.device)
    if fill.ndim > 1 or (fill.ndim == 1 and len(fill) != input.shape[1]):
        raise ValueError(f"{fn}: `value` must be a number or one per channel, C = {input.shape[1]}; got shape {tuple(fill.shape)}.")
    return fill.expand(input.shape[1])
