"""The compiled sampler inside torch's transformations: compile, export, autocast, vmap, and derivatives of any order and direction."""

import pytest
import torch
from helpers import TOL, off_kink_grid
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from reticle import Affine, Localizer, SpatialTransformer, grid_sample, use_backend, warp
from reticle.sampling import native

pytestmark = pytest.mark.skipif(native.WHY_NOT is not None, reason=f"native {native.WHY_NOT}")
CALLS = [("bilinear", "zeros", False), ("bicubic", "reflection", True), ("bspline3", "constant", False)]
calls = pytest.mark.parametrize("call", CALLS, ids=str)
SIZES = {1: ((5,), (4,)), 2: ((4, 5), (3, 2)), 3: ((2, 3, 4), (2, 1, 3))}
FILL = torch.tensor([0.25, -1.0], dtype=torch.float64)


def problem(ndim, kind, *more):
    """An image and a matrix or a grid, in front of whose batch ``more`` axes stand."""
    size, out = SIZES[ndim]
    image = torch.rand(*more, 2, 2, *size, dtype=torch.float64)
    if kind == "warp":
        return image, torch.eye(ndim + 1, dtype=torch.float64) + 0.1 * torch.rand(*more, 2, ndim + 1, ndim + 1, dtype=torch.float64)
    flat = off_kink_grid(2 * (more[0] if more else 1), out, size)
    return image, flat.view(*more, 2, *out, ndim)


def sampler(ndim, kind, call, backend="native"):
    def run(image, where):
        if kind == "warp":
            return warp(image, where, SIZES[ndim][1], *call, value=FILL, backend=backend)
        return grid_sample(image, where, *call, value=FILL, backend=backend)

    return run


# torch's own rules for forward derivatives use what torch itself calls old
old = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
both = pytest.mark.parametrize("kind", ["warp", "grid"])


@calls
@both
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_first_and_second_derivatives(ndim, kind, call):
    inputs = [t.requires_grad_() for t in problem(ndim, kind)]
    assert torch.autograd.gradcheck(sampler(ndim, kind, call), inputs)
    assert torch.autograd.gradgradcheck(sampler(ndim, kind, call), inputs, fast_mode=True)


@both
def test_a_second_derivative_where_the_place_depends_on_the_image(kind):
    """As in a spatial transformer: nothing may be counted twice."""
    image, where = problem(2, kind)

    def loss(image, backend):
        moved = where + 0.1 * image.mean()
        output = sampler(2, kind, CALLS[1], backend)(image, moved)
        (first,) = torch.autograd.grad(output.square().sum(), image, create_graph=True)
        return first.square().sum()

    results = []
    for backend in ("native", "reference"):
        leaf = image.clone().requires_grad_()
        results.append(torch.autograd.grad(loss(leaf, backend), leaf)[0])
    torch.testing.assert_close(*results)


@both
def test_a_third_derivative(kind):
    image, where = problem(2, kind)
    results = []
    for backend in ("native", "reference"):
        leaf = where.clone().requires_grad_()
        value = sampler(2, kind, CALLS[1], backend)(image, leaf).pow(3).sum()
        for _ in range(3):
            (slope,) = torch.autograd.grad(value, leaf, create_graph=True)
            value = slope.pow(2).sum()
        results.append(slope)
    torch.testing.assert_close(*results)


@calls
@both
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_vmap_equals_a_loop(ndim, kind, call):
    run = sampler(ndim, kind, call)
    images, wheres = problem(ndim, kind, 3)
    for which in ((0, 0), (0, None), (None, 0), (-1, 0), (0, 1)):
        first = images[0] if which[0] is None else images.movedim(0, which[0])
        second = wheres[0] if which[1] is None else wheres.movedim(0, which[1])
        want = torch.stack([run(images[0 if which[0] is None else k], wheres[0 if which[1] is None else k]) for k in range(3)])
        torch.testing.assert_close(vmap(run, which)(first, second), want, **TOL[torch.float64])


@calls
@both
@pytest.mark.parametrize("one", [None, "image", "where"])
def test_vmap_of_a_gradient_equals_a_loop(one, kind, call):
    run = sampler(2, kind, call)
    images, wheres = problem(2, kind, 3)
    images = images[:, :1] if one == "image" else images
    wheres = wheres[:, :1] if one == "where" else wheres
    slopes = grad(lambda i, w: run(i, w).square().sum(), argnums=(0, 1))
    for dims in ((0, 0), (0, None), (None, 0)):
        args = tuple(t if d == 0 else t[0] for t, d in zip((images, wheres), dims, strict=True))
        got = vmap(slopes, dims)(*args)
        for k in range(3):
            leaves = [t[k if d == 0 else 0].clone().requires_grad_() for t, d in zip((images, wheres), dims, strict=True)]
            want = torch.autograd.grad(run(*leaves).square().sum(), leaves)
            torch.testing.assert_close(tuple(g[k] for g in got), want, **TOL[torch.float64])


@pytest.mark.parametrize("batch", [(1, 2), (2, 1), (2, 2)], ids=str)
def test_the_operator_of_gradients_is_mapped_too(batch):
    images, matrices = problem(2, "warp", 3)
    images, matrices, grads = images[:, : batch[0]], matrices[:, : batch[1]], torch.rand(3, 2, 2, 3, 2, dtype=torch.float64)

    def slopes(grad, image, matrix):
        return torch.ops.reticle.warp_backward(grad, image, matrix, 2, 3, False, None, True, True)

    want = [slopes(g, i, m) for g, i, m in zip(grads, images, matrices, strict=True)]
    for got, pieces in zip(vmap(slopes)(grads, images, matrices), zip(*want, strict=True), strict=True):
        torch.testing.assert_close(got, torch.stack(pieces), **TOL[torch.float64])


def test_vmap_over_fills_of_their_own():
    image, matrix = problem(2, "warp")
    fills = torch.rand(3, 2, dtype=torch.float64)

    def run(image, fill):
        return warp(image, 2 * matrix, None, "bilinear", "constant", value=fill, backend="native")

    want = torch.stack([run(image, f) for f in fills])
    torch.testing.assert_close(vmap(run, (None, 0))(image, fills), want)
    got = vmap(grad(lambda i, f: run(i, f).square().sum()), (None, 0))(image, fills)
    torch.testing.assert_close(got, torch.stack([grad(lambda i, f=f: run(i, f).square().sum())(image) for f in fills]))


@old
@both
def test_jacobians_and_hessians_in_both_directions(kind):
    image, where = problem(2, kind)
    native_run, reference = (sampler(2, kind, CALLS[1], name) for name in ("native", "reference"))
    want = torch.autograd.functional.jacobian(lambda w: reference(image, w), where)
    torch.testing.assert_close(jacrev(lambda w: native_run(image, w))(where), want)
    torch.testing.assert_close(jacfwd(lambda w: native_run(image, w))(where), want)
    if kind == "warp":
        want = hessian(lambda w: reference(image, w).square().sum())(where)
        torch.testing.assert_close(hessian(lambda w: native_run(image, w).square().sum())(where), want)


@old
def test_a_forward_derivative_is_never_silently_zero():
    image, matrix = problem(2, "warp")
    directions = torch.rand_like(image), torch.rand_like(matrix)
    got, want = (jvp(sampler(2, "warp", CALLS[1], name), (image, matrix), directions)[1] for name in ("native", "reference"))
    assert got.abs().sum() > 0
    torch.testing.assert_close(got, want)


def test_gradients_of_each_sample_by_torch_func():
    st = SpatialTransformer(Localizer(torch.nn.Flatten(), 20, Affine()), Affine()).double()
    images, parameters = torch.rand(3, 1, 4, 5, dtype=torch.float64), dict(st.named_parameters())

    def loss(parameters, image):
        return functional_call(st, parameters, (image[None],)).square().sum()

    each = vmap(grad(loss), (None, 0))(parameters, images)
    whole = torch.autograd.grad(st(images).square().sum(), list(parameters.values()))
    torch.testing.assert_close([g.sum(0) for g in each.values()], list(whole))


@pytest.mark.compile
@both
def test_it_compiles_whole_for_every_size(kind):
    torch.compiler.reset()
    run = sampler(2, kind, ("bicubic", "reflection", False))
    whole = torch.compile(run, fullgraph=True, dynamic=True, backend="aot_eager")
    for channels, size in ((3, (6, 7)), (4, (9, 5))):
        image = torch.rand(2, channels, *size, dtype=torch.float64)
        where = problem(2, kind)[1]
        for make in (lambda x: x, lambda x: x.contiguous(memory_format=torch.channels_last)):
            results = []
            for function in (whole, run):
                leaves = make(image).clone().requires_grad_(), where.clone().requires_grad_()
                output = function(*leaves)
                results.append((output, *torch.autograd.grad(output.square().sum(), leaves)))
                assert results[-1][0].is_contiguous(memory_format=torch.channels_last) == make(image).is_contiguous(
                    memory_format=torch.channels_last
                )
            torch.testing.assert_close(*results)
    torch.compiler.reset()


@pytest.mark.compile
@pytest.mark.parametrize("strict", [False, True])
def test_a_transformer_is_exported_with_the_operator_in_it(strict):
    st = SpatialTransformer(Localizer(torch.nn.Flatten(), 20, Affine()), Affine())
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(st, (torch.rand(3, 1, 4, 5),), dynamic_shapes=({0: batch},), strict=strict)
    assert "reticle.warp" in program.graph_module.code
    image = torch.rand(5, 1, 4, 5)
    torch.testing.assert_close(program.module()(image), st(image))


@both
def test_autocast_leaves_coordinates_alone(kind):
    image, where = (t.float() for t in problem(2, kind))
    run = sampler(2, kind, ("bilinear", "zeros", False))
    with torch.autocast("cpu", torch.bfloat16):
        got = run(image, where)
    assert torch.equal(got, run(image, where))


def test_a_fill_that_is_learned_goes_to_the_reference():
    image, matrix = problem(2, "warp")
    fill = FILL.clone().requires_grad_()
    with use_backend("auto"):
        output = warp(image, 3 * matrix, None, "bilinear", "constant", value=fill)
    assert torch.autograd.grad(output.sum(), fill)[0].all()
    with torch.no_grad():
        assert not warp(image, 3 * matrix, None, "bilinear", "constant", value=fill, backend="native").requires_grad
    with pytest.raises(NotImplementedError, match="backend 'native' has no gradient to `value`"):
        warp(image, 3 * matrix, None, "bilinear", "constant", value=fill, backend="native")
