"""What the compiled sampler does with points of a grid wherever they lie: every mode, every padding, both types. Against the reference."""

import math

import pytest
import torch
from helpers import threads
from native_checks import compiled, results

from reticle import grid_sample

pytestmark = compiled
MODES = ["nearest", "bilinear", "bicubic", "bspline3"]
PADDINGS = ["zeros", "constant", "border", "reflection", "wrap"]
TYPES = [(torch.float32, 2e-5), (torch.float64, 1e-11)]
# of images: narrower than the kernel, one pixel, of several blocks; with outputs of fewer points than a vector, as many, more
SIZES = [((1, 9), (2, 3)), ((7, 1), (3, 9)), ((1, 1), (2, 8)), ((2, 3), (5, 17)), ((5, 4), (17, 16)), ((33, 70), (19, 83))]


def scattered(size, out, align_corners, *, batch=2, reach=2):
    """Points up to ``reach`` images away, none of them at a pixel's centre or at the edge between two."""
    axes = []
    for n in reversed(size):
        whole = torch.randint(-reach * n, (reach + 1) * n, (batch, *out))
        pixel = whole + (torch.rand(batch, *out, dtype=torch.float64) * 0.3 + 0.1) + 0.5 * torch.randint(0, 2, (batch, *out))
        extent = max(n - align_corners, 1)
        axes.append((2 * pixel - (n - 1)) / extent)
    return torch.stack(axes, -1)


def assert_given(image, grid, out, tol, **how):
    grad = torch.rand(len(grid), image.shape[1], *out, dtype=image.dtype)
    grid = grid.to(image.dtype)
    got = results(image, grid, out, grad, backend="native", **how)
    want = results(image.double(), grid.double(), out, grad.double(), backend="reference", **how)
    for name, a, b in zip(("output", "gradient of input", "gradient of grid"), got, want, strict=True):
        atol = tol * max(1.0, float(b.abs().amax()))  # slopes may all be 0
        torch.testing.assert_close(a.double(), b, rtol=tol, atol=atol, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize(("dtype", "tol"), TYPES, ids=str)
@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("mode", MODES)
def test_points_anywhere(mode, padding_mode, dtype, tol):
    for size, out in SIZES:
        for channels in (1, 3, 6):
            for align_corners in (False, True):
                image = torch.rand(2, channels, *size, dtype=dtype)
                grid = scattered(size, out, align_corners)
                how = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
                # far from 0, coordinates in single precision are that much coarser
                assert_given(image, grid, out, 8 * tol, value=0.3 if padding_mode == "constant" else 0.0, **how)


@pytest.mark.parametrize(("dtype", "tol"), TYPES, ids=str)
@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_points_anywhere_in_volumes(mode, padding_mode, dtype, tol):
    for size, out in (((1, 2, 3), (2, 3, 5)), ((4, 9, 10), (3, 5, 18))):
        image = torch.rand(2, 2, *size, dtype=dtype)
        value = 0.3 if padding_mode == "constant" else 0.0
        assert_given(image, scattered(size, out, False), out, 8 * tol, mode=mode, padding_mode=padding_mode, value=value)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection", "wrap"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_slopes_at_centres_and_mirrors_are_those_of_the_reference(mode, padding_mode, dtype, align_corners):
    size = 9 if align_corners else 8  # positions are exact
    half = torch.arange(-3 * size, 4 * size, dtype=torch.float64) / 2
    pixel = torch.stack(torch.meshgrid(half, half, indexing="ij")[::-1], -1)[None]
    grid = (2 * pixel - (size - 1)) / (size - align_corners)
    image = torch.randint(-8, 9, (1, 2, size, size)).to(dtype)
    out = grid.shape[1:3]
    assert_given(image, grid, out, 1e-6, mode=mode, padding_mode=padding_mode, align_corners=align_corners)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 3e38, -1e30, 1e12])
@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("mode", MODES)
def test_a_point_that_is_nowhere_spoils_no_other(mode, padding_mode, bad):
    for dtype in (torch.float32, torch.float64):
        for size in ((3, 4), (20, 33)):
            image = torch.rand(1, 3, *size, dtype=dtype)
            grid = scattered(size, (3, 19), False, batch=1).to(dtype)
            grid[0, 1, 5, 0] = grid[0, 2, 18, 1] = bad
            how = {"mode": mode, "padding_mode": padding_mode}
            got = grid_sample(image, grid, backend="native", **how)
            want = grid_sample(image.double(), grid.double(), backend="reference", **how)
            torch.testing.assert_close(got.double(), want, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_nearest_takes_nothing_from_outside_and_adds_nothing_there(channels, dtype):
    size, out = (12, 21), (9, 40)
    image = torch.rand(2, channels, *size).to(dtype)
    image[:, :, 0, 0] = math.nan  # which points above and left of the image are kept from
    grid = scattered(size, out, False)
    inside = (grid.abs() < 1).all(-1)[:, None]
    where = grid.to(torch.float64 if dtype == torch.float64 else torch.float32)
    grad = torch.where(inside, torch.rand(2, channels, *out), math.nan).to(dtype)
    y, of_input, of_grid = results(image, where, out, grad, mode="nearest", backend="native")
    assert not y[~inside.expand_as(y)].any()
    assert of_input.isfinite().all() and of_input.any()
    assert not of_grid.any()


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("shape", [(1, 1, 150, 170), (1, 3, 150, 170), (1, 3, 20, 40, 40)], ids=str)
@pytest.mark.parametrize(("dtype", "tol"), TYPES, ids=str)
def test_points_all_over_an_image_that_has_several_owners(shape, mode, dtype, tol):
    out = shape[2:]
    image, grid = torch.rand(shape, dtype=dtype), scattered(out, out, False, batch=1, reach=0)
    grid[:, : len(out) // 2] = grid[:, : len(out) // 2].sort(dim=1).values
    for count in (1, 3):
        with threads(count):
            assert_given(image, grid, out, 8 * tol, mode=mode)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float16, 2e-3), (torch.bfloat16, 1.6e-2)], ids=str)
def test_nearest_gradients_of_16_bits(dtype, tol, channels):
    size, out = (8, 9), (11, 16)
    image, grad = torch.rand(2, channels, *size).to(dtype), torch.rand(2, channels, *out).to(dtype)
    grid = scattered(size, out, False, reach=1).float()
    got = results(image, grid, out, grad, mode="nearest", backend="native")
    want = results(image.double(), grid.double(), out, grad.double(), mode="nearest", backend="reference")
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=tol, atol=tol)


def test_a_mirrored_axis_of_more_pixels_than_half_of_what_single_precision_counts():
    width = (1 << 23) + 9
    row = torch.arange(width, dtype=torch.float32).expand(1, 1, 1, width)
    grid = torch.stack([torch.linspace(1.0, 1.5, 64), torch.zeros(64)], -1)[None, None]
    got, want = (grid_sample(row, grid, "nearest", "reflection", backend=backend) for backend in ("native", "reference"))
    assert torch.equal(got, want)


def with_gaps(tensor, axis):
    """The same numbers, whose rows do not follow one another in memory."""
    size = list(tensor.shape)
    size[axis] += 3
    return torch.full(size, math.nan, dtype=tensor.dtype).narrow(axis, 0, tensor.shape[axis]).copy_(tensor)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("out", [(28, 28), (42, 42), (6, 10), (7, 5), (12, 1), (2, 63), (3, 64), (2, 96), (17, 128), (8, 200)], ids=str)
def test_rows_are_the_same_whether_they_follow_one_another_or_not(mode, out):
    for dtype, channels in ((torch.float32, 1), (torch.float32, 3), (torch.float64, 1)):
        image = torch.rand(3, channels, 9, 11, dtype=dtype)
        grid, grad = torch.rand(3, *out, 2, dtype=dtype) * 2.4 - 1.2, torch.rand(3, channels, *out, dtype=dtype)
        tol = {"rtol": 2e-6, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-14, "atol": 1e-14}
        want = results(image, grid, out, grad, mode=mode, backend="native")
        image.requires_grad_()
        for points, slopes in ((with_gaps(grid, 2), grad), (grid, with_gaps(grad, 3)), (with_gaps(grid, 2), with_gaps(grad, 3))):
            points.requires_grad_()
            y = grid_sample(image, points, mode=mode, backend="native")
            for a, b in zip((y.detach(), *torch.autograd.grad(y, (image, points), slopes)), want, strict=True):
                torch.testing.assert_close(a, b, **tol)
        written = with_gaps(torch.zeros_like(grad), 3)
        grid_sample(image.detach(), grid.detach(), mode=mode, backend="native", out=written)
        torch.testing.assert_close(written, want[0], **tol)
