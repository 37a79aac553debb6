"""Derivatives: off the pixel centres against finite differences, on them against the paper by literal numbers."""

import pytest
import torch
from helpers import CALLS, EXACT, able, off_kink_grid, to_norm

from reticle import MODES, PADDING_MODES, grid_sample

every = pytest.mark.parametrize(("mode", "padding_mode", "align_corners"), CALLS)
SMALL = {1: ((4,), (3,)), 2: ((3, 4), (1, 2)), 3: ((2, 3, 2), (1, 1, 1))}  # size, out
REPRESENTABLE = [(8, False), (5, True), (2, False), (3, True)]


def problem(ndim, align_corners, device):
    size, out = SMALL[ndim]
    image = torch.rand(1, 1, *size, dtype=torch.float64)
    grid = off_kink_grid(1, out, size, align_corners=align_corners)
    return image.to(device).requires_grad_(), grid.to(device).requires_grad_()


@pytest.mark.parametrize("ndim", [1, 2, 3])
@every
def test_the_reference_has_right_derivatives_of_both_orders(mode, padding_mode, align_corners, ndim, device):
    image, grid = problem(ndim, align_corners, device)
    fill = torch.tensor([0.3], dtype=torch.float64, device=device, requires_grad=padding_mode == "constant")

    def sample(image, grid, fill):
        return grid_sample(image, grid, mode, padding_mode, align_corners, value=fill, backend="reference")

    assert torch.autograd.gradcheck(sample, (image, grid, fill))
    assert torch.autograd.gradgradcheck(sample, (image, grid, fill))


@pytest.mark.parametrize(("ndim", "backend", "call"), [(n, name, call) for n in (1, 2, 3) for name, *call in able(n, but="reference")])
def test_backends_have_right_derivatives(ndim, backend, call, device):
    image, grid = problem(ndim, call[2], device)
    assert torch.autograd.gradcheck(lambda i, g: grid_sample(i, g, *call, backend=backend), (image, grid))


@pytest.mark.parametrize(("ndim", "backend", "call"), [(n, name, call) for n in (1, 2, 3) for name, *call in able(n, but="reference")])
def test_a_second_derivative_is_right_or_refused(ndim, backend, call, device):
    """Never silently zero."""
    image, grid = problem(ndim, call[2], device)

    def second(name):
        first = torch.autograd.grad(grid_sample(image, grid, *call, backend=name).pow(2).sum(), (image, grid), create_graph=True)
        return torch.autograd.grad(sum(d.pow(2).sum() for d in first), (image, grid))

    try:
        got = second(backend)
    except NotImplementedError as e:
        assert "backend='reference'" in str(e)
    else:
        torch.testing.assert_close(got, second("reference"))


def slope(image, points, backend, padding_mode, align_corners, mode="bilinear"):
    """Derivative by pixel coordinates at ``points (N, D)``, which are pixel coordinates too."""
    sizes = list(reversed(image.shape))
    columns = [to_norm(points[:, a], n, align_corners) for a, n in enumerate(sizes)]
    shape = (1, *[1] * (image.ndim - 1), len(points), image.ndim)
    grid = torch.stack(columns, dim=-1).view(shape).to(image.device).requires_grad_()
    output = grid_sample(image[None, None], grid, mode, padding_mode, align_corners, backend=backend)
    (gradient,) = torch.autograd.grad(output.sum(), grid)
    per_pixel = torch.tensor([2 / (n - align_corners) if n > align_corners else 1.0 for n in sizes], dtype=grid.dtype)
    return gradient.view(len(points), image.ndim).cpu() * per_pixel


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(("backend", "padding_mode", "align_corners"), [(b, p, a) for b, m, p, a in able(2) if m == "bilinear"])
def test_bilinear_on_a_pixel_centre_has_the_right_hand_slope(backend, padding_mode, align_corners, dtype, device):
    """Row 3, 5, 4, 9, 2, .. at x = 2: 9 - 4 = 5, not 9, which is what a weight with slope 0 at d = 0 gives."""
    row = torch.tensor([3.0, 5, 4, 9, 2, 7, 1, 6][: 5 if align_corners else 8], dtype=dtype)
    column = torch.tensor([1.0, 3, 2, 5, 4][: 5 if align_corners else 4], dtype=dtype)
    image = (column[:, None] * row).to(device)
    points = torch.cartesian_prod(torch.arange(1.0, len(row) - 1), torch.arange(1.0, len(column) - 1)).to(dtype)
    x, y = points.long().T
    want = torch.stack([(row[x + 1] - row[x]) * column[y], row[x] * (column[y + 1] - column[y])], dim=-1)
    assert torch.equal(slope(image, points, backend, padding_mode, align_corners), want)


@pytest.mark.parametrize(
    ("ndim", "backend", "padding_mode", "align_corners"), [(n, b, p, a) for n in (1, 3) for b, m, p, a in able(n) if m == "bilinear"]
)
def test_so_it_has_in_one_and_three_dimensions(ndim, backend, padding_mode, align_corners, device):
    size = (8,) if ndim == 1 else (4, 4, 8)
    if align_corners:
        size = (5,) if ndim == 1 else (3, 5, 3)
    image = torch.randint(0, 9, size, dtype=torch.float64)
    centre = [n // 2 for n in size]  # z, y, x
    here = image[tuple(centre)]
    beyond = [image[tuple(c + (a == b) for b, c in enumerate(centre))] for a in range(ndim)]
    got = slope(image.to(device), torch.tensor([centre[::-1]], dtype=torch.float64), backend, padding_mode, align_corners)
    assert got[0].tolist() == [(value - here).item() for value in reversed(beyond)]


@pytest.mark.parametrize(("n", "align_corners"), REPRESENTABLE)
@pytest.mark.parametrize("padding_mode", sorted(PADDING_MODES))
def test_bilinear_on_the_outermost_centres(padding_mode, n, align_corners, device):
    """Zeros, constant 0 and wrap have one right slope; border and reflection either of the two one-sided ones."""
    row = torch.arange(2.0, 2 + n, dtype=torch.float64) ** 2
    beyond = {"zeros": (0.0, 0.0), "constant": (0.0, 0.0), "wrap": (row[-1], row[0]), "border": (row[0], row[-1])}
    beyond["reflection"] = (row[1], row[-2]) if align_corners else (row[0], row[-1])
    before, after = (float(v) for v in beyond[padding_mode])
    first, last = {row[1].item() - row[0].item()}, {after - row[-1].item()}
    if padding_mode in ("border", "reflection"):
        first, last = first | {row[0].item() - before}, last | {(row[-1] - row[-2]).item()}
    calls = [(b, ndim) for ndim in (1, 2) for b, m, p, a in able(ndim) if (m, p, a) == ("bilinear", padding_mode, align_corners)]
    assert calls
    for backend, ndim in calls:
        image = (row if ndim == 1 else row.expand(2, n)).to(device)
        points = torch.tensor([[0.0], [n - 1.0]], dtype=torch.float64)
        points = points if ndim == 1 else torch.cat([points, torch.full_like(points, 0.5)], dim=1)
        left, right = slope(image, points, backend, padding_mode, align_corners)[:, 0].tolist()
        # on a mirror through pixel centres torch takes the mean of its two slopes, s and -s
        mean = {0.0} if backend == "aten" and padding_mode == "reflection" and align_corners else set()
        assert left in first | mean and right in last | mean


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_constant_image_has_slope_0_inside(ndim, align_corners, device):
    """On pixel centres, half way between them and elsewhere, for every mode that keeps constants."""
    size = {(1, False): (16,), (2, False): (16, 8), (3, False): (8, 16, 8), (1, True): (17,), (2, True): (9, 17), (3, True): (9, 9, 17)}
    image = torch.full(size[ndim, align_corners], 3.0, dtype=torch.float64, device=device)
    for fraction in (0.0, 0.5, 0.3):
        points = torch.tensor([[3 + fraction] * ndim], dtype=torch.float64)
        for backend, mode, padding_mode, corners in able(ndim):
            if corners == align_corners and MODES[mode].exact_degree >= 0:
                got = slope(image, points, backend, padding_mode, align_corners, mode)
                exact = mode in ("nearest", "bilinear") and fraction != 0.3
                assert got.abs().max() <= (0 if exact else 1e-13), (backend, mode, padding_mode, fraction)


@pytest.mark.parametrize(("backend", "mode", "padding_mode", "align_corners"), [c for c in able(2) if c[1] in ("bicubic", "bspline3")])
def test_smooth_kernels_have_their_derivative_on_pixel_centres(backend, mode, padding_mode, align_corners, device):
    """Both are differentiable there: at 0 it is the central difference times 3/4 (Keys, a = -0.75) or 1/2 (B-spline)."""
    size = {False: (8, 8), True: (9, 9)}[align_corners]
    image = torch.randint(0, 9, size, dtype=torch.float64)
    got = slope(image.to(device), torch.tensor([[4.0, 3.0]], dtype=torch.float64), backend, padding_mode, align_corners, mode)
    across, down = image[3, 5] - image[3, 3], image[4, 4] - image[2, 4]
    if mode == "bicubic":
        want = torch.stack([0.75 * across, 0.75 * down])
    else:  # each axis smooths the other with 1/6, 4/6, 1/6
        smooth = torch.tensor([1.0, 4, 1], dtype=torch.float64) / 6
        want = torch.stack([smooth @ (image[2:5, 5] - image[2:5, 3]), (image[4, 3:6] - image[2, 3:6]) @ smooth]) / 2
    torch.testing.assert_close(got[0], want)


@pytest.mark.parametrize("padding_mode", sorted(PADDING_MODES))
def test_nearest_has_gradient_0_to_the_grid_not_none(padding_mode, device):
    image = torch.rand(1, 1, 3, 4, device=device, requires_grad=True)
    grid = off_kink_grid(1, (2, 2), (3, 4), dtype=torch.float32).to(device).requires_grad_()
    grid_sample(image, grid, "nearest", padding_mode).sum().backward()
    assert (grid.grad == 0).all()
    assert image.grad.sum() <= 4 and (image.grad == image.grad.round()).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_no_gradient_is_computed_that_nobody_asked_for(dtype, device):
    image, grid = torch.rand(1, 1, 3, 4, dtype=dtype, device=device), torch.zeros(1, 2, 2, 2, dtype=dtype, device=device)
    assert not grid_sample(image, grid).requires_grad
    for backend in ("aten", "reference"):
        for a, b in ((image.clone().requires_grad_(), grid), (image, grid.clone().requires_grad_())):
            grid_sample(a, b, backend=backend).sum().backward()
            assert (a.grad is None) != (b.grad is None)


def test_representable_sizes_are_representable():
    for (_, align_corners), size in EXACT.items():
        for n in size:
            centres = torch.arange(n, dtype=torch.float64)
            back = (to_norm(centres, n, align_corners) + 1) / 2 * (n - align_corners) - (not align_corners) / 2
            assert torch.equal(back, centres)
