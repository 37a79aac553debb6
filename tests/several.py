"""How are several runs trained in a test, together or each alone, and when do they have the same curve?"""

import pytest
import tiny
import torch
from helpers import threads
from killing import history
from safetensors.torch import load_file

from reticle.together import fit_together
from reticle.train import fit
from reticle.training.runs import Run


def seeds(count, **changes):
    """Recipes that differ in the seed, and draw nothing by chance."""
    return [tiny.recipe(seed=seed, **{"model": {"dropout": 0.0}} | changes) for seed in range(count)]


def runs(folder, recipes):
    return [Run(folder / str(number)) for number in range(len(recipes))]


def train(folder, recipes, **options):
    """Train all together; their runs."""
    fit_together(recipes, [run.path for run in runs(folder, recipes)], **options)
    return runs(folder, recipes)


def alone(folder, recipes):
    """Train one after another, each on one core; their runs."""
    with threads(1):
        for recipe, run in zip(recipes, runs(folder, recipes), strict=True):
            fit(recipe, run.path)
    return runs(folder, recipes)


def assert_same_curve(a, b, *, rtol):
    for old, new in zip(history(a), history(b), strict=True):
        assert old == pytest.approx(new, rel=rtol), old
    torch.testing.assert_close(load_file(a.weights), load_file(b.weights), rtol=rtol, atol=rtol)
    assert (a.path / "checkpoint.pt").stat().st_size == (b.path / "checkpoint.pt").stat().st_size  # no other's weights are in it
    assert {file.name for file in a.path.iterdir()} == {file.name for file in b.path.iterdir()}
