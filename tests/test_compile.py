"""The sampler under torch.compile: one graph, any size, the same numbers forward and backward."""

import pytest
import torch
from helpers import TOL, able, off_kink_grid
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import forward_ad

from reticle import Mode, grid_sample, use_backend, warp

pytestmark = pytest.mark.compile
SIZES = {1: (6,), 2: (5, 6), 3: (2, 3, 4)}
OUT = {1: (5,), 2: (3, 4), 3: (2, 2, 3)}


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled(function, **options):
    return torch.compile(function, fullgraph=True, backend="aot_eager", **options)


def both_ways(function, *inputs):
    leaves = [t.detach().clone().requires_grad_() for t in inputs]
    output = function(*leaves)
    return output, *torch.autograd.grad(output.square().sum(), leaves)


def some(ndim, backend):
    """Each mode and each padding of a backend at least once, not their product: compiling takes seconds."""
    calls = [call[1:] for call in able(ndim, torch.float32) if call[0] == backend]
    modes, paddings = (sorted({call[k] for call in calls}) for k in (0, 1))
    count = max(len(modes), len(paddings))
    return [(ndim, backend, modes[k % len(modes)], paddings[k % len(paddings)], k % 2 == 1) for k in range(count)]


CASES = [*some(2, "reference"), *some(2, "aten"), some(1, "reference")[1], some(3, "reference")[1], some(3, "aten")[0]]


@pytest.mark.parametrize(("ndim", "backend", "mode", "padding_mode", "align_corners"), CASES)
def test_a_sample_compiles_whole(ndim, backend, mode, padding_mode, align_corners, device):
    def sample(image, grid):
        return grid_sample(image, grid, mode, padding_mode, align_corners, value=0.5, backend=backend)

    image = torch.rand(2, 2, *SIZES[ndim], device=device)
    grid = off_kink_grid(2, OUT[ndim], SIZES[ndim], align_corners=align_corners, dtype=torch.float32).to(device)
    for got, want in zip(both_ways(compiled(sample), image, grid), both_ways(sample, image, grid), strict=True):
        torch.testing.assert_close(got, want, **TOL[torch.float32])


@pytest.mark.parametrize(("backend", "padding_mode"), [("aten", "reflection"), ("reference", "constant")])
def test_one_graph_serves_every_size(backend, padding_mode, device):
    def sample(image, grid):
        return grid_sample(image, grid, "bilinear", padding_mode, value=0.5, backend=backend)

    counter = CompileCounterWithBackend("aot_eager")
    whole = torch.compile(sample, fullgraph=True, dynamic=True, backend=counter)
    # sizes that are equal in the first call are taken to be equal always: all differ there
    for batch, size, out in [(7, (5, 6), (3, 4)), (3, (7, 4), (6, 5)), (5, (9, 12), (2, 7))]:
        image = torch.rand(batch, 2, *size, device=device)
        grid = off_kink_grid(batch, out, size, dtype=torch.float32).to(device)
        for got, want in zip(both_ways(whole, image, grid), both_ways(sample, image, grid), strict=True):
            torch.testing.assert_close(got, want, **TOL[torch.float32])
    assert counter.frame_count == 1


@pytest.mark.parametrize(("rows", "output_size", "dynamic"), [(2, None, True), (3, (3, 7), False)])
def test_a_warp_compiles_whole(rows, output_size, dynamic, device):
    def run(image, matrix):
        return warp(image, matrix, output_size, padding_mode="border")

    image = torch.rand(3, 2, 5, 6, dtype=torch.float64, device=device)
    matrix = torch.eye(3, dtype=torch.float64, device=device)[:rows] + 0.1 * torch.rand(3, rows, 3, dtype=torch.float64, device=device)
    for got, want in zip(both_ways(compiled(run, dynamic=dynamic), image, matrix), both_ways(run, image, matrix), strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize(("backend", "padding_mode"), [("aten", "reflection"), ("reference", "border")])
def test_wild_coordinates_compile_too(backend, padding_mode, device):
    def sample(image, grid):
        return grid_sample(image, grid, "bilinear", padding_mode, backend=backend)

    image = torch.rand(1, 1, 3, 4, device=device)
    grid = torch.tensor([[[[torch.nan, 0.0], [torch.inf, 0.3], [0.1, 1e30], [0.2, -0.4]]]], device=device)
    for got, want in zip(both_ways(compiled(sample), image, grid), both_ways(sample, image, grid), strict=True):
        assert want.isfinite().all()
        torch.testing.assert_close(got, want)


def test_a_learnable_kernel_compiles(device):
    one_by_one = nn.Sequential(nn.Unflatten(-1, (-1, 1)), nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1), nn.Flatten(-2))
    mode = Mode(one_by_one, support=4).to(device)

    def sample(image, grid):
        return grid_sample(image, grid, mode, "border")

    image, grid = torch.rand(1, 1, 5, 6, device=device), off_kink_grid(1, (2, 3), (5, 6), dtype=torch.float32).to(device)
    gradients = []
    for function in (sample, compiled(sample)):
        mode.zero_grad()
        function(image, grid).sum().backward()
        gradients.append([p.grad.clone() for p in mode.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_change_of_backend_is_seen_by_compiled_code(device):
    """The choice is traced away, so a new one must compile anew."""
    image = torch.tensor([[[[1.0, 2.0]]]], device=device)
    grid = torch.zeros(1, 1, 1, 2, device=device)
    function = compiled(lambda i, g: grid_sample(i, g, "nearest"))
    assert function(image, grid).item() == 2
    with use_backend("aten"), pytest.raises(Exception, match="has no|rounds half to even"):
        function(image, grid)
    assert function(image, grid).item() == 2


DERIVATIVES = {
    "grad": lambda f, m: torch.func.grad(lambda q: f(q).square().sum())(m),
    "jacrev": lambda f, m: torch.func.jacrev(f)(m),
    "jvp": lambda f, m: torch.func.jvp(f, (m,), (m,))[1],
    "vmap": lambda f, m: torch.vmap(torch.func.grad(lambda q: f(q).sum()))(m.expand(3, *m.shape)),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own, in forward mode
@pytest.mark.parametrize("derivative", DERIVATIVES)
def test_derivatives_of_torch_func_compile(derivative, device):
    image, matrix = torch.rand(1, 2, 4, 5, device=device), 0.8 * torch.eye(2, 3, device=device)[None]

    def derive(m):
        return DERIVATIVES[derivative](lambda q: warp(image, q), m)

    want = derive(matrix)
    assert want.abs().max() > 0.1
    torch.testing.assert_close(compiled(derive)(matrix), want, **TOL[torch.float32])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own, in forward mode
def test_tangents_pass_through_compiled_code(device):
    image, matrix = torch.rand(1, 2, 4, 5, device=device), 0.8 * torch.eye(2, 3, device=device)[None]

    def run(m):
        return warp(image, m)

    with forward_ad.dual_level():
        dual = forward_ad.make_dual(matrix, matrix)
        want, got = (forward_ad.unpack_dual(f(dual)).tangent for f in (run, torch.compile(run, backend="eager")))
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("padding_mode", ["reflection", "wrap"])
def test_the_reference_is_exported_for_any_size(padding_mode):
    class Sampled(nn.Module):
        def forward(self, image, grid):
            return grid_sample(image, grid, "bilinear", padding_mode, backend="reference")

    height, width = torch.export.Dim("height"), torch.export.Dim("width")
    image, grid = torch.rand(2, 3, 8, 9), torch.rand(1, 4, 4, 2) * 6 - 3
    program = torch.export.export(Sampled(), (image, grid), dynamic_shapes=({2: height, 3: width}, {}))
    other = torch.rand(2, 3, 5, 7)
    torch.testing.assert_close(program.module()(other, grid), Sampled()(other, grid))
