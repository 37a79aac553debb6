"""The networks of the papers: shapes, sizes as published or computed, the identity at the start, one step that helps, errors."""

import copy
import inspect
import math
import re

import pytest
import torch
from torch import nn

from reticle import MODELS, TRANSFORMS, Affine, SpatialTransformer
from reticle.models.base import build_transform

SMALLEST = (1, 28, 30)
SMALL = {"fcn": {"hidden": 8}, "cnn": {"filters": 4}, "st_fcn": {"hidden": 8}, "st_cnn": {"filters": 4, "localizer_filters": 3}}
SMALL["idsia"] = {"filters": (4, 5, 6), "hidden": 8, "localizers": {1: (3, 4, 5)}, "input_norm": "global"}
SMALL |= {"parallel_st_fcn": {"hidden": 8}, "volume_cnn": {"filters": 4}, "st_volume_cnn": {"filters": 4, "localizer_filters": 3}}
DEEP = {name: (1, 20, *SMALLEST[1:]) for name in ("volume_cnn", "st_volume_cnn")}
# what answers otherwise than with one class: test_models_tasks.py
CLASSIFIERS = sorted(MODELS.keys() - {"locator", "spn_cnn", "ffn_spn", "rnn_spn"})
each_model = pytest.mark.parametrize("name", CLASSIFIERS)
each_family = pytest.mark.parametrize("family", sorted(TRANSFORMS))
# several transformers: test_addition.py; three dimensions: test_volumes.py
ELSEWHERE = {"parallel_st_fcn", *DEEP}
TRANSFORMING = [n for n in CLASSIFIERS if "transform" in inspect.signature(MODELS[n]).parameters and n not in ELSEWHERE]
with_transformer = pytest.mark.parametrize("name", TRANSFORMING)


def smallest(name, channels=1):
    return (channels, *DEEP.get(name, SMALLEST)[1:])


def small(name, input_shape=None, **options):
    return MODELS[name](input_shape or smallest(name), 7, **SMALL.get(name, {}), **options)


def count(module):
    return sum(p.numel() for p in module.parameters())


# every model ------------------------------------------------------------------------------------------------------------------


@each_model
@pytest.mark.parametrize("channels", [1, 3])
def test_images_become_logits(name, channels):
    shape = smallest(name, channels)
    model = small(name, shape)
    for count in (5, 1, 0):
        assert model(torch.rand(count, *shape)).shape == (count, 7)


@each_model
def test_one_step_lowers_the_loss_and_moves_every_weight(name):
    model = small(name)
    before = copy.deepcopy(model.state_dict())
    # as bright as an image, after it is summed along its depth
    x, y = torch.rand(16, *smallest(name)) / (20 if name in DEEP else 1), torch.arange(16) % 7
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)

    def loss():
        return nn.functional.cross_entropy(model(x), y)

    first = loss()
    for _ in range(2):  # weights behind a head of zeros move at the second step
        optimizer.zero_grad()
        loss().backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
    assert loss() < first
    still = [key for key, value in model.named_parameters() if torch.equal(value, before[key])]
    assert not still


@each_model
def test_state_is_weights_and_statistics_alone_and_loads_again(name):
    model, other = small(name), small(name)
    statistics = {key for key, _ in model.named_buffers() if key.rpartition(".")[2] in ("mean", "std")}
    assert set(model.state_dict()) == {key for key, _ in model.named_parameters()} | statistics
    other.load_state_dict(model.state_dict())
    x = torch.rand(2, *smallest(name))
    assert torch.equal(model(x), other(x))


@each_model
def test_registered_model_is_documented(name):
    assert "input_shape" in MODELS[name].__doc__ and "Args:" in MODELS[name].__doc__


# with a transformer -----------------------------------------------------------------------------------------------------------


@each_family
@with_transformer
def test_classifier_first_sees_the_image_itself(name, family):
    model = small(name, transform=family).double()
    assert isinstance(model.transformer, SpatialTransformer) and isinstance(model.transformer.transform, TRANSFORMS[family])
    x = torch.rand(3, *SMALLEST, dtype=torch.float64)
    torch.testing.assert_close(model.transformer(x), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(model(x), model.classifier(x))


@with_transformer
def test_transform_is_a_name_or_a_mapping(name):
    assert small(name).transformer.transform.num_params == 6
    assert small(name, transform={"name": "tps", "lattice": [3, 5]}).transformer.transform.lattice == (3, 5)
    assert small(name, transform={"name": "attention", "scale": 0.5}).transformer.transform.scale == 0.5


def test_transform_is_built_once():
    mine = Affine()
    assert build_transform(mine) is mine


@with_transformer
def test_sampler_options_reach_the_transformer_and_size_the_classifier(name):
    options = {"output_size": [24, 25], "antialias": 2, "align_corners": True, "mode": "bicubic", "padding_mode": "border"}
    model = small(name, sampler=options)
    assert {key: getattr(model.transformer, key) for key in options} == {**options, "output_size": (24, 25)}
    x = torch.rand(2, *SMALLEST)
    assert model.transformer(x).shape == (2, 1, 24, 25) and model(x).shape == (2, 7)


def test_building_leaves_no_gradient_and_needs_no_seed_of_its_own():
    torch.manual_seed(3)
    first = small("st_cnn").state_dict()
    torch.manual_seed(3)
    assert all(torch.equal(value, first[key]) for key, value in small("st_cnn").state_dict().items())


# sizes ------------------------------------------------------------------------------------------------------------------------

COUNTS = [  # computed by hand from the layers that the paper names
    ("cnn", 28, {"filters": 64}, 208_586),
    ("cnn", 42, {"filters": 64}, 222_026),
    ("cnn", 60, {"filters": 64}, 270_026),
    ("fcn", 28, {"hidden": 128}, 118_282),
    ("fcn", 42, {"hidden": 128}, 243_722),
    ("fcn", 60, {"hidden": 128}, 478_730),
    ("fcn", 42, {"hidden": 200}, 395_210),
]
LOCALISERS = [("st_fcn", "affine", 58_790), ("st_fcn", "projective", 58_856), ("st_fcn", "tps", 59_648)] + [
    ("st_cnn", "affine", 17_086),
    ("st_cnn", "projective", 17_128),
    ("st_cnn", "tps", 17_632),
]


@pytest.mark.parametrize(("name", "side", "options", "expected"), COUNTS)
def test_classifier_has_the_parameters_of_the_paper(name, side, options, expected):
    assert count(MODELS[name]((1, side, side), **options)) == expected
    behind = MODELS[f"st_{name}"]((1, side, side), **options)
    assert count(behind.classifier) == expected
    assert count(behind) == expected + count(behind.transformer)


@pytest.mark.parametrize(("name", "family", "expected"), LOCALISERS)
def test_localiser_has_the_parameters_of_the_paper(name, family, expected):
    assert count(MODELS[name]((1, 42, 42), transform=family).transformer) == expected


def test_layers_are_those_of_the_paper():
    model = MODELS["st_cnn"]((1, 42, 42), filters=64)
    shapes = [(type(m).__name__, m.in_channels, m.out_channels, m.kernel_size) for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [
        ("Conv2d", 1, 20, (5, 5)),
        ("Conv2d", 20, 20, (5, 5)),
        ("Conv2d", 1, 64, (9, 9)),
        ("Conv2d", 64, 64, (7, 7)),
    ]
    units = [m.out_features for m in MODELS["st_fcn"]((1, 42, 42)).modules() if isinstance(m, nn.Linear)]
    assert units == [32, 32, 32, 6, 200, 200, 10]
    # the localiser sees half of the resolution: 42 -> 21 -> 17 -> 8 -> 4
    assert [m.in_features for m in model.transformer.modules() if isinstance(m, nn.Linear)] == [20 * 4 * 4, 20]


@pytest.mark.parametrize("name", ["cnn", "st_cnn"])
def test_hidden_layer_of_the_classifier_is_one_layer_more(name):
    plain, deeper = MODELS[name]((1, 42, 42)), MODELS[name]((1, 42, 42), hidden=50)
    width = 32 * 5 * 5
    assert count(deeper) - count(plain) == (width + 1) * 50 + 51 * 10 - (width + 1) * 10
    assert deeper(torch.rand(2, 1, 42, 42)).shape == (2, 10)


def test_output_of_60_pixels_averaged_to_30_needs_a_smaller_classifier():
    model = MODELS["st_cnn"]((1, 60, 60), sampler={"output_size": (30, 30), "antialias": 2})
    assert count(model.classifier) == count(MODELS["cnn"]((1, 30, 30)))
    assert math.isfinite(model(torch.rand(1, 1, 60, 60)).sum().item())


# errors -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.errors
def test_too_small_an_image_is_refused():
    with pytest.raises(ValueError, match=re.escape("`input_shape` must be at least 24×24 pixels for its two layers; got (1, 23, 40).")):
        MODELS["cnn"]((1, 23, 40))
    with pytest.raises(ValueError, match=re.escape("`input_shape` must be at least 24×24 pixels for its two layers; got (1, 20, 20).")):
        MODELS["st_cnn"]((1, 42, 42), sampler={"output_size": (20, 20)})
    assert MODELS["cnn"]((1, 24, 24))(torch.rand(1, 1, 24, 24)).shape == (1, 10)


@pytest.mark.errors
def test_too_small_an_image_for_the_localiser_is_refused():
    expected = "STCNN: `input_shape` must be at least 28×28 pixels for its localiser; got (1, 40, 27)."
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        MODELS["st_cnn"]((1, 40, 27))


@pytest.mark.errors
def test_wrong_transform_is_explained():
    with pytest.raises(ValueError, match="^Unknown transform 'afine'. Did you mean 'affine'"):
        small("st_fcn", transform="afine")
    with pytest.raises(ValueError, match="^Unknown transform 'tsp'. Did you mean 'tps'"):
        small("st_fcn", transform={"name": "tsp"})
    for wrong in (3, {"lattice": (3, 3)}, None):
        expected = f"`transform` must be a name, a mapping with 'name', or a transform; got {wrong!r}."
        with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
            build_transform(wrong)


@pytest.mark.errors
def test_unknown_model_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="^Unknown model 'stcnn'. Did you mean 'st_cnn'"):
        MODELS["stcnn"]
