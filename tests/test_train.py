"""Training: it learns, goes on bit for bit after any kill, loses nothing, stops when it diverges, and is one run on several processes."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file

from reticle import Affine, Localizer, SpatialTransformer
from reticle.recipe import changed, dump, load
from reticle.train import Training, fit
from reticle.training import atomic
from reticle.training.build import build_optimizer, load_run
from reticle.training.checkpoint import load_checkpoint, save_checkpoint, write_tensors
from reticle.training.evaluation import error_percent
from reticle.training.parallel import Place
from reticle.training.results import read_result
from reticle.training.runs import Run
from reticle.training.snapshots import Snapshots, first_of_each, snapshot_steps
from reticle.training.watch import Watch

CPU = Place(0, 1, torch.device("cpu"))
TESTS = Path(__file__).parent


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


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("run") / "a" / "0")
    fit(tiny.recipe(), run.path)
    return run


def test_it_learns(tmp_path):
    result = fit(tiny.recipe(steps=150, model={"dropout": 0.0}), tmp_path)
    losses = [record["loss"] for record in Run(tmp_path).read_metrics() if "loss" in record]
    assert losses[0] > 1.2 and losses[-1] < 0.6
    assert result.value < 20


def test_run_folder_holds_everything(never_killed):
    run = never_killed
    assert load(run.recipe) == tiny.recipe()
    assert [record["step"] for record in run.read_metrics() if "loss" in record] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert [record["step"] for record in run.read_metrics() if "test_error" in record] == [15, 30]
    assert set(run.read_metrics()[0]) == {"step", "loss", "accuracy", "lr", "images_per_s"}
    weights = load_file(run.weights)
    assert all(torch.equal(value, weights[name]) for name, value in load_checkpoint(run.checkpoint)["model"].items())
    assert {file.name for file in run.path.iterdir()} == {
        *("recipe.yaml", "metrics.jsonl", "checkpoint.pt", "weights.safetensors", "result.json", "snapshots")
    }


def test_loaded_run_makes_the_measured_errors(never_killed):
    recipe, data, model = load_run(never_killed)
    assert recipe == tiny.recipe() and not model.training
    assert error_percent(model, *data.test_set(), place=CPU) == read_result(never_killed).value


def test_snapshots_show_fixed_images_from_the_identity_on(never_killed):
    folder = never_killed.snapshots
    fixed = load_file(folder / "images.safetensors")
    assert len(fixed["images"]) == len(fixed["labels"].unique()) == 4
    first, last = load_file(folder / "0000000.safetensors"), load_file(folder / "0000030.safetensors")
    assert first["theta"].tolist() == [[1, 0, 0, 0, 1, 0]] * 4
    torch.testing.assert_close(first["output"], fixed["images"])
    assert first["grid"].shape == (4, 6, 6, 2) and first["grid"].dtype == torch.float32 and first["prediction"].shape == (4,)
    assert not torch.equal(first["theta"], last["theta"])
    _, _, model = load_run(never_killed)
    with torch.no_grad():
        torch.testing.assert_close(model.transformer.warp(fixed["images"]).theta, last["theta"], rtol=0, atol=0)
        assert torch.equal(model(fixed["images"]).argmax(1), last["prediction"])


def test_snapshots_are_taken_without_dropout(tmp_path):
    model = tiny.Look((1, 6, 6), 4, dropout=0.9)
    images, labels = tiny.Corners().test_set()
    Snapshots(Run(tmp_path), model, images, labels).write(0)
    assert model.training
    predictions = model.eval()(images[first_of_each(labels)]).argmax(1)
    assert torch.equal(load_file(tmp_path / "snapshots" / "0000000.safetensors")["prediction"], predictions)


def test_snapshots_are_denser_early():
    steps = sorted(snapshot_steps(150_000))
    assert steps[:2] == [0, 1] and steps[-1] == 150_000 and 25 <= len(steps) <= 30
    assert steps[-1] - steps[-2] > steps[10] - steps[9]
    assert snapshot_steps(1) == {0, 1}


def test_fixed_images_are_of_different_classes():
    assert first_of_each(torch.tensor([3, 3, 1, 3, 0, 1, 2]), count=3).tolist() == [0, 2, 4]


def test_model_without_transformer_has_no_snapshots(tmp_path):
    fit(changed(tiny.recipe(steps=2), {"model": "tiny:Plain"}, "test"), tmp_path)
    assert not (tmp_path / "snapshots").exists()


@pytest.mark.parametrize("step", [1, 4, 10, 11, 19, 30])
def test_run_killed_at_a_step_goes_on_bit_for_bit(tmp_path, monkeypatch, never_killed, step):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, tiny.Corners, "train_batch", call=step)
        fit(tiny.recipe(), tmp_path)
    fit(tiny.recipe(), tmp_path, resume=True)
    assert_same_run(Run(tmp_path), never_killed)


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


def environment(**more):
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "src")]), "OMP_NUM_THREADS": "1"} | more


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
    time.sleep(random.SystemRandom().uniform(0, 0.7))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and run.checkpoint.exists() and not run.result.exists()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        fit(recipe, run.path, resume=True)
        fit(recipe, other.path)
    finally:
        torch.set_num_threads(threads)
    assert_same_run(run, other)


@pytest.mark.slow
def test_two_processes_of_torchrun_are_one_run(tmp_path):
    recipe = tiny.recipe(model={"dropout": 0.0})
    (tmp_path / "tiny.yaml").write_text(dump(recipe))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "reticle", "train", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "two")]
    done = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.count("error_percent") == done.stderr.count("step 30 of 30") == 1  # one of them speaks
    fit(recipe, tmp_path / "one")
    one, two = Run(tmp_path / "one"), Run(tmp_path / "two")
    assert read_result(two).processes == 2 and read_result(one).processes == 1
    for a, b in zip(history(one), history(two), strict=True):
        assert a == pytest.approx(b, abs=1e-5)
    torch.testing.assert_close(load_file(one.weights), load_file(two.weights), rtol=0, atol=1e-5)


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
    assert not list(tmp_path.glob(".*"))
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
    with pytest.raises(OSError, match=r"cannot write .*recipe\.yaml: Not a directory\.\n  Nothing was written\."):
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
    recipe = tiny.recipe(steps=2)
    assert recipe.is_smoke
    fit(recipe, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    Run(tmp_path).checkpoint.write_bytes(b"of the first")
    fit(recipe, tmp_path)
    assert len(Run(tmp_path).read_metrics()) == 2
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        fit(tiny.recipe(), tmp_path)


def test_learning_rates_follow_the_schedule(tmp_path):
    training = Training(tiny.recipe(lr=0.5, localizer_lr=0.1, schedule={2: 0.1, 3: 0.5}), Run(tmp_path), CPU)
    training.start(resume=False)
    rates = []
    for _ in range(4):
        training.update()
        rates.append([group["lr"] for group in training.optimizer.param_groups])
    assert rates == [pytest.approx(pair) for pair in ([0.5, 0.05], [0.5, 0.05], [0.05, 0.005], [0.025, 0.0025])]


def test_localizer_is_a_group_of_its_own():
    model = tiny.Look((1, 6, 6), 4)
    head, localizer = build_optimizer(tiny.recipe(localizer_lr=0.2), model).param_groups
    assert [id(p) for p in head["params"]] == [id(p) for p in model.head.parameters()]
    assert [id(p) for p in localizer["params"]] == [id(p) for p in model.transformer.localizer.parameters()]
    assert (head["lr_scale"], localizer["lr_scale"]) == (1.0, 0.2)


def test_frozen_localizer_stays_the_identity(tmp_path):
    fit(tiny.recipe(localizer_lr=0.0), tmp_path)
    assert load_file(Run(tmp_path).snapshots / "0000030.safetensors")["theta"].tolist() == [[1, 0, 0, 0, 1, 0]] * 4


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_other_optimizers_resume_exactly(tmp_path, monkeypatch, name):
    recipe = changed(tiny.recipe(lr=0.01), {"optimizer": name}, "test")
    fit(recipe, tmp_path / "a")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, tiny.Corners, "train_batch", call=13)
        fit(recipe, tmp_path / "b")
    fit(recipe, tmp_path / "b", resume=True)
    assert_same_run(Run(tmp_path / "a"), Run(tmp_path / "b"))


def test_seed_decides(tmp_path, never_killed):
    fit(tiny.recipe(), tmp_path / "same")
    fit(tiny.recipe(seed=1), tmp_path / "other")
    assert_same_run(Run(tmp_path / "same"), never_killed)
    assert not torch.equal(load_file(Run(tmp_path / "other").weights)["head.2.weight"], load_file(never_killed.weights)["head.2.weight"])


def test_every_step_seed_and_process_has_random_numbers_of_its_own(tmp_path):
    def numbers(seed, rank):
        training = Training(tiny.recipe(seed=seed), Run(tmp_path), Place(rank, 2, torch.device("cpu")))
        training.network = training.model
        for _ in range(3):
            training.update()
            yield torch.initial_seed()

    drawn = [number for seed in (0, 1) for rank in (0, 1) for number in numbers(seed, rank)]
    assert len(set(drawn)) == 12
    assert drawn[:3] == list(numbers(0, 0))


def test_random_numbers_of_the_caller_are_left_alone(tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    fit(tiny.recipe(steps=2), tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_batch_must_divide_among_processes(tmp_path):
    with pytest.raises(ValueError, match=r"train\.batch_size: must divide evenly among 3 processes; got 8\."):
        Training(tiny.recipe(), Run(tmp_path), Place(0, 3, torch.device("cpu")))


def test_metric_must_be_known(tmp_path):
    with pytest.raises(ValueError, match=r"source\.metric: must be one of error_percent, accuracy_percent; got 'errors'\."):
        fit(changed(tiny.recipe(), {"source.metric": "errors"}, "test"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_evaluation_counts_every_image_once():
    images, labels = tiny.Corners().test_set()
    model = tiny.Look((1, 6, 6), 4)
    with torch.no_grad():
        expected = 100 * (model.eval()(images).argmax(1) != labels).double().mean().item()
    model.train()
    assert error_percent(model, images, labels, place=CPU, batch_size=7) == pytest.approx(expected, rel=1e-12)
    assert model.training


def test_watch_sees_each_transformer_and_names_it():
    transform = Affine()
    model = torch.nn.Sequential(*(SpatialTransformer(Localizer(torch.nn.Flatten(), 4, transform), transform) for _ in range(2)))
    watch = Watch(model, CPU)
    watch.step = 5
    model(torch.ones(1, 1, 2, 2))
    watch.check("")
    with torch.no_grad():
        model[1].localizer.head.bias[0] = torch.nan
    model(torch.ones(1, 1, 2, 2))
    with pytest.raises(FloatingPointError, match="θ of `1` is not finite after 5 steps; training has stopped.\n  Do this"):
        watch.check("Do this.")


def test_watch_names_what_was_not_finite_first():
    model = tiny.Look((1, 6, 6), 4)
    watch = Watch(model, CPU)
    for step in (1, 2, 3):
        watch.step = step
        model(torch.full((1, 1, 6, 6), torch.nan if step > 1 else 1.0))
        watch.see(torch.tensor(torch.inf))
    with pytest.raises(FloatingPointError, match="the loss is not finite after 1 steps"):
        watch.check("")


def test_tensorboard_is_written_on_request(tmp_path):
    pytest.importorskip("tensorboard")
    fit(tiny.recipe(steps=2), tmp_path, tensorboard=True)
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_missing_tensorboard_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match="pip install tensorboard"):
        fit(tiny.recipe(steps=2), tmp_path, tensorboard=True)


def test_lines_on_no_terminal_are_few(tmp_path, capfd):
    fit(tiny.recipe(), tmp_path)
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["step 15 of 30", "step 30 of 30"]
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])["step"] == 4
