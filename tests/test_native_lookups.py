"""What the compiled sampler does with points that are given one by one, or projected: pixels looked up in pairs. Against the reference."""

import math

import pytest
import torch
from native_checks import assert_as_reference, away_from_centres, compiled, results

from reticle import grid_sample

pytestmark = compiled
# pixels of input and output: fewer points than a vector has, as many, one more, several blocks
SHAPES = [((2, 2), (3, 5)), ((5, 7), (1, 16)), ((9, 8), (17, 17)), ((40, 37), (19, 70)), ((33, 150), (35, 129))]
PADDINGS = ["zeros", "constant", "border"]


def points(out, *, batch=2, reach=1.4):
    """A grid that is smooth in its first half and anywhere in its second, in part outside."""
    y, x = torch.meshgrid(*(torch.linspace(-reach, reach, n, dtype=torch.float64) for n in out), indexing="ij")
    grid = torch.stack([x + 0.1 * torch.sin(3 * y), y - 0.1 * torch.cos(2 * x)], -1).repeat(batch, 1, 1, 1)
    half = out[1] // 2
    grid[:, :, half:] = reach * (2 * torch.rand(batch, out[0], out[1] - half, 2, dtype=torch.float64) - 1)
    return grid.float()


def projections(batch=2, tilt=0.2):
    """Matrices that divide; all points lie before the viewer."""
    return torch.eye(3) + torch.tensor([[0.2, 0.2, 0.2], [0.2, 0.2, 0.2], [tilt, tilt, 0]]) * (2 * torch.rand(batch, 3, 3) - 1)


def filled(padding_mode):
    """A padding, with a fill where there is one."""
    return {"padding_mode": padding_mode, "value": 0.3 if padding_mode == "constant" else 0.0}


@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize(("size", "out"), SHAPES, ids=str)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
def test_given_points(channels, size, out, padding_mode):
    image = torch.rand(2, channels, *size)
    for align_corners in (False, True):
        assert_as_reference(image, points(out), out, align_corners=align_corners, **filled(padding_mode))


@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize(("size", "out"), SHAPES, ids=str)
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_projected_points(channels, size, out, padding_mode):
    image = torch.rand(2, channels, *size)
    assert_as_reference(image, projections(), out, tol=1e-4, **filled(padding_mode))


@pytest.mark.parametrize(("dtype", "tol"), [(torch.float16, 2e-3), (torch.bfloat16, 1.6e-2)], ids=str)
@pytest.mark.parametrize("padding_mode", PADDINGS)
def test_16_bits(dtype, tol, padding_mode):
    for size, out in SHAPES:
        for channels in (1, 3, 5):
            image = torch.rand(2, channels, *size).to(dtype)
            for where in (points(out), projections()):
                assert_as_reference(image, where, out, tol=tol, **filled(padding_mode))


@pytest.mark.parametrize("width", [200, 5000, 1 << 18])
def test_projected_points_of_wide_images_are_placed_in_double(width):
    image, out = torch.rand(1, 1, 4, width), (4, 4096)
    matrix = torch.tensor([[[1.0, 0.01, 0.003], [0.0, 0.9, 0.0], [1e-3, 2e-3, 1.0]]])
    grad = torch.rand(1, 1, *out) * away_from_centres(matrix, (4, width), out)
    how = {"padding_mode": "border"}
    got = results(image, matrix, out, grad, backend="native", **how)
    want = results(image.double(), matrix.double(), out, grad.double(), backend="reference", **how)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=2e-4, atol=2e-4 * float(b.abs().amax()))


def test_points_behind_the_viewer_read_nothing():
    image, out = torch.rand(2, 3, 20, 30), (24, 40)
    matrix = projections(tilt=0.0)
    matrix[:, 2, 0] = 2.0  # a quarter of the output is behind
    grad = torch.ones(2, 3, *out)
    got = results(image, matrix, out, grad, backend="native")
    want = results(image.double(), matrix.double(), out, grad.double(), backend="reference")
    assert (got[0][..., : out[1] // 4 - 1] == 0).all()
    assert all(t.isfinite().all() for t in got)
    torch.testing.assert_close(got[0].double(), want[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("padding_mode", PADDINGS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30, -3e38])
def test_a_point_that_is_nowhere_spoils_no_other(bad, padding_mode):
    image, out = torch.rand(2, 3, 20, 30), (18, 50)
    for axis in (0, 1):
        grid = points(out)
        grid[0, 7, 20, axis] = bad
        for channels in (1, 3):
            how = filled(padding_mode)
            grad = torch.rand(2, channels, *out) * away_from_centres(grid, (20, 30), out).nan_to_num()
            got = results(image[:, :channels], grid, out, grad, backend="native", **how)
            want = results(image[:, :channels].double(), grid.double(), out, grad.double(), backend="reference", **how)
            for a, b in zip(got, want, strict=True):
                torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("padding_mode", PADDINGS)
def test_what_is_not_finite_reaches_only_the_points_that_read_it(bad, padding_mode):
    out, grid = (18, 50), points((18, 50))
    how = filled(padding_mode)
    for at in ((0, 0), (0, 29), (19, 0), (19, 29), (10, 14)):
        for channels in (2, 6):
            image = torch.rand(2, channels, 20, 30)
            image[0, 1, at[0], at[1]] = bad
            grad = torch.rand(2, channels, *out) * away_from_centres(grid, (20, 30), out)
            got = results(image, grid, out, grad, backend="native", **how)
            want = results(image.double(), grid.double(), out, grad.double(), backend="reference", **how)
            for a, b in zip(got, want, strict=True):
                assert torch.equal(a.isfinite(), b.isfinite())
                torch.testing.assert_close(a.double().nan_to_num(0, 0, 0), b.nan_to_num(0, 0, 0), rtol=1e-4, atol=1e-4)


def test_points_on_centres_and_on_the_border():
    image = torch.rand(1, 3, 6, 40)
    at = torch.tensor([-1.0, 0.0, 1.0, 38.0, 39.0, 40.0, -0.5, 39.5]).repeat(3)
    grid = torch.stack([(at + 0.5) * 2 / 40 - 1, torch.zeros(24) + 2.5 * 2 / 6 - 1], -1)[None, None]
    got = grid_sample(image, grid, backend="native", align_corners=False)
    want = grid_sample(image.double(), grid.double(), backend="reference", align_corners=False)
    torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-5)


def test_grids_and_images_are_read_in_place():
    whole, out = torch.rand(3, 5, 60, 70), (30, 40)
    grid = points(out, batch=3)
    wide = torch.cat([grid, torch.full_like(grid, math.nan)], -1)[..., :2]  # x and y side by side, but not the points
    apart = grid.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    for part in (whole[:, 1:4, 10:50, 20:61], whole[:, ::2, ::3]):
        assert_as_reference(part, grid, out)
        for other in (wide, apart):
            grad = torch.ones(3, part.shape[1], *out)
            got, want = (results(part, g, out, grad, backend="native") for g in (other, grid))
            torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)
