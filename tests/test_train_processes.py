"""Training by two processes of torchrun: they are one run, and what they measure is what they save."""

import subprocess
import sys

import pytest
import tiny
import torch
from killing import environment, history
from safetensors.torch import load_file

from reticle.recipe import dump
from reticle.train import fit
from reticle.training.results import read_result
from reticle.training.runs import Run

EVALUATION = """
import torch
from torch import nn
from reticle.training.evaluation import mean_mistake
from reticle.training.parallel import processes

with processes() as place:
    model = nn.BatchNorm1d(1)
    model.running_mean.fill_(place.rank)
    model.register_buffer("turned", torch.full((2, 3), place.rank).T)
    images = torch.zeros(500, 1)
    error = mean_mistake(model, images, images, mistakes=lambda outputs, targets: (outputs - targets).abs(), place=place)
    if place.rank == 1:
        print(error, model.running_mean.item(), model.turned.tolist())
"""


def by_two(*command):
    """Run ``command`` in two processes."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run([*torchrun, *command], env=environment(), check=True, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_two_processes_of_torchrun_are_one_run(tmp_path):
    recipe = tiny.recipe(model={"dropout": 0.0})
    (tmp_path / "tiny.yaml").write_text(dump(recipe))
    done = by_two("-m", "reticle", "train", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "two"))
    assert done.stdout.count("error_percent") == done.stderr.count("step 30 of 30") == 1  # one of them speaks
    fit(recipe, tmp_path / "one")
    one, two = Run(tmp_path / "one"), Run(tmp_path / "two")
    assert read_result(two).processes == 2 and read_result(one).processes == 1
    for a, b in zip(history(one), history(two), strict=True):
        assert a == pytest.approx(b, abs=1e-5)
    torch.testing.assert_close(load_file(one.weights), load_file(two.weights), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_two_processes_measure_what_the_first_one_saves(tmp_path):
    # statistics of batch normalisation are each process's own, and both evaluate a part of the test set
    (tmp_path / "evaluation.py").write_text(EVALUATION)
    assert by_two(str(tmp_path / "evaluation.py")).stdout == "0.0 0.0 [[0, 0], [0, 0], [0, 0]]\n"
