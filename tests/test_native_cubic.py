"""Bicubic and B-spline images by pieces of rows that neighbouring points share. Against the reference."""

import math

import pytest
import torch
from native_checks import SCALES, SHAPES, TURNS, assert_as_reference, compiled, matrices, results

from reticle import warp

pytestmark = compiled
CUBIC = ["bicubic", "bspline3"]


@pytest.mark.parametrize("mode", CUBIC)
@pytest.mark.parametrize("padding_mode", ["zeros", "constant", "border"])
@pytest.mark.parametrize(("size", "out"), SHAPES, ids=str)
@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_images_turned_and_enlarged(channels, size, out, padding_mode, mode):
    image = torch.rand(2, channels, *size)
    for degrees in TURNS[:4]:
        for scale in SCALES[1:]:
            # sums of sixteen terms of both signs, a thousand points long
            assert_as_reference(image, matrices(scale, degrees), out, tol=6e-5, padding_mode=padding_mode, mode=mode, value=0.7)


@pytest.mark.parametrize("mode", CUBIC)
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float16, 4e-3), (torch.bfloat16, 3e-2)], ids=str)
def test_16_bits(dtype, tol, mode):
    image = torch.rand(2, 3, 20, 37).to(dtype)
    for padding_mode in ("zeros", "constant"):
        assert_as_reference(image, matrices(0.9, 30), (33, 41), tol=tol, mode=mode, padding_mode=padding_mode, value=0.7)


def test_bytes_are_rounded_once_and_stay_in_range():
    image = torch.randint(0, 2, (2, 3, 40, 37), dtype=torch.uint8) * 255  # bicubic overshoots at every edge
    matrix = matrices(0.6, 20).float()
    got = warp(image, matrix, (33, 41), "bicubic", backend="native").double()
    want = warp(image.double(), matrix.double(), (33, 41), "bicubic", backend="reference")
    assert want.max() > 260 and want.min() < -5
    assert (got - want.clamp(0, 255)).abs().max() <= 0.5 + 1e-2


@pytest.mark.parametrize("align_corners", [False, True])
def test_the_identity_is_exact_under_the_kernel_that_interpolates(align_corners):
    image, identity = torch.randn(2, 3, 33, 47), torch.eye(2, 3).repeat(2, 1, 1)
    assert torch.equal(warp(image, identity, None, "bicubic", align_corners=align_corners, backend="native"), image)


@pytest.mark.parametrize("mode", CUBIC)
def test_a_constant_image_has_no_slopes_inside(mode):
    """The weights of a point sum to 1 wherever it lies in its rectangle, so that nothing changes when it moves."""
    image, matrix = torch.ones(1, 1, 60, 60), matrices(0.5, 25, batch=1).float().requires_grad_()
    y = warp(image, matrix, (40, 40), mode, backend="native")
    torch.testing.assert_close(y.detach(), torch.ones(1, 1, 40, 40), rtol=0, atol=1e-5)
    y.sum().backward()
    assert matrix.grad.abs().max() < 0.05  # 1,600 points, 30 pixels to a unit


@pytest.mark.parametrize("bad", [math.inf, math.nan])
@pytest.mark.parametrize("degrees", [0, 25])
def test_what_is_not_finite_reaches_only_the_points_that_read_it(degrees, bad):
    image, matrix = torch.rand(1, 2, 40, 50), matrices(0.9, degrees, batch=1).float()
    image[0, 1, 17, 21] = bad
    got = warp(image, matrix, None, "bicubic", backend="native")
    want = warp(image.double(), matrix.double(), None, "bicubic", backend="reference")
    assert torch.equal(got.isfinite(), want.isfinite()) and 0 < (~got.isfinite()).sum() <= 36
    torch.testing.assert_close(got[got.isfinite()].double(), want[want.isfinite()], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", *CUBIC])
@pytest.mark.parametrize("rows", [2, 3], ids=["affine", "projective"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_fill_for_each_channel_and_what_it_says_of_the_matrix(dtype, rows, mode):
    image, fill = torch.rand(2, 3, 12, 15).to(dtype), torch.tensor([-1.0, 0.5, 3.0])
    matrix = matrices(1.7, 20)  # most points lie outside or on an edge
    if rows == 3:
        matrix = torch.cat([matrix, torch.tensor([[[0.1, -0.2, 1.0]]], dtype=torch.float64).expand(2, 1, 3)], 1)
    tol = 2e-5 if dtype == torch.float32 else 3e-2
    assert_as_reference(image, matrix, (20, 33), tol=tol, mode=mode, padding_mode="constant", value=fill)


@pytest.mark.parametrize("mode", ["bilinear", *CUBIC])
@pytest.mark.parametrize("padding_mode", ["zeros", "constant"])
def test_a_gradient_that_is_infinite_shows_even_where_nothing_is_read(padding_mode, mode):
    image, matrix, grad = torch.rand(1, 3, 12, 15), matrices(4, 20, batch=1), torch.rand(1, 3, 20, 33)
    grad[:, :, 0, 0] = math.inf
    how = {"mode": mode, "padding_mode": padding_mode, "value": 0.5 if padding_mode == "constant" else 0.0}
    for backend in ("native", "reference"):
        y, _, to_matrix = results(image, matrix.float(), (20, 33), grad, backend=backend, **how)
        assert float(y[0, 0, 0, 0]) == pytest.approx(how["value"]) and to_matrix.isnan().any()


def test_the_gradient_of_a_grid_says_what_the_fill_does():
    image, grid = torch.rand(2, 3, 12, 15), 1.6 * torch.rand(2, 9, 21, 2, dtype=torch.float64) - 0.8
    for mode in ("bilinear", "bicubic"):
        for where in (grid * 1.5, grid.float() * 1.5):
            assert_as_reference(image, where, (9, 21), mode=mode, padding_mode="constant", value=2.5)


@pytest.mark.parametrize("mode", ["bilinear", *CUBIC])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_fill_like_the_image_leaves_no_gradient_wherever_points_fall(channels, mode):
    """Many lie at the centre of the last pixel, or beside it by a rounding: weights and fill must see them on the same side."""
    image, corners = torch.full((1, channels, 28, 28), 0.5), torch.eye(2, 3)[None]
    for size in range(4, 80):
        for scale in (1.0, -1.0):
            matrix = (scale * corners).requires_grad_()
            warp(image, matrix, (size, size), mode, "constant", True, value=0.5, backend="native").sum().backward()
            assert matrix.grad.abs().max() < 0.02 * size
