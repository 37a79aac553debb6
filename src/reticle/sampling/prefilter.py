"""How does a smoothing kernel come to interpolate? By sampling not the image but the coefficients that reproduce it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..checks import check_input
from .functional import make_fill
from .modes import Mode, find_mode
from .padding import PADDING_MODES


def prefilter(
    input: Float[Tensor, "b c *size"],
    mode: str | Mode = "bspline3",
    padding_mode: str = "reflection",
    align_corners: bool = False,
    *,
    value: float | Sequence[float] | Tensor = 0.0,
) -> Float[Tensor, "b c *size"]:
    r"""Coefficients that ``mode`` turns back into ``input`` on the pixel centres.

    .. math:: \sum_m c_m\, k(n - m) = U_n \quad \text{for every pixel } n \text{, axis by axis}

    Sample the result, not the image, with the same ``mode``, ``padding_mode``, ``align_corners`` and ``value``. For kernels that
    interpolate already (nearest, bilinear, bicubic, lanczos3) it changes nothing.

    Args:
        input: signals ``(B, C, W)``, images ``(B, C, H, W)`` or volumes ``(B, C, D, H, W)``, floating.
        mode, padding_mode, align_corners, value: as for :func:`reticle.grid_sample`.
    Returns:
        The same shape and dtype.
    Raises:
        ValueError, TypeError: as :func:`reticle.grid_sample`.
    Gradients:
        To ``input``, of any order. One dense system per axis: the cost grows with the cube of the longest axis.

    >>> coefficients = prefilter(torch.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]]))
    >>> centres = torch.tensor([[[-0.8], [-0.4], [0.0], [0.4], [0.8]]])
    >>> grid_sample(coefficients, centres, "bspline3", "reflection").round(decimals=4).abs()
    tensor([[[0., 0., 1., 0., 0.]]])

    Reference: Unser 1999, sec. "B-spline interpolation".
    """
    check_input("reticle.prefilter", input)
    kernel, padding = find_mode(mode), PADDING_MODES[padding_mode]
    fill = make_fill("reticle.prefilter", value, padding_mode, input)
    output = input.double()
    if fill is not None:
        fill = fill.double().view(-1, *[1] * (input.ndim - 2))
        # c - v solves the system of zeros around it for U - s v: s, the sum of all weights at a centre, is 1 for most kernels
        output = output - fill * _centred_weights(kernel).sum().to(fill.device) ** (input.ndim - 2)
    for axis in range(2, input.ndim):
        system = _system(kernel, padding.index, input.shape[axis], align_corners, fills=padding.fills).to(input.device)
        output = torch.linalg.solve(system, output.movedim(axis, -1)[..., None])[..., 0].movedim(-1, axis)
    return (output if fill is None else output + fill).to(input.dtype)


def _centred_weights(kernel: Mode) -> Float[Tensor, " taps"]:
    """Of the pixels around a point that lies on the centre of one of them."""
    return kernel.weights(-torch.arange(kernel.support, dtype=torch.float64) + (kernel.support - 1) // 2)


def _system(kernel: Mode, index, size: int, align_corners: bool, *, fills: bool) -> Float[Tensor, "n n"]:
    """Row n: how much each coefficient counts at the centre of pixel n."""
    centres = torch.arange(size, dtype=torch.float64)
    first = (centres - (kernel.support - 2) / 2).floor()
    taps = first[:, None] + torch.arange(kernel.support, dtype=torch.float64)
    weights = _centred_weights(kernel).expand(size, -1)
    if fills:
        weights = weights * ((taps >= 0) & (taps < size))
    return torch.zeros(size, size, dtype=torch.float64).scatter_add(1, index(taps.long(), size, align_corners), weights)
