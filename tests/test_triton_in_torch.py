"""The sampler for GPUs as torch sees it: derivatives of derivatives, vmap, autocast, a compiler, an exported program."""

import importlib.util

import pytest
import torch
from helpers import DEVICE, TOL
from torch.func import grad, vmap
from triton_calls import SIZES, few, place, sample

from reticle import Affine, Localizer, SpatialTransformer, explain
from reticle.sampling import triton as triton_backend

if importlib.util.find_spec("triton") is None:
    pytest.skip("needs the module triton", allow_module_level=True)
if DEVICE != "cuda" and not triton_backend.INTERPRETED:
    pytest.skip("needs a GPU (--device cuda) or Triton's interpreter (TRITON_INTERPRET=1)", allow_module_level=True)
pytestmark = pytest.mark.interpreter


@few
def test_second_derivatives_are_those_of_the_reference(ndim, mode, padding_mode, align_corners, kind, device):
    call, results = (mode, padding_mode, align_corners), []
    image, where = torch.rand(1, 2, *SIZES[ndim][0], dtype=torch.float64, device=device), place(ndim, kind, align_corners)
    for backend in ("triton", "reference"):
        leaves = image.clone().requires_grad_(), where.clone().requires_grad_()
        first = torch.autograd.grad(sample(*leaves, call, backend).pow(3).sum(), leaves, create_graph=True)
        results.append(torch.autograd.grad(sum(d.pow(2).sum() for d in first), leaves))
    torch.testing.assert_close(*results, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", ["grid", "affine"])
def test_vmap_equals_a_loop(kind, device):
    images = torch.rand(3, 1, 2, 4, 5, dtype=torch.float64, device=device)
    wheres = place(2, kind, batch=3)[:, None]

    def loss(image, where):
        return sample(image, where, ("bilinear", "zeros", False)).square().sum()

    got = vmap(grad(loss, argnums=(0, 1)), (None, 0))(images[0], wheres)
    want = [grad(loss, argnums=(0, 1))(images[0], w) for w in wheres]
    torch.testing.assert_close(got, tuple(torch.stack(g) for g in zip(*want, strict=True)), **TOL[torch.float64])


def test_autocast_leaves_coordinates_alone(device):
    image, matrix = torch.rand(1, 2, 4, 5, device=device), place(2, "affine", dtype=torch.float32)
    with torch.autocast(device.type, torch.bfloat16):
        got = sample(image, matrix, ("bilinear", "zeros", False))
    assert torch.equal(got, sample(image, matrix, ("bilinear", "zeros", False)))


@pytest.mark.compile
@pytest.mark.parametrize("name", ["triton_warp", "triton_grid_sample"])
def test_the_operators_obey_the_rules_of_torch(name, device):
    image, fill = torch.rand(1, 2, 4, 5, dtype=torch.float64, device=device), torch.rand(2, dtype=torch.float64, device=device)
    where, size = (place(2, "affine"), [[3, 2]]) if name == "triton_warp" else (place(2, "grid"), [])
    leaves = image.clone().requires_grad_(), where.clone().requires_grad_()
    ops, output = torch.ops.reticle, torch.rand(1, 2, 3, 2, dtype=torch.float64, device=device)
    torch.library.opcheck(getattr(ops, name).default, (*leaves, *size, 1, 1, False, fill))
    cotangent = output.clone().requires_grad_()
    torch.library.opcheck(getattr(ops, f"{name}_backward").default, (cotangent, *leaves, 1, 0, True, fill, True, True))
    torch.library.opcheck(getattr(ops, f"{name}_into").default, (image, where, 1, 1, True, fill, output))


@pytest.mark.compile
def test_it_compiles_whole_for_every_size(device):
    torch.compiler.reset()
    call = ("bilinear", "reflection", False)
    whole = torch.compile(lambda i, w: sample(i, w, call), fullgraph=True, dynamic=True, backend="aot_eager")
    for channels, size in ((3, (6, 7)), (4, (9, 5))):
        image, where = torch.rand(2, channels, *size, dtype=torch.float64, device=device), place(2, "affine", batch=2)
        results = []
        for function in (whole, lambda i, w: sample(i, w, call)):
            leaves = image.clone().requires_grad_(), where.clone().requires_grad_()
            output = function(*leaves)
            results.append((output, *torch.autograd.grad(output.square().sum(), leaves)))
        torch.testing.assert_close(*results)
    torch.compiler.reset()


def network(device):
    """Localiser, warp, CNN."""
    features = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten())
    st = SpatialTransformer(Localizer(features, 4 * 3 * 3, Affine()), Affine(), backend="triton")
    return torch.nn.Sequential(st, torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(3 * 6 * 6, 2)).to(device)


@pytest.mark.compile
def test_a_network_trains_a_step_compiled_as_it_does_eagerly(device):
    """On a GPU by inductor, which calls the kernels; else by torch's own kernels around the operators."""
    torch.compiler.reset()
    model, results = network(device), []
    options = {} if device.type == "cuda" else {"backend": "aot_eager"}
    before = {name: p.clone() for name, p in model.state_dict().items()}
    for function in (model, torch.compile(model, fullgraph=True, dynamic=True, **options)):
        model.load_state_dict(before)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        optimizer.zero_grad()
        torch.manual_seed(1)
        function(torch.rand(3, 1, 8, 8, device=device)).square().sum().backward()
        optimizer.step()
        results.append([p.detach().clone() for p in model.parameters()])
    torch.testing.assert_close(*results)
    assert not torch.equal(dict(model.named_parameters())["0.localizer.head.bias"], before["0.localizer.head.bias"])  # through the warp
    torch.compiler.reset()


@pytest.mark.compile
@pytest.mark.parametrize("strict", [False, True])
def test_it_is_exported_with_the_operator_in_it(strict, device):
    model = network(device)
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(model, (torch.rand(3, 1, 8, 8, device=device),), dynamic_shapes=({0: batch},), strict=strict)
    assert "reticle.triton_warp" in program.graph_module.code
    image = torch.rand(5, 1, 8, 8, device=device)
    torch.testing.assert_close(program.module()(image), model(image))


def test_explain_names_it(device):
    line = explain(torch.zeros(1, 1, 4, 4, device=device), torch.eye(2, 3, device=device)[None]).splitlines()[1]
    assert line.startswith("triton     ") and ("interpreted" in line or "chosen" in line)
