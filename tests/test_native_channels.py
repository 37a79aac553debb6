"""The compiled sampler and channels that lie side by side: whole vectors and what is left, and images turned into planes on the way."""

import pytest
import torch
from helpers import able, off_kink_grid, threads
from torch.testing import assert_close

from reticle import PADDING_MODES, grid_sample, warp
from reticle.grid import source_grid
from reticle.sampling import native

pytestmark = pytest.mark.skipif(native.WHY_NOT is not None, reason=f"native {native.WHY_NOT}")
LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
CALLS = [call for name, *call in able(2, torch.float32, device="cpu") if name == "native"]
COUNTS = (1, 2, 3, 5, 6, 7, 8, 9, 12, 18)  # less than a vector, as many, a vector and some
HOW = {"value": 0.5, "backend": "native"}


def last(x):
    return x.contiguous(memory_format=LAST[x.ndim - 2])


def sample(x, where, size, call, **options):
    if where.shape[-1] == x.ndim - 1:
        return warp(x, where, size, *call, **HOW, **options)
    return grid_sample(x, where, *call, **HOW, **options)


def results(x, where, grad, call):
    """The output, and the gradients of image and of matrix or grid."""
    x, where = x.detach().requires_grad_(), where.clone().requires_grad_()
    y = sample(x, where, grad.shape[2:], call)
    return y.detach(), *torch.autograd.grad(y, (x, where), grad)


def problem(ndim, channels):
    """An image, a matrix and a grid, and a gradient of the output: large enough to be turned, where channels are few."""
    size, out = {2: ((40, 60), (70, 61)), 3: ((9, 20, 12), (11, 19, 23))}[ndim]
    image, grad = torch.rand(2, channels, *size), torch.rand(2, channels, *out)
    matrix = torch.eye(ndim, ndim + 1) + 0.1 * torch.randn(2, ndim, ndim + 1)
    return image, (matrix, off_kink_grid(2, out, size).float()), grad


def among_others(x, first, others):
    """The same numbers, in pixels that have more channels: all of those, and where its own are."""
    more = last(torch.full((len(x), x.shape[1] + 6, *x.shape[2:]), others, dtype=x.dtype))
    own = slice(first, first + x.shape[1])
    more[:, own] = x
    return more, own


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("padding_mode", PADDING_MODES)
def test_what_is_not_finite_beside_the_edge_is_met_only_by_points_that_read_it(padding_mode, mode):
    height, width = 20, 9
    image = torch.rand(1, 12, height, width)
    image[..., 7, width - 2] = (
        torch.inf
    )  # beside the pixels of the edge, of one row: the window of a point beyond them has it, with weight 0
    matrix = torch.tensor([[[1.0, 0.0, 2 * (width - 0.6) / width], [0.0, 1.0, 0.0]]])
    for where in (matrix, source_grid(matrix, (height, width), False)):
        found, expected = (
            warp(x, where, None, mode, padding_mode, backend=backend)
            if where is matrix
            else grid_sample(x, where, mode, padding_mode, backend=backend)
            for x, backend in ((last(image), "native"), (image, "reference"))
        )
        assert_close(found, expected, equal_nan=True)
        assert padding_mode in ("reflection", "wrap") or expected.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.uint8], ids=str)
@pytest.mark.parametrize("call", CALLS[::3], ids=str)
def test_channels_beside_those_of_the_image_are_not_touched(call, dtype):
    matrix = torch.eye(2, 3) + 0.1 * torch.randn(2, 2, 3)
    tol = {"rtol": 1e-2 if dtype.itemsize < 4 else 1e-4, "atol": 1e-4}
    for count in COUNTS:
        x = (10 * torch.rand(2, count, 9, 6)).to(dtype)
        image, own = among_others(x, 3, torch.inf if dtype.is_floating_point else 255)
        for where in (matrix, off_kink_grid(2, (4, 7), (9, 6)).float()):
            room, _ = among_others(torch.empty(2, count, 4, 7, dtype=dtype), 3, 7)
            sample(image[:, own], where, (4, 7), call, out=room[:, own])
            torch.testing.assert_close(room[:, own], sample(x, where, (4, 7), call), **tol)
            room[:, own] = 7
            assert (room == 7).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_channels_beside_those_of_image_and_gradient_do_not_count(dtype):
    inner = 0.5 * torch.eye(2, 3) + 0.1 * torch.rand(2, 2, 3)
    tol = {"rtol": 2e-2, "atol": 2e-2} if dtype.itemsize < 4 else {"rtol": 1e-4, "atol": 1e-4}
    for count in COUNTS:
        x, grad = torch.rand(2, count, 9, 6).to(dtype), torch.rand(2, count, 4, 7).to(dtype)
        (image, own), (grads, _) = among_others(x, 3, torch.inf), among_others(grad, 3, torch.inf)
        got = results(image[:, own], inner, grads[:, own], ("bilinear", "zeros"))
        for a, b in zip(got, results(x, inner, grad, ("bilinear", "zeros")), strict=True):
            torch.testing.assert_close(a, b, **tol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("ndim", [2, 3])
def test_gradients_of_any_number_of_channels_are_those_of_planes(ndim, dtype):
    size, out = {2: ((9, 6), (4, 7)), 3: ((3, 9, 6), (2, 3, 5))}[ndim]
    matrix = torch.eye(ndim, ndim + 1) + 0.1 * torch.randn(2, ndim, ndim + 1)
    tol = 2e-2 if dtype.itemsize < 4 else 1e-4
    for channels in (*COUNTS, 300):  # some hundred are treated in groups, the last of which is smaller
        image, grad = torch.rand(2, channels, *size).to(dtype), torch.rand(2, channels, *out).to(dtype)
        for where in (matrix, off_kink_grid(2, out, size).float()):
            got = results(last(image), where, last(grad), ("bilinear", "border"))
            for a, b in zip(got, results(image, where, grad, ("bilinear", "border")), strict=True):
                torch.testing.assert_close(a, b, rtol=tol, atol=tol * float(b.abs().amax()))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("call", CALLS[::3], ids=str)
def test_few_channels_side_by_side_give_the_bits_of_planes(call, channels, ndim):
    image, wheres, grad = problem(ndim, channels)
    for where in wheres:
        want = results(image, where, grad, call)
        for x, g in ((last(image), last(grad)), (last(image), grad), (image, last(grad))):
            got = results(x, where, g, call)
            assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
            assert all((t.stride(1) == 1) == (x.stride(1) == 1) for t in got[:2])
        for x, room in (
            (image, last(torch.empty_like(grad))),
            (last(image), torch.empty_like(grad)),
            (last(image), last(torch.empty_like(grad))),
        ):
            assert sample(x, where, grad.shape[2:], call, out=room) is room and torch.equal(room, want[0])


def test_one_image_of_few_channels_serves_many():
    image, wheres, grad = problem(2, 3)
    for where in wheres:
        want = results(image[:1], where, grad, ("bilinear", "zeros"))
        assert all(map(torch.equal, results(last(image[:1]), where, last(grad), ("bilinear", "zeros")), want))
        repeated = sample(last(image[:1]).expand_as(image), where, grad.shape[2:], ("bilinear", "zeros"))
        torch.testing.assert_close(repeated, want[0])


LAYOUTS = {
    "rows": lambda x: x,
    "every other column": lambda x: x.repeat_interleave(2, dim=-1)[..., ::2],
    "columns for rows": lambda x: x.mT.contiguous().mT,
    "of pixels with more channels": lambda x: among_others(x, 3, 9.0)[0][:, 3 : 3 + x.shape[1]],
}


@pytest.mark.parametrize("lie", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_pixels_that_lie_apart_are_read_as_planes(channels, lie):
    image, wheres, grad = problem(2, channels)
    for where in wheres:
        want = results(image, where, grad, ("bilinear", "zeros"))
        for x, g in ((lie(image), lie(grad)), (lie(image), grad), (image, lie(grad)), (last(image), lie(grad)), (lie(image), last(grad))):
            for a, b in zip(results(x, where, g, ("bilinear", "zeros")), want, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().amax()))
        for x, room in ((lie(image), lie(grad)), (image, lie(grad)), (last(image), lie(grad)), (lie(image), last(grad))):
            torch.testing.assert_close(sample(x, where, grad.shape[2:], ("bilinear", "zeros"), out=room), want[0], rtol=1e-4, atol=1e-4)


def test_a_small_crop_of_a_large_image_is_that_of_planes():
    image, grad = torch.rand(1, 3, 300, 400), torch.rand(1, 3, 70, 70)
    matrix = torch.tensor([[[0.2, 0.05, 0.3], [-0.05, 0.2, 0.1]]])
    for a, b in zip(results(last(image), matrix, last(grad), ("bilinear",)), results(image, matrix, grad, ("bilinear",)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_out_may_be_from_inference_mode():
    image, (matrix, _), grad = problem(2, 3)
    with torch.inference_mode():
        room = last(torch.empty_like(grad))
    with torch.no_grad():
        assert torch.equal(warp(last(image), matrix, grad.shape[2:], out=room, backend="native"), warp(image, matrix, grad.shape[2:]))


def test_of_many_pixels_few_points_are_read_where_they_lie():
    """Planes would take 3 TB: one row of pixels that stands for a million, and rows that each begin a pixel further on."""
    side = 2**20
    row = (torch.arange(3 * side) % 251).to(torch.uint8).view(1, 1, side, 3)
    grid = off_kink_grid(1, (64, 64), (side, side))
    got = grid_sample(row.expand(1, side, side, 3).permute(0, 3, 1, 2), grid, "nearest", "border", backend="native")
    x = (((grid[..., 0] + 1) * side - 1) / 2 + 0.5).floor().long().clamp(0, side - 1)
    assert torch.equal(got[0], row[0, 0, x[0]].permute(2, 0, 1))
    shifted = torch.ones(6 * side, dtype=torch.uint8).as_strided((1, 3, side, side), (0, 1, 3, 3))
    assert (grid_sample(shifted, grid, "nearest", "border", backend="native") == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("padding_mode", ["zeros", "constant"])
def test_large_outputs_are_those_of_planes(padding_mode, dtype):
    """More than the caches hold is written past them, if it is aligned: beside a channel more it is not."""
    image, out = torch.rand(1, 8, 64, 60, dtype=dtype), (900, 900)
    matrix = torch.tensor([[[0.9, 0.6, 0.2], [-0.6, 0.9, 0.1]]])
    got = sample(last(image), matrix, out, ("bilinear", padding_mode))
    torch.testing.assert_close(got, sample(image, matrix, out, ("bilinear", padding_mode)), rtol=1e-4, atol=1e-4)
    room = last(torch.empty(1, 9, *out, dtype=dtype))[:, 1:]
    assert torch.equal(sample(last(image), matrix, out, ("bilinear", padding_mode), out=room), got)


@pytest.mark.parametrize("width", [5, 6, 7, 9, 12, 13, 21])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=["last", "planes"])
def test_short_rows_are_written_once_by_one_thread(layout, width):
    """Rows of several blocks, some found together; a fill added twice would show, in some of many calls."""
    dtype = torch.float32 if layout == torch.channels_last else torch.float64
    image = torch.rand(1, 32, 64, 12, dtype=dtype).contiguous(memory_format=layout)
    matrix = torch.tensor([[[1.3, 0.2, 0.1], [-0.2, 1.3, 0.0]]])
    how = {"padding_mode": "constant", "value": 7.0}
    want = warp(image.double(), matrix.double(), (32, width), **how, backend="reference")
    with threads(2):
        results = [warp(image, matrix, (32, width), **how, backend="native") for _ in range(500)]
    assert all(torch.equal(result, results[0]) for result in results)
    torch.testing.assert_close(results[0].double(), want, rtol=0, atol=1e-4)
