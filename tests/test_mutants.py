"""Mutants are only worth running while they change something: each must find its line in the code, and only one."""

import mutants
import pytest


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda m: f"{m.file}: {m.old}")
def test_each_mutant_changes_one_place(mutant):
    assert (mutants.ROOT / "src/reticle" / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
