"""Contrast and global normalisation: against scipy, at edges and on plain ground, gradients, arguments."""

import math
import re

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from reticle.models import ContrastNorm, GlobalNorm
from reticle.models.contrast import gaussian_kernel


def oracle(x, kernel, threshold):
    """The same in numpy, one image at a time: ``(C, H, W)``."""
    k = np.array(kernel) / np.sum(kernel)

    def smooth(plane):
        return convolve1d(convolve1d(plane, k, axis=0, mode="constant"), k, axis=1, mode="constant")

    inside = smooth(np.ones(x.shape[1:]))
    centred = x - smooth(x.mean(0)) / inside
    deviation = np.sqrt(smooth((centred**2).mean(0)) / inside)
    return centred / np.maximum(deviation, threshold)


@pytest.mark.parametrize("channels, size", [(1, (9, 12)), (3, (48, 48)), (5, (3, 2)), (2, (1, 1))])
@pytest.mark.parametrize("kernel", [None, (1.0,) * 9, (1.0, 3.0, 2.0)])
def test_contrast_is_that_of_an_independent_computation(channels, size, kernel):
    x = torch.rand(2, channels, *size, dtype=torch.float64) * 5 - 1
    expected = np.stack([oracle(image, kernel or gaussian_kernel(7), 1e-4) for image in x.numpy()])
    # correlation, not convolution: the order of an uneven kernel shows
    if kernel == (1.0, 3.0, 2.0):
        expected = np.stack([oracle(image, kernel[::-1], 1e-4) for image in x.numpy()])
    norm = ContrastNorm(kernel).double()
    norm.kernel = norm.kernel.new_tensor(kernel or gaussian_kernel(7)) / sum(kernel or gaussian_kernel(7))  # all digits
    np.testing.assert_allclose(norm(x).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_light_and_shade_make_no_difference():
    x = torch.rand(2, 3, 20, 20)
    norm = ContrastNorm()
    torch.testing.assert_close(norm(0.3 * x + 0.5), norm(x), rtol=1e-3, atol=1e-3)


def test_plain_ground_becomes_zero_with_gradients_that_are_numbers():
    x = torch.full((1, 3, 8, 8), 0.7, requires_grad=True)
    y = ContrastNorm()(x)
    assert y.abs().max() < 1e-2
    y.square().sum().backward()
    assert x.grad.isfinite().all()


NARROW = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)


@NARROW
@pytest.mark.parametrize("light", [0.0, 0.7])
def test_plain_ground_becomes_zero_in_16_bits_and_under_autocast(dtype, light):
    x = torch.full((1, 3, 16, 16), light)
    for norm in (ContrastNorm(), ContrastNorm().to(dtype)):
        assert norm(x.to(dtype)).dtype == dtype and norm(x.to(dtype)).abs().max() < 1e-2
    with torch.autocast("cpu", dtype):
        assert ContrastNorm()(x).dtype == torch.float32 and ContrastNorm()(x).abs().max() < 1e-2


@NARROW
def test_images_of_16_bits_are_normalised_as_precisely_as_others(dtype):
    x, near = (0.5 + 0.1 * torch.rand(2, 3, 9, 12)).to(dtype), {"rtol": torch.finfo(dtype).eps, "atol": 1e-6}
    norm = GlobalNorm()
    norm.set(0.55, 0.03)
    for part in (norm, ContrastNorm()):
        assert part(x).dtype == dtype
        torch.testing.assert_close(part(x).float(), part(x.float()), **near)


def test_bytes_are_normalised_to_float():
    norm = GlobalNorm()
    norm.set(2.0, 2.0)
    assert torch.equal(norm(torch.tensor([1, 2, 5], dtype=torch.uint8)), torch.tensor([-0.5, 0.0, 1.5]))


def test_a_threshold_whose_square_is_0_still_divides():
    x = torch.zeros(1, 1, 8, 8, requires_grad=True)
    y = ContrastNorm(threshold=1e-30)(x)
    y.sum().backward()
    assert not y.any() and x.grad.isfinite().all()


@pytest.mark.compile
def test_one_graph_and_one_program_serve_every_size():
    network = torch.nn.Sequential(GlobalNorm(), ContrastNorm())
    torch.compiler.reset()
    compiled = torch.compile(network, fullgraph=True, dynamic=True, backend="aot_eager")
    batch, height, width = (torch.export.Dim(name, min=1, max=64) for name in ("batch", "height", "width"))
    program = torch.export.export(network, (torch.rand(3, 2, 9, 8),), dynamic_shapes=({0: batch, 2: height, 3: width},)).module()
    for shape in ((3, 2, 9, 8), (5, 2, 7, 20), (2, 2, 30, 3)):
        x = torch.rand(shape)
        for other in (compiled, program):
            torch.testing.assert_close(other(x), network(x))


def test_gradients_are_those_of_differences():
    x = torch.rand(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ContrastNorm().double(), x)


def test_below_the_threshold_the_threshold_divides():
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[0, 0, 4, 4] = 1e-6
    norm = ContrastNorm((1, 1, 1), threshold=0.5)
    assert norm(x)[0, 0, 4, 4].item() == pytest.approx((1e-6 - 1e-6 / 9) / 0.5, rel=1e-6)


def test_gaussian_is_that_of_torch7():
    sigma = 0.25 * 7
    assert gaussian_kernel(7) == pytest.approx([math.exp(-(d**2) / (2 * sigma**2)) for d in range(-3, 4)])


def test_kernel_is_no_weight_and_moves_with_the_module():
    norm = ContrastNorm()
    assert not norm.state_dict() and not list(norm.parameters())
    assert norm.double()(torch.rand(1, 1, 4, 4, dtype=torch.float64)).dtype == torch.float64


def test_mean_and_deviation_are_saved():
    norm = GlobalNorm()
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(norm(x), x)
    norm.set(0.25, 2.0)
    other = GlobalNorm()
    other.load_state_dict(norm.state_dict())
    torch.testing.assert_close(other(x), (x - 0.25) / 2)


@pytest.mark.errors
@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ContrastNorm((1.0, 1.0)), "ContrastNorm: `kernel` must be an odd number of weights with a sum above 0; got (1.0, 1.0)."),
        (lambda: ContrastNorm((1.0, -2.0, 1.0)), "with a sum above 0; got (1.0, -2.0, 1.0)."),
        (lambda: ContrastNorm(threshold=0.0), "ContrastNorm: `threshold` must be above 0; got 0.0."),
        (lambda: ContrastNorm()(torch.rand(3, 4, 4)), "`x` must have shape (B, C, H, W) with at least one channel; got (3, 4, 4)."),
        (lambda: gaussian_kernel(0), "gaussian_kernel: `size` must be a whole number of at least 1; got 0."),
        (lambda: ContrastNorm(threshold=1e39), "ContrastNorm: `threshold` must be finite in torch.float32; got 1e+39."),
        (lambda: GlobalNorm().set(torch.tensor(math.nan), 1.0), "GlobalNorm: `mean` must be finite in torch.float32; got nan."),
        (lambda: GlobalNorm().set(0.1, 0.0), "GlobalNorm: `std` must be above 0 in torch.float32; got 0.0.\n  All pixels of the training"),
        (lambda: GlobalNorm().set(0.1, 1e-60), "GlobalNorm: `std` must be above 0 in torch.float32; got 1e-60."),
        (lambda: GlobalNorm().half().set(0.1, 1e-9), "GlobalNorm: `std` must be above 0 in torch.float16; got 1e-09."),
        (lambda: GlobalNorm().set(0.1, 1e60), "GlobalNorm: `std` must be finite in torch.float32; got 1e+60."),
        (lambda: GlobalNorm().set(math.nan, 1.0), "GlobalNorm: `mean` must be finite in torch.float32; got nan."),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.errors
def test_bytes_are_refused():
    with pytest.raises(TypeError, match="ContrastNorm: `x` must have a floating dtype; got torch.uint8."):
        ContrastNorm()(torch.zeros(1, 1, 4, 4, dtype=torch.uint8))
