"""Training: it learns, goes on bit for bit after any kill, loses nothing, stops when it diverges, and is one run on several processes."""

import json
import os
import sys

import pytest
import tiny
import torch
from killing import Killed, assert_same_run, kill_at
from safetensors.torch import load_file

from reticle import Affine, Localizer, SpatialTransformer
from reticle.recipe import changed, load
from reticle.tasks.classification import Classification
from reticle.train import Training, fit
from reticle.training.build import build_optimizer, load_run
from reticle.training.checkpoint import load_checkpoint
from reticle.training.evaluation import mean_mistake
from reticle.training.parallel import Place
from reticle.training.results import read_result
from reticle.training.runs import Run
from reticle.training.snapshots import Snapshots, first_of_each, snapshot_steps
from reticle.training.watch import Watch

CPU = Place(0, 1, torch.device("cpu"))


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
        *("recipe.yaml", "metrics.jsonl", "checkpoint.pt", "weights.safetensors", "result.json", "interface.json", "snapshots", ".lock")
    }


def test_loaded_run_makes_the_measured_errors(never_killed):
    recipe, data, model = load_run(never_killed)
    assert recipe == tiny.recipe() and not model.training
    assert mean_mistake(model, *data.test_set(), mistakes=Classification().mistakes, place=CPU) == read_result(never_killed).value


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
    images = fixed["images"].clone()  # aligned: in a file they lie anywhere, and a product of matrices then rounds otherwise
    with torch.no_grad():
        torch.testing.assert_close(model.transformer.warp(images).theta, last["theta"], rtol=0, atol=0)
        assert torch.equal(model(images).argmax(1), last["prediction"])


def test_snapshots_are_taken_without_dropout(tmp_path):
    model = tiny.Look((1, 6, 6), 4, dropout=0.9)
    images, labels = tiny.Corners().test_set()
    Snapshots(Run(tmp_path), model, images, labels, answers=Classification().answers).write(0)
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


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"schedule": {2: 0.1, 3: 0.5}}, ([0.5, 0.05], [0.5, 0.05], [0.05, 0.005], [0.025, 0.0025])),
        ({"schedule": {3: 0.1}, "localizer_warmup": 2}, ([0.5, 0.0], [0.5, 0.025], [0.5, 0.05], [0.05, 0.005])),
    ],
)
def test_learning_rates_follow_the_schedule_and_the_localizers_its_warmup(tmp_path, plan, expected):
    training = Training(tiny.recipe(lr=0.5, localizer_lr=0.1, **plan), Run(tmp_path), CPU)
    training.start(resume=False)
    rates = []
    for _ in range(4):
        training.update()
        rates.append([group["lr"] for group in training.optimizer.param_groups])
    assert rates == [pytest.approx(pair) for pair in expected]


def test_localizer_is_a_group_of_its_own():
    model = tiny.Look((1, 6, 6), 4)
    head, localizer = build_optimizer(tiny.recipe(localizer_lr=0.2), model).param_groups
    assert [id(p) for p in head["params"]] == [id(p) for p in model.head.parameters()]
    assert [id(p) for p in localizer["params"]] == [id(p) for p in model.transformer.localizer.parameters()]
    assert (head["localizer"], localizer["localizer"]) == (False, True)


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
    assert mean_mistake(model, images, labels, mistakes=Classification().mistakes, place=CPU, batch_size=7) == pytest.approx(
        expected, rel=1e-12
    )
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
