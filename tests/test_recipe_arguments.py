"""Arguments of a recipe's parts: each is held against its annotation before the data are read, and parts that do not fit are named."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import tiny
import torch
from helpers import RECIPE
from tiny import recipe as tiny_recipe
from torch import nn

from reticle.recipe import MOST_SEED, changed, load, names
from reticle.schema import At, check
from reticle.tasks import build_task
from reticle.tasks.classification import Classification
from reticle.together import fit_together
from reticle.train import Training, fit
from reticle.training.build import build_model, check_parts, load_model, load_run
from reticle.training.fitting import check_task
from reticle.training.parallel import Place
from reticle.training.runs import Run

if TYPE_CHECKING:
    from somewhere import Something


class Images(NamedTuple):
    """What a model is told of its data."""

    input_shape: tuple[int, int, int] = (1, 42, 42)
    num_classes: int = 10


def own(input_shape, num_classes, *, anything=3, later: Something | int = 0):
    return nn.Sequential(nn.Flatten(), nn.Linear(42 * 42, num_classes))


def narrow(input_shape, num_classes, *, width: int = None):
    return own(input_shape, num_classes)


class TwoAtOnce(Classification):
    """Draws by chance, and compares images with each other."""

    def mistakes(self, outputs, targets):
        assert len(outputs) == len(targets) == 2
        return super().mistakes(outputs, targets) * torch.rand(())


def refusal(call, *args, **options):
    with pytest.raises(ValueError) as error:
        call(*args, **options)
    return str(error.value)


@pytest.mark.parametrize("name", names())
def test_shipped_recipe_gives_what_is_annotated(name):
    recipe = load(name)
    for one in (recipe, changed(recipe, recipe.smoke, "smoke")):
        check_parts(one)


@pytest.mark.parametrize("value", [3, "three", [1, 2], {"name": "four"}, None])
def test_arguments_without_a_readable_annotation_take_everything(value):
    recipe = changed(tiny_recipe(), {"model": {"name": f"{__name__}:own", "anything": value, "later": value}}, "test")
    check_parts(recipe)
    assert isinstance(build_model(recipe, Images()), nn.Module)


def test_nothing_may_be_given_where_nothing_is_the_default():
    recipe = changed(tiny_recipe(), {"model": {"name": f"{__name__}:narrow", "width": None}}, "test")
    check_parts(recipe)
    assert refusal(check_parts, changed(recipe, {"model.width": "x"}, "test")) == "test: model.width: must be int; got 'x'."


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (str | Path, ["a", Path("a")], [3, ["a"]]),
        (float, [1, 0.5], [True, "1", None]),
        (bool, [True], [0, "yes"]),
        (tuple[int, ...], [[], [1, 2], (3,)], ["12", [1.5]]),
        (tuple[int, float], [[1, 2.5]], [[1], [1, 2, 3], ["1", 2]]),
        (list, [[1, "a"]], ["a", 1]),
        (Mapping, [{1: "a"}], [[1]]),
        (Mapping[str | int, float], [{1: 2.0, "a": 3}], [{"a": "b"}, {None: 1}]),
        (int | Sequence[int] | None, [None, 3, [3]], ["3", [3, None]]),
        (float | torch.Tensor, [0.1], ["x", [0.1]]),
        (np.ndarray | None, [None, [1, 2], "x"], []),
        (int | Any, ["x"], []),
        (int | torch.Size, [3, [3, 4]], []),
        (inspect.Parameter.empty, [None, "x"], []),
    ],
    ids=str,
)
def test_plain_data_are_what_an_annotation_asks_for(hint, good, bad):
    for value in good:
        check(hint, value, At("a.yaml", "place"))
    for value in bad:
        assert refusal(check, hint, value, At("a.yaml", "place")).startswith("a.yaml: place")


def test_what_the_data_may_tell_a_model_is_not_missing_yet():
    recipe = changed(tiny_recipe(), {"model": {"name": "spn_cnn"}}, "test")
    check_parts(recipe)
    check_parts(changed(recipe, {"model.length": 3}, "test"))
    assert refusal(build_model, recipe, Images()) == "test: model.length: is missing; 'spn_cnn' needs it."


def test_largest_seed_is_the_largest_that_torch_takes():
    build_model(changed(tiny_recipe(seed=MOST_SEED), {"model": "fcn"}, "test"), Images())
    with pytest.raises(ValueError, match="Overflow"):
        torch.manual_seed(MOST_SEED + 1)


@pytest.mark.parametrize("count", [1, 40])
def test_weights_and_random_numbers_stay_while_a_task_is_checked(count):
    recipe, data = tiny_recipe(), tiny.Corners()
    model = build_model(recipe, data)
    weights, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    check_task(recipe, TwoAtOnce(), model, *data.plain(count))
    assert torch.equal(torch.get_rng_state(), state) and model.training
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


class Penalised(TwoAtOnce):
    """Its loss asks for a gradient, which there is only in training."""

    def loss(self, outputs, images, targets):
        return torch.autograd.grad(outputs.sum(), outputs)[0].sum()


def test_a_loss_that_wants_gradients_is_not_asked_before_the_training():
    recipe, data = tiny_recipe(), tiny.Corners()
    check_task(recipe, Penalised(), build_model(recipe, data), *data.plain(4))


# errors -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.errors
@pytest.mark.parametrize(
    "change, message",
    [
        ({"model.filters": "abc"}, "model.filters: must be int; got 'abc'."),
        ({"model.filters": None}, "model.filters: must be int; got None."),
        ({"model.filters": 3.5}, "model.filters: must be int; got 3.5."),
        ({"model.hidden": "x"}, "model.hidden: must be int; got 'x'."),
        ({"model": {"name": "idsia", "filters": "abc"}}, "model.filters: must be a list of int; got 'abc'."),
        ({"model": {"name": "idsia", "filters": [1, "x"]}}, "model.filters.1: must be int; got 'x'."),
        ({"model": {"name": "idsia", "localizers": [1]}}, "model.localizers: must be a mapping (key: value); got [1]."),
        ({"model": {"name": "idsia", "localizers": {"1": [1]}}}, "model.localizers.1: must be int; got '1'."),
        ({"model": {"name": "idsia", "localizers": {1: 5}}}, "model.localizers.1: must be a list of int; got 5."),
        ({"model": {"name": "st_cnn", "transform": 3}}, "model.transform: must be str or a mapping (key: value); got 3."),
        (
            {"model": {"name": "st_cnn", "transform": {"name": "tps", "lattice": 4}}},
            "model.transform.lattice: must be a list of int; got 4.",
        ),
        (
            {"model": {"name": "st_cnn", "transform": {"name": "tps", "latice": [4, 4]}}},
            "model.transform.latice: 'tps' has no argument 'latice'. Did you mean 'lattice'?",
        ),
        ({"optimizer.momentum": "x"}, "optimizer.momentum: must be float; got 'x'."),
        (
            {"optimizer.weight_decay": "1e-3"},
            "optimizer.weight_decay: must be float; got '1e-3'.\n  YAML takes 1e-3 for text: write 1.0e-3.",
        ),
        ({"optimizer.nesterov": 1}, "optimizer.nesterov: must be bool; got 1."),
        ({"optimizer": {"name": "adam", "betas": [0.9]}}, "optimizer.betas: must be a list of 2; got [0.9]."),
        ({"data.limit": "all"}, "data.limit: must be int; got 'all'."),
        ({"data": {"name": "folder", "path": 3}}, "data.path: must be str; got 3."),
        ({"data": {"name": "folder", "path": "a", "size": "48"}}, "data.size: must be int or a list of int; got '48'."),
        ({"data": {"name": "folder", "path": "a", "size": [4, "8"]}}, "data.size.1: must be int; got '8'."),
        ({"data": {"name": "csv", "path": "a", "classes": [True, False]}}, "data.classes.0: must be str or int; got True."),
        ({"task": {"name": "colocalisation", "alpha": "x"}}, "task.alpha: must be float; got 'x'."),
    ],
)
def test_argument_of_a_wrong_type_is_named_with_its_place(write_recipe, change, message):
    file = write_recipe(RECIPE)
    recipe = changed(load(file), change, "test")
    text = refusal(lambda: (check_parts(recipe), build_task(recipe)))
    # the file names no task
    assert text == (f"test: {message}" if "task" in change else f"{file}, test: {message}")


@pytest.mark.errors
def test_fault_is_told_where_it_stands(write_recipe):
    file = write_recipe(RECIPE.replace("{name: cnn}", "{name: cnn, filters: abc}"))
    fault = "model.filters: must be int; got 'abc'."
    assert refusal(check_parts, load(file)) == f"{file}: {fault}"
    assert refusal(check_parts, load(file, overrides=["train.lr=0.5"])) == f"{file}: {fault}"
    assert refusal(check_parts, load(file, overrides=["model.hidden=5"])) == f"{file}, --set model.hidden=5: {fault}"
    short = write_recipe(RECIPE.replace("{name: cnn}", "cnnn"))
    assert refusal(check_parts, load(short)).startswith(f"{short}: model.name: Unknown model 'cnnn'. Did you mean 'cnn'? Known: ")
    file = write_recipe(RECIPE + "smoke: {model.hidden: x}\n")
    smoke = load(file, smoke=True, overrides=["model.filters=3"])
    assert refusal(check_parts, smoke) == f"{file}: smoke, --set model.filters=3: model.hidden: must be int; got 'x'."
    assert refusal(check_parts, changed(tiny_recipe(optimizer={"momentum": "x"}), {}, "nothing")) == fault.replace(
        "model.filters: must be int; got 'abc'", "optimizer.momentum: must be float; got 'x'"
    )


@pytest.mark.errors
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    "change, message",
    [
        ({"optimizer": "sgdd"}, "optimizer.name: Unknown optimizer 'sgdd'. Did you mean 'sgd'?"),
        ({"model": "cnnn"}, "model.name: Unknown model 'cnnn'. Did you mean 'cnn'?"),
        ({"model.depth": 3}, "model.depth: 'cnn' has no argument 'depth'. Known: filters, hidden."),
    ],
)
def test_names_are_looked_up_before_the_data_are_read(write_recipe, tmp_path, change, message, together):
    good = changed(load(write_recipe(RECIPE)), {"data": {"name": "folder", "path": "nowhere"}}, "test")
    bad = changed(good, change, "test")
    text = refusal(fit_together, [good, bad], [tmp_path / "0", tmp_path / "1"]) if together else refusal(fit, bad, tmp_path)
    assert f"test: {message}" in text


@pytest.mark.errors
def test_a_width_that_no_layer_has_is_told_of_the_model():
    recipe = changed(tiny_recipe(), {"model": {"name": "cnn", "filters": -3}}, "test")
    message = "test: model: 'cnn' must have arguments of which layers can be made; Trying to create tensor with negative dimension -3"
    assert refusal(build_model, recipe, Images()).startswith(message)


@pytest.mark.errors
@pytest.mark.parametrize(
    "task, got",
    [
        ("sequence", "got outputs (2, 4) for targets (2,) (Dimension out of range (expected to be in range of [-2, 1], but got 2))."),
        ("colocalisation", "got outputs (2, 4) for targets (2,) ('Tensor' object has no attribute 'box')."),
    ],
)
def test_a_task_that_does_not_fit_is_named(tmp_path, task, got):
    text = refusal(fit, changed(tiny_recipe(), {"task": task}, "--set"), tmp_path)
    start = f"--set: task: '{task}' must fit the data 'tiny:Corners' and the model 'tiny:Look'; "
    assert text == f"{start}{got}\n  Is `task` the one that the data set is made for?"
    assert not (tmp_path / "recipe.yaml").exists()


@pytest.mark.errors
def test_weights_of_another_model_are_named(tmp_path):
    run, fix = Run(tmp_path), "\n  Was the recipe, or the code of the model, changed after the training?"
    fit(load("digits/rts_clutter_cnn", smoke=True, overrides=["model.filters=4"]), run.path)
    text = run.recipe.read_text()
    for old, new, got in (
        (
            "filters: 4",
            "filters: 5",
            "'classifier.0.0.weight' is of shape (4, 1, 9, 9) in the file and of shape (5, 1, 9, 9) in the model.",
        ),
        (
            "name: cnn",
            "name: st_cnn",
            "'transformer.localizer.features.0.1.weight' is missing in the file and of shape (20, 1, 5, 5) in the model.",
        ),
    ):
        assert old in text
        run.recipe.write_text(text.replace(old, new))
        for read in (load_run, load_model):
            told = refusal(read, run)
            assert told.startswith(f"{run.weights}: must hold the weights of the recipe's model; {got}") and told.endswith(fix)
    run.weights.unlink()
    assert refusal(load_run, run).startswith(f"{run.checkpoint}: must hold the weights of the recipe's model; ")


@pytest.mark.errors
def test_a_run_does_not_go_on_with_another_network(tmp_path, monkeypatch):
    training = Training(tiny_recipe(), Run(tmp_path), Place(0, 1, torch.device("cpu")))
    training.start(resume=False)
    training.save()
    monkeypatch.setattr(tiny, "Look", tiny.Normed)
    start = f"{training.run.checkpoint}: must hold the weights of the recipe's model; 'head."
    assert refusal(fit, tiny_recipe(), tmp_path, resume=True).startswith(start)
