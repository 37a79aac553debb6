"""What the compiled sampler does with given points that each read a row of pixels by one load: under kernels of four pixels along an axis,
and of bilinear images in double precision. Against the reference."""

import math

import pytest
import torch
from native_checks import away_from_centres, compiled, results

from reticle import grid_sample

pytestmark = compiled
KINDS = [(torch.float32, "bicubic"), (torch.float32, "bspline3"), (torch.float64, "bilinear"), (torch.float64, "bicubic")]
PADDINGS = ["zeros", "constant", "border", "reflection", "wrap"]
# pixels of input and output: images as large as a window, fewer points than a vector has, one more, several blocks
SHAPES = [((4, 4), (3, 5)), ((4, 9), (1, 16)), ((9, 8), (17, 17)), ((40, 37), (19, 70)), ((33, 60), (35, 129))]


def points(out, dtype, *, reach=1.5):
    """A grid that lies within the image in its first half, and anywhere in its second."""
    grid = reach * (2 * torch.rand(2, *out, 2, dtype=dtype) - 1)
    half = out[1] // 2
    grid[:, :, :half] *= 0.3
    return grid


def assert_alike(image, grid, **how):
    """Values and gradients as the reference has them in double precision."""
    out = tuple(grid.shape[1:3])
    tol = 2e-5 if image.dtype == torch.float32 else 1e-12
    how.setdefault("value", 0.3 if how["padding_mode"] == "constant" else 0.0)
    clear = (
        1.0 if how["mode"] != "bilinear" else away_from_centres(grid, image.shape[2:], out, how.get("align_corners", False)).nan_to_num()
    )
    grad = (torch.rand(2, image.shape[1], *out) * clear).to(image.dtype)
    got = results(image, grid, out, grad, backend="native", **how)
    want = results(image.double(), grid.double(), out, grad.double(), backend="reference", **how)
    for name, a, b in zip(("output", "gradient of input", "gradient of grid"), got, want, strict=True):
        assert torch.equal(a.isfinite(), b.isfinite()), name
        a, b = (t.double().nan_to_num(0, 0, 0) for t in (a, b))
        torch.testing.assert_close(a, b, rtol=tol, atol=tol * float(b.abs().amax()), msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize(("size", "out"), SHAPES, ids=str)
@pytest.mark.parametrize(("dtype", "mode"), KINDS, ids=str)
def test_given_points(dtype, mode, size, out, padding_mode):
    for channels in (1, 3, 4, 5):
        for align_corners in (False, True):
            image = torch.rand(2, channels, *size, dtype=dtype)
            assert_alike(image, points(out, dtype), mode=mode, padding_mode=padding_mode, align_corners=align_corners)


@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize(("dtype", "mode"), KINDS, ids=str)
def test_a_point_that_is_nowhere_spoils_no_other(dtype, mode, bad, padding_mode):
    grid = points((18, 50), dtype)
    if math.isfinite(bad) and padding_mode in ("reflection", "wrap"):
        bad = 1e3  # further away it is a matter of rounding where it is read
    grid[0, 7, 20, 0], grid[1, 3, 49, 1] = bad, bad
    assert_alike(torch.rand(2, 3, 20, 30, dtype=dtype), grid, mode=mode, padding_mode=padding_mode)


@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("bad", [math.inf, math.nan])
@pytest.mark.parametrize(("dtype", "mode"), KINDS, ids=str)
def test_what_is_not_finite_reaches_only_the_points_that_read_it(dtype, mode, bad, padding_mode):
    grid = points((18, 50), dtype)
    for at in ((0, 0), (0, 29), (19, 0), (19, 29), (10, 14)):
        image = torch.rand(2, 2, 20, 30, dtype=dtype)
        image[0, 1, at[0], at[1]] = bad
        assert_alike(image, grid, mode=mode, padding_mode=padding_mode)


@pytest.mark.parametrize(("dtype", "mode"), KINDS, ids=str)
def test_a_point_does_not_depend_on_those_beside_it(dtype, mode):
    """Whether others of its vector lie at an edge."""
    image, grid = torch.rand(2, 1, 12, 15, dtype=dtype), points((9, 64), dtype)
    inside = (grid.abs() < 0.6).all(-1)
    alone = torch.where(inside[..., None], grid, 0)
    got, want = (results(image, g, (9, 64), torch.ones(2, 1, 9, 64, dtype=dtype), mode=mode, backend="native") for g in (grid, alone))
    assert torch.equal(got[0][:, 0][inside], want[0][:, 0][inside])
    assert torch.equal(got[2][inside], want[2][inside])


@pytest.mark.parametrize(("dtype", "mode"), KINDS, ids=str)
def test_far_outside_the_border_is_the_pixel_of_the_corner(dtype, mode):
    image = torch.rand(1, 1, 7, 9, dtype=dtype)
    for side, corner in ((-1, 0), (1, -1)):
        grid = side * (3 + torch.rand(1, 5, 21, 2, dtype=dtype))
        got = grid_sample(image, grid, mode, "border", backend="native")
        assert (got == image[0, 0, corner, corner]).all()
