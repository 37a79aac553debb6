"""How the compiled sampler is held against the reference: outputs, gradients, and the same again with other vectors."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from reticle import grid_sample, warp
from reticle.grid import source_grid
from reticle.sampling import native

compiled = pytest.mark.skipif(native.WHY_NOT is not None, reason=f"native {native.WHY_NOT}")
# pixels of input and output: narrower than a vector, as wide, with a rest, several blocks
SHAPES = [((5, 7), (6, 5)), ((9, 8), (8, 16)), ((40, 37), (19, 42)), ((20, 150), (35, 70))]
# that a matrix turns by, in degrees, and enlarges by: the last of each leave the usual ways
TURNS, SCALES = (0, 8, 45, 90, 170), (0.2, 0.6, 0.9, 1.0, 1.3, 2.5)


def matrices(scale, degrees, *, batch=2, shift=0.137):
    """Matrices of which each further one is turned a little more, and mirrored."""
    angle = math.radians(degrees) + torch.arange(batch, dtype=torch.float64) * 0.1
    cos, sin, there = scale * angle.cos(), scale * angle.sin(), torch.full((batch,), shift, dtype=torch.float64)
    mirror = (-1.0) ** torch.arange(batch, dtype=torch.float64)
    return torch.stack([cos * mirror, -sin, there, sin * mirror, cos, -there], 1).unflatten(1, (2, 3))


def results(image: Tensor, where: Tensor, out, grad: Tensor, **how) -> tuple[Tensor, ...]:
    """The output, and the gradients of image and of matrix or grid."""
    image, where = image.clone().requires_grad_(), where.clone().requires_grad_()
    y = warp(image, where, out, **how) if where.ndim == 3 else grid_sample(image, where, **how)
    return y.detach(), *torch.autograd.grad(y, (image, where), grad)


def away_from_centres(where: Tensor, size, out, align_corners: bool = False) -> Tensor:
    """1 at each point that does not lie at a pixel's centre along an axis, where slopes are one-sided and rounding takes either."""
    grid = where.double() if where.ndim == 4 else source_grid(where.double(), out, align_corners=align_corners)
    sizes = torch.tensor([size[1], size[0]], dtype=torch.float64)
    pixel = grid * (sizes - int(align_corners)) / 2 + (sizes - 1) / 2
    return ((pixel - pixel.round()).abs() > 1e-3).all(-1)[:, None].float()


def assert_as_reference(image: Tensor, where: Tensor, out, *, tol: float = 2e-5, **how) -> None:
    """Native in single precision, the reference in double; ``tol`` relative to each number and to the largest."""
    where = where.float()
    grad = torch.rand(max(len(image), len(where)), image.shape[1], *out)
    grad = (grad * away_from_centres(where, image.shape[2:], out, how.get("align_corners", False))).to(image.dtype)
    got = results(image, where, out, grad, backend="native", **how)
    want = results(image.double(), where.double(), out, grad.double(), backend="reference", **how)
    for name, a, b in zip(("output", "gradient of input", "gradient of matrix or grid"), got, want, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=tol, atol=tol * float(b.abs().amax()), msg=lambda m, name=name: f"{name}: {m}")


def assert_passes_as(instruction_set: str, *files: Path) -> None:
    """Run tests again, in a process whose kernels are held back."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", *map(str, files)]
    done = subprocess.run(command, env={**os.environ, "RETICLE_ISA": instruction_set}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
