"""From a matrix to an output: by literal numbers, against the composition of torch's own parts, and over all that is not refused."""

import pytest
import torch
import torch.nn.functional as F
from helpers import SIZES, TOL, able

from reticle import apply_matrix, base_grid, grid_sample, warp

OUTPUT = {1: (4,), 2: (3, 2), 3: (2, 3, 2)}


def matrices(batch, ndim, kind):
    rows = ndim if kind == "affine" else ndim + 1
    eye = torch.eye(ndim + 1, dtype=torch.float64)[:rows]
    return eye + 0.1 * torch.randn(batch, rows, ndim + 1, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["affine", "projective"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_warp_is_grid_apply_sample(ndim, kind, device):
    size = SIZES[ndim][0]
    image, matrix = torch.rand(2, 2, *size, dtype=torch.float64, device=device), matrices(2, ndim, kind).to(device)
    for backend, *call in able(ndim):
        got = warp(image, matrix, OUTPUT[ndim], *call, value=(0.5, 2.0), backend=backend)
        target = base_grid(OUTPUT[ndim], align_corners=call[2], dtype=torch.float64, device=device)
        want = grid_sample(image, apply_matrix(matrix, target), *call, value=(0.5, 2.0), backend=backend)
        assert got.shape == (2, 2, *OUTPUT[ndim])
        torch.testing.assert_close(got, want, **TOL[torch.float64])


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("ndim", [2, 3])
def test_an_affine_warp_is_that_of_torch(ndim, align_corners, device):
    size = SIZES[ndim][0]
    image, matrix = torch.rand(2, 2, *size, dtype=torch.float64, device=device), matrices(2, ndim, "affine").to(device)
    grid = F.affine_grid(matrix, [2, 2, *OUTPUT[ndim]], align_corners=align_corners)
    want = F.grid_sample(image, grid, "bilinear", "border", align_corners)
    got = warp(image, matrix, OUTPUT[ndim], padding_mode="border", align_corners=align_corners)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize(
    ("matrix", "align_corners", "want"),
    [
        ([[1, 0, 0], [0, 1, 0]], False, [[1, 2, 3], [4, 5, 6]]),
        ([[1, 0, 2 / 3], [0, 1, 0]], False, [[2, 3, 0], [5, 6, 0]]),  # reads one pixel to the right: target to source
        ([[1, 0, 0], [0, 1, 1]], False, [[4, 5, 6], [0, 0, 0]]),  # y points down
        ([[1, 0, 1], [0, 1, 0]], True, [[2, 3, 0], [5, 6, 0]]),
        ([[-1, 0, 0], [0, 1, 0]], False, [[3, 2, 1], [6, 5, 4]]),
        ([[1, 0, 0], [0, -1, 0], [0, 0, 1]], True, [[4, 5, 6], [1, 2, 3]]),
        ([[2, 0, 0], [0, 2, 0], [0, 0, 2]], False, [[1, 2, 3], [4, 5, 6]]),
        ([[1, 0, 0], [0, 1, 0], [0, 0, -1]], False, [[0, 0, 0], [0, 0, 0]]),  # behind the viewer
        # w = -2 y: the upper row reads x / 2 and y = -1/2, between the rows; the lower row is behind the viewer
        ([[1, 0, 0], [0, 1, 0], [0, -2, 0]], True, [[2.25, 2.75, 3.25], [0, 0, 0]]),
    ],
)
def test_warps_in_plain_numbers(matrix, align_corners, want, device):
    image = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]], device=device)
    got = warp(image, torch.tensor([matrix], dtype=torch.float32, device=device), align_corners=align_corners)
    torch.testing.assert_close(got[0, 0].cpu(), torch.tensor(want, dtype=torch.float32), rtol=0, atol=1e-5)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (31, 17)], ids=str)
def test_the_identity_warp_reproduces_the_input(size, align_corners, device):
    for dtype, bound in ((torch.float64, 1e-12), (torch.float32, 1e-7 * max(size))):
        image = torch.rand(2, 1, *size, dtype=dtype, device=device)
        for rows in (2, 3):
            for backend, *call in able(2, dtype):
                if call[0] == "bilinear" and call[2] == align_corners:
                    got = warp(image, torch.eye(3, dtype=dtype, device=device)[None, :rows], None, *call, backend=backend)
                    assert (got - image).abs().max() <= bound, (backend, call)


def test_one_image_or_one_matrix_serves_the_batch(device):
    image, matrix = torch.rand(3, 1, 4, 5, dtype=torch.float64, device=device), matrices(3, 2, "projective").to(device)
    for i, m in ((image[:1], matrix), (image, matrix[:1]), (image, matrix)):
        want = torch.cat([warp(i[b % len(i)][None], m[b % len(m)][None]) for b in range(3)])
        torch.testing.assert_close(warp(i, m), want)
    assert warp(image[:0], matrix[:1]).shape == warp(image[:1], matrix[:0]).shape == (0, 1, 4, 5)


@pytest.mark.parametrize("kind", ["affine", "projective"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_warp_has_right_derivatives(ndim, kind, device):
    image = torch.rand(1, 1, *{1: (5,), 2: (3, 4), 3: (2, 2, 3)}[ndim], dtype=torch.float64, device=device, requires_grad=True)
    matrix = matrices(1, ndim, kind).to(device).requires_grad_()
    for backend in ("auto", "reference"):
        assert torch.autograd.gradcheck(lambda i, m, b=backend: warp(i, m, OUTPUT[ndim], "bicubic", "border", backend=b), (image, matrix))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("matrix_dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_16_bit_images_are_warped_at_float32_coordinates(dtype, matrix_dtype, device):
    image = torch.rand(1, 1, 6, 300, device=device).to(dtype)
    matrix = matrices(1, 2, "affine").to(matrix_dtype).to(device)
    wide = torch.promote_types(torch.float32, matrix_dtype)
    got, want = warp(image, matrix), warp(image.to(wide), matrix.to(wide))
    assert got.dtype == dtype
    # the compiled kernels sum in single precision whatever the matrix is, so that a rare tie is rounded the other way
    step = 0 if matrix_dtype != torch.float64 else 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(got, want.to(dtype), rtol=step, atol=0)


@pytest.mark.parametrize("kind", ["affine", "projective"])
def test_autocast_does_not_round_coordinates(kind, device):
    image, matrix = torch.rand(1, 1, 6, 300, device=device), matrices(1, 2, kind).float().to(device)
    want = warp(image, matrix)
    with torch.autocast(device.type, torch.bfloat16):
        got = warp(image, matrix)
    torch.testing.assert_close(got, want, rtol=0, atol=0)


IMAGE, MATRIX = torch.zeros(2, 3, 5, 6), torch.eye(2, 3).expand(2, 2, 3)
HINT = "\n  It maps normalised target points to source points; add the axis that `input` {} or `matrix` lacks with [None]."


@pytest.mark.errors
@pytest.mark.parametrize(
    ("args", "options", "error", "text"),
    [
        ((None, MATRIX), {}, TypeError, "reticle.warp: `input` must be a tensor; got NoneType."),
        (
            (IMAGE.long(), MATRIX),
            {},
            TypeError,
            "reticle.warp: `input` must have a floating dtype or torch.uint8; got torch.int64.\n"
            "  Convert it first, for example input.float().",
        ),
        (
            (IMAGE[0, 0], MATRIX),
            {},
            ValueError,
            "reticle.warp: `input` must have shape (B, C, W), (B, C, H, W) or (B, C, D, H, W); got (5, 6).\n"
            "  Add missing axes with input[None].",
        ),
        (
            (IMAGE[..., :0], MATRIX),
            {},
            ValueError,
            "reticle.warp: `input` must have at least one pixel along every axis; got (2, 3, 5, 0).",
        ),
        (
            (IMAGE, MATRIX[0]),
            {},
            ValueError,
            "reticle.warp: `matrix` must have shape (B, 2, 3) or (B, 3, 3); got (2, 3)." + HINT.format("(2, 3, 5, 6)"),
        ),
        (
            (IMAGE[None], MATRIX),
            {},
            ValueError,
            "reticle.warp: `matrix` must have shape (B, 3, 4) or (B, 4, 4); got (2, 2, 3)." + HINT.format("(1, 2, 3, 5, 6)"),
        ),
        (
            (IMAGE[0], MATRIX),
            {},
            ValueError,
            "reticle.warp: `matrix` must have shape (B, 1, 2) or (B, 2, 2); got (2, 2, 3)." + HINT.format("(3, 5, 6)"),
        ),
        (
            (IMAGE, MATRIX.long()),
            {},
            TypeError,
            "reticle.warp: `matrix` must have a floating dtype; got torch.int64.\n  Convert it first, for example matrix.float().",
        ),
        (
            (IMAGE, MATRIX.to("meta")),
            {},
            ValueError,
            "reticle.warp: `input` and `matrix` must be on one device; got cpu and meta.\n  Move one with .to(device).",
        ),
        (
            (IMAGE, MATRIX[:1].expand(3, 2, 3)),
            {},
            ValueError,
            "reticle.warp: `input` and `matrix` must have the same batch size, or one of them 1; got 2 and 3.",
        ),
        ((IMAGE, MATRIX, (4,)), {}, ValueError, "reticle.warp: `output_size` must be 2 positive whole numbers (H, W); got (4,)."),
        ((IMAGE, MATRIX, (4, 0)), {}, ValueError, "reticle.warp: `output_size` must be 2 positive whole numbers (H, W); got (4, 0)."),
        (
            (IMAGE, MATRIX, None, "bilinea"),
            {},
            ValueError,
            "Unknown mode 'bilinea'. Did you mean 'bilinear'? Known: bicubic, bilinear, bspline3, gaussian, lanczos3, nearest.",
        ),
        (
            (IMAGE, MATRIX),
            {"padding_mode": "constant", "value": (1.0, 2.0)},
            ValueError,
            "reticle.warp: `value` must be a number or one per channel, C = 3; got shape (2,).",
        ),
        (
            (IMAGE, MATRIX, None, "lanczos3"),
            {"backend": "aten"},
            NotImplementedError,
            "reticle.warp: backend 'aten' has no lanczos3 mode.\n  Use backend='auto', or 'reference'.",
        ),
    ],
)
def test_errors_say_what_and_how(args, options, error, text):
    with pytest.raises(error) as e:
        warp(*args, **options)
    assert str(e.value) == text
