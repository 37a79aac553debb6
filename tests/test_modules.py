"""The spatial transformer as a layer: where it starts, what it learns, what it shows, how it shrinks, several of them, errors."""

import math

import numpy as np
import pytest
import torch
from families import FAMILIES, MATRIX_FAMILIES, SIZES, make, random_theta, smooth_image, transformer
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
    Projective,
    Rigid,
    Similarity,
    SpatialTransformer,
    ThinPlateSpline,
    Translation,
    base_grid,
    grid_sample,
)

each_family = pytest.mark.parametrize("key", FAMILIES)
both_corners = pytest.mark.parametrize("align_corners", [False, True])
START_SIZES = {2: [(1, 1), (1, 6), (5, 8), (28, 28), (31, 17), (60, 45)], 3: [(1, 1, 1), (3, 4, 5), (2, 9, 7)]}


def random_image(transform, batch=2, channels=1, dtype=torch.float64):
    return torch.rand(batch, channels, *SIZES[transform.ndim], dtype=dtype)


# start ------------------------------------------------------------------------------------------------------------------------


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


# direction --------------------------------------------------------------------------------------------------------------------


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


# derivatives ------------------------------------------------------------------------------------------------------------------


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


# wild theta -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection", "wrap", "constant"])
@each_family
def test_wild_theta_never_crashes(key, padding_mode):
    transform = make(key)
    wild = [math.nan, math.inf, -math.inf, 1e30, -1e30, 1e4, -1e4]
    theta = transform.identity().repeat(len(wild) * transform.num_params, 1)
    for row, value in enumerate(wild * transform.num_params):
        theta[row, row // len(wild)] = value
    x = random_image(transform, len(theta), dtype=torch.float32).requires_grad_()
    layer = transformer(transform, tuple(x.shape[1:]), padding_mode=padding_mode, value=0.5)
    for t in (theta, torch.full_like(theta, math.nan)):
        output = layer.sample(x, t.requires_grad_()).output
        assert output.isfinite().all()
        output.sum().backward()
        assert x.grad.isfinite().all()


def test_nan_in_one_sample_leaves_the_others_alone():
    x = torch.rand(3, 1, 5, 8)
    for transform in (Affine(), ThinPlateSpline(), Projective()):
        theta = random_theta(transform, dtype=torch.float32)
        spoilt = theta.clone()
        spoilt[1] = math.nan
        layer = transformer(transform, (1, 5, 8))
        good, bad = layer.sample(x, theta).output, layer.sample(x, spoilt).output
        torch.testing.assert_close(bad[::2], good[::2])
        assert not bad[1].any()


# what it shows ----------------------------------------------------------------------------------------------------------------


@both_corners
@each_family
def test_warp_gives_output_theta_and_the_grid_that_was_sampled(key, align_corners):
    transform = make(key)
    x, out = random_image(transform, 3, channels=2), tuple(n + 1 for n in SIZES[transform.ndim])
    layer = transformer(transform, tuple(x.shape[1:]), output_size=out, align_corners=align_corners).double()
    nn.init.normal_(layer.localizer.head.weight, std=0.02)
    warp = layer.warp(x)
    output, theta, grid = warp
    assert output is warp.output and theta is warp.theta and grid is warp.grid
    assert output.shape == (3, 2, *out) and theta.shape == (3, transform.num_params) and grid.shape == (3, *out, transform.ndim)
    assert torch.equal(layer(x), output)
    assert torch.equal(theta, layer.localizer(x))
    torch.testing.assert_close(grid_sample(x, grid, align_corners=align_corners), output, rtol=0, atol=1e-12)


def test_grid_is_computed_once_and_only_when_asked_for(monkeypatch):
    layer, calls, forward = transformer(Affine(), (1, 5, 8)), [], Affine.forward
    monkeypatch.setattr(Affine, "forward", lambda *args: calls.append(args) or forward(*args))
    warp = layer.warp(torch.rand(2, 1, 5, 8))
    assert repr(warp) == "Warp(output=(2, 1, 5, 8), theta=(2, 6))" and not calls
    assert warp.grid is warp.grid and len(calls) == 1


def test_grid_carries_gradient():
    layer = transformer(Similarity(), (1, 5, 8))
    layer.warp(torch.rand(2, 1, 5, 8)).grid.square().sum().backward()
    assert layer.localizer.head.bias.grad.abs().sum() > 0


@pytest.mark.parametrize("transform", [Affine(), ThinPlateSpline()], ids=["affine", "tps"])
def test_one_theta_serves_many_images_and_many_serve_one(transform):
    x, theta = torch.rand(3, 2, 5, 8, dtype=torch.float64), random_theta(transform)
    layer = transformer(transform, (2, 5, 8))
    one_for_all = torch.cat([layer.sample(x[i : i + 1], theta[:1]).output for i in range(3)])
    torch.testing.assert_close(layer.sample(x, theta[:1]).output, one_for_all)
    all_of_one = torch.cat([layer.sample(x[:1], theta[i : i + 1]).output for i in range(3)])
    torch.testing.assert_close(layer.sample(x[:1], theta).output, all_of_one)


def test_mask_is_warped_by_the_theta_of_its_image():
    image, mask = torch.rand(2, 3, 5, 8, dtype=torch.float64), torch.rand(2, 1, 5, 8, dtype=torch.float64)
    layer = transformer(Affine(), (3, 5, 8)).double()
    nn.init.normal_(layer.localizer.head.weight, std=0.02)
    seen = layer.warp(image)
    torch.testing.assert_close(layer.sample(mask, seen.theta).output, grid_sample(mask, seen.grid))


def test_constant_padding_takes_one_value_per_channel():
    outside = show(Translation(), [5.0, 0.0], torch.rand(1, 2, 4, 4).double(), padding_mode="constant", value=[0.25, 0.75])
    assert torch.equal(outside, torch.tensor([0.25, 0.75]).double()[None, :, None, None].expand(1, 2, 4, 4))


# size -------------------------------------------------------------------------------------------------------------------------


@each_family
def test_empty_and_single_batches(key):
    transform = make(key)
    x = random_image(transform, 3)
    for options in ({}, {"antialias": 2}):
        layer = transformer(transform, tuple(x.shape[1:]), **options).double()
        empty = layer(x[:0])
        assert empty.shape == (0, *x.shape[1:])
        empty.sum().backward()
        torch.testing.assert_close(layer(x[:1]), layer(x)[:1])


@pytest.mark.parametrize(("rows", "left"), [(1, 1 / 6), (2, 1 / 18)], ids=["stripes", "chessboard"])
def test_antialias_takes_away_what_shrinking_would_fold_back(rows, left):
    y, x = torch.meshgrid(torch.arange(36), torch.arange(36), indexing="ij")
    pattern = ((x + y * (rows - 1)) % 2).float()[None, None]  # of period 2: 12 pixels cannot show it
    aliased = transformer(Affine(), (1, 36, 36), output_size=(12, 12))(pattern)
    smooth = transformer(Affine(), (1, 36, 36), output_size=(12, 12), antialias=3)(pattern)
    assert aliased.std(correction=0).item() == pytest.approx(0.5, abs=1e-4)
    # means of 3 or 3×3 pixels: one more light or dark pixel among them
    assert smooth.std(correction=0).item() == pytest.approx(left, abs=1e-4)
    assert smooth.mean().item() == pytest.approx(0.5, abs=1e-5)


def test_antialias_is_the_mean_of_a_denser_output():
    x, theta = torch.rand(2, 1, 5, 8, dtype=torch.float64), random_theta(ThinPlateSpline(), 2)
    layer = transformer(ThinPlateSpline(), (1, 5, 8), output_size=(4, 3), antialias=2)
    dense = transformer(ThinPlateSpline(), (1, 5, 8), output_size=(8, 6))
    warp = layer.sample(x, theta)
    means = dense.sample(x, theta).output.unflatten(2, (4, 2)).unflatten(4, (3, 2)).mean((3, 5))
    torch.testing.assert_close(warp.output, means)
    assert warp.grid.shape == (2, 4, 3, 2)


def test_antialias_keeps_the_mean_of_volumes_too():
    x = torch.rand(1, 2, 4, 6, 2, dtype=torch.float64)
    layer = transformer(Affine(ndim=3), (2, 4, 6, 2), output_size=(2, 3, 1), antialias=2).double()
    torch.testing.assert_close(layer(x), x.unflatten(2, (2, 2)).unflatten(4, (3, 2)).unflatten(6, (1, 2)).mean((3, 5, 7)))


# several ----------------------------------------------------------------------------------------------------------------------


def test_parallel_transformers_put_their_outputs_side_by_side_in_channels():
    first, second = (transformer(t, (3, 5, 8), output_size=(2, 4)).double() for t in (Attention(), ThinPlateSpline()))
    for layer in (first, second):
        nn.init.normal_(layer.localizer.head.weight, std=0.02)
    both, x = ParallelTransformers(first, second), torch.rand(2, 3, 5, 8, dtype=torch.float64)
    assert torch.equal(both(x), torch.cat([first(x), second(x)], dim=1)) and both(x).shape == (2, 6, 2, 4)
    assert [w.theta.shape[1] for w in both.warp(x)] == [3, 32]
    both(x).sum().backward()
    assert all(p.grad is not None for p in both.parameters())


def test_transformers_stack_in_depth_with_layers_between():
    net = nn.Sequential(
        transformer(Affine(), (1, 9, 11)),
        nn.Conv2d(1, 2, 3),
        transformer(ThinPlateSpline(), (2, 7, 9), output_size=(5, 6)),
        transformer(Projective(), (2, 5, 6)),
    )
    x = torch.rand(2, 1, 9, 11)
    assert net(x).shape == (2, 2, 5, 6)
    net(x).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())


def test_theta_of_one_layer_is_handed_on_to_deeper_features():
    x = torch.rand(2, 1, 8, 12, dtype=torch.float64)
    layer = transformer(Similarity(), (1, 8, 12)).double()
    nn.init.normal_(layer.localizer.head.weight, std=0.02)
    theta, deep = layer.warp(x).theta, nn.functional.avg_pool2d(x, 2)
    expected = grid_sample(deep, Similarity()(theta, base_grid((4, 6), dtype=torch.float64), (4, 6)))
    torch.testing.assert_close(layer.sample(deep, theta).output, expected)


@pytest.mark.parametrize("key", MATRIX_FAMILIES)
def test_composition_of_one_gives_the_same_image_through_points(key):
    transform = make(key)
    x, theta = random_image(transform), random_theta(transform, 2)
    by_matrix = transformer(transform, tuple(x.shape[1:])).sample(x, theta).output
    by_points = transformer(Compose(transform), tuple(x.shape[1:])).sample(x, theta).output
    torch.testing.assert_close(by_matrix, by_points, rtol=0, atol=1e-12)
