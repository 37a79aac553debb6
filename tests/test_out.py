"""Results written into memory that the caller gives, and images of bytes: the same numbers on every backend."""

import warnings

import numpy as np
import pytest
import torch
from helpers import OUT, SIZES, able, off_kink_grid, oracle_batch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import vmap

from reticle import Mode, base_grid, grid_sample, prefilter, warp
from reticle.sampling import BACKENDS, Spec

SPEC = Spec("cpu", torch.float32, 2, "bilinear", "border", False)
ABLE = [b.name for b in BACKENDS if b.refuses(SPEC) is None]
backends = pytest.mark.parametrize("backend", ABLE)
IMAGE, MATRIX = (37 * torch.arange(120.0) % 101 / 101).view(2, 3, 4, 5), torch.eye(2, 3).repeat(2, 1, 1) * 0.9
GRID = 0.9 * base_grid((3, 6)).repeat(2, 1, 1, 1)
CALLS = [(warp, (MATRIX, (3, 6))), (grid_sample, (GRID,))]
calls = pytest.mark.parametrize(("sample", "args"), CALLS, ids=["warp", "grid_sample"])


@calls
@backends
def test_a_result_is_written_where_it_is_wanted(backend, sample, args):
    want = sample(IMAGE, *args, padding_mode="border", backend=backend)
    whole = torch.full((4, 6, 5, 9), 7.0)
    for out in (
        torch.empty_like(want),
        torch.empty_like(want, memory_format=torch.channels_last),
        whole[1:3, ::2, 1:4, 2:8],
        torch.empty(6, 3, 3, 2).permute(3, 2, 1, 0),
    ):
        version, address = out._version, out.data_ptr()
        got = sample(IMAGE, *args, padding_mode="border", backend=backend, out=out)
        assert got is out and out.data_ptr() == address and out._version > version
        torch.testing.assert_close(out, want)
    assert (whole == 7).sum() == whole.numel() - want.numel()


@calls
@backends
def test_what_is_read_may_be_written(backend, sample, args):
    image = torch.rand(2, 3, 3, 6)
    want = sample(image, *args, padding_mode="border", backend=backend)
    assert torch.equal(sample(image, *args, padding_mode="border", backend=backend, out=image), want)
    both = torch.rand(3, 3, 3, 6)
    want = sample(both[:2], *args, padding_mode="border", backend=backend)
    assert torch.equal(sample(both[:2], *args, padding_mode="border", backend=backend, out=both[1:]), want)


@backends
def test_views_of_one_array_are_one_memory(backend):
    array = np.arange(400, dtype=np.float32)
    image, out = (torch.from_numpy(array[start : start + 256]).view(1, 1, 16, 16) for start in (0, 40))
    turned = torch.tensor([[[0.6, -0.8, 0.0], [0.8, 0.6, 0.0]]])
    want = warp(image, turned, backend=backend)
    assert torch.equal(warp(image, turned, backend=backend, out=out), want)


@backends
def test_one_image_fills_the_output_of_many(backend):
    out = torch.empty(2, 3, 4, 5)
    got = warp(IMAGE[:1], MATRIX, padding_mode="border", backend=backend, out=out)
    torch.testing.assert_close(got, warp(IMAGE[:1], MATRIX, padding_mode="border", backend="reference"))


@backends
@pytest.mark.parametrize("size", [(0, 3, 4, 5), (2, 0, 4, 5)])
def test_an_empty_output_of_any_strides_is_welcome(backend, size):
    image = torch.rand(size)
    for out in (torch.empty(size), torch.empty(size, memory_format=torch.channels_last), torch.empty_strided(size, (0, 0, 0, 0))):
        assert warp(image, MATRIX[:1], backend=backend, out=out) is out


@calls
@backends
def test_an_output_that_stands_for_its_negative_is_written_right(backend, sample, args):
    want = sample(IMAGE, *args, padding_mode="border", backend=backend)
    out = torch.zeros(2, 3, 3, 6, dtype=torch.complex64).conj().imag
    assert out.is_neg()
    assert sample(IMAGE, *args, padding_mode="border", backend=backend, out=out) is out
    assert torch.equal(out, want)


@calls
@backends
def test_tensors_without_memory_are_not_asked_for_it(backend, sample, args):
    with warnings.catch_warnings(), FakeTensorMode() as mode:
        warnings.simplefilter("error")
        image, *rest = (mode.from_tensor(x) if isinstance(x, torch.Tensor) else x for x in (IMAGE, *args))
        out = torch.empty(2, 3, 3, 6)
        assert sample(image, *rest, padding_mode="border", backend=backend, out=out) is out


@calls
@backends
def test_vmap_writes_to_an_output_of_each_call(backend, sample, args):
    images, out = torch.rand(4, 2, 3, 4, 5), torch.zeros(4, 2, 3, 3, 6)
    vmap(lambda i, o: sample(i, *args, padding_mode="border", backend=backend, out=o))(images, out)
    want = torch.stack([sample(i, *args, padding_mode="border", backend=backend) for i in images])
    torch.testing.assert_close(out, want)


@calls
@backends
def test_without_gradients_what_could_have_them_is_welcome(backend, sample, args):
    with torch.no_grad():
        out = sample(IMAGE.clone().requires_grad_(), *args, padding_mode="border", backend=backend, out=torch.empty(2, 3, 3, 6))
    assert not out.requires_grad


@pytest.mark.compile
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_out_compiles(backend):
    torch.compiler.reset()

    def run(image, matrix, out):
        return warp(image, matrix, out=out, backend=backend) + 1

    out = torch.empty_like(IMAGE)
    got = torch.compile(run, fullgraph=True, backend="aot_eager")(IMAGE, MATRIX, out)
    want = warp(IMAGE, MATRIX, backend=backend)
    torch.testing.assert_close((got, out), (want + 1, want))
    torch.compiler.reset()


FN = "reticle.warp: "
LEAF = torch.zeros(2, 3, 4, 5, requires_grad=True)
NO_GRADIENTS = (
    "`out` must not be given while gradients are recorded; got `{}` that requires them.\n"
    "  Call it inside torch.no_grad(), or without `out`."
)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("input", "matrix", "options", "error", "text"),
    [
        (IMAGE, MATRIX, {"out": [0.0]}, TypeError, "`out` must be a tensor; got list."),
        (IMAGE, MATRIX, {"out": torch.empty(2, 3, 4, 4)}, ValueError, "`out` must have shape (2, 3, 4, 5); got (2, 3, 4, 4)."),
        (IMAGE, MATRIX, {"out": IMAGE[:1]}, ValueError, "`out` must have shape (2, 3, 4, 5); got (1, 3, 4, 5)."),
        (IMAGE, MATRIX, {"out": IMAGE.half()}, TypeError, "`out` must have the dtype of `input`, torch.float32; got torch.float16."),
        (
            IMAGE,
            MATRIX,
            {"out": IMAGE.to("meta")},
            ValueError,
            "`input` and `out` must be on one device; got cpu and meta.\n  Move one with .to(device).",
        ),
        (
            IMAGE,
            MATRIX,
            {"out": torch.empty(2, 3, 4, 1).expand(2, 3, 4, 5)},
            ValueError,
            "`out` must have memory of its own for each element; got strides (12, 4, 1, 0).\n  Give out.contiguous().",
        ),
        (LEAF, MATRIX, {"out": torch.empty(2, 3, 4, 5)}, ValueError, NO_GRADIENTS.format("input")),
        (IMAGE, MATRIX.clone().requires_grad_(), {"out": torch.empty(2, 3, 4, 5)}, ValueError, NO_GRADIENTS.format("matrix")),
        (IMAGE, MATRIX, {"out": LEAF}, ValueError, NO_GRADIENTS.format("out")),
        (
            IMAGE,
            MATRIX,
            {"out": torch.empty(2, 3, 4, 5), "padding_mode": "constant", "value": torch.zeros(3, requires_grad=True)},
            ValueError,
            NO_GRADIENTS.format("value"),
        ),
        (IMAGE, MATRIX, {"out": torch.empty(2, 3, 4, 5), "mode": Mode(torch.nn.Linear(1, 1), 2)}, ValueError, NO_GRADIENTS.format("mode")),
    ],
)
def test_a_wrong_output_is_explained(input, matrix, options, error, text):
    with pytest.raises(error) as e:
        warp(input, matrix, **options)
    assert str(e.value) == FN + text


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_bytes_are_rounded_to_the_nearest_and_clamped(ndim):
    """As float32 would have it, rounded once; kernels with negative weights overshoot the range and are clamped."""
    size = SIZES[ndim][0]
    image = torch.randint(0, 2, (2, 3, *size), dtype=torch.uint8) * 255
    for backend, *call in able(ndim, torch.uint8):
        grid = off_kink_grid(2, OUT[ndim], size, align_corners=call[2], dtype=torch.float32)
        got = grid_sample(image, grid, *call, value=100.25, backend=backend)
        exact = oracle_batch(image.double(), grid, *call, value=100.25)
        assert got.dtype == torch.uint8
        assert ((got.double() - exact.clamp(0, 255)).abs() <= 0.501).all(), (backend, call)


@backends
def test_of_two_bytes_equally_near_the_even_one_is_taken(backend):
    image = torch.tensor([[[0, 1, 2, 3, 4]]], dtype=torch.uint8)
    half_way = ((2 * (torch.arange(4.0) + 0.5) + 1) / 5 - 1).view(1, 1, 4, 1)
    grid = torch.cat([half_way, torch.zeros_like(half_way)], dim=-1)
    got = grid_sample(image[None], grid, padding_mode="border", backend=backend)
    assert got.flatten().tolist() == [0, 2, 2, 4]


@calls
@backends
def test_bytes_have_no_gradient_and_ask_for_none(backend, sample, args):
    image = (255 * IMAGE).byte()
    where = args[0].clone().requires_grad_()
    got = sample(image, where, *args[1:], padding_mode="border", backend=backend)
    assert got.dtype == torch.uint8 and not got.requires_grad
    out = torch.empty_like(got)
    assert torch.equal(sample(image, where.detach(), *args[1:], padding_mode="border", backend=backend, out=out), got)


@pytest.mark.errors
def test_coefficients_of_bytes_are_refused():
    with pytest.raises(TypeError, match="^reticle.prefilter: `input` must have a floating dtype; got torch.uint8."):
        prefilter((255 * IMAGE).byte())
