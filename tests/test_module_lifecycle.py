"""A spatial transformer saved, copied, converted, compiled, exported, and under autocast."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from families import FAMILIES, SIZES, make, random_theta, transformer
from torch import nn

from reticle import (
    Affine,
    Attention,
    Compose,
    Localizer,
    Mode,
    Projective,
    RecurrentLocalizer,
    RecurrentSpatialTransformer,
    Restricted,
    Rigid,
    Similarity,
    SpatialTransformer,
    ThinPlateSpline,
)

each_family = pytest.mark.parametrize("key", FAMILIES)
PLANE = [key for key in FAMILIES if key.endswith("2d")]


def small_network(transform, **options):
    """A transformer whose localiser takes images of any size, away from the identity."""
    features = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    layer = SpatialTransformer(Localizer(features, 8, transform), transform, padding_mode="border", **options)
    nn.init.normal_(layer.localizer.head.weight, std=0.2)
    return layer


@each_family
def test_saved_state_holds_the_weights_of_the_localiser_and_no_constants(key):
    transform = make(key)
    assert list(transformer(transform, (1, *SIZES[transform.ndim])).state_dict()) == ["localizer.head.weight", "localizer.head.bias"]


@pytest.mark.parametrize("convert", [lambda m: m, nn.Module.double, nn.Module.half], ids=["float", "double", "half"])
@each_family
def test_copies_pickles_and_files_give_the_same_output(key, convert):
    transform = make(key)
    layer = convert(transformer(transform, (1, *SIZES[transform.ndim])))
    nn.init.normal_(layer.localizer.head.weight, std=0.02)
    x, file = torch.rand(2, 1, *SIZES[transform.ndim]).to(layer.localizer.head.weight), io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(file, weights_only=False)):
        assert torch.equal(other(x), layer(x))
        assert all(a is not b for a, b in zip(other.parameters(), layer.parameters(), strict=True))


@each_family
def test_warp_is_pickled_and_copied_with_its_grid_and_without_its_graph(key):
    transform = make(key)
    layer = transformer(transform, (1, *SIZES[transform.ndim]))
    warp = layer.warp(torch.rand(2, 1, *SIZES[transform.ndim]))
    for other in (pickle.loads(pickle.dumps(warp)), copy.deepcopy(warp), copy.copy(warp)):
        assert repr(other) == repr(warp)
        for mine, theirs in zip(other, warp, strict=True):
            assert torch.equal(mine, theirs) and theirs.requires_grad and not mine.requires_grad
    with torch.no_grad():
        copy.deepcopy(warp).grid.zero_()
    assert warp.grid.any()


def test_weights_load_into_a_transformer_of_another_lattice_only_if_they_fit():
    state = transformer(ThinPlateSpline((3, 3)), (1, 5, 8)).state_dict()
    transformer(ThinPlateSpline((3, 3)), (1, 5, 8)).load_state_dict(state)
    with pytest.raises(RuntimeError, match="size mismatch for localizer.head.weight"):
        transformer(ThinPlateSpline((4, 4)), (1, 5, 8)).load_state_dict(state)


@pytest.mark.parametrize("transform", [Affine(), ThinPlateSpline(), Compose(Rigid(), ThinPlateSpline())], ids=["affine", "tps", "compose"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_coordinates_of_a_narrow_image_are_wide(transform, dtype):
    layer, theta = transformer(transform, (1, 6, 200)).to(dtype), random_theta(transform, 2, spread=0.05, dtype=dtype)
    x = torch.rand(2, 1, 6, 200).to(dtype)
    narrow, wide = layer.sample(x, theta), layer.double().sample(x.double(), theta.double())
    assert narrow.output.dtype == dtype and narrow.grid.dtype == torch.float32
    torch.testing.assert_close(narrow.grid.double(), wide.grid, rtol=0, atol=1e-5)
    torch.testing.assert_close(narrow.output.double(), wide.output, rtol=0, atol=2 * torch.finfo(dtype).eps)


@each_family
def test_autocast_keeps_coordinates_wide(key):
    transform = make(key)
    x = torch.rand(2, 1, *SIZES[transform.ndim])
    for family in (transform, Compose(transform, make(key))):
        theta = random_theta(family, 2, dtype=torch.float32)
        layer = transformer(family, tuple(x.shape[1:]))
        alone = layer.sample(x, theta)
        with torch.autocast("cpu", torch.bfloat16):
            cast = layer.sample(x, theta)
            grid = cast.grid
        assert grid.dtype == cast.output.dtype == torch.float32
        torch.testing.assert_close(grid, alone.grid, rtol=0, atol=1e-6)
        torch.testing.assert_close(cast.output, alone.output, rtol=0, atol=1e-5)


def test_autocast_trains():
    layer = small_network(Similarity())
    with torch.autocast("cpu", torch.bfloat16):
        output, theta, grid = layer.warp(torch.rand(2, 1, 9, 8))
        output.square().mean().backward()
    assert theta.dtype == grid.dtype == output.dtype == torch.float32
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.compile
@pytest.mark.parametrize("key", ["affine_2d", "rigid_2d", "tps_2d"])  # a matrix, one that knows the size, no matrix
def test_compiled_in_one_graph_for_any_size_forward_and_backward(key):
    layer = small_network(make(key))
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    for shape in ((2, 1, 9, 8), (3, 1, 11, 12)):
        x = torch.rand(shape, requires_grad=True)
        gradients = []
        for net in (compiled, layer):
            layer.zero_grad()
            output = net(x)
            output.square().sum().backward()
            gradients.append([output.detach(), x.grad, *(p.grad for p in layer.parameters())])
            x.grad = None
        for mine, theirs in zip(*gradients, strict=True):
            torch.testing.assert_close(mine, theirs)


def small_recurrent():
    features = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    localizer = RecurrentLocalizer(features, 4, Attention(), steps=2, hidden=3)
    return RecurrentSpatialTransformer(SpatialTransformer(localizer, Attention()))


OPEN_ENDED = {
    **{key: lambda key=key: small_network(make(key)) for key in PLANE},
    "antialias": lambda: small_network(Similarity(), output_size=(4, 5), antialias=2, align_corners=True),
    "no rotation": lambda: small_network(Restricted(rotation=False)),
    "no translation": lambda: small_network(Restricted(translation=False)),
    "recurrent": small_recurrent,
}


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")  # torch means its own recurrent layers
@pytest.mark.parametrize("build", OPEN_ENDED.values(), ids=OPEN_ENDED)
def test_exported_for_any_batch_and_size(build):
    layer = build()
    batch, height, width = (torch.export.Dim(name, min=low, max=64) for name, low in (("batch", 1), ("height", 8), ("width", 8)))
    program = torch.export.export(layer, (torch.rand(3, 1, 9, 8),), dynamic_shapes=({0: batch, 2: height, 3: width},))
    for shape in ((5, 1, 12, 10), (1, 1, 8, 20)):
        x = torch.rand(shape)
        torch.testing.assert_close(program.module()(x), layer(x))


# jit is on its way out of torch, and says so; of a size it says that it may become a constant: it does not
@pytest.mark.compile  # sizes are tensors while jit traces
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("build", OPEN_ENDED.values(), ids=OPEN_ENDED)
def test_traced_for_any_batch_and_size(build):
    layer = build()
    traced = torch.jit.trace(layer, torch.rand(3, 1, 9, 8))
    for shape in ((5, 1, 12, 10), (1, 1, 8, 20)):
        x = torch.rand(shape)
        torch.testing.assert_close(traced(x), layer(x))


def test_mode_with_weights_is_copied_with_them():
    class Width(nn.Module):
        def __init__(self):
            super().__init__()
            self.width = nn.Parameter(torch.tensor(1.0))

        def forward(self, d):
            return (1 - d.abs() / self.width).clamp(min=0)

    layer = transformer(Projective(), (1, 5, 8), mode=Mode(Width(), support=2))
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.mode.phi.width.fill_(0.5)
    assert layer.mode.phi.width == 1


def test_repr_shows_what_is_not_the_default():
    layer = transformer(Affine(), (1, 4, 4), output_size=[2, 3], padding_mode="border", antialias=2, mode="bicubic", align_corners=True)
    head = "(localizer)"
    shown = repr(layer).split(head)[0]
    for part in ("output_size=(2, 3)", "mode='bicubic'", "padding_mode='border'", "align_corners=True", "antialias=2"):
        assert part in shown
    assert "=" not in repr(transformer(Affine(), (1, 4, 4))).split(head)[0]


VALUES = [torch.tensor([0.1, 0.2, 0.3]), np.array([0.1, 0.2, 0.3]), [0.1, 0.2, 0.3], torch.tensor(0.1)]


@pytest.mark.parametrize("value", VALUES, ids=["tensor", "array", "list", "one"])
def test_repr_shows_a_value_of_several_numbers(value):
    layer = transformer(Affine(), (3, 4, 4), padding_mode="constant", value=value)
    assert f"padding_mode='constant', value={value!r}\n" in repr(layer)
    outside = layer.sample(torch.rand(2, 3, 4, 4), torch.tensor([[1.0, 0, 9, 0, 1, 0]])).output[0, :, 0, 0]
    torch.testing.assert_close(outside, torch.as_tensor(value, dtype=torch.float32).expand(3))


def test_a_tensor_of_values_moves_with_the_module_and_is_no_weight():
    value = torch.tensor([0.25, 0.5, 0.75])
    layer = transformer(Affine(), (3, 4, 4), padding_mode="constant", value=value)
    assert "value" not in layer.state_dict() and layer.value is value
    assert layer.double().value.dtype == torch.float64 and layer.to("meta").value.device.type == "meta"
    assert value.dtype == torch.float32


def test_a_parameter_as_value_is_learnt_and_saved():
    value = nn.Parameter(torch.tensor([0.25, 0.5, 0.75]))
    layer = transformer(Affine(), (3, 4, 4), padding_mode="constant", value=value)
    layer.sample(torch.rand(2, 3, 4, 4), torch.tensor([[1.0, 0, 9, 0, 1, 0]])).output.sum().backward()
    assert "value" in layer.state_dict() and value.grad.tolist() == [32.0] * 3
