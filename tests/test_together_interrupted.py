"""Many at a time: killed at any point, each goes on to the same weights, among the same others, in turn, or alone."""

import os
import signal
import threading
import time

import pytest
import tiny
from helpers import threads
from killing import Killed, assert_same_run, kill_at
from several import alone, assert_same_curve, runs, seeds, train

from reticle.together.stack import settle
from reticle.train import fit
from reticle.training import interrupt
from reticle.training.checkpoint import load_checkpoint


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory):
    return train(tmp_path_factory.mktemp("never killed"), seeds(2), stack=True)


def kill_and_go_on(folder, monkeypatch, owner, name, **when):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, owner, name, **when)
        train(folder, seeds(2), stack=True)
    return train(folder, seeds(2), stack=True, resume=True)


@pytest.mark.parametrize("call", [1, 4, 21, 24, 41, 62])  # the first is the trial
def test_stack_killed_at_a_step_goes_on_bit_for_bit(tmp_path, monkeypatch, never_killed, call):
    for a, b in zip(kill_and_go_on(tmp_path, monkeypatch, tiny.Corners, "train_batch", call=call), never_killed, strict=True):
        assert_same_run(a, b)


@pytest.mark.parametrize(("stack", "count"), [(True, 1), (False, 1), (False, 2)], ids=["stacked", "in turn", "side by side"])
def test_ctrl_c_saves_all(tmp_path, monkeypatch, never_killed, stack, count):
    batch, sent, noted = tiny.Corners.train_batch, threading.Event(), threading.Event()

    class Watched(interrupt.Stop):
        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if value:
                noted.set()

    def interrupted(self, step, *args, **kwargs):
        if step == 6 and not sent.is_set():
            sent.set()
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            assert noted.wait(60)  # the main thread has the signal when it next wakes
        return batch(self, step, *args, **kwargs)

    with threads(count):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(interrupt, "Stop", Watched)
            patch.setattr(tiny.Corners, "train_batch", interrupted)
            train(tmp_path, seeds(2), stack=stack)
        steps = [load_checkpoint(run.checkpoint)["step"] for run in runs(tmp_path, seeds(2)) if run.checkpoint.exists()]
        assert 7 in steps and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        there = train(tmp_path, seeds(2), stack=stack, resume=True)
    for a, b in zip(there, never_killed, strict=True):
        assert_same_curve(a, b, rtol=1e-3)


def test_a_fault_of_one_ends_the_others_side_by_side(tmp_path, monkeypatch):
    batch, begun = tiny.Corners.train_batch, threading.Barrier(2)

    def faulty(self, step, *args, seed, **kwargs):
        if step == 1:
            begun.wait(60)
        if seed == 0 and step == 1:
            raise OSError("no such picture")
        time.sleep(0.05)
        return batch(self, step, *args, seed=seed, **kwargs)

    monkeypatch.setattr(tiny.Corners, "train_batch", faulty)
    with threads(2), pytest.raises(OSError, match="no such picture"):
        train(tmp_path, seeds(2), stack=False)
    assert not any(run.weights.exists() for run in runs(tmp_path, seeds(2)))


# of 64: folders and first snapshots, three times two checkpoints that are written and then take their places, weights and results
@pytest.mark.parametrize("call", [2, 5, 8, 22, 32, 33, 34, 41, 46, 47, 48, 58, 60, 61, 62, 63])
def test_stack_killed_while_it_writes_goes_on_bit_for_bit(tmp_path, monkeypatch, never_killed, call):
    for a, b in zip(kill_and_go_on(tmp_path, monkeypatch, os, "replace", call=call), never_killed, strict=True):
        assert_same_run(a, b)
        assert not a.staged.exists()


@pytest.mark.parametrize("promoted", [0, 1])
def test_stack_killed_between_two_checkpoints_goes_on_as_one(tmp_path, monkeypatch, never_killed, promoted):
    def replace(old, new, real=os.replace):
        if str(new).endswith("checkpoint.pt") and load_checkpoint(old)["step"] == 20 and int(new.parent.name) == promoted:
            raise Killed
        real(old, new)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "replace", replace)
        train(tmp_path, seeds(2), stack=True)
    first, second = runs(tmp_path, seeds(2))
    assert second.staged.exists() and first.staged.exists() == (promoted == 0)
    steps = [load_checkpoint(run.checkpoint)["step"] for run in (first, second)]
    assert steps == [20 if promoted else 10, 10]
    settle([first, second])
    assert not first.staged.exists() and not second.staged.exists()
    assert [load_checkpoint(run.checkpoint)["step"] for run in (first, second)] == [20 if promoted else 10] * 2
    for a, b in zip(train(tmp_path, seeds(2), stack=True, resume=True), never_killed, strict=True):
        assert_same_run(a, b)


def test_checkpoint_that_never_took_its_place_is_dropped_by_a_run_alone(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, os, "replace", call=33)
        train(tmp_path, seeds(2), stack=True)
    first, second = runs(tmp_path, seeds(2))
    assert first.staged.exists() and not first.checkpoint.exists()
    fit(seeds(2)[0], first.path, resume=True)
    assert not first.staged.exists() and second.staged.exists()


@pytest.mark.parametrize("stack", [True, False])
def test_runs_go_on_alone_or_among_others(tmp_path, monkeypatch, stack):
    recipes = seeds(3)
    with monkeypatch.context() as patch, pytest.raises(Killed), threads(1):
        kill_at(patch, tiny.Corners, "train_batch", call=51 if stack else 18)
        train(tmp_path / "a", recipes, stack=stack)
    fit(recipes[1], tmp_path / "a" / "1", resume=True)  # one goes on alone, the others together
    before = (tmp_path / "a" / "1" / "result.json").read_bytes()
    train(tmp_path / "a", recipes, stack=True, resume=True)
    assert (tmp_path / "a" / "1" / "result.json").read_bytes() == before
    for a, b in zip(alone(tmp_path / "alone", recipes), runs(tmp_path / "a", recipes), strict=True):
        assert_same_curve(a, b, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2])
def test_in_turn_killed_at_a_step_goes_on_bit_for_bit(tmp_path, monkeypatch, count):
    recipes = [tiny.recipe(seed=seed) for seed in range(3)]
    with threads(count):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_at(patch, tiny.Corners, "train_batch", call=50)
            train(tmp_path / "a", recipes)
        train(tmp_path / "a", recipes, resume=True)
    for a, b in zip(alone(tmp_path / "alone", recipes), runs(tmp_path / "a", recipes), strict=True):
        assert_same_run(a, b)
