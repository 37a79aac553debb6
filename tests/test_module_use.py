"""What a transformer hands on: grids, masks, crops, several looks; and what it does with a wild theta."""

import math

import pytest
import torch
from families import FAMILIES, MATRIX_FAMILIES, SIZES, Line, make, random_theta, transformer
from torch import nn

from reticle import (
    Affine,
    Attention,
    Compose,
    ParallelTransformers,
    Projective,
    Similarity,
    ThinPlateSpline,
    Translation,
    base_grid,
    grid_sample,
)

each_family = pytest.mark.parametrize("key", FAMILIES)
both_corners = pytest.mark.parametrize("align_corners", [False, True])


def random_image(transform, batch=2, channels=1, dtype=torch.float64):
    return torch.rand(batch, channels, *SIZES[transform.ndim], dtype=dtype)


def show(transform, theta, x, **options):
    """What a transformer with that theta makes of a batch of one."""
    return transformer(transform, tuple(x.shape[1:]), **options).double().sample(x, torch.tensor([theta], dtype=torch.float64)).output


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


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_grid_carries_gradient_though_it_was_looked_at_without(mode):
    layer = transformer(Similarity(), (1, 5, 8))
    warp = layer.warp(torch.rand(2, 1, 5, 8))
    with mode():
        seen = warp.grid
    assert torch.equal(warp.grid, seen)
    warp.grid.square().sum().backward()
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


@pytest.mark.parametrize("antialias", [1, 2])
def test_signals_are_warped_by_a_transform_of_ones_own(antialias):
    x = torch.rand(2, 3, 8, dtype=torch.float64)
    layer = transformer(Line(), (3, 8), output_size=(4,), antialias=antialias).double()
    theta = torch.tensor([[0.5, -0.5]], dtype=torch.float64)  # the left half
    grid = 0.5 * base_grid((4 * antialias,), dtype=torch.float64)[None] - 0.5
    expected = grid_sample(x, grid).unflatten(2, (4, antialias)).mean(3)
    torch.testing.assert_close(layer.sample(x, theta).output, expected)
    assert layer(x).shape == (2, 3, 4)


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
