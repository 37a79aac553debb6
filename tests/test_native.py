"""The compiled sampler as torch sees it: its operators obey torch's rules, and no argument whatever can crash them."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import TOL, off_kink_grid

from reticle import grid_sample, warp
from reticle.sampling import native

pytestmark = pytest.mark.skipif(native.WHY_NOT is not None, reason=f"native {native.WHY_NOT}")
SIZES = {1: ((5,), (4,)), 2: ((4, 5), (3, 2)), 3: ((2, 3, 4), (2, 1, 3))}  # input, output


def tensors(ndim, dtype=torch.float64, batch=(2, 2)):
    """An image, a projective matrix and a grid."""
    size, out = SIZES[ndim]
    image = torch.rand(batch[0], 3, *size, dtype=dtype)
    matrix = torch.eye(ndim + 1, dtype=torch.float64) + 0.1 * torch.rand(batch[1], ndim + 1, ndim + 1, dtype=torch.float64)
    grid = off_kink_grid(batch[1], out, size)
    coordinates = torch.float64 if dtype == torch.float64 else torch.float32
    return image, matrix.to(coordinates), grid.to(coordinates)


@pytest.mark.compile
@pytest.mark.parametrize(("ndim", "batch", "mode", "padding"), [(1, (2, 2), 1, 0), (2, (1, 3), 2, 1), (3, (3, 1), 3, 3)])
@pytest.mark.parametrize("name", ["warp", "grid_sample"])
def test_the_operators_obey_the_rules_of_torch(name, ndim, batch, mode, padding):
    image, matrix, grid = tensors(ndim, batch=batch)
    out, ops, fill = SIZES[ndim][1], torch.ops.reticle, torch.rand(3, dtype=torch.float64)
    where, size = (matrix, [list(out)]) if name == "warp" else (grid, [])
    leaves = image.clone().requires_grad_(), where.clone().requires_grad_()
    grad = torch.rand(max(batch), 3, *out, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(getattr(ops, name).default, (*leaves, *size, mode, padding, False, fill))
    torch.library.opcheck(getattr(ops, f"{name}_backward").default, (grad, *leaves, mode, padding, True, fill, True, True))
    torch.library.opcheck(getattr(ops, f"{name}_into").default, (image, where, mode, padding, True, fill, grad.detach()))


@pytest.mark.compile
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8], ids=str)
@pytest.mark.parametrize("ndim", [2, 3])
def test_the_operators_say_how_their_output_lies_in_memory(ndim, dtype):
    layout = {2: torch.channels_last, 3: torch.channels_last_3d}[ndim]
    image, matrix, grid = tensors(ndim, torch.float32)
    for x in (image, image.contiguous(memory_format=layout), image[:, :1], image.mT.contiguous().mT):
        x = (255 * x).to(dtype)
        torch.library.opcheck(torch.ops.reticle.warp.default, (x, matrix, list(SIZES[ndim][1]), 1, 0, False, None))
        torch.library.opcheck(torch.ops.reticle.grid_sample.default, (x, grid, 1, 2, False, None))


IMAGE, MATRIX, GRID = torch.rand(2, 3, 4, 5), torch.eye(2, 3).repeat(2, 1, 1), torch.zeros(2, 3, 2, 2)
NONSENSE = [
    torch.rand(()),
    torch.rand(3),
    torch.rand(2, 3),
    torch.rand(0),
    torch.rand(3, 3, 4, 5),
    torch.rand(2, 3, 0, 5),
    torch.rand(2, 3, 4, 5).int(),
    torch.rand(2, 3, 4, 5).to(torch.complex64),
    torch.rand(2, 3, 4, 5, dtype=torch.float64),
    torch.rand(2, 3, 4, 5, 6, 7),
    torch.rand(2, 3, 4, 5, device="meta"),
    torch.rand(2, 3, 4, 5).to_sparse(),
    torch.rand(2, 3, 3),
    torch.rand(2, 4, 4).half(),
    torch.rand(1, 1, 1, 1).expand(2, 3, 3, 2),
]


@pytest.mark.errors
@pytest.mark.parametrize("name", ["warp", "warp_into", "warp_backward", "grid_sample", "grid_sample_into", "grid_sample_backward"])
def test_any_tensor_in_any_place_is_an_error_or_an_answer(name):
    op, where = getattr(torch.ops.reticle, name).default, MATRIX if name.startswith("warp") else GRID
    right = [IMAGE, where, 1, 1, False, torch.zeros(3)]
    if name == "warp":
        right.insert(2, [3, 2])
    elif name.endswith("into"):
        right.append(torch.empty(2, 3, 3, 2))
    elif name.endswith("backward"):
        right = [torch.rand(2, 3, 3, 2), *right, True, True]
    op(*right)
    places = [k for k, argument in enumerate(right) if isinstance(argument, torch.Tensor)]
    refused = 0
    for place, wrong in itertools.product(places, NONSENSE):
        try:
            op(*right[:place], wrong, *right[place + 1 :])
        except (RuntimeError, NotImplementedError):
            refused += 1
    assert refused > 0.7 * len(places) * len(NONSENSE)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({2: [3]}, "`output_size` must have one size per axis"),
        ({2: [3, 0]}, "`output_size` must be positive"),
        ({2: [3, -2]}, "`output_size` must be positive"),
        ({2: [2**40, 1]}, "`output_size` must be positive, at most"),
        ({0: IMAGE[:1].expand(16, 3, 4, 5), 1: MATRIX[:1], 2: [2**30, 2**30]}, "the output is too large"),
        ({3: -1}, "there is no mode -1"),
        ({3: 4}, "there is no mode 4"),
        ({4: 5}, "there is no padding 5"),
        ({0: IMAGE[..., :0]}, "`input` must have at least one pixel along every axis"),
        ({0: IMAGE.int()}, "`input` must be float32, float64, float16, bfloat16 or uint8"),
        ({1: MATRIX[:, :1]}, "`matrix` must have shape"),
        ({1: MATRIX.half()}, "coordinates must be float32 or float64"),
        ({1: MATRIX.repeat(2, 1, 1)}, "batches must be equal or 1; got 2 and 4"),
        ({6: torch.zeros(2)}, "`fill` must hold one floating value per channel"),
    ],
    ids=lambda x: x if isinstance(x, str) else f"argument {min(x)}",
)
def test_the_operators_say_what_is_wrong(change, text):
    right = [IMAGE, MATRIX, [3, 2], 1, 1, False, torch.zeros(3)]
    for place, wrong in change.items():
        right[place] = wrong
    with pytest.raises(RuntimeError, match=text):
        torch.ops.reticle.warp(*right)


@pytest.mark.errors
def test_an_output_that_overlaps_itself_is_refused():
    with pytest.raises(RuntimeError, match="must not share memory"):
        torch.ops.reticle.warp_into(IMAGE, MATRIX, 1, 0, False, None, torch.empty(2, 3, 3, 1).expand(2, 3, 3, 2))
    with pytest.raises(RuntimeError, match="must not share memory"):
        torch.ops.reticle.warp_into(IMAGE, MATRIX, 1, 0, False, None, torch.empty(40).as_strided((2, 3, 3, 2), (10, 3, 2, 1)))


def run(code, **environment):
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def test_it_can_be_switched_off_and_everything_works():
    code = """
import torch, reticle
print(reticle.explain(torch.rand(1, 1, 4, 4), torch.eye(2, 3)[None]))
x = torch.rand(1, 1, 4, 4, requires_grad=True)
reticle.warp(x, torch.eye(2, 3)[None], padding_mode="wrap").sum().backward()
assert torch.allclose(x.grad, torch.ones_like(x))
"""
    said = run(code, RETICLE_NATIVE="0", TRITON_INTERPRET="0").splitlines()
    assert said == [
        "native     is switched off by RETICLE_NATIVE=0",
        "triton     computes on GPUs, not on cpu",
        "aten       chosen",
        "reference  able",
    ]


@pytest.mark.parametrize("content", [None, b"", b"not a library"], ids=str)
def test_a_library_that_cannot_be_loaded_is_a_reason_not_an_error(content, tmp_path):
    file = tmp_path / "_native.so"
    if content is not None:
        file.write_bytes(content)
    said = run("from reticle.sampling import native; print(native.WHY_NOT)", RETICLE_NATIVE=str(file))
    assert said.startswith("was not built: " if content is None else "cannot be loaded: ")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="cannot count threads here")
def test_a_small_call_wakes_no_other_thread():
    code = """
import os, torch, reticle
torch.set_num_threads(2)
counts = [len(os.listdir("/proc/self/task"))]
for size in (8, 80):
    reticle.warp(torch.rand(4, 1, size, size), torch.eye(2, 3).repeat(4, 1, 1), backend="native")
    counts.append(len(os.listdir("/proc/self/task")))
print(counts[1] - counts[0], counts[2] - counts[1])
"""
    assert run(code) == "0 1"


def test_the_instruction_set_can_be_held_back():
    code = "from reticle.sampling import native; print(native.instruction_set())"
    assert run(code, RETICLE_ISA="baseline") == "baseline"
    assert run(code, RETICLE_ISA="avx2") in ("avx2", "baseline")
    assert run(code, RETICLE_ISA="avx512") != "avx512vbmi"
    assert run(code) == native.instruction_set() or "RETICLE_ISA" in os.environ


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_16_bit_results_are_those_of_float32_rounded(dtype):
    """Coordinates, weights and sums of the kernels are single precision."""
    for ndim in (1, 2, 3):
        image, matrix, grid = tensors(ndim, dtype)
        for mode, padding in itertools.product(("nearest", "bilinear", "bicubic", "bspline3"), ("zeros", "reflection")):
            for sample, where in ((warp, matrix), (grid_sample, grid)):
                got = sample(image, where, mode=mode, padding_mode=padding, backend="native")
                want = sample(image.float(), where, mode=mode, padding_mode=padding, backend="reference")
                assert got.dtype == dtype
                torch.testing.assert_close(got, want.to(dtype), **TOL[dtype])
