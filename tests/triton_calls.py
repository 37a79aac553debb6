"""What the tests of the sampler for GPUs share: small calls of every kind, and their results with gradients."""

import pytest
import torch
from helpers import DEVICE, off_kink_grid

from reticle import grid_sample, warp

SIZES = {1: ((5,), (4,)), 2: ((4, 5), (3, 2)), 3: ((2, 3, 4), (2, 1, 3))}  # input, output
FILL = (0.5, -2.0)
# each mode, padding, dimension, convention and kind of place at least once: interpreting the whole product takes minutes
FEW = [
    (1, "bspline3", "wrap", True, "grid"),
    (1, "nearest", "reflection", False, "affine"),
    (2, "nearest", "constant", False, "projective"),
    (2, "bilinear", "zeros", False, "affine"),
    (2, "bilinear", "border", True, "projective"),
    (2, "bicubic", "reflection", False, "grid"),
    (3, "bilinear", "constant", True, "affine"),
    (3, "nearest", "wrap", False, "grid"),
]
few = pytest.mark.parametrize(("ndim", "mode", "padding_mode", "align_corners", "kind"), FEW)


def place(ndim, kind, align_corners=False, batch=1, dtype=torch.float64, device=DEVICE):
    """A grid or a matrix."""
    size, out = SIZES[ndim]
    if kind == "grid":
        return off_kink_grid(batch, out, size, align_corners=align_corners, dtype=dtype).to(device)
    matrix = 0.8 * torch.eye(ndim + 1) + 0.4 * (torch.rand(batch, ndim + 1, ndim + 1) - 0.5)
    return matrix[:, : ndim + (kind == "projective")].to(device, dtype)


def sample(image, where, call, backend="triton", **options):
    options = {"value": FILL if image.shape[1] == 2 else 0.5, "backend": backend} | options
    if where.ndim == 3 and where.shape[-1] == image.ndim - 1:
        return warp(image, where, SIZES[image.ndim - 2][1], *call, **options)
    return grid_sample(image, where, *call, **options)


def both_ways(image, where, call, backend="triton"):
    leaves = image.detach().requires_grad_(), where.detach().requires_grad_()
    output = sample(*leaves, call, backend)
    cotangent = torch.linspace(-1, 1, output.numel(), device=output.device).to(output.dtype).view(output.shape)
    return output.detach(), *torch.autograd.grad(output, leaves, cotangent)
