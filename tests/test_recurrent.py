"""The recurrent spatial transformer: the identity at the start, the numbers of its parts, gradients, what is said of wrong arguments."""

import re

import pytest
import torch
from torch import nn

from reticle import TRANSFORMS, Affine, Attention, Localizer, RecurrentLocalizer, RecurrentSpatialTransformer, SpatialTransformer

each_family = pytest.mark.parametrize("family", sorted(TRANSFORMS))
STEPS = 3


def recurrent(transform, *, output_size=(4, 5), **options):
    localizer = RecurrentLocalizer(nn.Flatten(), 2 * 6 * 7, transform, steps=STEPS, hidden=8)
    return RecurrentSpatialTransformer(SpatialTransformer(localizer, transform, output_size=output_size, **options))


def moved(st):
    """The same with a head that is not zero, so that the steps differ."""
    head = st.transformer.localizer.localizer.head
    nn.init.normal_(head.weight, std=0.5)
    return st


def images():
    return torch.rand(2, 2, 6, 7)


@each_family
def test_every_step_starts_as_the_identity(family):
    transform = TRANSFORMS[family]()
    st, x = recurrent(transform, output_size=None).double(), images().double()
    torch.testing.assert_close(st(x), x[:, None].expand(-1, STEPS, -1, -1, -1), rtol=0, atol=1e-12)


def test_every_step_starts_where_it_is_told():
    transform, start = Affine(), torch.tensor([0.5, 0, 0.1, 0, 0.25, -0.2])
    localizer = RecurrentLocalizer(nn.Flatten(), 84, transform, steps=STEPS, hidden=8, start=start)
    torch.testing.assert_close(localizer(images()), start.expand(2, STEPS, 6))
    with pytest.raises(ValueError, match=r"`start` must have shape \(P\), P = 6; got \(4,\)"):
        RecurrentLocalizer(nn.Flatten(), 84, transform, steps=STEPS, start=start[:4])


def test_windows_come_in_the_order_of_the_steps_and_are_those_of_warp():
    st, x = moved(recurrent(Affine())), images()
    windows, warps = st(x), st.warp(x)
    assert windows.shape == (2, STEPS, 2, 4, 5) and len(warps) == STEPS
    for step, warp in enumerate(warps):
        torch.testing.assert_close(windows[:, step], warp.output)
        assert warp.theta.shape == (2, 6) and warp.grid.shape == (2, 4, 5, 2)
    assert not torch.equal(windows[:, 0], windows[:, 1]) and not torch.equal(windows[:, 1], windows[:, 2])


def test_localizer_runs_the_unit_from_zero_on_the_same_features():
    localizer, x = moved(recurrent(Affine())).transformer.localizer, images()
    cell = nn.GRUCell(84, 8)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in localizer.recurrent.state_dict().items()})
    state, expected = torch.zeros(2, 8), []
    for _ in range(STEPS):
        state = cell(x.flatten(1), state)
        expected.append(localizer.localizer.head(state))
    torch.testing.assert_close(localizer(x), torch.stack(expected, 1))


def test_options_of_the_sampler_are_the_transformers_own():
    st, x = moved(recurrent(Attention(), align_corners=True, padding_mode="border")), images()
    look = SpatialTransformer(nn.Identity(), Attention(), output_size=(4, 5), align_corners=True, padding_mode="border")
    theta = st.transformer.localizer(x)
    torch.testing.assert_close(st(x)[:, 1], look.sample(x, theta[:, 1]).output)


def test_every_weight_learns_and_the_input_gets_a_gradient():
    st, x = moved(recurrent(Affine())), images().requires_grad_()
    st(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in st.parameters())
    assert x.grad.abs().sum() > 0


def test_volumes_work_as_images_do():
    transform = Affine(ndim=3)
    localizer = RecurrentLocalizer(nn.Flatten(), 4 * 5 * 6, transform, steps=2, hidden=8)
    st, x = RecurrentSpatialTransformer(SpatialTransformer(localizer, transform)), torch.rand(3, 1, 4, 5, 6)
    assert st(x).shape == (3, 2, 1, 4, 5, 6)
    torch.testing.assert_close(st(x)[:, 1], x, rtol=0, atol=1e-5)


def test_print_shows_the_steps():
    assert "steps=3" in repr(recurrent(Affine()))


# errors -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.errors
def test_wrong_transformer_is_answered():
    for wrong in (nn.Identity(), Affine()):
        expected = "RecurrentSpatialTransformer: `transformer` must be a SpatialTransformer; got"
        with pytest.raises(TypeError, match=f"^{re.escape(expected)}(.|\n)*Give SpatialTransformer"):
            RecurrentSpatialTransformer(wrong)


@pytest.mark.errors
def test_localiser_of_a_single_answer_is_named():
    st = RecurrentSpatialTransformer(SpatialTransformer(Localizer(nn.Flatten(), 84, Affine()), Affine()))
    expected = "RecurrentSpatialTransformer: `theta` must have shape (B, T, P), B = 2, P = 6; got (2, 6).\n  The localiser must answer"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}"):
        st(images())


@pytest.mark.errors
@pytest.mark.parametrize("name", ["num_features", "steps", "hidden"])
def test_numbers_must_be_positive(name):
    options = {"num_features": 84, "steps": 3, "hidden": 8} | {name: 0}
    with pytest.raises(ValueError, match=f"^RecurrentLocalizer: `{name}` must be a whole number of at least 1; got 0"):
        RecurrentLocalizer(nn.Flatten(), options.pop("num_features"), Affine(), **options)


@pytest.mark.errors
def test_features_of_another_length_are_named():
    with pytest.raises(ValueError, match=r"RecurrentLocalizer: `features\(x\)` must have shape \(B, F\), F = 80; got \(2, 84\)"):
        RecurrentLocalizer(nn.Flatten(), 80, Affine(), steps=3)(images())


@pytest.mark.errors
def test_a_transform_is_needed():
    with pytest.raises(TypeError, match="`transform` must be a transform"):
        RecurrentLocalizer(nn.Flatten(), 84, Affine, steps=3)
