"""The compiled sampler and memory: any strides are read where they lie, one sample serves many, and threads change no bit."""

import pytest
import torch
from helpers import SIZES, TOL, able, off_kink_grid, threads

from reticle import grid_sample, warp
from reticle.sampling import native

pytestmark = pytest.mark.skipif(native.WHY_NOT is not None, reason=f"native {native.WHY_NOT}")
CALLS = [call for name, *call in able(2, torch.float32, device="cpu") if name == "native"]
FEW = [("bilinear", "zeros", False), ("bicubic", "reflection", True), ("nearest", "border", False), ("bspline3", "wrap", False)]
LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
few = pytest.mark.parametrize("call", FEW, ids=str)


def sample(x, where, call, **options):
    function = warp if where.ndim == 3 and where.shape[-1] == x.ndim - 1 else grid_sample
    options = {"value": 0.5, "backend": "native", **options}
    if function is warp:
        return warp(x, where, OUT[x.ndim - 2], *call, **options)
    return grid_sample(x, where, *call, **options)


OUT = {1: (7,), 2: (4, 7), 3: (2, 3, 5)}


def wheres(ndim, size, batch=2, dtype=torch.float32):
    """A matrix and a grid."""
    matrix = torch.eye(ndim, ndim + 1) + 0.1 * torch.randn(batch, ndim, ndim + 1)
    return matrix.to(dtype), off_kink_grid(batch, OUT[ndim], size, dtype=dtype)


def both_ways(x, where, call, **options):
    x, where = x.detach().requires_grad_(), where.detach().requires_grad_()
    output = sample(x, where, call, **options)
    cotangent = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    return output.detach(), *torch.autograd.grad(output, (x, where), cotangent)


@few
@pytest.mark.parametrize("ndim", [2, 3])
def test_channels_last_stays_channels_last(ndim, call):
    size = (15, 6) if ndim == 2 else (3, 15, 6)
    for batch, channels in ((2, 2), (2, 5), (2, 16), (2, 33), (5, 16), (5, 12)):
        image = torch.rand(batch, channels, *size)
        matrix, grid = wheres(ndim, size, batch)
        for where in (matrix, 0.2 * matrix, grid):  # all of the image, some rows, some pixels
            want = both_ways(image, where, call)
            got = both_ways(image.contiguous(memory_format=LAST[ndim]), where, call)
            assert all(t.is_contiguous(memory_format=LAST[ndim]) for t in got[:2])
            assert all(t.is_contiguous() for t in want)
            for a, b in zip(got, want, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@few
def test_grids_are_read_where_they_lie(call):
    image, grid = torch.rand(2, 3, 5, 6), wheres(2, (5, 6))[1]
    channels_first = grid.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    sliced = torch.cat([torch.full_like(grid, torch.nan), grid], dim=-1)[..., 2:]
    spread = grid.repeat_interleave(3, dim=2)[:, :, ::3]
    want = both_ways(image, grid, call)
    for other in (channels_first, sliced, spread):
        assert other.stride() != grid.stride()
        assert all(torch.equal(a, b) for a, b in zip(both_ways(image, other, call), want, strict=True))


@few
def test_matrices_are_read_where_they_lie(call):
    image, matrix = torch.rand(2, 3, 5, 6), wheres(2, (5, 6))[0]
    want = both_ways(image, matrix, call)
    for other in (matrix.mT.contiguous().mT, torch.cat([matrix, matrix], dim=2)[:, :, :3], torch.cat([matrix, matrix], dim=1)[:, :2]):
        assert all(torch.equal(a, b) for a, b in zip(both_ways(image, other, call), want, strict=True))


@few
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_one_image_serves_many_and_many_one_without_copies(ndim, call):
    """Expanded, or of batch 1: the same numbers as one by one, forward and backward."""
    size = SIZES[ndim][0]
    image = torch.rand(5, 3, *size, dtype=torch.float64)
    for where in wheres(ndim, size, 5, torch.float64):
        alone = [both_ways(image[:1], where[b : b + 1], call) for b in range(5)]
        got = both_ways(image[:1], where, call)
        torch.testing.assert_close(got[0], torch.cat([output for output, _, _ in alone]), **TOL[torch.float64])
        expanded = sample(image[:1].expand_as(image), where, call)
        torch.testing.assert_close(expanded, got[0], **TOL[torch.float64])
        cotangent = torch.linspace(-1, 1, got[0].numel(), dtype=torch.float64).view_as(got[0])
        pieces = []
        for b in range(5):
            x, w = image[:1].clone().requires_grad_(), where[b : b + 1].clone().requires_grad_()
            pieces.append(torch.autograd.grad(sample(x, w, call), (x, w), cotangent[b : b + 1]))
        torch.testing.assert_close(got[1], sum(p[0] for p in pieces), **TOL[torch.float64])
        torch.testing.assert_close(got[2], torch.cat([p[1] for p in pieces]), **TOL[torch.float64])
        one = both_ways(image, where[:1], call)
        each = both_ways(image, where[:1].repeat(5, *[1] * (where.ndim - 1)), call)
        torch.testing.assert_close(one[:2], each[:2], **TOL[torch.float64])
        torch.testing.assert_close(one[2], each[2].sum(0, keepdim=True), **TOL[torch.float64])


@few
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_no_image_or_no_channel_is_no_work(ndim, call):
    size = SIZES[ndim][0]
    for batch, channels in ((0, 2), (3, 0), (1, 2)):
        for where in wheres(ndim, size, 0 if batch == 1 else batch):
            output, grad_input, grad_where = both_ways(torch.rand(batch, channels, *size), where, call)
            assert output.shape == (len(where) if batch == 1 else batch, channels, *OUT[ndim])
            assert not grad_input.any() and not grad_where.any()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_threads_change_no_bit(ndim):
    size = {1: (700,), 2: (61, 47), 3: (17, 19, 23)}[ndim]
    cases = []
    for batch, channels, layout in ((1, 1, None), (1, 20, None), (3, 4, None), (2, 17, LAST.get(ndim))):
        image = torch.rand(batch, channels, *size)
        image = image if layout is None else image.contiguous(memory_format=layout)
        cases += [(image, where, call) for where in wheres(ndim, size, batch) for call in FEW]
        cases += [(image[:1], where, call) for where in wheres(ndim, size, 3) for call in FEW[:2]]
    for image, where, call in cases:
        results = []
        for count in (1, 2, 3):
            with threads(count):
                results.append(both_ways(image, where, call))
        for other in results[1:]:
            assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True)), call


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8], ids=str)
@pytest.mark.parametrize("align_corners", [False, True])
def test_the_identity_is_exact(align_corners, dtype):
    sizes = [(n,) for n in (1, 2, 5, 28, 99)] + [(n, m) for n in (1, 2, 7, 28, 37) for m in (1, 3, 29, 64)]
    sizes += [(2, 3, 5), (1, 8, 9), (7, 6, 31)]
    for size in sizes:
        image, ndim = (255 * torch.rand(2, 3, *size)).to(dtype), len(size)
        for rows in (ndim, ndim + 1):
            matrix = torch.eye(ndim + 1)[:rows][None]
            for mode in ("nearest", "bilinear", "bicubic"):
                for padding_mode in ("zeros", "border", "reflection", "wrap"):
                    got = warp(image, matrix, None, mode, padding_mode, align_corners, backend="native")
                    assert torch.equal(got, image), (size, rows, mode, padding_mode)


@pytest.mark.slow
def test_offsets_beyond_2_to_the_31():
    """Two bytes a pixel would be 9 GB: rows far apart in one small storage of bytes, and a view that is read but never copied."""
    rows, columns = 50_000, 50_000
    image = (torch.arange(columns) % 251).to(torch.uint8).expand(rows, columns)[None, None]
    grid = torch.tensor([[[[-1.0, -1.0], [1.0, 1.0], [0.3, 0.999], [1.0, -1.0]]]], dtype=torch.float64)
    got = grid_sample(image, grid, "nearest", "border", align_corners=True, backend="native")
    x = ((grid[0, 0, :, 0] + 1) / 2 * (columns - 1) + 0.5).floor().long()
    assert got.flatten().tolist() == (x % 251).tolist()
    tall = torch.zeros(2**31 + 1000, dtype=torch.uint8)
    tall[-1], tall[-1000] = 7, 9
    view = tall.as_strided((1, 1, 2, 1000), (0, 0, 2**31, 1))
    got = grid_sample(view, grid, "nearest", "border", align_corners=True, backend="native")
    assert got[0, 0, 0, 1] == 7


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_the_longest_axis_has_an_end(mode):
    long = torch.rand(1, 1, 1, 4).add(1).expand(1, 1, 2**28, 4)
    grid = torch.tensor([[[[0.0, -1.5], [0.0, -1.0 + 2**-20], [0.0, 1.0 - 2**-20], [0.0, 1.5]]]])
    assert (grid_sample(long, grid, mode, backend="native") != 0).flatten().tolist() == [False, True, True, False]


@pytest.mark.errors
def test_longer_axes_are_errors():
    long = torch.zeros(1, dtype=torch.uint8).expand(1, 1, 2**28 + 1)
    with pytest.raises(RuntimeError, match="`input` must have at most 2\\^28 pixels along every axis"):
        grid_sample(long, torch.zeros(1, 2, 1), backend="native")
    with pytest.raises(RuntimeError, match="`grid` must have at most 2\\^30 points along every axis"):
        grid_sample(long[..., :3], torch.zeros(1).expand(1, 2**30 + 1, 1), backend="native")


def test_rows_of_one_number_have_any_stride():
    image, matrices = torch.rand(1, 2, 5), torch.randn(4, 2, 4)
    sliced = matrices[:1, :1, :2]
    assert torch.equal(warp(image, sliced, backend="native"), warp(image, sliced.clone(), backend="native"))
