"""The sampler for GPUs, by Triton's interpreter or on a GPU: against the reference, in every layout and dtype.

Here is what only this backend has. With TRITON_INTERPRET=1, or --device cuda, the tests of the sampler walk over its calls too.
"""

import importlib.util
import itertools

import pytest
import torch
from helpers import DEVICE, GRADIENT_TOL, TOL, off_kink_grid
from triton_calls import FEW, SIZES, both_ways, place

from reticle import grid_sample, warp
from reticle.sampling import triton as triton_backend

if importlib.util.find_spec("triton") is None:
    pytest.skip("needs the module triton", allow_module_level=True)
if DEVICE != "cuda" and not triton_backend.INTERPRETED:
    pytest.skip("needs a GPU (--device cuda) or Triton's interpreter (TRITON_INTERPRET=1)", allow_module_level=True)
pytestmark = pytest.mark.interpreter
MODES, PADDINGS = ("nearest", "bilinear", "bicubic", "bspline3"), ("zeros", "constant", "border", "reflection", "wrap")
LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
KINDS = ("grid", "affine", "projective")
ALL = list(itertools.product((1, 2, 3), MODES, PADDINGS, (False, True), KINDS))
every = pytest.mark.parametrize(
    ("ndim", "mode", "padding_mode", "align_corners", "kind"), [pytest.param(*c, marks=() if c in FEW else pytest.mark.slow) for c in ALL]
)


@every
def test_it_equals_the_reference(ndim, mode, padding_mode, align_corners, kind, device):
    image = torch.rand(1, 2, *SIZES[ndim][0], dtype=torch.float64, device=device)
    where, call = place(ndim, kind, align_corners), (mode, padding_mode, align_corners)
    results = zip(both_ways(image, where, call), both_ways(image, where, call, "reference"), strict=True)
    for name, (got, want) in zip(("output", "gradient to input", "gradient to place"), results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("kind", ["grid", "affine"])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflection"])
def test_wild_places_have_the_answers_of_the_reference(padding_mode, kind, device):
    image = torch.rand(1, 2, 4, 5, device=device)
    wild = (torch.nan, torch.inf, -torch.inf, 1e30, -3e38, 1e10)
    if kind == "grid":
        where = place(2, kind, dtype=torch.float32)
        where.view(-1)[::2] = torch.tensor(wild, device=device)
    else:
        where = place(2, kind, batch=len(wild), dtype=torch.float32)
        where[:, 0, 1] = torch.tensor(wild, device=device)
    call = ("bilinear", padding_mode, False)
    got, want = both_ways(image, where, call), both_ways(image, where, call, "reference")
    torch.testing.assert_close(got[:2], want[:2], **GRADIENT_TOL[torch.float32])
    if kind == "grid":
        assert (got[2][~where.isfinite()] == 0).all() and got[2].isfinite().all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf], ids=str)
def test_a_wild_pixel_spreads_only_to_points_that_read_it(bad, device):
    image = torch.rand(1, 1, 4, 5, device=device)
    image[..., -1, -1] = bad
    where = off_kink_grid(1, (3, 4), (4, 5), dtype=torch.float32).to(device)
    where[0, 0, 0] = torch.tensor([0.7, 0.6])
    for mode, padding_mode in (("bilinear", "zeros"), ("bilinear", "border"), ("nearest", "wrap")):
        got, want = (grid_sample(image, where, mode, padding_mode, backend=name) for name in ("triton", "reference"))
        assert torch.equal(got.isfinite(), want.isfinite()) and not want.isfinite().all()


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(1,), (29,), (1, 64), (37, 28), (2, 3, 5)], ids=str)
def test_the_identity_is_exact(size, align_corners, device):
    ndim = len(size)
    for dtype, rows, mode in (
        (torch.float32, ndim, "bilinear"), (torch.bfloat16, ndim + 1, "bilinear"), (torch.uint8, ndim, "nearest"),
    ):  # fmt: skip
        image = (255 * torch.rand(1, 2, *size)).to(dtype).to(device)
        matrix = torch.eye(ndim + 1, device=device)[:rows][None]
        assert torch.equal(warp(image, matrix, None, mode, "border", align_corners, backend="triton"), image)


def test_far_from_the_corner_of_a_large_image_nothing_is_lost(device):
    """A shift by 1/8 of a pixel, 3,000 pixels from the middle: single precision has 1/4096 there, and would show it."""
    ramp = torch.arange(6000.0, device=device).view(1, 1, 1, -1)
    matrix = torch.tensor([[[1.0, 0.0, 2 * 0.125 / 6000], [0.0, 1.0, 0.0]]], device=device)
    for x in (3, 5990):
        crop = matrix.clone()
        got = warp(ramp, crop, padding_mode="border", backend="triton")[0, 0, 0, x].item()
        assert got == pytest.approx(x + 0.125, abs=6e-4)  # half of the last bit of what is stored
    frac = warp(ramp % 2, matrix, padding_mode="border", backend="triton")[0, 0, 0, [4, 2990, 5990]]
    if device.type == "cuda":  # the interpreter has no fused product, which keeps its error
        torch.testing.assert_close(frac, torch.full_like(frac, 0.125), rtol=0, atol=2e-6)


@pytest.mark.parametrize("ndim", [2, 3])
def test_channels_last_stays_channels_last(ndim, device):
    for channels in (2, 5):
        image = torch.rand(2, channels, *SIZES[ndim][0], device=device)
        for kind in ("grid", "affine"):
            where, call = place(ndim, kind, batch=2, dtype=torch.float32), ("bilinear", "constant", False)
            want, got = both_ways(image, where, call), both_ways(image.contiguous(memory_format=LAST[ndim]), where, call)
            assert all(t.is_contiguous(memory_format=LAST[ndim]) for t in got[:2]) and all(t.is_contiguous() for t in want)
            torch.testing.assert_close(got, want, **GRADIENT_TOL[torch.float32])


def test_tensors_are_read_where_they_lie(device):
    image, grid = torch.rand(2, 3, 4, 5, device=device), place(2, "grid", batch=2, dtype=torch.float32)
    matrix, call = place(2, "affine", batch=2, dtype=torch.float32), ("bilinear", "zeros", False)
    want = both_ways(image, grid, call)
    spread = grid.repeat_interleave(3, dim=2)[:, :, ::3]
    padded = torch.cat([torch.full_like(image, torch.nan), image], dim=2)[:, :, 4:]
    torch.testing.assert_close(both_ways(image, spread, call), want, **GRADIENT_TOL[torch.float32])
    torch.testing.assert_close(both_ways(padded, grid, call), want, **GRADIENT_TOL[torch.float32])
    want = both_ways(image, matrix, call)
    torch.testing.assert_close(both_ways(image, matrix.mT.contiguous().mT, call), want, **GRADIENT_TOL[torch.float32])


@pytest.mark.parametrize("kind", ["grid", "affine"])
def test_one_image_serves_many_and_many_one(kind, device):
    image, call = torch.rand(3, 2, 4, 5, dtype=torch.float64, device=device), ("bilinear", "zeros", False)
    where = place(2, kind, batch=3)
    for one, many in ((image[:1], where), (image, where[:1])):
        got, want = both_ways(one, many, call), both_ways(one, many, call, "reference")
        torch.testing.assert_close(got, want, **TOL[torch.float64])


@pytest.mark.parametrize(("batch", "channels", "points"), [(0, 2, 3), (2, 0, 3), (2, 2, 0)], ids=str)
def test_nothing_in_nothing_out(batch, channels, points, device):
    image = torch.rand(batch, channels, 4, 5, device=device, requires_grad=True)
    grid = torch.zeros(batch, points, 2, 2, device=device, requires_grad=True)
    output = grid_sample(image, grid, backend="triton")
    assert output.shape == (batch, channels, points, 2)
    output.sum().backward()
    assert not image.grad.any() and not grid.grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_16_bit_results_are_those_of_float32_rounded(dtype, device):
    image, call = torch.rand(1, 2, 4, 5).to(device, dtype), ("bilinear", "zeros", False)
    for where in (place(2, "grid", dtype=torch.float32), place(2, "affine", dtype=torch.float32), place(2, "affine", dtype=dtype)):
        got, want = both_ways(image, where, call), both_ways(image.float(), where.float(), call)
        assert [t.dtype for t in got] == [dtype, dtype, where.dtype]
        # on a GPU products are fused, or not, by what stands around them: a rare tie is rounded the other way
        torch.testing.assert_close(got[0], want[0].to(dtype), rtol=torch.finfo(dtype).eps if device.type == "cuda" else 0, atol=0)
        for a, b in zip(got[1:], want[1:], strict=True):
            torch.testing.assert_close(a, b.to(a.dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-3)


def test_bytes_are_rounded_half_to_even_and_clamped(device):
    row = torch.tensor([[[0, 1, 2, 3, 255, 255, 0, 0]]], dtype=torch.uint8, device=device)
    half_way = ((torch.arange(7.0) + 0.5) * 2 + 1).view(1, 7, 1).to(device) / 8 - 1
    assert grid_sample(row, half_way, backend="triton").flatten().tolist() == [0, 2, 2, 129, 255, 128, 0]
    sharp = grid_sample(row, half_way, "bicubic", backend="triton")
    assert torch.equal(sharp, grid_sample(row, half_way, "bicubic", backend="reference"))


def test_the_result_is_written_where_it_is_wanted(device):
    image, matrix = torch.rand(2, 3, 4, 5, device=device), place(2, "affine", batch=2, dtype=torch.float32)
    out = torch.full((2, 3, 2, 6), torch.nan, device=device)[..., ::2].mT
    got = warp(image, matrix, (3, 2), backend="triton", out=out)
    assert got is out and torch.equal(out, warp(image, matrix, (3, 2), backend="triton"))


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", ["grid", "affine"])
def test_deterministic_gradients_are_right(kind, dtype, device, deterministic):
    image, call = torch.rand(2, 2, 4, 5).to(device, dtype), ("bicubic" if kind == "grid" else "bilinear", "border", False)
    where = place(2, kind, batch=2, dtype=torch.promote_types(dtype, torch.float32))
    for one in (image, image[:1]):
        got, want = (both_ways(one, where, call, name) for name in ("triton", "reference"))
        torch.testing.assert_close(got, want, **GRADIENT_TOL[dtype])


def test_whole_numbers_keep_what_floating_ones_cannot(device, deterministic):
    """Channels of very different gradients, and one that is not finite, do not disturb each other."""
    image = torch.rand(1, 4, 4, 5, device=device, requires_grad=True)
    cotangent = torch.rand(1, 4, 3, 2, device=device) * torch.tensor([1e-30, 1e30, 1.0, 0.0], device=device).view(1, 4, 1, 1)
    cotangent[0, 2, 0, 0] = torch.inf
    where = place(2, "grid", dtype=torch.float32)
    got, want = (torch.autograd.grad(grid_sample(image, where, backend=name), image, cotangent)[0] for name in ("triton", "reference"))
    for channel in (0, 1, 3):
        scale = want[0, channel].abs().max().clamp(min=1e-37)
        torch.testing.assert_close(got[0, channel] / scale, want[0, channel] / scale, **GRADIENT_TOL[torch.float32])
    assert got[0, 2].isnan().all()


@pytest.mark.gpu
def test_deterministic_gradients_are_the_same_from_run_to_run(device, deterministic):
    image = torch.randn(4, 3, 61, 67, device=device)
    grid, matrix = (
        torch.rand(4, 59, 71, 2, device=device) * 2 - 1,
        torch.eye(2, 3, device=device) * 0.1 + torch.zeros(4, 2, 3, device=device),
    )
    for where in (grid, matrix):
        results = []
        for _ in range(20):
            leaves = image.clone().requires_grad_(), where.clone().requires_grad_()
            output = grid_sample(*leaves, backend="triton") if where is grid else warp(*leaves, backend="triton")
            results.append((output, *torch.autograd.grad(output.square().sum(), leaves)))
        for other in results[1:]:
            assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_no_gradient_is_computed_that_nobody_asked_for(device):
    image, matrix = torch.rand(1, 2, 4, 5, device=device), place(2, "affine", dtype=torch.float32)
    op = torch.ops.reticle.triton_warp_backward
    for wanted in ((True, False), (False, True)):
        found = op(torch.rand(1, 2, 3, 2, device=device), image, matrix, 1, 0, False, None, *wanted)
        assert [g.numel() > 0 for g in found] == list(wanted)


@pytest.mark.slow
def test_offsets_beyond_2_to_the_31(device):
    """Rows far apart in one storage of bytes, read but never copied."""
    tall = torch.zeros(2**31 + 1000, dtype=torch.uint8, device=device)
    tall[-1], tall[-1000] = 7, 9
    view = tall.as_strided((1, 1, 2, 1000), (0, 0, 2**31, 1))
    grid = torch.tensor([[[[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]]], device=device)
    assert grid_sample(view, grid, "nearest", "border", align_corners=True, backend="triton").flatten().tolist() == [0, 7, 9]
