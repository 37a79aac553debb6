"""Every argument error speaks in one voice; each text is pinned."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reticle import checks

X = torch.zeros(2, 5)


@pytest.mark.parametrize(("shape", "sizes"), [("B P", {}), ("2 P", {}), ("B P", {"P": 5}), ("B P", {"B": 2, "P": 5}), ("B P", {"Q": 7})])
def test_a_right_shape_passes(shape, sizes):
    checks.check_shape("f", "x", X, shape, **sizes)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("shape", "options", "text"),
    [
        ("B P", {"P": 6}, "f: `x` must have shape (B, P), P = 6; got (2, 5)."),
        ("B P", {"P": 5, "B": 3}, "f: `x` must have shape (B, P), P = 5, B = 3; got (2, 5)."),
        ("3 P", {"Q": 1}, "f: `x` must have shape (3, P); got (2, 5)."),
        ("B N 2", {}, "f: `x` must have shape (B, N, 2); got (2, 5)."),
        ("B", {}, "f: `x` must have shape (B); got (2, 5)."),
        ("B 4", {"hint": "Transpose it."}, "f: `x` must have shape (B, 4); got (2, 5).\n  Transpose it."),
    ],
)
def test_a_wrong_shape_is_explained(shape, options, text):
    with pytest.raises(ValueError) as e:
        checks.check_shape("f", "x", X, shape, **options)
    assert str(e.value) == text


@pytest.mark.errors
@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: checks.check_tensor("f", "x", [1.0]), "f: `x` must be a tensor; got list."),
        (lambda: checks.check_shape("f", "x", None, "B"), "f: `x` must be a tensor; got NoneType."),
        (lambda: checks.check_floating("f", "x", 1.0), "f: `x` must be a tensor; got float."),
        (
            lambda: checks.check_floating("f", "x", X.long()),
            "f: `x` must have a floating dtype; got torch.int64.\n  Convert it first, for example x.float().",
        ),
        (
            lambda: checks.check_floating("f", "x", X.to(torch.complex64)),
            "f: `x` must have a floating dtype; got torch.complex64.\n  Convert it first, for example x.float().",
        ),
        (
            lambda: checks.check_floating("f", "x", X.to(torch.float8_e4m3fn)),
            "f: `x` must have a floating dtype of 16 bits or more; got torch.float8_e4m3fn.\n  Convert it first, for example x.float().",
        ),
    ],
)
def test_a_wrong_type_is_explained(call, text):
    with pytest.raises(TypeError) as e:
        call()
    assert str(e.value) == text


@pytest.mark.errors
@pytest.mark.parametrize(("x", "layout"), [(X.to_sparse(), "torch.sparse_coo"), (X.to_mkldnn(), "torch._mkldnn")])
def test_a_layout_that_is_not_dense_is_explained(x, layout):
    with pytest.raises(ValueError) as e:
        checks.check_floating("f", "x", x)
    assert str(e.value) == f"f: `x` must be dense; got {layout}.\n  Convert it first with x.to_dense()."


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floating_dtypes_pass(dtype):
    checks.check_floating("f", "x", X.to(dtype))


@pytest.mark.errors
def test_two_devices_are_named():
    checks.check_device("f", "a", X, "b", X)
    with pytest.raises(ValueError) as e:
        checks.check_device("f", "a", X, "b", X.to("meta"))
    assert str(e.value) == "f: `a` and `b` must be on one device; got cpu and meta.\n  Move one with .to(device)."


@pytest.mark.errors
def test_batches_are_equal_or_one():
    for m, n in [(2, 2), (1, 3), (3, 1), (0, 1), (0, 0)]:
        checks.check_batch("f", "a", torch.zeros(m), "b", torch.zeros(n))
    for m, n in [(2, 3), (0, 2)]:
        with pytest.raises(ValueError) as e:
            checks.check_batch("f", "a", torch.zeros(m), "b", torch.zeros(n))
        assert str(e.value) == f"f: `a` and `b` must have the same batch size, or one of them 1; got {m} and {n}."


def test_sizes_come_back_as_a_tuple():
    assert checks.check_size("f", "size", [3, 4]) == (3, 4)
    assert checks.check_size("f", "size", torch.Size([2, 3, 4]), 3) == (2, 3, 4)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("size", "ndim", "text"),
    [
        ((3,), 2, "f: `size` must be 2 positive whole numbers (H, W); got (3,)."),
        ((3, 4), 1, "f: `size` must be 1 positive whole numbers (W,); got (3, 4)."),
        ((3, 4), 3, "f: `size` must be 3 positive whole numbers (D, H, W); got (3, 4)."),
        ((0, 4), None, "f: `size` must be positive whole numbers (H, W) or (D, H, W); got (0, 4)."),
        ((3, -4), None, "f: `size` must be positive whole numbers (H, W) or (D, H, W); got (3, -4)."),
        ((3.0, 4), 2, "f: `size` must be 2 positive whole numbers (H, W); got (3.0, 4)."),
        ((True, 4), 2, "f: `size` must be 2 positive whole numbers (H, W); got (True, 4)."),
        (7, 2, "f: `size` must be 2 positive whole numbers (H, W); got 7."),
        ("34", 2, "f: `size` must be 2 positive whole numbers (H, W); got '34'."),
        ((), None, "f: `size` must be positive whole numbers (H, W) or (D, H, W); got ()."),
    ],
)
def test_a_wrong_size_is_explained(size, ndim, text):
    with pytest.raises(ValueError) as e:
        checks.check_size("f", "size", size, ndim)
    assert str(e.value) == text


def test_finite_numbers_and_all_tensors_pass():
    for value in (0, -1.5, 65504.0, True, [1.0, 2], (), torch.tensor(torch.inf), [torch.tensor(torch.nan)]):
        checks.check_finite("f", "value", value, torch.float16)


@pytest.mark.errors
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 65536, -1e300, np.float32("nan"), [0.0, math.nan], (1, math.inf)], ids=str
)
def test_a_number_that_is_not_finite_is_explained(value):
    with pytest.raises(ValueError) as e:
        checks.check_finite("f", "value", value, torch.float16)
    assert str(e.value) == f"f: `value` must be finite in torch.float16; got {value!r}."


@pytest.mark.errors
@pytest.mark.parametrize("n", [0, -1, 1.0, True, "2", None, SimpleNamespace()])
def test_a_count_is_a_whole_number_of_at_least_one(n):
    checks.check_positive_int("f", "n", 1)
    with pytest.raises(ValueError) as e:
        checks.check_positive_int("f", "n", n)
    assert str(e.value) == f"f: `n` must be a whole number of at least 1; got {n!r}."
