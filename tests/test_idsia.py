"""The network for traffic signs and the localisers that go with it: sizes as computed by hand, places, looks, shared layers."""

import re

import pytest
import torch
from torch import nn

from reticle import MODELS, TRANSFORMS, Affine, Localizer, SpatialTransformer
from reticle.models import ContrastNorm, GlobalNorm, RefiningLocalizer, SharedFeatures
from reticle.models.moodstocks2015 import NORMS

IMAGE = (3, 32, 32)


def small(**options):
    return MODELS["idsia"](IMAGE, 5, **{"filters": (4, 5, 6), "hidden": 8} | options)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_network_has_the_parameters_of_the_published_one():
    # by hand: 3 convolutions, 300 maps of 6 x 6 to 350, 350 to 43; localisers on 48 x 48 x 3 and on 12 x 12 x 200
    assert count(MODELS["idsia"]((3, 48, 48))) == 5_258_143
    two = MODELS["idsia"]((3, 48, 48), localizers={1: (200, 300, 200), 3: (150, 150, 150)})
    assert count(two.transformer) == 3_676_906
    assert count(two) == 10_271_405


@pytest.mark.parametrize("places", [(), (1,), (2,), (3,), (1, 3), (1, 2, 3)])
def test_transformers_stand_where_they_are_told_and_start_as_the_identity(places):
    torch.manual_seed(0)
    plain = small().double()
    model = small(localizers={place: (3, 4, 5) for place in places}).double()
    weights = plain.state_dict()
    mine = [key for key in model.state_dict() if "localizer" not in key]
    model.load_state_dict(dict(zip(mine, weights.values(), strict=True)), strict=False)
    x = torch.rand(2, *IMAGE, dtype=torch.float64)
    torch.testing.assert_close(model(x), plain(x), rtol=0, atol=1e-9)
    found = [m for m in model.modules() if isinstance(m, SpatialTransformer)]
    assert len(found) == len(places) and isinstance(model.transformer, SpatialTransformer) == (1 in places)
    channels = [m.localizer.features[1].in_channels for m in found]
    assert channels == [{1: 3, 2: 4, 3: 5}[place] for place in places]


@pytest.mark.parametrize("family", sorted(TRANSFORMS))
def test_any_family_learns_at_every_place(family):
    model = small(localizers={1: (3, 4, 5), 2: (3, 4, 5), 3: (3, 4, 5)}, transform=family, norm="batch")
    nn.functional.cross_entropy(model(torch.rand(4, *IMAGE)), torch.arange(4)).backward()
    heads = [m.localizer.head.weight.grad.abs().sum() for m in model.modules() if isinstance(m, SpatialTransformer)]
    assert len(heads) == 3 and all(grad > 0 for grad in heads)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("input_norm, parts", [("none", []), ("global", [GlobalNorm]), ("local", [GlobalNorm, ContrastNorm])])
def test_normalisations_are_those_that_are_named(norm, input_norm, parts):
    model = small(norm=norm, input_norm=input_norm)
    assert [type(part) for part in model.prepare] == parts
    expected = {"contrast": ContrastNorm, "contrast_box": ContrastNorm, "batch": nn.BatchNorm2d, "none": nn.Identity}[norm]
    blocks = [m for m in model.classifier if isinstance(m, nn.Sequential)]
    assert len(blocks) == 3 and all(isinstance(block[-1], expected) for block in blocks)
    if norm == "contrast_box":
        assert blocks[0][-1].kernel.tolist() == pytest.approx([1 / 9] * 9)


def test_size_and_density_are_the_first_transformers_alone():
    options = {"output_size": (24, 28), "antialias": 2, "padding_mode": "border"}
    model = small(localizers={1: (3, 4, 5), 2: (3, 4, 5)}, sampler=options)
    first, second = (m for m in model.modules() if isinstance(m, SpatialTransformer))
    assert (first.output_size, first.antialias, second.output_size, second.antialias) == ((24, 28), 2, None, 1)
    assert first.padding_mode == second.padding_mode == "border"
    assert model(torch.rand(2, *IMAGE)).shape == (2, 5)


def test_dropout_stands_before_both_linear_layers():
    model = small(dropout=0.4)
    assert [type(m).__name__ for m in model.classifier][-5:] == ["Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert not any(isinstance(m, nn.Dropout) for m in small().modules())


# shared layers ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [1, 2, 3])
def test_shared_layers_are_the_classifiers_own(shared):
    model = small(localizers={1: (7,)}, shared=shared, norm="batch")
    features = model.transformer.localizer.features
    assert isinstance(features, SharedFeatures)
    assert all(mine is its for mine, its in zip(features._layers, model.classifier, strict=False)) and len(features._layers) == shared
    names = [name for name, _ in model.named_parameters()]
    assert not any("localizer" in name and "weight" in name and ".0.weight" in name for name in names)
    assert len(set(model.state_dict())) == len(model.state_dict())
    # no running mean was touched by building
    assert all(m.num_batches_tracked == 0 for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def test_shared_layers_stay_shared_in_a_copy():
    import copy

    model = copy.deepcopy(small(localizers={1: (7,)}, shared=2))
    assert model.transformer.localizer.features._layers[0] is model.classifier[0]
    assert count(model.transformer) == sum(p.numel() for p in model.transformer.localizer.parameters())


def test_shared_layers_learn_from_both_uses():
    model = small(localizers={1: (7,)}, shared=1)
    nn.init.normal_(model.transformer.localizer.head.weight, std=0.01)
    x = torch.rand(2, *IMAGE)
    theta = model.transformer.localizer(model.prepare(x))
    theta.square().sum().backward()
    assert model.classifier[0][0].weight.grad.abs().sum() > 0


# looking again ----------------------------------------------------------------------------------------------------------------


class Constant(nn.Module):
    """A localiser that always says the same, and remembers what it saw."""

    def __init__(self, theta):
        super().__init__()
        self.theta, self.seen = torch.tensor([theta], dtype=torch.float64), []

    def forward(self, x):
        self.seen.append(x)
        return self.theta.expand(len(x), -1)


SHRINK = [0.5, 0.0, 0.25, 0.0, 0.5, 0.0]


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_looks_are_composed_and_the_image_itself_is_sampled(looks):
    network, family = Constant(SHRINK), Affine()
    theta = RefiningLocalizer(network, family, looks=looks)(torch.rand(2, 1, 8, 8, dtype=torch.float64))
    # x -> 0.5 x + 0.25, so often
    scale, shift = 1.0, 0.0
    for _ in range(looks):
        scale, shift = scale * 0.5, scale * 0.25 + shift
    assert theta[0].tolist() == pytest.approx([scale, 0, shift, 0, scale, 0])
    assert len(network.seen) == looks


def test_a_correction_is_seen_through_the_window_that_it_corrects():
    class First(Constant):
        def forward(self, x):
            self.seen.append(x)
            return (self.theta if len(self.seen) == 1 else torch.tensor([[1.0, 0, 0.5, 0, 1, 0]], dtype=torch.float64)).expand(len(x), -1)

    theta = RefiningLocalizer(First(SHRINK), Affine(), looks=2)(torch.rand(1, 1, 8, 8).double())
    # half a window to the right of the window of half the size: 0.5 (x + 0.5) + 0.25
    assert theta[0].tolist() == pytest.approx([0.5, 0, 0.5, 0, 0.5, 0])


def test_second_look_sees_the_window_of_the_first():
    network, x = Constant(SHRINK), torch.rand(1, 1, 8, 8, dtype=torch.float64)
    RefiningLocalizer(network, Affine(), looks=2)(x)
    expected = SpatialTransformer(nn.Identity(), Affine()).sample(x, network.theta).output
    torch.testing.assert_close(network.seen[1], expected)


SAMPLERS = [{"padding_mode": "border"}, {"mode": "bicubic"}, {"padding_mode": "constant", "value": 0.5, "backend": "reference"}]


def test_what_a_look_reads_with_is_learnt_and_saved():
    value = torch.nn.Parameter(torch.ones(3))
    network = RefiningLocalizer(torch.nn.Flatten(), Affine(), looks=2, padding_mode="constant", value=value)
    assert [p is value for p in network.parameters()] == [True] and list(network.state_dict()) == ["value"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_second_look_is_read_as_the_transformer_reads(sampler):
    options = sampler | {"output_size": (24, 28), "antialias": 2}
    model = small(localizers={1: (3, 4, 5)}, refine=1, sampler=options, input_norm="none").double()
    network, x = Constant([2.0, 0, 0.25, 0, 2, 0]), torch.rand(1, *IMAGE, dtype=torch.float64)
    model.transformer.localizer.localizer = network
    model(x)
    expected = SpatialTransformer(nn.Identity(), Affine(), **sampler).sample(x, network.theta).output
    assert torch.equal(network.seen[1], expected)
    # read by the defaults it would be another
    assert not torch.allclose(expected, SpatialTransformer(nn.Identity(), Affine()).sample(x, network.theta).output)
    inner, outer = model.transformer.localizer._sampler[0], model.transformer
    assert inner.backend == outer.backend and (outer.output_size, outer.antialias) == ((24, 28), 2)


def test_parameters_of_other_families_add_up():
    family = TRANSFORMS["similarity"]()
    network = Constant([0.1, -0.2, 0.3, 0.0])
    assert RefiningLocalizer(network, family, looks=2)(torch.rand(1, 1, 8, 8).double())[0].tolist() == pytest.approx([0.2, -0.4, 0.6, 0.0])


def test_refined_network_starts_as_the_identity_and_learns():
    model = small(localizers={1: (3, 4, 5)}, refine=2)
    x = torch.rand(2, *IMAGE)
    assert model.transformer.localizer.looks == 3
    assert [m for m in model.modules() if isinstance(m, SpatialTransformer)] == [model.transformer]
    torch.testing.assert_close(model.transformer(x), x, rtol=0, atol=1e-5)
    model(x).square().sum().backward()
    assert model.transformer.localizer.localizer.head.weight.grad.abs().sum() > 0


# errors -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.errors
@pytest.mark.parametrize(
    "options, message",
    [
        ({"norm": "contrats"}, "IDSIA: `norm` must be one of contrast, contrast_box, batch, none; got 'contrats'."),
        ({"input_norm": "all"}, "IDSIA: `input_norm` must be one of none, global, local; got 'all'."),
        ({"localizers": {4: (3, 4, 5)}}, "IDSIA: `localizers` must stand before convolution 1, 2 or 3; got [4]."),
        (
            {"localizers": {1: (3, 4)}},
            "IDSIA: `localizers` must give three widths, for maps of at least 8×8 pixels; got [3, 4] for (3, 32, 32).",
        ),
        ({"localizers": {1: (7,), 2: (3, 4, 5)}, "shared": 2}, "IDSIA: `shared` must be blocks without a transformer between them"),
        (
            {"shared": 2},
            "IDSIA: `shared` must be 0 without a transformer before convolution 1; got 2.\n  Give it one: localizers={1: (a, b, c)}.",
        ),
        ({"localizers": {2: (3, 4, 5)}, "refine": 3}, "IDSIA: `refine` must be 0 without a transformer before convolution 1; got 3."),
        ({"localizers": {1: (7,)}, "shared": 9}, "IDSIA: `shared` must be a number of blocks, 0 to 3; got 9."),
        ({"localizers": {1: (7,)}, "shared": True}, "IDSIA: `shared` must be a number of blocks, 0 to 3; got True."),
        ({"localizers": {1: (3, 4, 5)}, "refine": -1}, "IDSIA: `refine` must be a whole number of at least 0; got -1."),
        ({"localizers": {1: (3, 4, 5)}, "refine": 1.0}, "IDSIA: `refine` must be a whole number of at least 0; got 1.0."),
        ({"kernels": (7, 4)}, "IDSIA: `kernels` must be three positive whole numbers, one for each convolution; got (7, 4)."),
        ({"filters": 4}, "IDSIA: `filters` must be three positive whole numbers, one for each convolution; got 4."),
        ({"filters": (4, 0, 6)}, "IDSIA: `filters` must be three positive whole numbers, one for each convolution; got (4, 0, 6)."),
        (
            {"localizers": {1: (3, 4, 5)}, "sampler": {"output_size": 24}},
            "IDSIA: `sampler.output_size` must be 2 positive whole numbers (H, W); got 24.",
        ),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        small(**options)


@pytest.mark.errors
def test_too_small_an_image_is_refused():
    with pytest.raises(
        ValueError,
        match=re.escape("IDSIA: `input_shape` must be large enough for three convolutions and poolings; a block is given (3, 3, 3"),
    ):
        MODELS["idsia"]((3, 3, 3))
    with pytest.raises(ValueError, match=re.escape("for maps of at least 8×8 pixels; got [3, 4, 5] for (5, 7, 7).")):
        MODELS["idsia"]((3, 28, 28), filters=(4, 5, 6), localizers={3: (3, 4, 5)})


@pytest.mark.errors
def test_looking_needs_a_number_and_an_identity():
    with pytest.raises(ValueError, match="RefiningLocalizer: `looks` must be a whole number of at least 1; got 0."):
        RefiningLocalizer(nn.Identity(), Affine(), looks=0)
    crop = TRANSFORMS["attention"](scale=0.5)
    with pytest.raises(ValueError, match="RefiningLocalizer: `transform` must contain the identity"):
        RefiningLocalizer(Localizer(nn.Flatten(), 4, crop), crop)
