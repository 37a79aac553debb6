"""What the spatial transformer says when it is given what it cannot use: exact words, at construction where possible."""

import math
import re

import numpy as np
import pytest
import torch
from families import Line, transformer
from torch import nn

from reticle import Affine, Compose, Localizer, ParallelTransformers, Rigid, SpatialTransformer

pytestmark = pytest.mark.errors


@pytest.mark.parametrize(
    ("options", "message"),
    {
        "mode": ({"mode": "bilinaer"}, "Unknown mode 'bilinaer'. Did you mean 'bilinear'? Known: bicubic, bilinear, "),
        "padding": ({"padding_mode": "zero"}, "Unknown padding_mode 'zero'. Did you mean 'zeros'? Known: border, constant, "),
        "antialias": ({"antialias": 0}, "SpatialTransformer: `antialias` must be a whole number of at least 1; got 0."),
        "antialias float": ({"antialias": 2.0}, "SpatialTransformer: `antialias` must be a whole number of at least 1; got 2.0."),
        "one number": ({"output_size": 5}, "SpatialTransformer: `output_size` must be 2 positive whole numbers (H, W); got 5."),
        "zero": ({"output_size": (0, 5)}, "SpatialTransformer: `output_size` must be 2 positive whole numbers (H, W); got (0, 5)."),
        "three": ({"output_size": (4, 5, 6)}, "SpatialTransformer: `output_size` must be 2 positive whole numbers (H, W); got (4, 5, 6)."),
    }.values(),
)
def test_wrong_option_is_explained_at_construction(options, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        transformer(Affine(), (1, 4, 4), **options)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(2, 4, 4), ValueError, "SpatialTransformer: `x` must have shape (B, C, H, W) for Affine; got (2, 4, 4)."),
        (torch.zeros(2, 1, 4, 4, 4), ValueError, "SpatialTransformer: `x` must have shape (B, C, H, W) for Affine; got (2, 1, 4, 4, 4)."),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), TypeError, "SpatialTransformer: `x` must have a floating dtype; got torch.uint8.\n"),
        (np.zeros((2, 1, 4, 4)), TypeError, "SpatialTransformer: `x` must be a tensor; got ndarray."),
        (
            torch.zeros(2, 1, 4, 5),
            ValueError,
            "Localizer: `features(x)` must have shape (B, F), F = 16; got (2, 20).\n  F is `num_features`",
        ),
    ],
    ids=["no channels", "a volume", "whole numbers", "an array", "another size"],
)
def test_wrong_input_is_explained(x, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        transformer(Affine(), (1, 4, 4))(x)


def test_image_for_a_transformer_of_volumes_is_explained():
    with pytest.raises(ValueError, match=re.escape("SpatialTransformer: `x` must have shape (B, C, D, H, W) for Rigid; got (2, 1, 4, 4).")):
        transformer(Rigid(ndim=3), (1, 4, 4))(torch.zeros(2, 1, 4, 4))


def test_signal_without_channels_is_explained():
    with pytest.raises(ValueError, match=re.escape("SpatialTransformer: `x` must have shape (B, C, W) for Line; got (2, 8).")):
        transformer(Line(), (1, 8))(torch.rand(2, 8))


@pytest.mark.parametrize("transform", [Affine(), Compose(Affine())], ids=["matrix", "points"])
@pytest.mark.parametrize(
    ("theta", "error", "message"),
    [
        (torch.zeros(2, 5), ValueError, "SpatialTransformer: `theta` must have shape (B, P), P = 6; got (2, 5)."),
        (torch.zeros(6), ValueError, "SpatialTransformer: `theta` must have shape (B, P), P = 6; got (6,)."),
        (
            torch.zeros(3, 6),
            ValueError,
            "SpatialTransformer: `x` and `theta` must have the same batch size, or one of them 1; got 2 and 3.",
        ),
        (torch.zeros(2, 6, dtype=torch.long), TypeError, "SpatialTransformer: `theta` must have a floating dtype; got torch.int64."),
        ([0.0] * 6, TypeError, "SpatialTransformer: `theta` must be a tensor; got list."),
    ],
    ids=["narrow", "no batch", "another batch", "whole numbers", "a list"],
)
def test_wrong_theta_is_explained(transform, theta, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        transformer(transform, (1, 4, 4)).sample(torch.zeros(2, 1, 4, 4), theta)


def test_localizer_of_another_family_is_explained():
    layer = SpatialTransformer(Localizer(nn.Flatten(), 16, Affine()), Rigid())
    with pytest.raises(ValueError, match=re.escape("SpatialTransformer: `theta` must have shape (B, P), P = 3; got (2, 6).")):
        layer(torch.zeros(2, 1, 4, 4))


def test_wrong_localizer_is_explained():
    with pytest.raises(TypeError, match="^Localizer: `features` must be a network, an nn.Module; got <class .*Flatten'>.$"):
        Localizer(nn.Flatten, 16, Affine())
    assert Localizer(nn.Flatten(), np.int64(16), Affine()).head.in_features == 16
    with pytest.raises(ValueError, match="^Localizer: `num_features` must be a whole number of at least 1; got 0.$"):
        Localizer(nn.Flatten(), 0, Affine())
    with pytest.raises(ValueError, match=r"^Localizer: `start` must have shape \(P,?\), P = 6; got \(5,\).$"):
        Localizer(nn.Flatten(), 3, Affine(), start=torch.zeros(5))
    with pytest.raises(TypeError, match="^Localizer: `start` must be a tensor; got list.$"):
        Localizer(nn.Flatten(), 3, Affine(), start=[0.0] * 6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_features_of_another_dtype_than_the_weights_are_explained(dtype):
    expected = (
        f"Localizer: `features(x)` must have the dtype of the weights, torch.float32; got {dtype}.\n"
        "  Convert the input with x.to(torch.float32), or the module."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(expected)}$"):
        transformer(Affine(), (1, 4, 4))(torch.zeros(2, 1, 4, 4, dtype=dtype))


def test_autocast_converts_features_but_not_double():
    layer = transformer(Affine(), (1, 4, 4))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.zeros(2, 1, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
        with pytest.raises(TypeError, match="^Localizer: `features\\(x\\)` must have the dtype of the weights"):
            layer(torch.zeros(2, 1, 4, 4, dtype=torch.float64))


def test_parallel_outputs_of_different_sizes_are_explained():
    layers = [transformer(Affine(), (1, 4, 4), output_size=size) for size in ((2, 2), None, (2, 2))]
    both = ParallelTransformers(*layers)
    with pytest.raises(ValueError) as error:
        both(torch.zeros(2, 1, 4, 4))
    assert str(error.value) == (
        "ParallelTransformers: `transformers` must have outputs of one size; got (2, 2), (4, 4), (2, 2).\n"
        "  Give each the same output_size, or call .warp(x), which leaves the outputs apart."
    )
    assert [tuple(w.output.shape) for w in both.warp(torch.zeros(2, 1, 4, 4))] == [(2, 1, 2, 2), (2, 1, 4, 4), (2, 1, 2, 2)]


def test_no_parallel_transformers_are_explained():
    with pytest.raises(ValueError, match=r"^ParallelTransformers: `transformers` must be one or more SpatialTransformer; got \(\)\.$"):
        ParallelTransformers()


def test_wrong_value_is_explained():
    layer = transformer(Affine(), (1, 4, 4), padding_mode="constant", value=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"`value` must be a number or one per channel, C = 1; got shape \(2,\).$"):
        layer(torch.zeros(2, 1, 4, 4))
    with pytest.raises(ValueError, match=r"^SpatialTransformer: `value` must be finite in torch\.float64; got nan\.$"):
        transformer(Affine(), (1, 4, 4), padding_mode="constant", value=math.nan)
    with pytest.raises(TypeError, match=r"^SpatialTransformer: `value` must be a real number, .*; got 'a'\.$"):
        transformer(Affine(), (1, 4, 4), padding_mode="constant", value="a")


@pytest.mark.errors
def test_a_class_in_place_of_a_transform_is_explained():
    with pytest.raises(TypeError, match=r"^Localizer: `transform` must be a transform, such as Affine\(\); got <class .*Affine'>\.$"):
        Localizer(nn.Flatten(), 4, Affine)
    with pytest.raises(TypeError, match=r"^SpatialTransformer: `transform` must be a transform, such as Affine\(\); got 'affine'\.$"):
        SpatialTransformer(nn.Flatten(), "affine")


@pytest.mark.errors
def test_parts_of_a_transformer_are_checked_when_it_is_made():
    with pytest.raises(TypeError, match="^SpatialTransformer: `localizer` must be a module; got None.$"):
        SpatialTransformer(None, Affine())
    with pytest.raises(ValueError, match="^reticle: unknown backend 'atan'. Known: auto, native, triton, aten, reference.$"):
        SpatialTransformer(nn.Flatten(), Affine(), backend="atan")
    for aligned in (1, "yes"):
        with pytest.raises(TypeError, match=f"^SpatialTransformer: `align_corners` must be True or False; got {aligned!r}.$"):
            SpatialTransformer(nn.Flatten(), Affine(), align_corners=aligned)
    with pytest.raises(TypeError, match=r"^`mode` must be a name in MODES or a Mode; got list\.$"):
        SpatialTransformer(nn.Flatten(), Affine(), mode=["bilinear"])
