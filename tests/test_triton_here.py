"""What of the sampler for GPUs can be shown without one: its arithmetic by an interpreter, its kernels compiled, its absence."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses import FakeTensorMode

from reticle.sampling import Spec
from reticle.sampling import triton as triton_backend
from reticle.sampling.backends import choose

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs the module triton")
once = pytest.mark.skipif(triton_backend.INTERPRETED, reason="this is the interpreter's run already")
QUICK = (
    "equals_the_reference or wild_places or identity or serves_many or nothing_in or bytes or where_it_is_wanted or whole_numbers "
    "or nobody_asked or autocast or explain or (deterministic and float32) or (vmap and affine) or (exported and False)"
)


def python(*args, **environment):
    return subprocess.run([sys.executable, *args], env={**os.environ, **environment}, capture_output=True, text=True)


@pytest.mark.slow
@needs_triton
@once
def test_the_kernels_compute_what_they_should():
    """Some of the tests marked so; all of them, with TRITON_INTERPRET=1 and ``-m interpreter``."""
    files = [str(Path(__file__).with_name(name)) for name in ("test_triton.py", "test_triton_in_torch.py")]
    chosen = ("-m", "interpreter and not slow", "-k", QUICK)
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files, *chosen, TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout


COMPILE = """
import sys, triton, triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from reticle.sampling.triton_kernels.backward import backward
from reticle.sampling.triton_kernels.forward import forward

def build(kernel, pointers, unit, capability, **constants):
    names = kernel.arg_names
    signature = dict.fromkeys(names, "i32") | pointers | dict.fromkeys([*constants, *unit], "constexpr")
    values = {(names.index(k),): v for k, v in (constants | dict.fromkeys(unit, 1)).items()}
    built = triton.compile(ASTSource(kernel, signature, values), target=GPUTarget("cuda", capability, 32), options={"num_warps": 4})
    return "cubin" in built.asm

how = dict(MODE=1, A=tl.float32, W=tl.int32, TX=16)
f, b = dict(input="*fp32", where="*fp32", fill="*fp32", output="*fp32"), dict(grad="*bf16", input="*bf16", where="*fp32", fill="*fp32")
plane = dict(how, NDIM=2, PADDING=0, CORNERS=False, KIND=1, N=256, CB=4, LAST=False)
volume = dict(how, NDIM=3, PADDING=3, CORNERS=True, KIND=2, N=32, CB=16, LAST=True)
assert build(forward, f, ("i_x", "o_x"), 80, **plane, SOFT=False)
assert build(forward, f, (), 80, **{**plane, "KIND": 0, "PADDING": 4, "CORNERS": True, "MODE": 3, "W": tl.int64}, SOFT=False)
sums = dict(scale="*fp32", grad_input="*fp32", grad_where="*fp32")
assert build(backward, b | sums, ("g_x", "i_x", "t_x"), 80, **plane, TO_INPUT=True, TO_WHERE=True, FIXED=False)
whole = dict(sums, grad_input="*i64")
assert build(backward, b | whole, ("g_c", "i_c", "t_c"), 90, **volume, TO_INPUT=True, TO_WHERE=True, FIXED=True)
"""


@pytest.mark.slow
@needs_triton
def test_the_kernels_compile_for_gpus_that_are_not_here(tmp_path):
    done = python("-c", COMPILE, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]


def told(code, **environment):
    done = python("-c", code, **environment)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.strip()


WHY = "import sys; from reticle.sampling import triton; assert 'triton' not in sys.modules; print(triton.why_not())"


def test_importing_the_library_imports_no_triton_and_its_absence_is_a_reason():
    found = told(WHY)
    assert found == ("None" if importlib.util.find_spec("triton") else "needs the module triton, which is not installed")
    assert told(WHY, RETICLE_TRITON="0") == "is switched off by RETICLE_TRITON=0"


def test_a_broken_triton_is_a_reason_not_an_error(tmp_path):
    (tmp_path / "triton.py").write_text("raise ImportError('libcuda is not what it was')")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    assert told(WHY, PYTHONPATH=path) == "cannot be imported: libcuda is not what it was"
    said = told("from reticle import info; print(info.describe())", PYTHONPATH=path)
    assert "triton    cannot be imported: libcuda is not what it was" in said.splitlines()


@once
def test_it_is_chosen_on_a_gpu_and_missed_there(monkeypatch):
    spec = Spec("cuda", torch.float32, 2, "bicubic", "wrap", True)
    monkeypatch.setitem(triton_backend._known, "reason", None)
    assert choose("f", spec).name == "triton" and choose("f", spec._replace(mode="lanczos3")).name == "reference"
    monkeypatch.setitem(triton_backend._known, "reason", "is not there")
    assert choose("f", spec).name == "reference"
    with pytest.raises(NotImplementedError, match="backend 'triton' is not there"):
        choose("f", spec, "triton")


@pytest.mark.compile
def test_the_operators_are_known_without_triton_and_without_a_gpu():
    """What a compiler or an exported program asks of them: shapes, layout, gradients."""
    with FakeTensorMode():
        image = torch.empty(4, 3, 8, 9, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last).requires_grad_()
        matrix = torch.empty(1, 2, 3, requires_grad=True)
        output = torch.ops.reticle.triton_warp(image, matrix, (5, 6), 1, 0, False, None)
        assert output.shape == (4, 3, 5, 6) and output.dtype == torch.bfloat16
        assert output.is_contiguous(memory_format=torch.channels_last)
        gradients = torch.autograd.grad(output.sum(), (image, matrix))
        assert [g.shape for g in gradients] == [image.shape, matrix.shape]
