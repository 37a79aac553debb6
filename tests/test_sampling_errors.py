"""What the sampler says of a wrong argument, to the letter."""

import math
import re

import numpy as np
import pytest
import torch

from reticle import Mode, grid_sample

IMAGE, GRID = torch.zeros(2, 3, 5, 6), torch.zeros(2, 4, 4, 2)
FN = "reticle.grid_sample: "
NUMBERS = "`value` must be a real number, or a sequence or tensor of real numbers; got {}."
DENSE = "`{0}` must be dense; got {1}.\n  Convert it first with {0}.to_dense()."


@pytest.mark.errors
@pytest.mark.parametrize(
    ("args", "options", "error", "text"),
    [
        ((None, GRID), {}, TypeError, FN + "`input` must be a tensor; got NoneType."),
        ((IMAGE, GRID), {"align_corners": "no"}, TypeError, FN + "`align_corners` must be True or False; got 'no'."),
        ((IMAGE, [0.0]), {}, TypeError, FN + "`grid` must be a tensor; got list."),
        (
            (IMAGE.long(), GRID),
            {},
            TypeError,
            FN + "`input` must have a floating dtype or torch.uint8; got torch.int64.\n  Convert it first, for example input.float().",
        ),
        (
            (IMAGE, GRID.long()),
            {},
            TypeError,
            FN + "`grid` must have a floating dtype; got torch.int64.\n  Convert it first, for example grid.float().",
        ),
        (
            (IMAGE[0, 0], GRID),
            {},
            ValueError,
            FN + "`input` must have shape (B, C, W), (B, C, H, W) or (B, C, D, H, W); got (5, 6).\n  Add missing axes with input[None].",
        ),
        ((IMAGE[:, :, :0], GRID), {}, ValueError, FN + "`input` must have at least one pixel along every axis; got (2, 3, 0, 6)."),
        (
            (IMAGE, GRID.movedim(-1, 1)),
            {},
            ValueError,
            FN + "`grid` must have shape (B, H_out, W_out, 2); got (2, 2, 4, 4).\n"
            "  The last axis holds (x, y); for flows stored (B, 2, H, W) call grid.movedim(1, -1).",
        ),
        (
            (IMAGE[0], GRID),
            {},
            ValueError,
            FN + "`grid` must have shape (B, W_out, 1); got (2, 4, 4, 2).\n  The last axis holds (x,).",
        ),
        (
            (IMAGE[None], GRID),
            {},
            ValueError,
            FN + "`grid` must have shape (B, D_out, H_out, W_out, 3); got (2, 4, 4, 2).\n"
            "  The last axis holds (x, y, z); for flows stored (B, 3, D, H, W) call grid.movedim(1, -1).",
        ),
        (
            (IMAGE, GRID.to("meta")),
            {},
            ValueError,
            FN + "`input` and `grid` must be on one device; got cpu and meta.\n  Move one with .to(device).",
        ),
        (
            (IMAGE, GRID[:1].repeat(3, 1, 1, 1)),
            {},
            ValueError,
            FN + "`input` and `grid` must have the same batch size, or one of them 1; got 2 and 3.",
        ),
        (
            (IMAGE, GRID, "bilinaer"),
            {},
            ValueError,
            "Unknown mode 'bilinaer'. Did you mean 'bilinear'? Known: bicubic, bilinear, bspline3, gaussian, lanczos3, nearest.",
        ),
        (
            (IMAGE, GRID, "bilinear", "zero"),
            {},
            ValueError,
            "Unknown padding_mode 'zero'. Did you mean 'zeros'? Known: border, constant, reflection, wrap, zeros.",
        ),
        (
            (IMAGE, GRID),
            {"padding_mode": "constant", "value": [1.0, 2.0]},
            ValueError,
            FN + "`value` must be a number or one per channel, C = 3; got shape (2,).",
        ),
        (
            (IMAGE, GRID),
            {"padding_mode": "constant", "value": torch.zeros(3, 1)},
            ValueError,
            FN + "`value` must be a number or one per channel, C = 3; got shape (3, 1).",
        ),
        (
            (IMAGE, GRID),
            {"padding_mode": "constant", "value": math.inf},
            ValueError,
            FN + "`value` must be finite in torch.float32; got inf.",
        ),
        (
            (IMAGE.half(), GRID),
            {"padding_mode": "constant", "value": [0.0, 1e5, 0]},
            ValueError,
            FN + "`value` must be finite in torch.float16; got [0.0, 100000.0, 0].",
        ),
        (
            (IMAGE, GRID),
            {"padding_mode": "constant", "value": np.array([0, np.inf, 0])},
            ValueError,
            FN + "`value` must be finite in torch.float32; got array([ 0., inf,  0.]).",
        ),
        ((IMAGE, GRID), {"padding_mode": "constant", "value": "a"}, TypeError, FN + NUMBERS.format("'a'")),
        ((IMAGE, GRID), {"padding_mode": "constant", "value": None}, TypeError, FN + NUMBERS.format("None")),
        ((IMAGE, GRID), {"padding_mode": "constant", "value": 1j}, TypeError, FN + NUMBERS.format("1j")),
        ((IMAGE, GRID), {"padding_mode": "constant", "value": [0.0, "a", 1.0]}, TypeError, FN + NUMBERS.format("[0.0, 'a', 1.0]")),
        (
            (IMAGE, GRID),
            {"padding_mode": "constant", "value": torch.zeros(3, dtype=torch.complex64)},
            TypeError,
            FN + NUMBERS.format("torch.complex64"),
        ),
        (
            (IMAGE, GRID),
            {"padding_mode": "constant", "value": torch.zeros(3).to_sparse()},
            ValueError,
            FN + DENSE.format("value", "torch.sparse_coo"),
        ),
        (
            (IMAGE.to(torch.float8_e5m2), GRID),
            {},
            TypeError,
            FN + "`input` must have a floating dtype of 16 bits or more or torch.uint8; got torch.float8_e5m2.\n"
            "  Convert it first, for example input.float().",
        ),
        (
            (IMAGE, GRID.to(torch.float8_e5m2)),
            {},
            TypeError,
            FN + "`grid` must have a floating dtype of 16 bits or more; got torch.float8_e5m2.\n"
            "  Convert it first, for example grid.float().",
        ),
        ((IMAGE.to_sparse(), GRID), {}, ValueError, FN + DENSE.format("input", "torch.sparse_coo")),
        ((IMAGE, GRID.to_mkldnn()), {}, ValueError, FN + DENSE.format("grid", "torch._mkldnn")),
        ((IMAGE, GRID), {"out": torch.zeros(2, 3, 4, 4).to_sparse()}, ValueError, FN + DENSE.format("out", "torch.sparse_coo")),
        ((IMAGE, GRID), {"backend": "cuda"}, ValueError, "reticle: unknown backend 'cuda'. Known: auto, native, triton, aten, reference."),
    ],
)
def test_errors_say_what_and_how(args, options, error, text):
    with pytest.raises(error) as e:
        grid_sample(*args, **options)
    assert str(e.value) == text


@pytest.mark.parametrize("value", [2, 2.0, (2.0, 2, True + 1), np.float32(2), np.full(3, 2), torch.full((3,), 2), [torch.tensor(2.0)] * 3])
def test_a_value_may_be_any_real_number_or_several(value):
    outside = torch.full_like(GRID, 9.0)
    assert (grid_sample(IMAGE, outside, padding_mode="constant", value=value) == 2).all()


@pytest.mark.errors
@pytest.mark.parametrize(
    ("phi", "error", "text"),
    [
        (
            lambda d: d.sum(-1),
            ValueError,
            "Mode: `phi(d)` must have the shape of d, (2, 16, 2); got (2, 16).\n  It gives each pixel its weight, elementwise.",
        ),
        (
            lambda d: torch.ones(2),
            ValueError,
            "Mode: `phi(d)` must have the shape of d, (2, 16, 2); got (2,).\n  It gives each pixel its weight, elementwise.",
        ),
        (lambda d: 0.5, TypeError, "Mode: `phi(d)` must be a tensor; got float."),
    ],
    ids=["summed", "a table", "a number"],
)
def test_kernel_of_another_shape_is_explained(phi, error, text):
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        grid_sample(IMAGE, GRID, Mode(phi, support=2))
