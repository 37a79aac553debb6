"""What points that are given one by one add to an image's gradient: sixteen at a time where they lie in order. Against the reference."""

import itertools
import math

import pytest
import torch
from helpers import threads
from native_checks import assert_as_reference, away_from_centres, compiled, results

from reticle import grid_sample
from reticle.grid import source_grid

pytestmark = compiled
# the pixels between neighbouring points, and the turn in degrees
WAYS = {
    "as it is": (1.0, 0.0),
    "nearly": (0.93, 1.0),
    "two points a pixel": (0.45, 2.0),
    "four points a pixel": (0.24, 0.0),
    "twenty points a pixel": (0.05, 1.0),
    "every second pixel": (1.9, 0.0),
    "every sixth pixel": (6.0, 3.0),
    "mirrored": (0.8, 180.0),
    "a row in eight": (1.0, 20.0),
    "slanted": (0.9, 40.0),
    "upright": (1.0, 90.0),
}
# pixels of input and output: too few rows or columns for the ways of sixteen; ends of rows; enough for several threads at batch 1
SHAPES = [((2, 2), (5, 20)), ((3, 40), (9, 40)), ((7, 9), (7, 9)), ((8, 17), (33, 31)), ((50, 64), (48, 70)), ((131, 140), (130, 64))]


def grids(way, size, out, batch=2, wave=0.0):
    """Points ``way`` apart around the middle; some lie outside."""
    step, turn = WAYS[way]
    s, c = math.sin(math.radians(turn)), math.cos(math.radians(turn))
    (h, w), (oh, ow) = size, out
    matrix = step * torch.tensor([[c * ow / w, -s * oh / w, 0.0], [s * ow / h, c * oh / h, 0.0]], dtype=torch.float64)
    matrix[:, 2] = torch.tensor([0.03, -0.07])
    grid = source_grid(matrix.repeat(batch, 1, 1), out, align_corners=False)
    return (grid + wave * torch.sin(4 * grid.flip(-1))).float()


@pytest.mark.parametrize("padding_mode", ["zeros", "border"])
@pytest.mark.parametrize(("size", "out"), SHAPES, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_ways_of_points(way, size, out, padding_mode):
    for batch, channels in ((5, 1), (2, 3), (1, 9)):
        for wave in (0.0, 0.2):
            assert_as_reference(torch.rand(batch, channels, *size), grids(way, size, out, batch, wave), out, padding_mode=padding_mode)


@pytest.mark.parametrize(("dtype", "tol"), [(torch.float16, 2e-3), (torch.bfloat16, 1.6e-2)], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_16_bits_are_summed_in_single_precision(way, dtype, tol):
    for size, out in SHAPES[2:]:
        assert_as_reference(torch.rand(2, 3, *size).to(dtype), grids(way, size, out, wave=0.1), out, tol=tol)
    big, out = (1100, 1000), (40, 64)  # more than one buffer
    assert_as_reference(torch.rand(1, 2, *big).to(dtype), grids(way, big, out, 1), out, tol=tol)


@pytest.mark.parametrize("way", ["nearly", "slanted"])
def test_one_image_under_many_grids(way):
    size, out = (70, 64), (48, 70)
    grid = torch.cat([grids(way, size, out, 1, wave) for wave in (0.0, 0.1, 0.2)])
    for channels in (1, 6):
        assert_as_reference(torch.rand(1, channels, *size), grid, out)


@pytest.mark.parametrize("way", WAYS)
def test_double_precision(way):
    for size, out, batch, images in (((50, 64), (48, 70), 5, 5), ((131, 140), (130, 64), 1, 1), ((70, 64), (48, 70), 3, 1)):
        for channels in (1, 2, 3, 4, 5):
            image, grid = torch.rand(images, channels, *size).double(), grids(way, size, out, batch, 0.1).double()
            grad = torch.rand(batch, channels, *out).double() * away_from_centres(grid, size, out)
            got, want = (results(image, grid, out, grad, backend=backend) for backend in ("native", "reference"))
            for a, b in zip(got, want, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11 * float(b.abs().amax()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("way", ["as it is", "two points a pixel", "slanted"])
@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_gradient_that_is_not_finite_reaches_only_the_pixels_of_its_point(bad, way, dtype):
    for size, out, batch in (((50, 64), (48, 70), 2), ((131, 140), (130, 64), 1)):
        grid = grids(way, size, out, batch).to(dtype)
        for at in ((0, 0), (out[0] - 1, out[1] - 1), (out[0] // 2, 37)):
            image, grad = torch.rand(batch, 3, *size, dtype=dtype), torch.rand(batch, 3, *out, dtype=dtype)
            grad[0, 1, at[0], at[1]] = bad
            got = results(image, grid, out, grad, backend="native")[1]
            want = results(image.double(), grid.double(), out, grad.double(), backend="reference")[1]
            assert torch.equal(got.isfinite(), want.isfinite())
            torch.testing.assert_close(got.double().nan_to_num(0, 0, 0), want.nan_to_num(0, 0, 0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("way", ["nearly", "four points a pixel", "upright"])
def test_a_point_that_is_nowhere_adds_nothing(way, dtype):
    for size, out, batch in (((50, 64), (48, 70), 5), ((131, 140), (130, 64), 1)):
        grid = grids(way, size, out, batch).to(dtype)
        grid[0, 20, 30:34] = math.nan
        grid[0, 21, 5, 1] = math.inf
        grad = torch.rand(batch, 3, *out, dtype=dtype) * away_from_centres(grid, size, out).nan_to_num()
        got = results(torch.rand(batch, 3, *size, dtype=dtype), grid, out, grad, backend="native")[1]
        want = results(torch.rand(batch, 3, *size).double(), grid.double(), out, grad.double(), backend="reference")[1]
        torch.testing.assert_close(got.double(), want, rtol=1e-4, atol=1e-4)


PLACES = {
    "in order": lambda size, out: grids("nearly", size, out, 1, 0.3),
    "all over": lambda size, out: torch.rand(1, *out, 2) * 2.4 - 1.2,
    "by a matrix": lambda size, out: torch.tensor([[[0.9, -0.3, 0.1], [0.4, 1.1, -0.2]]]),
    "by a matrix that divides": lambda size, out: torch.tensor([[[0.9, -0.3, 0.1], [0.4, 1.1, -0.2], [0.2, -0.1, 1.0]]]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("place", PLACES)
def test_one_image_gets_the_same_bits_from_any_number_of_threads(place, mode, dtype):
    size, out = (150, 130), (120, 70)
    where = PLACES[place](size, out).to(torch.float64 if dtype == torch.float64 else torch.float32)
    for channels, padding_mode in itertools.product((1, 3, 9, 20), ("zeros", "border")):
        image, grad = torch.rand(1, channels, *size).to(dtype), torch.rand(1, channels, *out).to(dtype)
        found = []
        for count in (1, 2, 3, 5):
            with threads(count):
                found.append(results(image, where, out, grad, mode=mode, padding_mode=padding_mode, backend="native"))
        for other in found[1:]:
            assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True)), (channels, padding_mode)


@pytest.mark.parametrize(("size", "dtype"), [((60, 60), torch.float32), ((80, 80), torch.float64)], ids=str)
def test_a_gradient_that_is_not_finite_gives_other_channels_the_same_bits_from_any_number_of_threads(size, dtype):
    image = torch.rand(1, 12, *size, dtype=dtype).contiguous(memory_format=torch.channels_last)
    grid, grad = torch.rand(1, 80, 80, 2, dtype=dtype) * 2.1 - 1.05, torch.rand(1, 12, 80, 80, dtype=dtype)
    grad[0, 0, ::7, ::9] = math.nan
    grad = grad.contiguous(memory_format=torch.channels_last)
    found = []
    for count in (1, 2, 8):
        with threads(count):
            found.append(results(image, grid, (80, 80), grad, padding_mode="border", backend="native")[1][:, 1:])
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_a_gradient_of_one_number_for_all_pixels(layout):
    image = torch.rand(2, 3, 40, 50).to(memory_format=layout).requires_grad_()
    grid = grids("nearly", (40, 50), (30, 40)).requires_grad_()
    y = grid_sample(image, grid, backend="native")
    one = torch.ones(1, dtype=y.dtype)
    for expanded in (one.expand(2, 3, 30, 40), one.expand(2, 3, 1, 1).expand(2, 3, 30, 40)):
        for a, b in zip(
            *(torch.autograd.grad(y, (image, grid), g, retain_graph=True) for g in (expanded, torch.ones_like(y))), strict=True
        ):
            assert torch.equal(a, b)


def test_rows_that_lie_apart():
    """Rows of several planes of the image are side by side; the gradient lies plane by plane."""
    image = torch.rand(2, 40, 3, 50).transpose(1, 2).requires_grad_()
    grid = grids("nearly", (40, 50), (30, 64))
    grad = torch.rand(2, 3, 30, 64)
    got = torch.autograd.grad(grid_sample(image, grid, backend="native"), image, grad)[0]
    want = torch.autograd.grad(grid_sample(image.contiguous(), grid, backend="native"), image, grad)[0]
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)


def test_an_empty_batch_adds_nothing():
    image = torch.rand(1, 3, 40, 50).requires_grad_()
    y = grid_sample(image, torch.zeros(0, 30, 40, 2), backend="native")
    assert torch.equal(torch.autograd.grad(y, image, torch.ones_like(y))[0], torch.zeros_like(image))
