"""What is the right answer? The sampler as the paper writes it. Every other backend is tested against this file; nothing here is tuned."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ..grid import coordinate_dtype, norm_to_pixel
from .modes import Mode, find_mode
from .padding import PADDING_MODES, settle


def sample_reference(
    input: Shaped[Tensor, "#b c *size"],
    grid: Float[Tensor, "#b *out d"],
    mode: str | Mode,
    padding_mode: str,
    align_corners: bool,
    fill: Tensor | None,
) -> Shaped[Tensor, "b c *out"]:
    r"""Jaderberg et al. 2015, eq. (3): :math:`V_i = \sum_m U_m \prod_a k(x_{i,a} - m_a)`, for any number of axes.

    Any kernel, any padding, one, two or three axes; differentiable to any order; deterministic; at home wherever PyTorch is.
    """
    input, grid = same_batch(input, grid)
    dtype = coordinate_dtype(input.dtype, grid.dtype)
    kernel, padding, size = find_mode(mode), PADDING_MODES[padding_mode], input.shape[2:]
    points = grid.to(dtype).flatten(1, -2)
    index = torch.zeros_like(points[..., :1], dtype=torch.long)  # (B, N, taps), taps grow axis by axis
    weight = torch.ones_like(points[..., :1])
    inside = torch.ones_like(points[..., :1], dtype=torch.bool)
    safe = settle(points, size, padding_mode, align_corners, kernel.support)
    # grids hold (x, y); images hold (H, W)
    for n, norm, given in zip(size, reversed(safe.unbind(-1)), reversed(points.unbind(-1)), strict=True):
        x = norm_to_pixel(norm, n, align_corners=align_corners)
        first = (x.detach() - (kernel.support - 2) / 2).floor()
        taps = first[..., None] + torch.arange(kernel.support, dtype=dtype, device=x.device)
        finite = given.isfinite()[..., None]
        i = torch.where(finite, padding.index(taps.long(), n, align_corners), 0)
        present = finite & (taps >= 0) & (taps < n)
        index = (index[..., None] * n + i[..., None, :]).flatten(2)
        weight = (weight[..., None] * kernel.weights(x[..., None] - taps)[..., None, :]).flatten(2)
        inside = (inside[..., None] & present[..., None, :]).flatten(2)
    values = _gather(input.to(dtype), index)  # (B, C, N, taps)
    if padding.fills:
        values = torch.where(inside[:, None], values, 0 if fill is None else fill.to(dtype)[:, None, None])
    return narrow((values * weight[:, None]).sum(-1).unflatten(2, grid.shape[1:-1]), input.dtype)


def same_batch(input: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat the one of the two whose batch is 1 for each sample of the other, without a copy."""
    b = grid.shape[0] if input.shape[0] == 1 else input.shape[0]
    return input.expand(b, *input.shape[1:]), grid.expand(b, *grid.shape[1:])


def narrow(output: Tensor, dtype: torch.dtype) -> Tensor:
    """To the dtype of the image; among whole numbers the nearest, of two the even one, within their range."""
    return output.round().clamp(0, 255).to(dtype) if dtype == torch.uint8 else output.to(dtype)


def _gather(input: Tensor, index: Tensor) -> Tensor:
    """Pixels ``(B, C, N, taps)`` of each channel at flat ``index (B, N, taps)``."""
    pixels = input.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, input.shape[1], -1))
    return pixels.unflatten(2, index.shape[1:])
