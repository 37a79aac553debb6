"""A run that is killed, or meets a full disk or a damaged file, loses nothing."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tiny
import torch
from helpers import threads
from killing import Killed, assert_same_run, environment, kill_at
from safetensors.torch import load_file

from reticle.recipe import changed, dump
from reticle.train import fit
from reticle.training import atomic, lock
from reticle.training.checkpoint import load_checkpoint, save_checkpoint, write_tensors
from reticle.training.lock import alone_in
from reticle.training.runs import Run


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("run") / "a" / "0")
    fit(tiny.recipe(), run.path)
    return run


@pytest.mark.parametrize("step", [1, 4, 10, 11, 19, 30])
def test_run_killed_at_a_step_goes_on_bit_for_bit(tmp_path, monkeypatch, never_killed, step):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, tiny.Corners, "train_batch", call=step)
        fit(tiny.recipe(), tmp_path)
    fit(tiny.recipe(), tmp_path, resume=True)
    assert_same_run(Run(tmp_path), never_killed)


@pytest.mark.parametrize("step", [1, 7, 29])
def test_ctrl_c_ends_the_update_and_saves_it(tmp_path, monkeypatch, never_killed, step):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        step_of = tiny.Corners.train_batch

        def interrupted(self, at, *args, **kwargs):
            if at == step - 1:
                signal.raise_signal(signal.SIGINT)
            return step_of(self, at, *args, **kwargs)

        patch.setattr(tiny.Corners, "train_batch", interrupted)
        fit(tiny.recipe(), tmp_path)
    assert load_checkpoint(Run(tmp_path).checkpoint)["step"] == step
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    fit(tiny.recipe(), tmp_path, resume=True)
    assert_same_run(Run(tmp_path), never_killed)


def test_ctrl_c_twice_stops_at_once(tmp_path, monkeypatch):
    def impatient(self, *args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(tiny.Corners, "train_batch", impatient)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny.recipe(), tmp_path)
    assert not Run(tmp_path).checkpoint.exists()


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("call", [1, 2, 4, 9, 16, 21, 27, 28])
def test_run_killed_while_it_writes_goes_on_bit_for_bit(tmp_path, monkeypatch, never_killed, call, before):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, os, "replace", call=call, before=before)
        fit(tiny.recipe(), tmp_path)
    if not Run(tmp_path).result.exists():
        fit(tiny.recipe(), tmp_path, resume=True)
    assert_same_run(Run(tmp_path), never_killed)


def test_line_cut_by_a_kill_is_written_again(tmp_path, monkeypatch, never_killed):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, tiny.Corners, "train_batch", call=18)
        fit(tiny.recipe(), tmp_path)
    with open(Run(tmp_path).metrics, "a") as out:
        out.write('{"step": 18, "lo')
    assert Run(tmp_path).read_metrics()[-1]["step"] == 16
    fit(tiny.recipe(), tmp_path, resume=True)
    assert_same_run(Run(tmp_path), never_killed)


SLOW = {"data": {"pause": 0.01}, "checkpoint_every": 3, "steps": 100}


@pytest.mark.slow
def test_process_killed_at_a_random_moment_goes_on_bit_for_bit(tmp_path):
    run, other = Run(tmp_path / "killed"), Run(tmp_path / "never")
    recipe = tiny.recipe(**SLOW)
    (tmp_path / "tiny.yaml").write_text(dump(recipe))
    command = [sys.executable, "-m", "reticle", "train", str(tmp_path / "tiny.yaml"), "--out", str(run.path)]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not run.checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(FileExistsError, match="another process is training here"):
        fit(recipe, run.path, resume=True)
    time.sleep(random.SystemRandom().uniform(0, 0.7))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and run.checkpoint.exists() and not run.result.exists()
    with threads(1):
        fit(recipe, run.path, resume=True)
        fit(recipe, other.path)
    assert_same_run(run, other)


def test_full_disk_is_one_clear_error_and_the_last_checkpoint_stays(tmp_path, monkeypatch, never_killed):
    def full(descriptor):
        if Run(tmp_path).checkpoint.exists() and (tmp_path / ".checkpoint.pt.tmp").exists():  # the second one
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OSError) as error:
        patch.setattr(os, "fsync", full)
        fit(tiny.recipe(), tmp_path)
    assert str(error.value) == (
        f"cannot write {tmp_path / 'checkpoint.pt'}: No space left on device.\n"
        "  What was there before is kept. Make room and try again; a run goes on with --resume."
    )
    assert not list(tmp_path.glob(".*.tmp"))
    assert load_checkpoint(Run(tmp_path).checkpoint)["step"] == 10
    fit(tiny.recipe(), tmp_path, resume=True)
    assert_same_run(Run(tmp_path), never_killed)


def test_full_disk_while_a_line_is_written_is_one_clear_error(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with pytest.raises(OSError, match="cannot write /dev/full: No space left on device"):
        atomic.append(Path("/dev/full"), "{}")


def test_nothing_is_written_where_nothing_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*run: Not a directory\.\n  Nothing was written\."):
        fit(tiny.recipe(), tmp_path / "file" / "run")


def test_damaged_checkpoint_is_named(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, tiny.Corners, "train_batch", call=15)
        fit(tiny.recipe(), tmp_path)
    checkpoint = Run(tmp_path).checkpoint
    for content in (checkpoint.read_bytes()[:500], b"", b"no checkpoint"):
        checkpoint.write_bytes(content)
        with pytest.raises(ValueError, match=r"checkpoint\.pt: must be a checkpoint; it is damaged \(.*\n  Delete it"):
            fit(tiny.recipe(), tmp_path, resume=True)


def test_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(
        FloatingPointError, match=r"the loss is not finite after 13 steps; training has stopped\.\n  Start anew with a train\.lr below 0\.1"
    ):
        fit(changed(tiny.recipe(data={"nan_at": 13}), {"model": "tiny:Plain"}, "test"), tmp_path)
    assert load_checkpoint(Run(tmp_path).checkpoint)["step"] == 10
    assert all(np.isfinite(record["loss"]) for record in Run(tmp_path).read_metrics() if "loss" in record)


def test_after_a_resume_the_step_that_was_not_finite_is_named(tmp_path):
    recipe = changed(tiny.recipe(data={"nan_at": 10}), {"model": "tiny:Plain"}, "test")
    for resume in (False, True):
        with pytest.raises(FloatingPointError, match=r"the loss is not finite after 10 steps; training has stopped\."):
            fit(recipe, tmp_path, resume=resume)
        assert load_checkpoint(Run(tmp_path).checkpoint)["step"] == 10


def test_theta_that_is_not_finite_is_named(tmp_path):
    # the loss stays finite: a NaN point lies outside the image
    with pytest.raises(FloatingPointError, match=r"θ of `transformer` is not finite after 13 steps; training has stopped\."):
        fit(tiny.recipe(model={"lost_at": 14}), tmp_path)
    assert load_checkpoint(Run(tmp_path).checkpoint)["step"] == 10


def test_weights_that_overflow_are_not_saved(tmp_path):
    file = tmp_path / "checkpoint.pt"
    save_checkpoint(file, {"model": {"weight": torch.ones(2)}, "step": 1})
    with pytest.raises(FloatingPointError, match=r"the training state is not finite \(optimizer\.state\.0\)"):
        save_checkpoint(file, {"model": {"weight": torch.ones(2)}, "optimizer": {"state": [torch.tensor([1.0, torch.inf])]}, "step": 2})
    assert load_checkpoint(file)["step"] == 1


def test_shared_weights_can_be_written(tmp_path):
    weight = torch.rand(3, 4)
    write_tensors(tmp_path / "w.safetensors", {"a": weight, "b": weight, "c": weight.T})
    read = load_file(tmp_path / "w.safetensors")
    assert torch.equal(read["a"], weight) and torch.equal(read["b"], weight) and torch.equal(read["c"], weight.T)


def test_two_processes_do_not_train_in_one_folder(tmp_path, monkeypatch, never_killed):
    with alone_in(tmp_path), pytest.raises(FileExistsError) as error:
        fit(tiny.recipe(), tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: another process is training here.\n  Wait until it ends and go on with --resume, or choose another --out."
    )
    assert [file.name for file in tmp_path.iterdir()] == [".lock"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, tiny.Corners, "train_batch", call=15)
        fit(tiny.recipe(), tmp_path)
    fit(tiny.recipe(), tmp_path, resume=True)  # the lock went with the process
    assert_same_run(Run(tmp_path), never_killed)


@pytest.mark.parametrize("lacking", ["system", "file system"])
def test_training_goes_on_where_there_are_no_locks(tmp_path, monkeypatch, lacking):
    if lacking == "system":
        monkeypatch.setattr(lock, "fcntl", None)
    else:
        monkeypatch.setattr(lock.fcntl, "flock", Mock(side_effect=OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))))
    with alone_in(tmp_path), alone_in(tmp_path):
        pass


def test_unfinished_run_is_not_overwritten(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, tiny.Corners, "train_batch", call=15)
        fit(tiny.recipe(), tmp_path)
    with pytest.raises(FileExistsError, match=r"holds an unfinished run\.\n  Go on with --resume"):
        fit(tiny.recipe(), tmp_path)
    with pytest.raises(ValueError, match=r"holds a run of another recipe \(train\.lr: 0\.1 -> 0\.2\)"):
        fit(tiny.recipe(lr=0.2), tmp_path, resume=True)
    assert load_checkpoint(Run(tmp_path).checkpoint)["step"] == 10


@pytest.mark.parametrize("resume", [False, True])
def test_complete_run_says_that_it_is_complete(never_killed, resume):
    before = never_killed.result.read_bytes()
    with pytest.raises(FileExistsError, match="holds a complete run"):
        fit(tiny.recipe(), never_killed.path, resume=resume)
    assert never_killed.result.read_bytes() == before


def test_smoke_run_makes_way_for_the_next(tmp_path):
    recipe = replace(tiny.recipe(steps=2), is_smoke=True)
    fit(recipe, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    Run(tmp_path).checkpoint.write_bytes(b"of the first")
    fit(recipe, tmp_path)
    assert len(Run(tmp_path).read_metrics()) == 2
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        fit(tiny.recipe(), tmp_path)
