"""What any sampler must do, whatever its code: on inputs drawn by hypothesis, for every backend that takes the call."""

import torch
import torch.nn.functional as F
from helpers import able
from hypothesis import given
from hypothesis import strategies as st

from reticle import MODES, apply_matrix, base_grid, grid_sample, warp

CALLS = {ndim: able(ndim) for ndim in (1, 2, 3)}
INTERPOLATING = ("bicubic", "bilinear", "lanczos3", "nearest")
seeds = st.integers(0, 2**16)
sides = st.integers(1, 6)


def calls(ndim=2, *, modes=tuple(MODES), paddings=None):
    return st.sampled_from([c for c in CALLS[ndim] if c[1] in modes and (paddings is None or c[2] in paddings)])


def rand(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def identity(size, align_corners):
    return base_grid(size, align_corners=align_corners, dtype=torch.float64)[None]


def sample(image, grid, call):
    backend, mode, padding_mode, align_corners = call
    return grid_sample(image, grid, mode, padding_mode, align_corners, backend=backend)


def steps(size, align_corners):
    """Normalised length of one pixel along x, y, .."""
    return torch.tensor([2 / max(n - align_corners, 1) for n in reversed(size)], dtype=torch.float64)


@given(call=calls(modes=INTERPOLATING, paddings=("zeros", "border", "wrap")), h=st.integers(2, 6), w=st.integers(2, 6),
       dx=st.integers(-8, 8), dy=st.integers(-8, 8), seed=seeds)  # fmt: skip
def test_a_whole_pixel_shift_moves_pixels(call, h, w, dx, dy, seed):
    image = rand(seed, 1, 2, h, w)
    backend, mode, padding_mode, align_corners = call
    shift = torch.tensor([dx, dy]) * steps((h, w), align_corners)
    got = sample(image, identity((h, w), align_corners) + shift + (1e-9 if mode == "nearest" else 0), call)
    rows, columns = torch.arange(h) + dy, torch.arange(w) + dx
    if padding_mode == "zeros":
        want = F.pad(image, (8, 8, 8, 8))[..., rows + 8, :][..., columns + 8]
    elif padding_mode == "wrap":
        want = image[..., rows % h, :][..., columns % w]
    else:
        want = image[..., rows.clamp(0, h - 1), :][..., columns.clamp(0, w - 1)]
    torch.testing.assert_close(got, want, rtol=0, atol=1e-9)


@given(call=calls(), h=sides, w=sides, axis=st.sampled_from([0, 1]), seed=seeds)
def test_flipping_the_image_flips_the_grid(call, h, w, axis, seed):
    """Reading the mirrored image at mirrored points is reading the image."""
    image, grid = rand(seed, 1, 2, h, w), 3 * rand(seed + 1, 1, 3, 4, 2) - 1.5
    flipped = grid * torch.where(torch.arange(2) == axis, -1, 1)
    torch.testing.assert_close(sample(image.flip(3 - axis), flipped, call), sample(image, grid, call), rtol=0, atol=1e-9)


@given(call=calls(), h=sides, w=sides, seed=seeds)
def test_transposing_the_image_swaps_x_and_y(call, h, w, seed):
    image, grid = rand(seed, 1, 2, h, w), 3 * rand(seed + 1, 1, 3, 4, 2) - 1.5
    torch.testing.assert_close(sample(image.mT, grid.flip(-1), call), sample(image, grid, call), rtol=0, atol=1e-12)


@given(call=calls(3, modes=("bilinear", "bspline3")), seed=seeds)
def test_so_does_reordering_the_axes_of_a_volume(call, seed):
    image, grid = rand(seed, 1, 1, 2, 3, 4), 3 * rand(seed + 1, 1, 2, 1, 3, 3) - 1.5
    turned = sample(image.movedim(2, -1), grid.roll(1, -1), call)  # (z, y, x) becomes (y, x, z): points (x, y, z) become (z, x, y)
    torch.testing.assert_close(turned, sample(image, grid, call), rtol=0, atol=1e-12)


@given(call=calls(paddings=("border", "reflection", "wrap")), h=sides, w=sides, level=st.floats(-5, 5), seed=seeds)
def test_a_constant_stays_a_constant(call, h, w, level, seed):
    grid = 20 * rand(seed, 1, 4, 4, 2) - 10
    got = sample(torch.full((1, 1, h, w), level, dtype=torch.float64), grid, call)
    torch.testing.assert_close(got, torch.full_like(got, level), rtol=1e-12, atol=1e-12)


@given(call=calls(modes=("bilinear", "bspline3")), a=st.floats(-2, 2), b=st.floats(-2, 2), seed=seeds)
def test_a_ramp_stays_a_ramp(call, a, b, seed):
    size, align_corners = (9, 10), call[3]
    grid = identity(size, align_corners)
    ramp = (grid @ torch.tensor([a, b], dtype=torch.float64))[None]
    points = rand(seed, 1, 4, 4, 2) - 0.5
    torch.testing.assert_close(sample(ramp, points, call)[0, 0], points[0] @ torch.tensor([a, b], dtype=torch.float64))


@given(call=calls(), h=sides, w=sides, seed=seeds)
def test_sampling_and_its_image_gradient_are_adjoint(call, h, w, seed):
    """<A x, y> = <x, A' y>, A' being what backward computes."""
    x, grid, y = rand(seed, 2, 3, h, w).requires_grad_(), 3 * rand(seed + 1, 2, 3, 2, 2) - 1.5, rand(seed + 2, 2, 3, 3, 2)
    forward = sample(x, grid, call)
    (back,) = torch.autograd.grad(forward, x, y)
    torch.testing.assert_close((forward * y).sum(), (x * back).sum())


@given(call=calls(), h=sides, w=sides, p=st.floats(-3, 3), q=st.floats(-3, 3), seed=seeds)
def test_sampling_is_linear_in_the_image(call, h, w, p, q, seed):
    a, b, grid = rand(seed, 1, 2, h, w), rand(seed + 1, 1, 2, h, w), 3 * rand(seed + 2, 1, 3, 2, 2) - 1.5
    torch.testing.assert_close(sample(p * a + q * b, grid, call), p * sample(a, grid, call) + q * sample(b, grid, call))


@given(call=calls(modes=("bilinear", "nearest"), paddings=("border", "reflection", "wrap")), h=sides, w=sides, seed=seeds)
def test_nearest_and_bilinear_invent_no_values(call, h, w, seed):
    image, grid = rand(seed, 1, 1, h, w), 20 * rand(seed + 1, 1, 5, 5, 2) - 10
    got = sample(image, grid, call)
    assert got.min() >= image.min() - 1e-12 and got.max() <= image.max() + 1e-12


@given(call=calls(paddings=("wrap",)), h=st.integers(2, 6), w=st.integers(2, 6), m=st.integers(-3, 3), n=st.integers(-3, 3), seed=seeds)
def test_wrap_repeats_after_the_size_of_the_image(call, h, w, m, n, seed):
    image, grid = rand(seed, 1, 1, h, w), 2 * rand(seed + 1, 1, 3, 3, 2) - 1
    period = torch.tensor([m * w, n * h]) * steps((h, w), call[3])
    torch.testing.assert_close(sample(image, grid + period, call), sample(image, grid, call), rtol=0, atol=1e-9)


@given(call=calls(paddings=("reflection",)), h=st.integers(2, 6), w=st.integers(2, 6), m=st.integers(-2, 2), seed=seeds)
def test_reflection_is_even_about_the_ends_and_repeats(call, h, w, m, seed):
    """In normalised coordinates the mirrors are at -1 and 1 whichever way corners are aligned, so the period is 4."""
    image, grid = rand(seed, 1, 1, h, w), 2 * rand(seed + 1, 1, 3, 3, 2) - 1
    want = sample(image, grid, call)
    for same in (grid + 4 * m, 2 - grid + 4 * m, -2 - grid):
        torch.testing.assert_close(sample(image, same, call), want, rtol=0, atol=1e-9)


@given(seed=seeds, align_corners=st.booleans(), ndim=st.integers(1, 3))
def test_a_product_of_matrices_is_one_map_after_the_other(seed, align_corners, ndim):
    eye = torch.eye(ndim + 1, dtype=torch.float64)
    a, b = (eye + 0.1 * (rand(seed + k, 1, ndim + 1, ndim + 1) - 0.5) for k in range(2))
    points = base_grid((3, 2, 4)[:ndim], align_corners=align_corners, dtype=torch.float64)
    one_by_one = apply_matrix(a, apply_matrix(b, points)[0])
    torch.testing.assert_close(apply_matrix(a @ b, points), one_by_one)


@given(call=calls(modes=("nearest", "bilinear", "bicubic"), paddings=("border", "zeros")), turns=st.integers(0, 3), n=sides, seed=seeds)
def test_two_warps_by_right_angles_are_one_by_their_sum(call, turns, n, seed):
    """Target to source: the output of the first is read by the second, so the product is first times second."""
    backend, mode, padding_mode, align_corners = call
    image = rand(seed, 1, 1, n, n)
    quarter = torch.tensor([[[0, -1, 0], [1, 0, 0], [0, 0, 1]]], dtype=torch.float64)
    first = torch.matrix_power(quarter, turns)
    flip = torch.tensor([[[-1, 0, 0], [0, 1, 0], [0, 0, 1]]], dtype=torch.float64)

    def run(x, matrix):
        inward = torch.tensor([1, 1, 1 + 1e-12], dtype=torch.float64).diag()  # off the ties of nearest and the last centres
        return warp(x, matrix @ inward, None, mode, padding_mode, align_corners, backend=backend)

    torch.testing.assert_close(run(run(image, first), flip), run(image, first @ flip), rtol=0, atol=1e-9)
    torch.testing.assert_close(run(image, first), torch.rot90(image, turns, (2, 3)), rtol=0, atol=1e-9)


@given(call=calls(), h=sides, w=sides, seed=seeds)
def test_channels_and_samples_do_not_mix(call, h, w, seed):
    image, grid = rand(seed, 2, 2, h, w), 3 * rand(seed + 1, 2, 2, 3, 2) - 1.5
    whole = sample(image, grid, call)
    for b, c in ((0, 0), (0, 1), (1, 0), (1, 1)):
        alone = sample(image[b, c][None, None], grid[b][None], call)
        torch.testing.assert_close(whole[b, c], alone[0, 0], rtol=0, atol=1e-12)
