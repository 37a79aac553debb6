"""What holds with the largest vectors holds with smaller ones: the tests of both kinds of kernels that have several, once more."""

import os
from pathlib import Path

import pytest
from native_checks import assert_passes_with_vectors_of_eight_numbers

from reticle.sampling import native

HERE = Path(__file__).parent


@pytest.mark.skipif(native.WHY_NOT is not None or native.instruction_set() != "avx512", reason="no vectors of sixteen numbers here")
@pytest.mark.skipif("RETICLE_ISA" in os.environ, reason="this is what is run")
@pytest.mark.parametrize("file", ["test_native_strips.py", "test_native_lookups.py"])
def test_with_vectors_of_eight_numbers(file):
    assert_passes_with_vectors_of_eight_numbers(HERE / file)
