"""Many at a time: each run is the one it would be alone, stacked or in turn, and whatever happens to the others."""

import os
from contextlib import contextmanager

import pytest
import tiny
import torch
from helpers import threads
from killing import assert_same_run, history
from several import alone, assert_same_curve, runs, seeds, train
from torch.nn.utils import clip_grad_norm_

from reticle.recipe import changed, load
from reticle.together import fit, fit_together
from reticle.together.stack import clip_each, refuses
from reticle.train import Training
from reticle.train import fit as fit_alone
from reticle.training.checkpoint import load_checkpoint
from reticle.training.parallel import Place
from reticle.training.results import read_result

CPU = Place(0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_in_turn_each_run_is_bit_for_bit_the_one_alone(tmp_path):
    # each step takes time, so that the threads meet while they draw dropout
    recipes = [tiny.recipe(seed=seed, data={"pause": 0.002}) for seed in range(3)]
    with threads(2):
        together = train(tmp_path / "together", recipes)
        assert torch.get_num_threads() == 2
    for a, b in zip(alone(tmp_path / "alone", recipes), together, strict=True):
        assert_same_run(a, b)
        assert read_result(b).threads == 1


NORMED = {"model": {"name": "tiny:Normed", "dtype": "float32"}}
VARIANTS = {
    "momentum": {},
    "clipped": {"train.clip_norm": 0.3},
    "batch norm": NORMED | {"train.clip_norm": 1.0},
    "adam": {"optimizer": "adam", "train.lr": 0.003},
    "adamw": {"optimizer": {"name": "adamw", "weight_decay": 0.1}, "train.lr": 0.003, "train.schedule": {10: 0.5}},
    "rmsprop": {"optimizer": "rmsprop", "train.lr": 0.001},
    "float64": {"model": {"name": "tiny:Normed", "dtype": "float64"}},
    "no transformer": {"model": "tiny:Plain"},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_stacked_curve_is_the_one_alone(tmp_path, name, capfd):
    recipes = [changed(recipe, VARIANTS[name], "test") for recipe in seeds(3)]
    together = train(tmp_path / "together", recipes, stack=True)
    assert "not stacked" not in capfd.readouterr().err
    for a, b in zip(alone(tmp_path / "alone", recipes), together, strict=True):
        assert_same_curve(a, b, rtol=1e-9 if name == "float64" else 1e-4)
    assert history(together[0]) != history(together[1])


def test_cells_of_other_data_are_stacked(tmp_path, capfd):
    small = {"data.limit": 32, "data.canvas": 30, "data.clutter": 0, "model.filters": 2, "model.sampler": {"output_size": [24, 24]}}
    small |= {"train.steps": 6, "train.batch_size": 8, "train.log_every": 1}
    base = changed(load("digits/rts_clutter_cnn_similarity"), small, "test")
    recipes = [changed(base, {"data.distortion": name, "seed": seed}, "test") for seed, name in enumerate(("r", "rts"))]
    together = train(tmp_path / "together", recipes, stack=True)
    assert "not stacked" not in capfd.readouterr().err
    for a, b in zip(alone(tmp_path / "alone", recipes), together, strict=True):
        assert_same_curve(a, b, rtol=1e-4)


def test_what_cannot_be_stacked_takes_turns_and_says_why(tmp_path, capfd):
    recipes = [*seeds(2), *(tiny.recipe(seed=seed) for seed in range(2)), tiny.recipe(batch_size=4)]
    together = train(tmp_path / "together", recipes, stack=True)
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("not stacked")]
    assert said == [
        "not stacked: tiny, seed 0; tiny, seed 1: it draws random numbers, as dropout does, which must be those of a run alone",
        "not stacked: tiny, seed 0: is the only one of its shape, protocol and step",
    ]
    for number, (a, b) in enumerate(zip(alone(tmp_path / "alone", recipes), together, strict=True)):
        assert_same_curve(a, b, rtol=1e-4)
        if number >= 2:
            assert_same_run(a, b)


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"optimizer": "torch.optim:Adagrad"}, "the optimizer Adagrad is not known to treat every weight on its own"),
        ({"model": "test_together:Deciding"}, "torch cannot batch the network or its loss (vmap: It looks like you're"),
    ],
)
def test_reasons_not_to_stack(tmp_path, changes, why):
    recipes = [changed(recipe, changes, "test") for recipe in seeds(2)]
    members = [Training(recipe, run, CPU) for recipe, run in zip(recipes, runs(tmp_path, recipes), strict=True)]
    assert refuses(members).startswith(why)


class Deciding(torch.nn.Linear):
    """What it does depends on the values of the images."""

    def __init__(self, input_shape, num_classes):
        super().__init__(36, num_classes)

    def forward(self, x):
        return super().forward(x.flatten(1) if x.sum().item() > 0 else -x.flatten(1))


def test_gradients_are_clipped_for_each_on_its_own():
    stacked = [torch.rand(3, 4, 5), torch.rand(3, 6)]
    for weight, scale in zip(stacked, (1.0, 2.0), strict=True):
        weight.grad = torch.rand_like(weight) * torch.tensor([0.01, 1.0, 5.0]).view(3, *[1] * (weight.ndim - 1)) * scale
    slices = [[torch.nn.Parameter(weight[index].clone()) for weight in stacked] for index in range(3)]
    for index, mine in enumerate(slices):
        for weight, whole in zip(mine, stacked, strict=True):
            weight.grad = whole.grad[index].clone()
        clip_grad_norm_(mine, 0.5)
    clip_each([*stacked, torch.rand(3, 2)], 0.5)
    for index, mine in enumerate(slices):
        torch.testing.assert_close([weight.grad for weight in mine], [whole.grad[index] for whole in stacked])


@pytest.mark.parametrize("stack", [True, False])
def test_one_that_diverges_is_named_and_leaves_the_others(tmp_path, stack):
    recipes = seeds(3)
    recipes[1] = changed(recipes[1], {"data.nan_at": 13}, "test")
    with pytest.raises(FloatingPointError) as error:
        train(tmp_path / "a", recipes, stack=stack)
    assert str(error.value) == (
        "1 of 3 runs has stopped; the others are complete.\n"
        f"  {tmp_path / 'a' / '1'}: θ of `transformer` is not finite after 13 steps; training has stopped.\n"
        "  Start anew with a train.lr below 0.1, or a train.localizer_lr below 0.01."
    )
    first, second, third = runs(tmp_path / "a", recipes)
    assert not second.result.exists() and load_checkpoint(second.checkpoint)["step"] == 10
    others = alone(tmp_path / "alone", [recipes[0], recipes[2]])
    for a, b in zip(others, (first, third), strict=True):
        assert_same_curve(a, b, rtol=1e-4)


def test_complete_runs_stay_and_results_come_in_order(tmp_path):
    recipes = seeds(3, steps=2)[::-1]
    outs = [tmp_path / str(number) for number in range(3)]
    fit_alone(recipes[1], outs[1])
    before = outs[1].joinpath("result.json").stat().st_mtime_ns
    for _ in range(2):
        results = fit_together(recipes, outs, resume=True)
        assert [result.seed for result in results] == [2, 1, 0]
    assert outs[1].joinpath("result.json").stat().st_mtime_ns == before


def test_random_numbers_of_the_caller_are_left_alone(tmp_path):
    expected = torch.manual_seed(7).get_state()
    for stack in (True, False):
        train(tmp_path / str(stack), seeds(2, steps=2), stack=stack)
    assert torch.equal(torch.get_rng_state(), expected)


def bad_input(tmp_path, recipes, outs, error, message, **options):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        fit_together(recipes, [tmp_path / out for out in outs], **options)
    written = {file.name for file in set(tmp_path.rglob("*")) - set(before) if file.is_file()}
    assert written <= {".lock"}


def test_bad_input_is_one_clear_error_before_anything_is_written(tmp_path):
    two = seeds(2, steps=2)
    bad_input(tmp_path, [], [], ValueError, r"fit_together: `recipes` must be one or more; got none\.")
    bad_input(tmp_path, two, "a", ValueError, r"fit_together: `outs` must be a folder for each of 2 recipes; got 1\.")
    message = r"fit_together: `outs` must be different folders; got .*a more than once\."
    bad_input(tmp_path, two, ["a", "b/../a"], ValueError, message)
    fit_alone(tiny.recipe(lr=0.3), tmp_path / "b")
    for resume in (False, True):
        bad_input(tmp_path, two, "ab", ValueError, r"b: holds a run of another recipe", resume=resume)
    two = seeds(2, steps=3)  # no trial, which would make way
    fit_alone(two[0], tmp_path / "c")
    bad_input(tmp_path, two, "ca", FileExistsError, r"c: holds a complete run\.")
    (tmp_path / "c" / "result.json").unlink()
    bad_input(tmp_path, two, "ca", FileExistsError, r"c: holds an unfinished run\.\n  Go on with --resume, or choose another --out\.")


def test_processes_of_torchrun_are_refused(tmp_path, monkeypatch):
    @contextmanager
    def two():
        yield Place(0, 2, torch.device("cpu"))

    monkeypatch.setattr(fit, "processes", two)
    with pytest.raises(ValueError, match=r"must be called in one process; got 2 of torchrun\.\n  Train one run with torchrun"):
        fit_together(seeds(2), [tmp_path / "a", tmp_path / "b"])
