"""How is a run killed in a test, what does a process of its own need, and when are two runs the same?"""

import os
from pathlib import Path

import torch
from safetensors.torch import load_file

from reticle.training.checkpoint import load_checkpoint
from reticle.training.results import read_result


class Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


def kill_at(monkeypatch, owner, name, *, call, before=True):
    """Let the ``call``-th call of ``owner.name`` be the last thing that happens."""
    real, calls = getattr(owner, name), []

    def last(*args, **kwargs):
        calls.append(args)
        if len(calls) == call and before:
            raise Killed
        answer = real(*args, **kwargs)
        if len(calls) == call:
            raise Killed
        return answer

    monkeypatch.setattr(owner, name, last)


def environment():
    """For a process that imports what the tests import, on one core."""
    tests = Path(__file__).parent
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent / "src")]), "OMP_NUM_THREADS": "1"}


def history(run):
    """The metrics, without what depends on the clock."""
    return [{key: value for key, value in record.items() if key != "images_per_s"} for record in run.read_metrics()]


def assert_same_run(a, b):
    """Bit for bit: weights, state of the optimizer, metrics, snapshots, result."""
    for old, new in ((load_file(a.weights), load_file(b.weights)), (load_checkpoint(a.checkpoint), load_checkpoint(b.checkpoint))):
        torch.testing.assert_close(old | {"seconds": 0}, new | {"seconds": 0}, rtol=0, atol=0)
    assert history(a) == history(b)
    assert read_result(a).value == read_result(b).value
    snapshots = sorted(file.name for file in a.snapshots.iterdir())
    assert snapshots == sorted(file.name for file in b.snapshots.iterdir())
    for name in snapshots:
        torch.testing.assert_close(load_file(a.snapshots / name), load_file(b.snapshots / name), rtol=0, atol=0)
