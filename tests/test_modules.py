"""The spatial transformer as a layer: where it starts, what it learns, what it shows, how it shrinks, several of them, errors."""

import math

import numpy as np
import pytest
import torch
from families import FAMILIES, SIZES, make, random_theta, smooth_image, transformer
from torch import nn

from reticle import (
    MODES,
    PADDING_MODES,
    Affine,
    Attention,
    Compose,
    Localizer,
    Mode,
    ParallelTransformers,
    Rigid,
    Similarity,
    SpatialTransformer,
    ThinPlateSpline,
    Translation,
)

each_family = pytest.mark.parametrize("key", FAMILIES)
both_corners = pytest.mark.parametrize("align_corners", [False, True])
START_SIZES = {2: [(1, 1), (1, 6), (5, 8), (28, 28), (31, 17), (60, 45)], 3: [(1, 1, 1), (3, 4, 5), (2, 9, 7)]}


def random_image(transform, batch=2, channels=1, dtype=torch.float64):
    return torch.rand(batch, channels, *SIZES[transform.ndim], dtype=dtype)


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@both_corners
@each_family
def test_first_output_is_the_input(key, align_corners, padding_mode):
    transform = make(key)
    for size in START_SIZES[transform.ndim]:
        layer = transformer(transform, (1, *size), align_corners=align_corners, padding_mode=padding_mode)
        x = torch.rand(2, 1, *size, dtype=torch.float64)
        torch.testing.assert_close(layer(x.float()), x.float(), rtol=0, atol=1e-7 * max(size))
        torch.testing.assert_close(layer.double()(x), x, rtol=0, atol=1e-12)


def test_first_theta_is_the_identity_whatever_the_input():
    layer = transformer(Similarity(), (1, 5, 8))
    assert torch.equal(layer.localizer(1e6 * torch.randn(3, 1, 5, 8)), torch.zeros(3, 4))
    assert not layer.localizer.head.weight.any()


def test_four_windows_started_on_tiles_cut_the_image_in_four():
    x = torch.rand(2, 3, 6, 8, dtype=torch.float64)
    family = Attention(scale=0.5)

    def look(start):
        return SpatialTransformer(Localizer(nn.Flatten(), 144, family, start=torch.tensor(start)), family, output_size=(3, 4))

    tiles = ParallelTransformers(look([-0.5, -0.5]), look([0.5, -0.5]), look([-0.5, 0.5]), look([0.5, 0.5])).double()
    expected = torch.cat([x[..., :3, :4], x[..., :3, 4:], x[..., 3:, :4], x[..., 3:, 4:]], dim=1)
    torch.testing.assert_close(tiles(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("convert", ["half", "bfloat16"])
def test_converted_network_still_starts_as_the_identity(convert):
    layer = getattr(transformer(Compose(Affine(), ThinPlateSpline()), (1, 9, 13)), convert)()
    x = getattr(torch.rand(2, 1, 9, 13), convert)()
    output, theta, grid = layer.warp(x)
    assert output.dtype == x.dtype and theta.dtype == grid.dtype == torch.float32
    torch.testing.assert_close(output, x, rtol=0, atol=torch.finfo(x.dtype).eps)


def show(transform, theta, x, **options):
    """What a transformer with that theta makes of a batch of one."""
    return transformer(transform, tuple(x.shape[1:]), **options).double().sample(x, torch.tensor([theta], dtype=torch.float64)).output


@both_corners
def test_positive_translation_reads_from_the_right_and_from_below(align_corners):
    x = torch.rand(1, 1, 4, 5, dtype=torch.float64)
    one_x, one_y = (2 / 4, 2 / 3) if align_corners else (2 / 5, 2 / 4)  # one pixel in normalised units
    torch.testing.assert_close(show(Translation(), [one_x, 0], x, align_corners=align_corners)[..., :-1], x[..., 1:])
    torch.testing.assert_close(show(Translation(), [0, one_y], x, align_corners=align_corners)[..., :-1, :], x[..., 1:, :])


def test_small_scale_zooms_in():
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(show(Attention(), [math.log(0.5), 0, 0], x, output_size=(4, 4)), x[..., 2:6, 2:6])


@both_corners
@pytest.mark.parametrize("transform", [Rigid(), Similarity()], ids=["rigid", "similarity"])
def test_quarter_turn_keeps_pixels_square_on_images_that_are_not(transform, align_corners):
    x = torch.rand(1, 1, 5, 9, dtype=torch.float64)
    theta = [math.pi / 2, *[0.0] * (transform.num_params - 1)]
    turned = show(transform, theta, x, align_corners=align_corners)[0, 0, :, 2:7].numpy()
    # the window turns clockwise; what it shows turns counter-clockwise
    np.testing.assert_allclose(turned, np.rot90(x[0, 0, :, 2:7].numpy()), atol=1e-12)


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_derivative_at_the_identity_is_the_difference_to_the_right(padding_mode):
    x = torch.rand(1, 1, 4, 8, dtype=torch.float64)  # powers of two: the centres are exact
    theta = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    output = transformer(Translation(), (1, 4, 8), padding_mode=padding_mode).double().sample(x, theta).output
    slope = torch.stack([torch.autograd.grad(v, theta, retain_graph=True)[0][0, 0] for v in output[0, 0, 1]]) / 4  # one unit is 4 pixels
    row = x[0, 0, 1]
    torch.testing.assert_close(slope[1:-1], row[2:] - row[1:-1])
    if padding_mode == "zeros":
        torch.testing.assert_close(slope[[0, -1]], torch.stack([row[1] - row[0], -row[-1]]))
    else:  # one of the two one-sided ones
        assert slope[0].item() in (0.0, pytest.approx((row[1] - row[0]).item()))
        assert slope[-1].item() in (0.0, pytest.approx((row[-1] - row[-2]).item()))


@each_family
def test_constant_image_has_no_gradient(key):
    transform = make(key)
    theta = random_theta(transform, spread=0.05).requires_grad_()
    layer = transformer(transform, (1, *SIZES[transform.ndim]), padding_mode="border").double()
    layer.sample(torch.ones(3, 1, *SIZES[transform.ndim], dtype=torch.float64), theta).output.sum().backward()
    torch.testing.assert_close(theta.grad, torch.zeros_like(theta), rtol=0, atol=1e-12)


def off_kinks(transform, sample, size):
    """A theta under which every sampled point is 0.02 pixels or more from pixel centres and half-way lines."""
    for seed in range(200):
        theta = random_theta(transform, 1, spread=0.1, seed=seed)
        pixel = (sample(theta).grid + 1) * torch.tensor(size[::-1]) / 2
        if ((2 * pixel - (2 * pixel).round()).abs() > 0.04).all():
            return theta.requires_grad_()
    raise AssertionError("no such theta among 200")


@pytest.mark.parametrize("padding_mode", sorted(PADDING_MODES))
@pytest.mark.parametrize("mode", sorted(MODES))
@each_family
def test_derivatives_are_right_for_every_family_mode_and_padding(key, mode, padding_mode):
    transform = make(key)
    size, out = ((3, 4), (1, 2)) if transform.ndim == 2 else ((2, 3, 2), (1, 1, 2))
    layer = transformer(transform, (1, *size), output_size=out, mode=mode, padding_mode=padding_mode, value=0.3)
    x = torch.rand(1, 1, *size, dtype=torch.float64, requires_grad=True)
    theta = off_kinks(transform, lambda theta: layer.sample(x.detach(), theta), size)
    assert torch.autograd.gradcheck(lambda x, theta: layer.sample(x, theta).output, (x, theta), fast_mode=True)


@each_family
def test_every_parameter_learns(key):
    transform = make(key)
    size = SIZES[transform.ndim]
    features = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(size), 8), nn.Tanh())
    layer = SpatialTransformer(Localizer(features, 8, transform), transform, output_size=tuple(n - 1 for n in size)).double()
    nn.init.normal_(layer.localizer.head.weight, std=0.01)
    output = layer(random_image(transform, 3))
    assert output.shape == (3, 1, *(n - 1 for n in size))
    output.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_head_learns_at_the_very_start():
    layer = transformer(Affine(), (1, 5, 8)).double()
    layer(torch.rand(3, 1, 5, 8, dtype=torch.float64)).square().sum().backward()
    assert (layer.localizer.head.weight.grad != 0).any(dim=1).all() and (layer.localizer.head.bias.grad != 0).all()


def test_transformer_finds_a_shift_by_gradient_descent():
    x = smooth_image(12, 16)[None, None]
    layer = transformer(Translation(), (1, 12, 16), padding_mode="border").double()
    wanted = layer.sample(x, torch.tensor([[0.2, -0.15]], dtype=torch.float64)).output
    optimizer = torch.optim.Adam([layer.localizer.head.bias], lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        (layer(x) - wanted).square().mean().backward()
        optimizer.step()
    torch.testing.assert_close(layer.localizer(x), torch.tensor([[0.2, -0.15]], dtype=torch.float64), rtol=0, atol=0.01)


def test_learnable_mode_inside_trains_and_is_saved():
    class Tent(nn.Module):
        def __init__(self):
            super().__init__()
            self.width = nn.Parameter(torch.tensor(1.0))

        def forward(self, d):
            return (1 - d.abs() / self.width.abs()).clamp(min=0)

    layer = transformer(Affine(), (1, 5, 8), mode=Mode(Tent(), support=2, normalise=True))
    assert "mode.phi.width" in layer.state_dict()
    theta = Affine().identity()[None] + 0.1
    layer.sample(torch.rand(2, 1, 5, 8), theta).output.square().sum().backward()
    assert layer.mode.phi.width.grad.abs() > 0
