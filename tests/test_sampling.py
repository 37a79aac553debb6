"""Three authorities: the oracle, the reference, the backends. Values and both gradients, over all that is not refused."""

import pytest
import torch
from helpers import (
    CALLS,
    EXACT,
    GRADIENT_TOL,
    KERNELS,
    OUT,
    SIZES,
    TOL,
    able,
    off_kink_grid,
    on_kink_grid,
    oracle,
    oracle_batch,
    threads,
    to_norm,
)  # fmt: skip

from reticle import MODES, base_grid, grid_sample

VALUE = (0.1, -2.0, 3.0)
every = pytest.mark.parametrize(("mode", "padding_mode", "align_corners"), CALLS)
each_size = pytest.mark.parametrize("size", [size for sizes in SIZES.values() for size in sizes], ids=str)
INTERPOLATING = ("bicubic", "bilinear", "lanczos3", "nearest")


def gradients(output, *inputs):
    cotangent = torch.linspace(-1, 1, output.numel(), dtype=output.dtype, device=output.device).view_as(output)
    return torch.autograd.grad(output, inputs, cotangent)


def test_every_call_has_a_backend_and_every_mode_an_oracle():
    for ndim in (1, 2, 3):
        assert {call[1:] for call in able(ndim)} == set(CALLS)
    assert set(KERNELS) == set(MODES)


@each_size
@every
def test_the_reference_is_the_paper(mode, padding_mode, align_corners, size, device):
    call = (mode, padding_mode, align_corners)
    image = torch.rand(2, 3, *size, dtype=torch.float64)
    grid = off_kink_grid(2, OUT[len(size)], size, align_corners=align_corners)
    got = grid_sample(image.to(device), grid.to(device), *call, value=VALUE, backend="reference")
    torch.testing.assert_close(got.cpu(), oracle_batch(image, grid, *call, value=VALUE), **TOL[torch.float64])


@pytest.mark.parametrize("ndim", [1, 2, 3])
@every
def test_the_reference_is_the_paper_on_pixel_centres(mode, padding_mode, align_corners, ndim, device):
    """Support is half open, -s/2 <= d < s/2: which pixels count is decided there."""
    call, size = (mode, padding_mode, align_corners), EXACT[ndim, align_corners]
    image = torch.rand(1, 2, *size, dtype=torch.float64)
    grid = on_kink_grid(1, OUT[ndim], size, align_corners=align_corners)
    got = grid_sample(image.to(device), grid.to(device), *call, value=0.5, backend="reference")
    torch.testing.assert_close(got.cpu(), oracle_batch(image, grid, *call, value=0.5), **TOL[torch.float64])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("size", [(5, 6), (1, 3), (4, 1), (2, 3, 4), (1, 3, 2)], ids=str)
@pytest.mark.parametrize("backend", sorted({call[0] for call in able(but="reference")}))
def test_backends_equal_the_reference(backend, size, dtype, device):
    calls = [call for name, *call in able(len(size), dtype, but="reference") if name == backend]
    assert calls
    for call in calls:
        image = torch.rand(2, 3, *size, dtype=dtype, device=device, requires_grad=True)
        grid = off_kink_grid(2, OUT[len(size)], size, align_corners=call[2], dtype=dtype).to(device).requires_grad_()
        got, want = (grid_sample(image, grid, *call, backend=name) for name in (backend, "reference"))
        torch.testing.assert_close(got, want, **TOL[dtype], msg=lambda m, c=call: f"{c}: {m}")
        pairs = zip(gradients(got, image, grid), gradients(want, image, grid), strict=True)
        for name, (mine, right) in zip(("input", "grid"), pairs, strict=True):
            torch.testing.assert_close(mine, right, **GRADIENT_TOL[dtype], msg=lambda m, c=call, n=name: f"{c}, gradient to {n}: {m}")


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("align_corners", [False, True])
def test_backends_equal_the_reference_on_kinks(ndim, align_corners, device):
    """Values and image gradients are continuous there; grid gradients are one-sided, see test_sampling_derivatives."""
    size = EXACT[ndim, align_corners]
    image = torch.rand(1, 2, *size, dtype=torch.float64, device=device, requires_grad=True)
    identity = base_grid(size, align_corners=align_corners, dtype=torch.float64)[None]
    for grid in (identity.to(device), on_kink_grid(1, OUT[ndim], size, align_corners=align_corners).to(device)):
        for backend, *call in able(ndim, but="reference"):
            if call[2] == align_corners:
                got, want = (grid_sample(image, grid, *call, backend=name) for name in (backend, "reference"))
                torch.testing.assert_close(got, want, **TOL[torch.float64])
                torch.testing.assert_close(gradients(got, image), gradients(want, image), **TOL[torch.float64])


@pytest.mark.parametrize("ndim", [1, 2, 3])
@every
def test_float32_agrees_with_float64(mode, padding_mode, align_corners, ndim, device):
    size = SIZES[ndim][0]
    image = torch.rand(1, 2, *size).to(device)
    grid = off_kink_grid(1, OUT[ndim], size, align_corners=align_corners, dtype=torch.float32).to(device)
    results = []
    for dtype in (torch.float32, torch.float64):
        inputs = [t.to(dtype).requires_grad_() for t in (image, grid)]
        output = grid_sample(*inputs, mode, padding_mode, align_corners, value=0.5, backend="reference")
        results.append((output, *gradients(output, *inputs)))
        assert all(t.dtype == dtype for t in results[-1])
    for narrow, wide in zip(*results, strict=True):
        torch.testing.assert_close(narrow.double(), wide, **GRADIENT_TOL[torch.float32])


@pytest.mark.parametrize("grid_dtype", [None, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_16_bit_is_rounded_once_at_the_end(dtype, grid_dtype, device):
    """Coordinates, weights and sums are those of float32, so the result is its rounding, not merely near it."""
    for backend, *call in able(2, dtype):
        image = torch.rand(1, 2, 5, 6).to(dtype).to(device)
        grid = off_kink_grid(1, (3, 4), (5, 6), align_corners=call[2]).to(grid_dtype or dtype).to(device)
        inputs = (image.requires_grad_(), grid.requires_grad_())
        wide = [t.detach().to(torch.promote_types(torch.float32, grid.dtype)).requires_grad_() for t in inputs]
        output = grid_sample(*inputs, *call, value=0.5, backend=backend)
        want = grid_sample(*wide, *call, value=0.5, backend=backend)
        assert output.dtype == dtype
        torch.testing.assert_close(output, want.to(dtype), rtol=0, atol=0, msg=lambda m, c=(backend, *call): f"{c}: {m}")
        cotangent = torch.rand_like(output)
        mine, right = torch.autograd.grad(output, inputs, cotangent), torch.autograd.grad(want, wide, cotangent.to(want.dtype))
        for got, expected, leaf in zip(mine, right, inputs, strict=True):
            assert got.dtype == leaf.dtype
            torch.testing.assert_close(got, expected.to(got.dtype), **TOL[dtype])


@pytest.mark.parametrize(("image_dtype", "grid_dtype"), [(torch.float32, torch.float64), (torch.float64, torch.float32)], ids=str)
def test_mixed_dtypes_are_computed_in_the_wider_one(image_dtype, grid_dtype, device):
    for backend, *call in able(2, image_dtype):
        image = torch.rand(1, 2, 5, 6, dtype=image_dtype).to(device).requires_grad_()
        grid = off_kink_grid(1, (3, 4), (5, 6), align_corners=call[2], dtype=grid_dtype).to(device).requires_grad_()
        output = grid_sample(image, grid, *call, value=0.5, backend=backend)
        want = grid_sample(image.double(), grid.double(), *call, value=0.5, backend=backend)
        assert output.dtype == image_dtype
        # compiled kernels have coordinates and weights in the wider one, and sums in at least that of the image
        bound = TOL[image_dtype] if backend in ("native", "triton") else {"rtol": 0, "atol": 0}
        torch.testing.assert_close(output, want.to(image_dtype), **bound)
        assert [g.dtype for g in gradients(output, image, grid)] == [image_dtype, grid_dtype]


LAYOUTS = {
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "sliced": lambda x: x.repeat_interleave(2, dim=-1)[..., ::2],
    "transposed": lambda x: x.mT.contiguous().mT,
    "expanded": lambda x: x[:1].expand_as(x),
    "offset": lambda x: torch.cat([torch.full_like(x, torch.nan), x], dim=2)[:, :, x.shape[2] :],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_same(layout, device):
    change = LAYOUTS[layout]
    image, grid = torch.rand(2, 3, 5, 6, device=device), off_kink_grid(2, (4, 7), (5, 6), dtype=torch.float32).to(device)
    if layout == "expanded":
        image, grid = image[:1].repeat(2, 1, 1, 1), grid[:1].repeat(2, 1, 1, 1)
    for backend, *call in able(2, torch.float32):
        results = []
        for layed in (lambda x: x, change):
            inputs = (layed(image).requires_grad_(), layed(grid).requires_grad_())
            output = grid_sample(*inputs, *call, value=VALUE, backend=backend)
            results.append((output, *gradients(output, *inputs)))
        torch.testing.assert_close(results[1], results[0], **TOL[torch.float32])


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(1,), (7,), (1, 1), (1, 9), (3, 7), (8, 8), (28, 29), (64, 5), (1, 2, 3), (5, 4, 7)], ids=str)
def test_the_identity_reproduces_the_input(size, align_corners, device):
    bounds = {torch.float64: 1e-12, torch.float32: 1e-7 * max(size)}
    for dtype, bound in bounds.items():
        image = torch.rand(2, 3, *size, dtype=dtype, device=device)
        grid = base_grid(size, align_corners=align_corners, dtype=dtype, device=device)[None]
        for backend, mode, padding_mode, corners in able(len(size), dtype):
            if mode in INTERPOLATING and corners == align_corners:
                output = grid_sample(image, grid, mode, padding_mode, align_corners, backend=backend)
                error = (output - image).abs().max().item()
                assert error <= bound, f"{backend} {mode} {padding_mode}: {error} > {bound} in {dtype}"


def test_nearest_rounds_half_up(device):
    image = torch.arange(8.0, device=device).view(1, 1, 8)
    half_way = to_norm(torch.arange(7.0) + 0.5, 8, False).view(1, 7, 1).to(device)
    assert grid_sample(image, half_way, "nearest").flatten().tolist() == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_one_image_or_one_grid_serves_the_batch(ndim, device):
    size = SIZES[ndim][0]
    image, grid = torch.rand(3, 2, *size, dtype=torch.float64), off_kink_grid(3, OUT[ndim], size)
    for one, many in ((image[:1], grid), (image, grid[:1])):
        inputs = [t.to(device).requires_grad_() for t in (one, many)]
        repeated = [t.detach().repeat(3 // len(t), *[1] * (t.ndim - 1)).requires_grad_() for t in inputs]
        for backend, *call in able(ndim):
            output, want = (grid_sample(*ts, *call, value=0.5, backend=backend) for ts in (inputs, repeated))
            torch.testing.assert_close(output, want, **TOL[torch.float64])
            for got, full, leaf in zip(gradients(output, *inputs), gradients(want, *repeated), inputs, strict=True):
                torch.testing.assert_close(got, full.sum(0, keepdim=True) if len(leaf) == 1 else full, **TOL[torch.float64])


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(
    ("batch", "channels", "points"), [((0, 0), 2, None), ((0, 1), 2, None), ((1, 0), 2, None), ((2, 2), 0, None), ((2, 2), 2, 0)], ids=str
)
def test_nothing_in_nothing_out(batch, channels, points, ndim, device):
    out = OUT[ndim] if points is None else (points, *OUT[ndim][1:])
    for backend, *call in able(ndim, torch.float32):
        image = torch.rand(batch[0], channels, *SIZES[ndim][0], device=device, requires_grad=True)
        grid = torch.zeros(batch[1], *out, ndim, device=device, requires_grad=True)
        output = grid_sample(image, grid, *call, backend=backend)
        assert output.shape == (min(batch), channels, *out)
        output.sum().backward()
        assert (image.grad == 0).all() and (grid.grad == 0).all()


def test_the_fill_is_one_number_or_one_per_channel(device):
    image, outside = torch.rand(2, 3, 4, 5, device=device), torch.full((2, 2, 2, 2), 9.0, device=device)
    for value, want in [
        (0.5, [0.5] * 3),
        (2, [2.0] * 3),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
        (torch.tensor(4.0), [4.0] * 3),
        (torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), [1.0, 2.0, 3.0]),
    ]:
        output = grid_sample(image, outside, padding_mode="constant", value=value)
        assert torch.equal(output, torch.tensor(want, device=device).view(1, 3, 1, 1).expand(2, 3, 2, 2))


def test_the_fill_can_be_learned(device):
    fill = torch.zeros(3, dtype=torch.float64, device=device, requires_grad=True)
    image, outside = torch.rand(2, 3, 4, 5, dtype=torch.float64, device=device), torch.full((2, 1, 2, 2), 9.0, device=device)
    grid_sample(image, outside, padding_mode="constant", value=fill).sum().backward()
    assert fill.grad.tolist() == [4.0, 4.0, 4.0]


def test_the_fill_is_ignored_by_the_other_paddings(device):
    image, grid = torch.rand(1, 2, 4, 5, device=device), off_kink_grid(1, (5, 5), (4, 5), dtype=torch.float32).to(device)
    for backend, mode, padding_mode, align_corners in able(2, torch.float32):
        if padding_mode != "constant":
            plain, filled = (
                grid_sample(image, grid, mode, padding_mode, align_corners, backend=backend, **options) for options in ({}, {"value": 7.0})
            )
            assert torch.equal(plain, filled)


@pytest.mark.parametrize("mode", sorted(MODES))
def test_zeros_is_the_constant_zero(mode, device):
    image, grid = torch.rand(1, 2, 4, 5, device=device), off_kink_grid(1, (5, 5), (4, 5), dtype=torch.float32).to(device)
    zeros, constant = (grid_sample(image, grid, mode, padding, backend="reference") for padding in ("zeros", "constant"))
    assert torch.equal(zeros, constant)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [(40_000,), (2, 20_000), (200, 201), (3, 110, 110)], ids=str)
def test_16_bit_images_of_more_than_32767_pixels_are_right(size, dtype, device):
    """torch's own 16-bit sampler computes offsets in 16 bits: it reads, and in backward writes, outside the image."""
    image = torch.rand(1, 1, *size).to(dtype).to(device)
    corners = torch.tensor([-0.999, 0.3, 0.9995, -0.5])
    grid = torch.stack([corners.roll(k) for k in range(len(size))], dim=-1).view(1, *[1] * (len(size) - 1), 4, len(size)).to(device)
    for backend, *call in able(len(size), dtype):
        narrow, wide = image.clone().requires_grad_(), image.float().requires_grad_()
        output = grid_sample(narrow, grid, *call, value=0.5, backend=backend)
        want = grid_sample(wide, grid, *call, value=0.5, backend=backend)
        torch.testing.assert_close(output, want.to(dtype), rtol=0, atol=0)
        output.sum().backward()
        want.sum().backward()
        torch.testing.assert_close(narrow.grad, wide.grad.to(dtype), **TOL[dtype])
    value = oracle(image[0].cpu(), grid[0].cpu(), "bilinear", "zeros", False)
    torch.testing.assert_close(
        grid_sample(image, grid, backend="reference")[0].cpu().double(), value, rtol=TOL[dtype]["rtol"], atol=TOL[dtype]["atol"] * 4
    )


@pytest.mark.parametrize("backend", sorted({call[0] for call in able(device="cpu")}))
def test_results_do_not_depend_on_the_number_of_threads(backend):
    image, grid = torch.rand(4, 3, 32, 32, requires_grad=True), (torch.rand(4, 32, 32, 2) * 2 - 1).requires_grad_()
    results = []
    for count in (1, 2, 1):
        with threads(count):
            output = grid_sample(image, grid, backend=backend)
            results.append((output, *gradients(output, image, grid)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
