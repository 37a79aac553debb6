"""Does a transform or a mode keep its word? What this library asks of its own parts, it asks of yours in the same words."""

import torch
from torch import Tensor

from .grid import base_grid
from .sampling import MODES, PADDING_MODES, Mode, grid_sample
from .transforms import AbstractMatrixTransform, AbstractTransform

_SIZES = {1: (5,), 2: (3, 4), 3: (2, 3, 4)}


def check_transform(transform: AbstractTransform, *, seed: int = 0) -> None:
    """Raise AssertionError unless ``transform`` keeps the contract of :class:`reticle.AbstractTransform`.

    Identity at ``identity()`` if the family has one; one map per row of ``theta``; right derivatives, of first and second order;
    coordinates in float32 or wider; an inverse that undoes the map, for matrix families; no break under ``torch.compile``; an
    empty batch. What it cannot see is whether the formula is the one you meant: give the class a worked example.

    >>> check_transform(Affine())
    """
    size = _SIZES[transform.ndim]
    points = base_grid(size, dtype=torch.float64)
    eye = transform.identity().double()
    assert eye.shape == (transform.num_params,), f"identity() has shape {tuple(eye.shape)}, num_params is {transform.num_params}"
    if transform.has_identity:
        moved = transform(eye[None], points, size)[0]
        assert torch.equal(moved, points), "identity() does not map points to themselves"
    theta = eye + 0.1 * torch.randn(3, transform.num_params, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    _check_map(transform, theta, points, size)
    if isinstance(transform, AbstractMatrixTransform) and transform.has_identity:
        there = transform.move(theta, points.flatten(0, -2)[None], size)
        back = transform.move(transform.inverse(theta, size), there, size).unflatten(1, size)
        torch.testing.assert_close(back, points.expand_as(back), rtol=0, atol=1e-9, msg="inverse() does not undo the map")


def _check_map(transform: AbstractTransform, theta: Tensor, points: Tensor, size: tuple[int, ...]) -> None:
    moved = transform(theta, points, size)
    assert moved.shape == (len(theta), *points.shape), f"points {tuple(points.shape)} come out as {tuple(moved.shape)}"
    alone = torch.cat([transform(row[None], points, size) for row in theta])
    torch.testing.assert_close(moved, alone, msg="rows of theta influence each other")
    assert transform(theta[:0], points, size).shape == (0, *points.shape), "an empty batch does not come out empty"
    for narrow in (torch.float32, torch.float16, torch.bfloat16):
        got = transform(theta.to(narrow), points.to(narrow), size).dtype
        assert got == torch.float32, f"{narrow} in, coordinates in {got}; they must be float32 or wider"
    # off the control points of splines, where second derivatives do not exist
    inputs = (theta.clone().requires_grad_(), (0.9 * points + 0.03).requires_grad_())
    assert torch.autograd.gradcheck(lambda t, p: transform(t, p, size), inputs)
    # of volumes along random directions: entry by entry takes a minute
    assert torch.autograd.gradgradcheck(lambda t, p: transform(t, p, size), inputs, fast_mode=len(size) == 3)
    torch.compiler.reset()  # each family would otherwise count against one limit of recompilations
    compiled = torch.compile(transform, fullgraph=True, backend="aot_eager")(theta, points, size)
    torch.testing.assert_close(compiled, moved, msg="torch.compile changes the result")


def check_mode(mode: Mode, *, seed: int = 0) -> None:
    """Raise AssertionError unless ``mode`` keeps the contract of :class:`reticle.Mode`.

    Weights finite over its support; the polynomials it claims are reproduced (and, for registered modes, no claim is too modest);
    right derivatives of first and second order for every padding; defined answers for NaN, infinite and huge coordinates.

    >>> check_mode(MODES["bilinear"])
    """
    generator = torch.Generator().manual_seed(seed)
    half = mode.support / 2
    distance = torch.arange(-200, 201, dtype=torch.float64) * (half / 200)  # not linspace: it misses 0
    assert mode.phi(distance).shape == distance.shape, "phi must be elementwise"
    assert mode.phi(distance).isfinite().all(), "phi is not finite over its support"
    registered = any(mode is known for known in MODES.values())
    for degree in range(4):
        exact, claimed = _polynomial_error(mode, degree) < 1e-9, degree <= mode.exact_degree
        assert exact or not claimed, f"claims exact_degree {mode.exact_degree}, misses degree {degree}"
        assert claimed or not exact or not registered, f"claims exact_degree {mode.exact_degree}, reproduces degree {degree} too"
    for padding_mode in PADDING_MODES:
        _check_derivatives(mode, padding_mode, generator)
        _check_wild_points(mode, padding_mode)


def _polynomial_error(mode: Mode, degree: int) -> float:
    """Largest error of ``mode`` on ``x ** degree``, far from the ends of the signal."""
    n = 4 * mode.support + 8
    x = torch.linspace(n / 2 - 2, n / 2 + 2, 33, dtype=torch.float64)
    signal = ((torch.arange(n, dtype=torch.float64) - n / 2) / n) ** degree
    grid = ((2 * x + 1) / n - 1)[None, :, None]
    got = grid_sample(signal[None, None], grid, mode, "zeros", backend="reference")[0, 0]
    return (got - ((x - n / 2) / n) ** degree).abs().max().item()


def _check_derivatives(mode: Mode, padding_mode: str, generator: torch.Generator) -> None:
    image = torch.rand(1, 1, 3, 4, generator=generator, dtype=torch.float64).requires_grad_()
    # between 0.1 and 0.4 pixels past a centre: off the kinks of every kernel of whole or half support
    cell = torch.randint(-1, 4, (1, 2, 2, 2), generator=generator)
    pixel = cell + 0.1 + 0.3 * torch.rand(1, 2, 2, 2, generator=generator, dtype=torch.float64)
    grid = ((2 * pixel + 1) / torch.tensor([4.0, 3.0], dtype=torch.float64) - 1).requires_grad_()

    def sample(image: Tensor, grid: Tensor) -> Tensor:
        return grid_sample(image, grid, mode, padding_mode, value=0.5, backend="reference")

    assert torch.autograd.gradcheck(sample, (image, grid)), f"wrong derivative with {padding_mode} padding"
    assert torch.autograd.gradgradcheck(sample, (image, grid)), f"wrong second derivative with {padding_mode} padding"


def _check_wild_points(mode: Mode, padding_mode: str) -> None:
    wild = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
    grid = torch.stack([wild, torch.zeros(5)], dim=-1)[None, None].requires_grad_()
    image = torch.rand(1, 1, 3, 3).requires_grad_()
    output = grid_sample(image, grid, mode, padding_mode, value=0.5, backend="reference")
    output.sum().backward()
    assert output.isfinite().all(), f"not finite at wild coordinates with {padding_mode} padding"
    assert image.grad is not None and image.grad.isfinite().all()
    assert grid.grad is not None and (grid.grad[0, 0, :3, 0] == 0).all(), "the gradient of a coordinate that is not finite must be 0"
