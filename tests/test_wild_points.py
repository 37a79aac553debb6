"""NaN, infinite and absurd coordinates, matrices and pixels: defined answers, forward and backward, on every backend."""

import math

import pytest
import torch
from helpers import CALLS, TOL, WILD, able, off_kink_grid, oracle_batch

from reticle import grid_sample, warp

SIZES = [(4,), (1,), (3, 4), (1, 4), (3, 1), (1, 1), (2, 3, 4), (1, 3, 2), (1, 1, 1)]
each_size = pytest.mark.parametrize("size", SIZES, ids=str)
every = pytest.mark.parametrize(("mode", "padding_mode", "align_corners"), CALLS)
FOLDING = ("reflection", "wrap")


def wild_grid(ndim, dtype=torch.float32):
    """Each wild coordinate on each axis, the other axes tame; then the same on all axes: ``(1, *1, N, D)``."""
    tame = torch.tensor([0.13, -0.37, 0.21], dtype=dtype)[:ndim]
    rows = [tame]
    for value in WILD:
        rows += [torch.where(torch.arange(ndim) == axis, value, tame) for axis in range(ndim)]
        rows.append(torch.full((ndim,), value, dtype=dtype))
    return torch.stack(rows).view(1, *[1] * (ndim - 1), len(rows), ndim)


def run(image, grid, call, backend, value=0.5):
    image, grid = image.clone().requires_grad_(), grid.clone().requires_grad_()
    output = grid_sample(image, grid, *call, value=value, backend=backend)
    output.sum().backward()
    return output.detach(), image.grad, grid.grad


@each_size
@every
def test_wild_coordinates_have_defined_answers(mode, padding_mode, align_corners, size, device):
    call, ndim = (mode, padding_mode, align_corners), len(size)
    image, grid = torch.rand(1, 2, *size), wild_grid(ndim)
    defined = grid.isfinite() | torch.ones_like(grid, dtype=torch.bool)
    if padding_mode in FOLDING:  # where a huge coordinate folds to is decided by its last bits: see the tests of folding
        defined = ~(grid.abs() >= 1e9) | grid.isinf()
    defined = defined.all(-1)[:, None].expand(-1, 2, *[-1] * ndim)
    tame = torch.where(defined[0, 0, ..., None], grid, 0)
    want = oracle_batch(image, tame, *call, value=0.5).float()
    backends = [name for name, *able_call in able(ndim, torch.float32) if tuple(able_call) == call]
    results = {name: [t.cpu() for t in run(image.to(device), grid.to(device), call, name)] for name in backends}
    for name, (output, image_gradient, grid_gradient) in results.items():
        torch.testing.assert_close(output[defined], want[defined], **TOL[torch.float32])
        assert output.isfinite().all() and image_gradient.isfinite().all() and grid_gradient.isfinite().all(), name
        assert (grid_gradient[~grid.isfinite()] == 0).all(), name
        torch.testing.assert_close(output, results["reference"][0], **TOL[torch.float32])
        torch.testing.assert_close(image_gradient, results["reference"][1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_coordinate_that_is_not_finite_in_plain_numbers(ndim, bad, device):
    """Zeros gives 0, constant the value, the others pixel 0 of that axis."""
    size = (4, 3, 2)[:ndim]
    image = torch.arange(5.0, 5 + math.prod(size)).view(1, 1, *size).to(device)
    grid = torch.full((1, *[1] * ndim, ndim), bad, device=device)
    want = {"zeros": 0.0, "constant": 7.0, "border": 5.0, "reflection": 5.0, "wrap": 5.0}
    for backend, mode, padding_mode, align_corners in able(ndim, torch.float32):
        output = grid_sample(image, grid, mode, padding_mode, align_corners, value=7.0, backend=backend)
        assert output.item() == pytest.approx(want[padding_mode], rel=1e-6), (backend, mode, padding_mode)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize("align_corners", [False, True])
def test_huge_coordinates_fold_to_a_place_in_the_image(align_corners, n, dtype, device):
    """Weights still sum to 1, however large the coordinate: a constant stays, on the way out and on the way back."""
    points = torch.tensor([1e5, 1e7, 1e10, 1e15, 1e20, 1e30, 3e38, -1e10, -1e30, -3e38], dtype=dtype)
    for ndim in (1, 2):
        grid = points.view(1, *[1] * (ndim - 1), -1, 1).expand(*[-1] * (ndim + 1), ndim).to(device)
        image = torch.ones(1, 1, *[n] * ndim, dtype=dtype, device=device)
        for backend, *call in able(ndim, dtype):
            if call[1] in (*FOLDING, "border") and call[2] == align_corners and call[0] != "bspline3":
                output, image_gradient, grid_gradient = run(image, grid, call, backend)
                torch.testing.assert_close(output, torch.ones_like(output), rtol=1e-5, atol=0)
                assert image_gradient.sum().item() == pytest.approx(len(points), rel=1e-5)
                assert grid_gradient.abs().max() < 1e-4


@pytest.mark.parametrize(("backend", "call"), [(name, call) for name, *call in able(2) if call[1] in FOLDING])
def test_huge_coordinates_fold_in_double(backend, call, device):
    """1e10 is a whole number of periods (of 2 or 4): the centre of the image. Folding in single precision would be off by hundreds."""
    size = (3, 6) if call[1] == "wrap" and call[2] else (4, 6)  # aligned corners: wrap repeats after 2 n / (n - 1), 3 and 12 / 5
    image = torch.rand(1, 1, *size, device=device)
    y = 9e9 if size[0] == 3 else 1e10
    x = 12e9 if size[0] == 3 else 1e10
    for shift in (0.0, 512.0 * 3 if size[0] == 3 else 1024.0):
        far = torch.tensor([[[[x, y + shift]]]], dtype=torch.float64, device=device)
        near = torch.zeros_like(far)
        got, want = (grid_sample(image, g, *call, backend=backend) for g in (far, near))
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_single_precision_coordinates_fold_in_double_too(device):
    """With aligned corners six pixels repeat after 12 / 5, which single precision rounds: 10,000 periods on, a 400th of a pixel."""
    ramp = torch.arange(6.0, device=device).view(1, 1, 6)
    far = torch.tensor([24_000.25], device=device).view(1, 1, 1)
    got = grid_sample(ramp, far, "bilinear", "wrap", align_corners=True)
    assert got.item() == pytest.approx(2.5 + 0.25 * 2.5, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_wild_coordinates_of_other_dtypes(dtype, device):
    image, grid = torch.rand(1, 1, 3, 4, dtype=dtype).to(device), wild_grid(2, torch.float32).to(dtype).to(device)
    for backend, *call in able(2, dtype):
        output, image_gradient, grid_gradient = run(image, grid, call, backend)
        assert output.isfinite().all() and image_gradient.isfinite().all() and grid_gradient.isfinite().all()
        assert (grid_gradient[~grid.isfinite()] == 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, 3e38], ids=str)
@pytest.mark.parametrize("size", [(5,), (4, 5), (1, 6), (3, 3, 4)], ids=str)
def test_a_wild_pixel_spreads_only_to_points_whose_taps_include_it(size, bad, device):
    ndim = len(size)
    out = {1: (12,), 2: (3, 4), 3: (1, 2, 3)}[ndim]
    for align_corners in (False, True):
        clean = torch.rand(1, 1, *size)
        wild = clean.clone()
        wild[..., *[-1] * ndim] = bad  # not second: torch clamps a point to centre 0 before it takes the taps, which are then 0 and 1
        grid = off_kink_grid(1, out, size, align_corners=align_corners, dtype=torch.float32)
        for backend, *call in able(ndim, torch.float32):
            if call[2] != align_corners:
                continue
            want, without = (oracle_batch(image, grid, *call, value=0.5) for image in (wild, clean))
            touched = ~(want == without)
            output, image_gradient, grid_gradient = (t.cpu() for t in run(wild.to(device), grid.to(device), call, backend))
            torch.testing.assert_close(output[~touched].double(), want[~touched], **TOL[torch.float32])
            assert image_gradient.isfinite().all() and grid_gradient[~touched[:, 0]].isfinite().all()
            if not math.isfinite(bad):
                assert not output[touched].isfinite().any(), (backend, call)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("place", range(5))
def test_in_the_reference_so_does_any_pixel(place, align_corners, device):
    image = torch.rand(1, 1, 5)
    image[0, 0, place] = math.nan
    grid = off_kink_grid(1, (16,), (5,), align_corners=align_corners, dtype=torch.float32)
    for mode, padding_mode, corners in CALLS:
        if corners == align_corners:
            want = oracle_batch(image, grid, mode, padding_mode, align_corners)
            got = grid_sample(image.to(device), grid.to(device), mode, padding_mode, align_corners, backend="reference").cpu()
            torch.testing.assert_close(got.double(), want, equal_nan=True, **TOL[torch.float32])


@pytest.mark.parametrize("bad", [math.nan, math.inf], ids=str)
def test_a_wild_pixel_gives_no_gradient_to_a_coordinate_that_is_not_finite(bad, device):
    """0 times NaN is NaN: masking must select, not multiply."""
    for ndim in (1, 2, 3):
        for size in ((3,) * ndim, (1,) * ndim):
            for backend, *call in able(ndim, torch.float32):
                image = torch.full((1, 1, *size), bad, device=device)
                grid = torch.zeros(1, *[1] * ndim, ndim, device=device)
                grid[..., 0] = math.nan
                _, image_gradient, grid_gradient = run(image, grid, call, backend)
                assert grid_gradient.flatten()[0] == 0, (backend, call, size)
                assert image_gradient.isfinite().all()


@pytest.mark.parametrize("backend", sorted({call[0] for call in able(2)}))
@pytest.mark.parametrize("bad", WILD, ids=str)
def test_wild_matrices_have_defined_answers(bad, backend, device):
    image = torch.rand(1, 1, 3, 4, device=device)
    for rows in (2, 3):
        for place in range(3 * rows):
            matrix = torch.eye(3, device=device)[:rows].reshape(-1) + 0.01
            matrix[place] = bad
            for _, *call in [c for c in able(2, torch.float32) if c[0] == backend and c[1] == "bilinear"]:
                leaf, pixels = matrix.view(1, rows, 3).clone().requires_grad_(), image.clone().requires_grad_()
                output = warp(pixels, leaf, (2, 3), *call, value=0.5, backend=backend)
                want = warp(image, matrix.view(1, rows, 3), (2, 3), *call, value=0.5, backend="reference")
                torch.testing.assert_close(output, want, rtol=1e-4, atol=1e-4)
                output.sum().backward()
                assert output.isfinite().all() and pixels.grad.isfinite().all()
                if call[1] not in FOLDING:  # those have slopes beyond the dtype there
                    assert leaf.grad.isfinite().all(), (rows, place, call)


@pytest.mark.parametrize("padding_mode", ["zeros", "border"])
def test_a_quotient_that_overflows_has_gradient_0(padding_mode, device):
    matrix = torch.tensor([[[3e38, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.5]]], device=device, requires_grad=True)
    warp(torch.rand(1, 1, 3, 4, device=device), matrix, padding_mode=padding_mode).sum().backward()
    assert matrix.grad.isfinite().all()
