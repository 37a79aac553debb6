"""What the compiled sampler does with points that are neighbours: pixels picked from rows, gradients gathered. Against the reference."""

import math

import pytest
import torch
from native_checks import SCALES, SHAPES, TURNS, assert_as_reference, compiled, matrices, results

from reticle import grid_sample, warp
from reticle.grid import source_grid

pytestmark = compiled


@pytest.mark.parametrize("padding_mode", ["zeros", "border"])
@pytest.mark.parametrize(("size", "out"), SHAPES, ids=str)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7, 8, 21])
def test_images_turned_and_enlarged(channels, size, out, padding_mode):
    image = torch.rand(2, channels, *size)
    for degrees in TURNS:
        for scale in SCALES:
            assert_as_reference(image, matrices(scale, degrees), out, padding_mode=padding_mode)


# as wide as sixteen neighbours want at least: 24 columns of float32, 32 of bfloat16
@pytest.mark.parametrize(
    ("size", "out"), [((2, 24), (3, 16)), ((3, 25), (17, 17)), ((2, 32), (3, 16)), ((3, 33), (17, 17)), ((65, 64), (5, 79))], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_sixteen_neighbours_of_narrow_images(dtype, size, out):
    tol = 2e-5 if dtype == torch.float32 else 1.6e-2
    for degrees in (0, 2, 5, 11, 15, 178):
        for scale in (0.1, 0.95, 2.0):
            assert_as_reference(torch.rand(2, 5, *size).to(dtype), matrices(scale, degrees, shift=0.6), out, tol=tol)


@pytest.mark.parametrize("step", [1.4, 1.466, 1.4667, 1.48, 1.99, 2.0])
@pytest.mark.parametrize("padding_mode", ["zeros", "border"])
@pytest.mark.parametrize(("dtype", "tol"), [(torch.float32, 2e-5), (torch.bfloat16, 1.6e-2)], ids=str)
def test_sixteen_neighbours_that_lie_as_far_apart_as_they_may(dtype, tol, step, padding_mode):
    image = torch.rand(1, 3, 40, 70).to(dtype)
    for degrees in (0, 3, 180):
        for shift in (0.0, 0.0163, 0.0309):
            where = matrices(step, degrees, batch=1, shift=shift)
            assert_as_reference(image, where, (40, 70), tol=tol, padding_mode=padding_mode)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("height", [2, 3, 9, 40])
def test_upright_images_whose_rows_lie_on_rows_of_pixels_and_between(height, mode):
    image = torch.rand(1, 3, height, 50)
    for rows in (0.0, 1.0, -1.0, 1e-7, -1e-7, 0.25, 0.75, 1.25):
        matrix = torch.tensor([[[0.9, 0.0, 0.011], [0.0, 1.0, 2 * rows / height]]], dtype=torch.float64)
        assert_as_reference(image, matrix, (height, 50), mode=mode)


@pytest.mark.parametrize("width", [1408, 1400, 1409])
@pytest.mark.parametrize("degrees", [4, 90, 176])
def test_large_images_are_the_same_whether_written_past_the_caches_or_not(degrees, width):
    image, matrix = torch.rand(1, 3, 600, width), matrices(0.9, degrees, batch=1).float()
    image[0, 1, 300, 700] = math.inf
    size = (1600, width)  # 27 MB
    whole = warp(image, matrix, size)
    rows = source_grid(matrix.double(), size, align_corners=False)
    beside_lines = torch.empty(3 * size[0] * width + 1)[1:].view(1, 3, *size)  # which are not filled, then
    broader = torch.empty(1, 3, size[0], 1440)[..., :width]  # whose rows begin lines, but do not all end with one
    for out in (beside_lines, broader):
        torch.testing.assert_close(warp(image, matrix, size, out=out), whole, rtol=0, atol=0, equal_nan=True)
    for first in range(0, size[0], 400):
        part = grid_sample(image, rows[:, first : first + 400])
        torch.testing.assert_close(whole[:, :, first : first + 400], part, rtol=0, atol=2e-5, equal_nan=True)


@pytest.mark.parametrize("scale", [0.7499, 0.75, 0.7501])
def test_quarter_turns_with_as_many_rows_around_a_pixel_as_are_gathered_at_most(scale):
    matrix = torch.tensor([[[0.0, -scale, 0.011], [scale, 0.0, 0.013]]], dtype=torch.float64)
    for channels in (1, 5):
        assert_as_reference(torch.rand(1, channels, 40, 40), matrix, (40, 40))


@pytest.mark.parametrize(("dtype", "tol"), [(torch.float16, 2e-3), (torch.bfloat16, 1.6e-2)], ids=str)
@pytest.mark.parametrize(("size", "out"), SHAPES, ids=str)
def test_16_bits(dtype, tol, size, out):
    for channels in (1, 3, 8):
        image = torch.rand(2, channels, *size).to(dtype)
        for degrees in (0, 30):
            assert_as_reference(image, matrices(0.9, degrees), out, tol=tol)


@pytest.mark.parametrize("channels", [1, 3, 9])
def test_bytes_are_rounded_once(channels):
    image = torch.randint(0, 256, (2, channels, 40, 37), dtype=torch.uint8)
    matrix = matrices(0.9, 20)
    got = warp(image, matrix.float(), (33, 41), backend="native").double()
    want = warp(image.double(), matrix.float().double(), (33, 41), backend="reference")
    assert (got - want).abs().max() <= 0.5 + 1e-3


@pytest.mark.parametrize("padding_mode", ["zeros", "constant", "border"])
@pytest.mark.parametrize(("size", "out"), SHAPES, ids=str)
@pytest.mark.parametrize("channels", [1, 3, 9])
def test_nearest_pixels_as_they_are(channels, size, out, padding_mode):
    image = torch.rand(2, channels, *size)
    image[:, :, 2, 3] = math.nan
    for degrees in TURNS:
        for scale in SCALES:
            matrix = matrices(scale, degrees).float()
            how = {"mode": "nearest", "padding_mode": padding_mode, "value": 0.7 if padding_mode == "constant" else 0.0}
            got = warp(image, matrix, out, backend="native", **how)
            want = warp(image.double(), matrix.double(), out, backend="reference", **how)
            pixel = (source_grid(matrix.double(), out, align_corners=False) + 1) * torch.tensor([size[1], size[0]]) / 2
            sure = ((pixel - pixel.round()).abs() > 1e-3).all(-1)[:, None].expand_as(got)  # between pixels rounding may take either
            assert sure.float().mean() > 0.9
            assert torch.equal(got[sure].nan_to_num(5.0), want[sure].float().nan_to_num(5.0))


@pytest.mark.parametrize("mirror", [1.0, -1.0])
@pytest.mark.parametrize("size", [8, 15, 16, 17, 64, 65])
def test_nearest_halves_and_mirrors_lose_no_pixel(size, mirror):
    """Every second pixel, at points between two: the right one."""
    image, matrix = torch.rand(1, 2, 2 * size, 2 * size), torch.tensor([[[mirror, 0.0, 0.0], [0.0, mirror, 0.0]]])
    for padding_mode in ("zeros", "border"):
        for out in (size, 2 * size):
            got = warp(image, matrix, (out, out), "nearest", padding_mode, backend="native")
            want = image if mirror > 0 else image.flip(2, 3)
            step = 2 * size // out
            shift = step - 1 if mirror > 0 or step == 1 else 0  # of a point between two pixels the one to the right, mirrored too
            assert torch.equal(got, want[:, :, shift::step, shift::step])


@pytest.mark.parametrize("entry", [-1.0, -0.5, -0.75, -0.3, 0.75])
def test_a_point_between_two_pixels_shows_one_of_them(entry):
    matrix = torch.tensor([[[entry, 0.0, 0.0], [0.0, entry, 0.0]]])
    for width in range(8, 48):
        for out in (width, width // 2, 3 * width // 2, 45):
            got = warp(torch.ones(1, 1, width, width), matrix, (out, out), "nearest", backend="native")
            x = (source_grid(matrix.double(), (out, out), align_corners=False)[..., 0] + 1) * width / 2
            inside = ((x > 1e-3) & (x < width - 1e-3))[0, 0]
            assert (got[0, 0][inside][:, inside] == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("align_corners", [False, True])
def test_the_identity_moves_nothing_not_even_a_gradient(align_corners, dtype):
    image, identity = torch.randn(2, 3, 33, 47).to(dtype), torch.eye(2, 3).repeat(2, 1, 1)
    y, grad_image, _ = results(image, identity, (33, 47), image, backend="native", align_corners=align_corners)
    assert torch.equal(y, image)
    assert torch.equal(grad_image, image)


@pytest.mark.parametrize("degrees", [0, 25])
def test_one_image_under_many_matrices_and_many_under_one(degrees):
    assert_as_reference(torch.rand(1, 3, 21, 30), matrices(0.9, degrees, batch=5), (18, 25))
    assert_as_reference(torch.rand(5, 3, 21, 30), matrices(0.9, degrees, batch=1), (18, 25))


def test_a_window_far_outside_leaves_no_gradient():
    matrix = matrices(0.5, 10)
    matrix[:, :, 2] = torch.tensor([[50.0, 0.0], [0.0, -1e6]])
    image = torch.rand(2, 3, 40, 50)
    y, *grads = results(image, matrix.float(), (40, 50), torch.ones(2, 3, 40, 50), backend="native")
    assert not y.any() and not any(g.any() for g in grads)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("degrees", [0, 25])
def test_what_is_not_finite_reaches_only_the_pixels_it_belongs_to(degrees, bad):
    """One pixel of the image, and one number of the gradient, spoil what they touch and nothing that shares a load with them."""
    image, matrix = torch.rand(1, 2, 40, 50), matrices(0.9, degrees, batch=1).float()
    grad = torch.rand(1, 2, 40, 50)
    image[0, 1, 17, 21] = bad
    grad[0, 0, 12, 30] = bad
    got = results(image, matrix, (40, 50), grad, backend="native")[:2]
    want = results(image.double(), matrix.double(), (40, 50), grad.double(), backend="reference")[:2]
    for a, b in zip(got, want, strict=True):
        assert torch.equal(a.isfinite(), b.isfinite())
        assert 0 < (~a.isfinite()).sum() <= 16
        torch.testing.assert_close(a[a.isfinite()].double(), b[b.isfinite()], rtol=1e-4, atol=1e-5)


def test_a_row_of_upright_points_that_rounding_moves_sees_what_is_not_finite_on_either_side():
    """Some of these rows lie on a row of pixels for the reference, and beside it by as much as numbers are rounded for the kernel."""
    matrix = torch.tensor([[[1.0, 0.0, 0.1], [0.0, -1.0, -0.125]]], dtype=torch.float64)
    for row in range(16):
        image = torch.rand(1, 1, 16, 31)
        image[0, 0, row] = math.inf
        got, want = warp(image, matrix, (48, 64), backend="native"), warp(image.double(), matrix, (48, 64), backend="reference")
        assert torch.equal(got.isfinite(), want.isfinite())


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("entry", "shift"), [(-1.0, 0.0), (-0.5, 0.0), (-0.75, 0.0), (1.0, 0.0), (1.0, -0.05), (1.0, -0.025)])
def test_slopes_lose_no_pixel_to_rounding(entry, shift, axis):
    """On a ramp every slope is 1, wherever rounding puts a point; one of a pixel that was lost would be as large as the pixel."""
    matrix = torch.eye(2, 3)[None].clone()
    matrix[0, axis, axis], matrix[0, axis, 2] = entry, shift
    for length in range(8, 48):
        ramp = (torch.arange(length) + 1.0).expand(1, 1, 8, length)
        ramp = ramp.mT.contiguous() if axis else ramp
        outs = range(8, 48) if shift == 0 else [length // 2]
        for out in outs:
            size = ((8, out), (out, 8))[axis]
            at = (source_grid(matrix.double(), size, align_corners=False)[..., axis] + 1) * length / 2 - 0.5
            grad = ((at > 0.5) & (at < length - 1.5)).float()[:, None]  # away from where the image ends
            theta = matrix.clone().requires_grad_()
            warp(ramp, theta, size, backend="native").backward(grad)
            assert abs(float(theta.grad[0, axis, 2]) - float(grad.sum()) * length / 2) < 1e-3 * (1 + float(grad.sum()) * length)


@pytest.mark.parametrize(("width", "out"), [(1000, 20), (5000, 33), (100_003, 32)])
def test_strong_reductions_keep_their_gradients(width, out):
    image, grad = torch.rand(1, 1, 16, width), torch.rand(1, 1, 16, out)
    identity = torch.eye(2, 3)[None]
    got = results(image, identity, (16, out), grad, backend="native")[1]
    want = results(image.double(), identity.double(), (16, out), grad.double(), backend="reference")[1]
    torch.testing.assert_close(got.double(), want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mirror", [1.0, -1.0])
@pytest.mark.parametrize("at", [(5, 5), (15, 63), (16, 64), (0, 0), (39, 79)])
def test_a_gradient_that_is_nan_reaches_all_four_pixels_of_its_window(at, mirror):
    """Also those of weight 0, in whichever row, piece or block they are."""
    identity = torch.eye(2, 3)[None] * mirror
    grad = torch.rand(1, 2, 40, 80)
    grad[0, 1, at[0], at[1]] = math.nan
    image = torch.rand(1, 2, 40, 80)
    got = results(image, identity, (40, 80), grad, backend="native", align_corners=True)[1]
    want = results(image.double(), identity.double(), (40, 80), grad.double(), backend="reference", align_corners=True)[1]
    if mirror == 1:  # elsewhere rounding says on which side of a centre a point lies
        assert torch.equal(got.isnan(), want.isnan())
    assert 1 <= got.isnan().sum() <= 4


def test_a_corner_that_is_nan_shows_in_the_gradient_of_a_matrix_beyond_it():
    image = torch.rand(1, 1, 32, 32)
    image[0, 0, 0, 0] = math.nan
    matrix = torch.tensor([[[1.0, 0.0, -4.0], [0.0, 1.0, -4.0]]])
    got = results(image, matrix, (32, 32), torch.ones(1, 1, 32, 32), backend="native", padding_mode="border")[2]
    want = results(image, matrix, (32, 32), torch.ones(1, 1, 32, 32), backend="reference", padding_mode="border")[2]
    assert torch.equal(got.isnan(), want.isnan())


def test_a_part_of_an_image_is_read_in_place():
    whole = torch.rand(3, 5, 60, 70)
    for part in (whole[:, 1:4, 10:50, 20:61], whole[:, ::2, ::3], whole[1:2].expand(4, -1, -1, -1)):
        assert_as_reference(part, matrices(0.9, 12, batch=len(part)), (30, 40))


@pytest.mark.parametrize("shear", [3.3, 7.7, 12.0])
def test_bytes_beside_a_row_of_gradients_are_not_taken_for_a_number(shear):
    """The lower bytes of these gradients are all ones, two of which would be NaN; those of gradients twice as large are not."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, 4, 256, 256)
    powers, signs = (torch.randint(*bounds, shape, generator=generator) for bounds in ((-3, 4), (0, 2)))
    grad = (1.9921875 * 4.0**powers * (2 * signs - 1)).bfloat16()
    image, matrix = torch.zeros(shape, dtype=torch.bfloat16), torch.tensor([[[0.9, shear, 0.013], [0.03, 1.07, 0.021]]])
    once, twice = (results(image, matrix, (256, 256), g, backend="native")[1] for g in (grad, 2 * grad))
    assert torch.equal(2 * once, twice)
