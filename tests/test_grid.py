"""Where things are: literal numbers for both conventions, inverses, the regular grid, and matrices that move points."""

import math

import pytest
import torch
import torch.nn.functional as F

from reticle import apply_matrix, base_grid, norm_to_pixel, pixel_to_norm
from reticle.grid import coordinate_dtype, extent, move_points, product, to_homogeneous

both = pytest.mark.parametrize("align_corners", [False, True])
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("n", "align_corners", "pixel", "norm"),
    [
        (4, False, -0.5, -1.0),
        (4, False, 0.0, -0.75),
        (4, False, 1.5, 0.0),
        (4, False, 3.0, 0.75),
        (4, False, 3.5, 1.0),
        (5, False, 2.0, 0.0),
        (5, False, 4.5, 1.0),
        (5, True, 0.0, -1.0),
        (5, True, 1.0, -0.5),
        (5, True, 4.0, 1.0),
        (5, True, 6.0, 2.0),
        (2, True, 0.25, -0.5),
        (1, False, 0.0, 0.0),
        (1, False, 0.5, 1.0),
        (1, True, 0.0, 0.0),
    ],
)
def test_pixels_and_normalised_coordinates_in_numbers(n, align_corners, pixel, norm):
    assert pixel_to_norm(pixel, n, align_corners=align_corners) == norm
    assert norm_to_pixel(norm, n, align_corners=align_corners) == pixel
    assert pixel_to_norm(torch.tensor([pixel]), n, align_corners=align_corners).tolist() == [norm]
    assert norm_to_pixel(torch.tensor([norm]), n, align_corners=align_corners).tolist() == [pixel]


@both
@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 1000])
def test_the_two_maps_undo_each_other(n, align_corners):
    pixel = torch.linspace(-3, n + 3, 50, dtype=torch.float64)
    if n == 1 and align_corners:
        pixel = torch.zeros(50, dtype=torch.float64)  # every point of such an axis lies on its pixel
    there = pixel_to_norm(pixel, n, align_corners=align_corners)
    torch.testing.assert_close(norm_to_pixel(there, n, align_corners=align_corners), pixel, rtol=1e-12, atol=1e-12)


def test_every_point_of_one_pixel_with_corners_aligned_lies_on_it():
    assert norm_to_pixel(torch.tensor([-1.0, 0.3, 7.0]), 1, align_corners=True).tolist() == [0, 0, 0]
    assert pixel_to_norm(torch.tensor([0.0, 5.0]), 1, align_corners=True).tolist() == [0, 0]


def test_the_default_is_not_to_align_corners():
    assert pixel_to_norm(0.0, 4) == -0.75 and norm_to_pixel(-0.75, 4) == 0.0
    assert base_grid((4,)).flatten().tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert extent(4) == 4 and extent(4, align_corners=True) == 3


@both
@pytest.mark.parametrize("n", [3, 5, 28, 42, 224, 1000])
def test_centres_survive_the_way_there_and_back_in_float32(n, align_corners):
    """Better than any coordinate of that size need be: half of the pixels' spacing in float32, near 1, times the size."""
    pixel = torch.arange(n, dtype=torch.float32)
    back = norm_to_pixel(pixel_to_norm(pixel, n, align_corners=align_corners), n, align_corners=align_corners)
    assert (back - pixel).abs().max() <= 1e-7 * n


@both
@pytest.mark.parametrize("size", [(5,), (3, 4), (1, 1), (1, 6), (2, 3, 4)], ids=str)
def test_the_base_grid_holds_x_before_y_at_every_centre(size, align_corners):
    grid = base_grid(size, align_corners=align_corners, dtype=torch.float64)
    assert grid.shape == (*size, len(size)) and grid.dtype == torch.float64
    for index in torch.cartesian_prod(*[torch.arange(n) for n in size]).view(-1, len(size)).tolist():
        for axis, (i, n) in enumerate(zip(reversed(index), reversed(size), strict=True)):
            want = 0.0 if n == 1 else (2 * i / (n - 1) - 1 if align_corners else (2 * i + 1) / n - 1)
            assert grid[(*index, axis)].item() == pytest.approx(want, abs=1e-15)


@both
@pytest.mark.parametrize("size", [(3, 5), (4, 4), (2, 3, 4)], ids=str)
def test_the_base_grid_is_that_of_torch(size, align_corners):
    eye = torch.eye(len(size), len(size) + 1, dtype=torch.float64)[None]
    want = F.affine_grid(eye, [1, 1, *size], align_corners=align_corners)[0]
    torch.testing.assert_close(base_grid(size, align_corners=align_corners, dtype=torch.float64), want)


def test_the_base_grid_takes_lists_dtypes_and_devices(device):
    assert base_grid([2, 3]).dtype == torch.get_default_dtype()
    assert base_grid(torch.Size([2, 3]), device=device).device.type == device.type


@both
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_16_bit_base_grid_is_rounded_once(dtype, align_corners):
    """Counting 4,099 pixels in float16 or bfloat16 would skip most of them."""
    narrow, wide = (base_grid((4099,), align_corners=align_corners, dtype=d) for d in (dtype, torch.float32))
    assert narrow.dtype == dtype and torch.equal(narrow, wide.to(dtype))


@pytest.mark.errors
@pytest.mark.parametrize("size", [(), (0, 3), (3, -1), (2.0, 3), 5, None], ids=str)
def test_a_wrong_size_is_explained(size):
    with pytest.raises(ValueError) as e:
        base_grid(size)
    assert str(e.value) == f"reticle.base_grid: `size` must be positive whole numbers (H, W) or (D, H, W); got {size!r}."


def test_coordinates_are_float32_at_least():
    half, bfloat, single, double = torch.float16, torch.bfloat16, torch.float32, torch.float64
    assert coordinate_dtype(half) == coordinate_dtype(bfloat, half) == coordinate_dtype(single, bfloat) == coordinate_dtype() == single
    assert coordinate_dtype(double, half) == coordinate_dtype(half, double) == double


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("rows", ["affine", "projective"])
def test_apply_matrix_is_the_formula(d, rows, device):
    count = d if rows == "affine" else d + 1
    matrix = torch.randn(2, count, d + 1, dtype=torch.float64)
    if rows == "projective":
        matrix[:, d] = torch.tensor([0.1, -0.2, 0.15, 1.0][:d] + [1.3], dtype=torch.float64)
    points = torch.rand(3, 2, d, dtype=torch.float64)
    got = apply_matrix(matrix.to(device), points.to(device)).cpu()
    assert got.shape == (2, 3, 2, d)
    for b in range(2):
        for i, j in [(0, 0), (1, 1), (2, 0)]:
            p = [*points[i, j].tolist(), 1.0]
            moved = [math.fsum(m * c for m, c in zip(row, p, strict=True)) for row in matrix[b].tolist()]
            w = moved[d] if rows == "projective" else 1.0
            assert got[b, i, j].tolist() == pytest.approx([m / w for m in moved[:d]], rel=1e-12)


def test_points_may_have_any_leading_axes():
    matrix = torch.eye(2, 3).repeat(2, 1, 1)
    for shape in [(2,), (5, 2), (0, 2), (2, 3, 4, 2)]:
        points = torch.rand(shape)
        assert torch.equal(apply_matrix(matrix, points), points.expand(2, *shape))
    assert apply_matrix(matrix[:0], torch.rand(5, 2)).shape == (0, 5, 2)


@pytest.mark.parametrize("w", [0.0, -0.0, -1.0, 1e-25, NAN, -INF])
def test_points_behind_the_viewer_are_at_infinity(w):
    matrix = torch.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, w]]], requires_grad=True)
    points = torch.tensor([[0.1, 0.2], [-0.3, 0.4]], requires_grad=True)
    moved = apply_matrix(matrix, points)
    assert (moved == INF).all()
    moved.nan_to_num(posinf=0.0).sum().backward()
    assert (matrix.grad == 0).all() and (points.grad == 0).all()


def test_a_horizon_divides_the_seen_from_the_unseen():
    """w = 1 + 2 x: points left of x = -1/2 are behind the viewer."""
    matrix = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [2.0, 0.0, 1.0]]], dtype=torch.float64, requires_grad=True)
    moved = apply_matrix(matrix, torch.tensor([[-0.75, 1.0], [-0.5, 1.0], [0.5, 1.0]], dtype=torch.float64))
    assert moved[0].tolist() == [[INF, INF], [INF, INF], [0.25, 0.5]]
    moved[0, 2].sum().backward()
    assert matrix.grad.isfinite().all() and matrix.grad.abs().sum() > 0


def test_a_scaled_matrix_is_the_same_map():
    matrix = torch.tensor([[[1.0, 0.2, 0.1], [0.1, 0.9, 0.0], [0.1, -0.1, 1.0]]], dtype=torch.float64)
    points = torch.rand(5, 2, dtype=torch.float64)
    torch.testing.assert_close(apply_matrix(7 * matrix, points), apply_matrix(matrix, points))
    assert (apply_matrix(-matrix, points) == INF).all()


def test_gradients_of_apply_matrix():
    affine = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    projective = torch.eye(3, dtype=torch.float64).add(0.05 * torch.randn(2, 3, 3, dtype=torch.float64)).requires_grad_()
    points = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    for matrix in (affine, projective):
        assert torch.autograd.gradcheck(apply_matrix, (matrix, points))
        assert torch.autograd.gradgradcheck(apply_matrix, (matrix, points))


@pytest.mark.parametrize(("matrix", "points", "moved"), [("float16", "float16", "float32"), ("float32", "float64", "float64")])
def test_moved_points_are_float32_or_wider(matrix, points, moved):
    got = apply_matrix(torch.eye(2, 3, dtype=getattr(torch, matrix))[None], torch.rand(4, 2).to(getattr(torch, points)))
    assert got.dtype == getattr(torch, moved)


def test_move_points_takes_points_of_each_sample():
    matrix, points = torch.randn(3, 2, 3), torch.rand(3, 4, 2)
    want = torch.cat([apply_matrix(m[None], p) for m, p in zip(matrix, points, strict=True)])
    torch.testing.assert_close(move_points(matrix, points), want)


def test_the_product_of_matrices_keeps_its_precision_under_autocast(device):
    a, b = torch.randn(2, 2, 3, device=device), torch.randn(2, 3, 3, device=device)
    want = (a.double() @ b.double()).float()
    with torch.autocast(device.type, torch.bfloat16):
        got = product(a, b)
    torch.testing.assert_close(got, want)


def test_to_homogeneous_adds_the_last_row_once():
    affine = torch.randn(2, 2, 3)
    whole = to_homogeneous(affine)
    assert torch.equal(whole[:, :2], affine) and torch.equal(whole[:, 2], torch.tensor([0.0, 0.0, 1.0]).expand(2, 3))
    assert to_homogeneous(whole) is whole


MATRIX, POINTS = torch.eye(2, 3)[None], torch.zeros(5, 2)
HINT = "\n  It maps normalised target points to source points; add the batch axis with matrix[None]."


@pytest.mark.errors
@pytest.mark.parametrize(
    ("matrix", "points", "error", "text"),
    [
        (MATRIX[0], POINTS, ValueError, "`matrix` must have shape (B, 2, 3) or (B, 3, 3); got (2, 3)." + HINT),
        (MATRIX.mT, POINTS, ValueError, "`matrix` must have shape (B, 2, 3) or (B, 3, 3); got (1, 3, 2)." + HINT),
        (torch.eye(4)[None], POINTS, ValueError, "`matrix` must have shape (B, 2, 3) or (B, 3, 3); got (1, 4, 4)." + HINT),
        (MATRIX, torch.zeros(5, 3), ValueError, "`matrix` must have shape (B, 3, 4) or (B, 4, 4); got (1, 2, 3)." + HINT),
        (
            MATRIX.long(),
            POINTS,
            TypeError,
            "`matrix` must have a floating dtype; got torch.int64.\n  Convert it first, for example matrix.float().",
        ),
        (
            MATRIX,
            POINTS.long(),
            TypeError,
            "`points` must have a floating dtype; got torch.int64.\n  Convert it first, for example points.float().",
        ),
        ([1.0], POINTS, TypeError, "`matrix` must be a tensor; got list."),
        (MATRIX, torch.tensor(1.0), ValueError, "`points` must have shape (..., D), the last axis (x, y) or (x, y, z); got ()."),
        (MATRIX, [0.0, 0.0], TypeError, "`points` must be a tensor; got list."),
        (
            MATRIX,
            POINTS.to("meta"),
            ValueError,
            "`matrix` and `points` must be on one device; got cpu and meta.\n  Move one with .to(device).",
        ),
    ],
)
def test_errors_of_apply_matrix(matrix, points, error, text):
    with pytest.raises(error) as e:
        apply_matrix(matrix, points)
    assert str(e.value) == "reticle.apply_matrix: " + text


@pytest.mark.errors
@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, "float32"], ids=str)
def test_a_grid_of_a_dtype_that_is_not_floating_is_refused(dtype):
    with pytest.raises(TypeError, match=rf"^reticle.base_grid: `dtype` must be a floating dtype; got {dtype!r}.$"):
        base_grid((2, 2), dtype=dtype)
