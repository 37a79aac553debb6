"""Sampling kernels: every registered mode keeps the contract, a kernel of one's own learns, and prefiltered images are met exactly."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from helpers import KERNELS, able, to_norm
from torch import nn

from reticle import MODES, PADDING_MODES, Mode, grid_sample, prefilter
from reticle.testing import check_mode

each = pytest.mark.parametrize("name", sorted(MODES))


@each
def test_every_registered_mode_keeps_the_contract(name):
    check_mode(MODES[name])


@each
def test_every_registered_mode_is_documented_by_its_source(name):
    assert MODES[name].phi.__doc__ and any(year in MODES[name].phi.__doc__ for year in ("19", "20", "torch"))
    assert MODES[name].phi.__name__ == name


@each
def test_weights_are_those_of_the_formula(name):
    """Over the whole support, ends included, against the scalar formula of the tests."""
    phi, support, normalise = KERNELS[name]
    mode = MODES[name]
    assert (mode.support, mode.normalise) == (support, normalise)
    for fraction in (0.0, 0.25, 0.5, 0.75, 0.999):
        first = math.floor(fraction - (support - 2) / 2)
        distances = [fraction - first - k for k in range(support)]
        assert all(-support / 2 <= d < support / 2 for d in distances)
        raw = [phi(d) for d in distances]
        want = [w / sum(raw) for w in raw] if normalise else raw
        distance = torch.tensor([distances], dtype=torch.float64)
        assert mode.weights(distance)[0].tolist() == pytest.approx(want, rel=1e-12, abs=1e-15)
        assert torch.equal(mode(distance), mode.weights(distance))


def test_lanczos_is_smooth_at_distance_0():
    """Where sin(x) / x is computed by a series: values and two derivatives on both sides of the seam, against the formula."""
    d = torch.tensor([0.0, 1e-4, 0.006, 0.0064, 0.019, 0.0192, -0.0063], dtype=torch.float64, requires_grad=True)
    value = MODES["lanczos3"].phi(d)
    (first,) = torch.autograd.grad(value.sum(), d, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), d)
    a, b = math.pi**2, (math.pi / 3) ** 2  # sinc(d) = 1 - a d^2 / 6 + a^2 d^4 / 120 - ..
    curve = -(a + b) / 3
    quartic = a * a / 120 + b * b / 120 + a * b / 36
    sextic = -(a**3 + b**3) / 5040 - (a * a * b + a * b * b) / 720
    x = d.detach()
    torch.testing.assert_close(value.detach(), 1 + curve * x**2 / 2 + quartic * x**4 + sextic * x**6, rtol=0, atol=1e-11)
    torch.testing.assert_close(first.detach(), curve * x + 4 * quartic * x**3 + 6 * sextic * x**5, rtol=0, atol=1e-8)
    torch.testing.assert_close(second, curve + 12 * quartic * x**2 + 30 * sextic * x**4, rtol=0, atol=1e-5)


class Bell(nn.Module):
    """A Gaussian whose width is learned: the Phi of eq. (3)."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.log_width = nn.Parameter(torch.tensor(math.log(width), dtype=torch.float64))

    def forward(self, d):
        return torch.exp(-0.5 * (d / self.log_width.exp()) ** 2)


def test_a_kernel_of_ones_own_learns(device):
    """Its width is found again from what a kernel of that width shows."""
    truth, mode = (Mode(Bell(width), support=6, normalise=True, exact_degree=0).to(device) for width in (0.9, 0.4))
    image = torch.rand(1, 1, 9, 9, dtype=torch.float64, device=device)
    grid = torch.rand(1, 8, 8, 2, dtype=torch.float64, device=device) * 1.6 - 0.8
    want = grid_sample(image, grid, truth, "border").detach()
    optimiser = torch.optim.Adam(mode.parameters(), lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        (grid_sample(image, grid, mode, "border") - want).square().mean().backward()
        optimiser.step()
    assert mode.phi.log_width.exp().item() == pytest.approx(0.9, abs=0.01)


def test_a_kernel_of_ones_own_keeps_the_contract():
    check_mode(Mode(Bell(0.7), support=4))


@pytest.mark.parametrize("padding_mode", sorted(PADDING_MODES))
def test_a_kernel_of_ones_own_has_right_derivatives(padding_mode):
    mode = Mode(Bell(0.7), support=4)
    image, grid = torch.rand(1, 1, 4, dtype=torch.float64), torch.tensor([[[-0.9], [0.15], [1.3]]], dtype=torch.float64)

    def sample(image, grid, log_width):
        phi = lambda d: torch.exp(-0.5 * (d / log_width.exp()) ** 2)  # noqa: E731
        return grid_sample(image, grid, Mode(phi, support=4), padding_mode, value=0.5)

    inputs = (image.requires_grad_(), grid.requires_grad_(), mode.phi.log_width)
    assert torch.autograd.gradcheck(sample, inputs) and torch.autograd.gradgradcheck(sample, inputs)


@pytest.mark.parametrize("support", [1, 2, 3, 4, 5])
def test_support_counts_the_pixels_from_minus_half_to_half(support, device):
    """A box of weight 1: how many pixels, and which."""
    image = 10.0 ** torch.arange(9, dtype=torch.float64)
    box = Mode(torch.ones_like, support=support)
    for x in (4.0, 4.25, 4.5, 4.75):
        pixels = [m for m in range(9) if -support / 2 <= x - m < support / 2]
        assert len(pixels) == support
        grid = to_norm(torch.tensor([[[x]]], dtype=torch.float64), 9, True)
        got = grid_sample(image[None, None].to(device), grid.to(device), box, align_corners=True)
        assert got.item() == sum(10.0**m for m in pixels)


def test_between_the_reaches_of_a_normalised_kernel_lies_nothing(device):
    """Narrower than the gap between two pixels, it has no weights to divide by: 0, and no NaN on the way back."""
    tent = Mode(lambda d: (1 - 5 * d.abs()).clamp(min=0), support=2, normalise=True)
    image = torch.ones(1, 1, 4, device=device, requires_grad=True)
    grid = torch.tensor([[[-0.75], [-0.5], [0.22]]], device=device, requires_grad=True)  # x = 0, 1/2, 1.94
    output = grid_sample(image, grid, tent)
    assert output.flatten().tolist() == [1, 0, 1]
    output.sum().backward()
    assert grid.grad.isfinite().all() and image.grad.flatten().tolist() == [1, 0, 1, 0]


def test_a_mode_shows_what_it_is():
    assert repr(MODES["lanczos3"]) == "Mode(lanczos3, support=6, normalise=True)"
    assert repr(Mode(lambda d: d, support=2)).startswith("Mode(<lambda>, support=2")


@pytest.mark.errors
@pytest.mark.parametrize(
    ("phi", "support", "error", "text"),
    [
        (0.5, 2, TypeError, "Mode: `phi` must be a function or module of the distance; got float."),
        (torch.ones_like, 0, ValueError, "Mode: `support` must be a whole number of at least 1; got 0."),
        (torch.ones_like, 2.0, ValueError, "Mode: `support` must be a whole number of at least 1; got 2.0."),
    ],
)
def test_errors_of_a_mode(phi, support, error, text):
    with pytest.raises(error) as e:
        Mode(phi, support)
    assert str(e.value) == text


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding_mode", sorted(PADDING_MODES))
@pytest.mark.parametrize("size", [(5,), (1,), (2, 7), (4, 1), (2, 3, 4)], ids=str)
def test_a_prefiltered_image_is_met_on_its_pixels(size, padding_mode, align_corners, device):
    image = torch.rand(2, 2, *size, dtype=torch.float64, device=device)
    axes = [to_norm(torch.arange(n, dtype=torch.float64), n, align_corners) for n in size]
    centres = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)[None].to(device)
    for mode in ("bspline3", "gaussian", Mode(Bell(0.6), support=4).to(device)):
        for value in (0.0, 1.5, (0.5, -2.0)):
            coefficients = prefilter(image, mode, padding_mode, align_corners, value=value)
            assert coefficients.shape == image.shape and coefficients.dtype == image.dtype
            got = grid_sample(coefficients, centres, mode, padding_mode, align_corners, value=value)
            torch.testing.assert_close(got, image, rtol=0, atol=1e-10)


def test_interpolating_modes_need_no_prefilter(device):
    image = torch.rand(1, 1, 4, 6, dtype=torch.float64, device=device)
    for mode in ("nearest", "bilinear", "bicubic", "lanczos3"):
        torch.testing.assert_close(prefilter(image, mode), image, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("padding_mode", "align_corners", "scipy_mode"),
    [("reflection", True, "mirror"), ("reflection", False, "reflect"), ("wrap", False, "grid-wrap")],
)
def test_prefiltered_splines_are_those_of_scipy(padding_mode, align_corners, scipy_mode, device):
    image = torch.rand(6, 8, dtype=torch.float64)
    coefficients = prefilter(image[None, None].to(device), "bspline3", padding_mode, align_corners)
    want = scipy.ndimage.spline_filter(image.numpy(), order=3, mode=scipy_mode)
    # scipy starts its recursion over mirrored edges from a truncated sum
    torch.testing.assert_close(coefficients[0, 0].cpu(), torch.from_numpy(want), rtol=0, atol=1e-6)
    pixel = torch.rand(20, 2, dtype=torch.float64) * torch.tensor([9.0, 7.0]) - 1  # x, y; some outside
    grid = torch.stack([to_norm(pixel[:, 0], 8, align_corners), to_norm(pixel[:, 1], 6, align_corners)], dim=-1)[None, None]
    got = grid_sample(coefficients, grid.to(device), "bspline3", padding_mode, align_corners)
    want = scipy.ndimage.map_coordinates(image.numpy(), np.stack([pixel[:, 1], pixel[:, 0]]), order=3, mode=scipy_mode)
    torch.testing.assert_close(got[0, 0, 0].cpu(), torch.from_numpy(want), rtol=0, atol=1e-6)


def test_prefilter_has_derivatives_of_both_orders():
    image = torch.rand(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(prefilter, (image,)) and torch.autograd.gradgradcheck(prefilter, (image,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_prefilter_keeps_the_dtype_and_computes_in_double(dtype, device):
    image = torch.rand(1, 1, 5, 6).to(dtype).to(device)
    assert torch.equal(prefilter(image), prefilter(image.double()).to(dtype))


def test_prefilter_of_nothing_is_nothing(device):
    assert prefilter(torch.zeros(0, 2, 3, 4, device=device)).shape == (0, 2, 3, 4)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        (
            (torch.zeros(3, 4),),
            ValueError,
            "reticle.prefilter: `input` must have shape (B, C, W), (B, C, H, W) or (B, C, D, H, W); got (3, 4).\n"
            "  Add missing axes with input[None].",
        ),
        (
            (torch.zeros(1, 1, 0),),
            ValueError,
            "reticle.prefilter: `input` must have at least one pixel along every axis; got (1, 1, 0).",
        ),
        (
            (torch.zeros(1, 1, 4).int(),),
            TypeError,
            "reticle.prefilter: `input` must have a floating dtype; got torch.int32.\n  Convert it first, for example input.float().",
        ),
        (
            (torch.zeros(1, 1, 4), "bspline"),
            ValueError,
            "Unknown mode 'bspline'. Did you mean 'bspline3'? Known: bicubic, bilinear, bspline3, gaussian, lanczos3, nearest.",
        ),
        (
            (torch.zeros(1, 1, 4), "bspline3", "mirror"),
            ValueError,
            "Unknown padding_mode 'mirror'. Known: border, constant, reflection, wrap, zeros.",
        ),
    ],
)
def test_errors_of_prefilter(args, error, text):
    with pytest.raises(error) as e:
        prefilter(*args)
    assert str(e.value) == text


@pytest.mark.parametrize("degree", range(4))
@pytest.mark.parametrize(("backend", "mode"), sorted({call[:2] for call in able(1)} | {call[:2] for call in able(2)}))
def test_polynomials_up_to_the_claimed_degree_are_reproduced_and_no_further(backend, mode, degree, device):
    ndim = 1 if (backend, mode) in {call[:2] for call in able(1)} else 2
    pixel = torch.linspace(8, 12, 33, dtype=torch.float64)
    signal = (torch.arange(21, dtype=torch.float64) - 10) ** degree / 10
    image = signal[None, None] if ndim == 1 else signal.expand(1, 1, 2, 21)
    x = to_norm(pixel, 21, True)
    grid = x[None, :, None] if ndim == 1 else torch.stack([x, torch.full_like(x, -1)], dim=-1)[None, None]
    got = grid_sample(image.to(device), grid.to(device), mode, "border", True, backend=backend).flatten().cpu()
    error = (got - (pixel - 10) ** degree / 10).abs().max()
    assert (error < 1e-10) == (degree <= MODES[mode].exact_degree)


def test_a_normalised_kernel_that_misses_every_pixel_gives_zero_not_nan():
    nothing = Mode(torch.zeros_like, 2, normalise=True)
    assert nothing.weights(torch.tensor([[0.25, -0.75]])).tolist() == [[0.0, 0.0]]
