"""What holds with the largest vectors holds with smaller ones: the tests of both kinds of kernels that have several, once more.

And what one compiler takes the other does."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from native_checks import assert_passes_as, compiled

from reticle.sampling import native

HERE = Path(__file__).parent
SOURCES = sorted((HERE.parent / "src/reticle/csrc").glob("*.cpp"))
SET = native.WHY_NOT or native.instruction_set()


@pytest.mark.skipif(SET not in ("avx512", "avx512vbmi"), reason="no vectors of sixteen numbers here")
@pytest.mark.skipif("RETICLE_ISA" in os.environ, reason="this is what is run")
@pytest.mark.parametrize(
    "file", ["test_native_strips.py", "test_native_lookups.py", "test_native_cubic.py", "test_native_given.py", "test_native_loads.py"]
)
def test_with_vectors_of_eight_numbers(file):
    assert_passes_as("avx2", HERE / file)


@pytest.mark.skipif(SET != "avx512vbmi", reason="no bytes are moved here")
@pytest.mark.skipif("RETICLE_ISA" in os.environ, reason="this is what is run")
def test_with_words_moved_in_place_of_bytes():
    assert_passes_as("avx512", HERE / "test_native_strips.py", HERE / "test_native_cubic.py")


@compiled
@pytest.mark.skipif("RETICLE_ISA" in os.environ, reason="this is what is run")
def test_with_what_every_processor_has():
    assert_passes_as("baseline", HERE / "test_native_given.py")


@compiled
@pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump")
def test_what_instruction_sets_share_runs_on_any_processor():
    """Of parts of the standard library the linker keeps one copy for all: it must not be that of the largest vectors."""
    library = Path(native.__file__).with_name("_native.so")
    code = subprocess.run(["objdump", "-d", "-C", "--no-show-raw-insn", library], capture_output=True, text=True, check=True).stdout
    functions = dict(re.findall(r"^[0-9a-f]+ <(.+)>:\n((?:.+\n)+)", code, flags=re.MULTILINE))
    assert functions
    assert not [name for name, body in functions.items() if re.match(r"(void )?std::", name) and re.search(r"%[yz]mm|\tv[a-z0-9]+ ", body)]


@pytest.mark.skipif(shutil.which("clang++") is None, reason="needs Clang")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="some sources are for x86 alone")
@pytest.mark.parametrize("source", SOURCES, ids=lambda f: f.stem)
def test_clang_compiles(source):
    largest = ["-march=icelake-server"] if "_avx" in source.stem else []
    oldest = "-DTORCH_TARGET_VERSION=0x020b000000000000"
    command = ["clang++", "-std=c++17", "-fsyntax-only", oldest, *largest, f"-I{Path(torch.__file__).with_name('include')}", source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
