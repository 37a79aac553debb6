"""Results: a run writes what was measured, several seeds become one kept number, tables are generated from it."""

import dataclasses
import json
import shlex

import pytest
import tiny

from reticle.recipe import dump, load
from reticle.train import fit
from reticle.training import machine, results
from reticle.training.atomic import write_atomically
from reticle.training.results import (
    Result,
    changes_of,
    command,
    keep,
    kept_result,
    overview,
    read_result,
    schedule_of,
    table,
    write_result,
)
from reticle.training.runs import Run

NAME = "jaderberg2015/mnist_r_cnn_affine"


def finished(folder, recipe, *, value=1.0, **more):
    """A run that ended with ``value``, without the training."""
    run = Run(folder)
    write_atomically(run.recipe, dump(recipe))
    facts = {
        "num_params": 100,
        "seconds": 60.0,
        "hardware": "abacus",
        "threads": 1,
        "processes": 1,
        "torch": "2",
        "commit": "abc",
        "date": "2026-01-01",
    }
    measured = {"recipe": recipe.name, "seed": recipe.seed, "metric": "error_percent", "value": value, "steps": recipe.train.steps}
    how = {"schedule": schedule_of(recipe), "changes": changes_of(recipe), "smoke": recipe.is_smoke}
    write_result(run, Result(**measured, **how, **facts | more))
    return run.path


def seeds(folder, values, *, overrides=()):
    return [
        finished(folder / str(seed), load(NAME, overrides=[f"seed={seed}", *overrides]), value=value, seconds=60.0 * (seed + 1))
        for seed, value in enumerate(values)
    ]


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """Kept results go here, not into the package."""
    monkeypatch.setattr(results, "_kept_file", lambda name: tmp_path / "kept" / f"{name}.result.json")
    return tmp_path / "kept"


def test_run_writes_what_was_measured(tmp_path):
    result = fit(tiny.recipe(steps=3, schedule={2: 0.5}, seed=4), tmp_path)
    assert result == read_result(Run(tmp_path))
    assert (result.recipe, result.seed, result.metric, result.steps) == ("tiny", 4, "error_percent", 3)
    assert result.value == Run(tmp_path).read_metrics()[-1]["test_error"]
    assert result.num_params == (36 * 6 + 6) + (36 * 4 + 4)
    assert result.schedule == {
        **{"optimizer": {"name": "sgd", "momentum": 0.9}, "batch_size": 8},
        **{"lr": 0.1, "localizer_lr": 0.01, "factors": {2: 0.5}},
    }
    assert result.changes == {} and not result.smoke
    assert result.seconds >= 0 and result.hardware and result.torch and result.commit and result.date[:2] == "20"


def test_localizers_warmup_is_a_part_of_the_schedule():
    assert schedule_of(tiny.recipe(localizer_warmup=3))["localizer_warmup"] == 3


def test_changes_against_the_package_are_recorded():
    recipe = load(
        NAME, overrides=["seed=2", "train.steps=10", "train.schedule={5: 0.1}", "optimizer.momentum=0.9", "data.limit=5", "smoke.seed=1"]
    )
    assert changes_of(recipe) == {"train.steps": 10, "train.schedule": {5: 0.1}, "optimizer.momentum": 0.9, "data.limit": 5}
    assert changes_of(load(NAME, overrides=["seed=2"])) == {}
    assert changes_of(load(NAME, smoke=True)) == load(NAME).smoke


def test_command_gives_the_same_recipe_again():
    overrides = [
        "train.steps=10",
        "train.schedule={5: 0.1}",
        "optimizer.momentum=0.9",
        "data.clutter=null",
        "model.transform={name: tps, lattice: [3, 3]}",
    ]
    recipe = load(NAME, overrides=overrides)
    words = shlex.split(command(NAME, changes_of(recipe)))
    assert words[:3] == ["reticle", "train", NAME] and words[3::2] == ["--set"] * 5
    assert load(NAME, overrides=words[4::2]) == recipe
    other = load(NAME, overrides=["model={name: fcn}"])
    assert load(NAME, overrides=shlex.split(command(NAME, changes_of(other)))[4::2]) == other
    assert command(NAME, {}) == f"reticle train {NAME}"
    assert command(NAME, {"train.steps": 10, "train.eval_every": 5}) == f"reticle train {NAME} --set train.steps=10"


def test_several_seeds_become_one_number(tmp_path, packaged):
    file = keep(seeds(tmp_path, [1.0, 2.0, 4.5], overrides=["train.steps=10"]))
    assert file == packaged / f"{NAME}.result.json"
    kept = kept_result(NAME)
    assert (kept.mean, kept.sd) == pytest.approx((2.5, 1.8027756))
    assert kept.value == "2.50 ± 1.80" and kept.minutes == 2.0
    assert [run["seed"] for run in kept.runs] == [0, 1, 2] and [run["value"] for run in kept.runs] == [1.0, 2.0, 4.5]
    assert set(kept.runs[0]) == {"seed", "value", "seconds", "hardware", "threads", "processes", "torch", "commit", "date"}
    assert (kept.recipe, kept.metric, kept.steps, kept.changes, kept.num_params) == (NAME, "error_percent", 10, {"train.steps": 10}, 100)
    assert kept.schedule["batch_size"] == 256


def logged(run, losses, every=10):
    for n, loss in enumerate(losses, 1):
        Run(run).log({"step": every * n, "loss": loss})
        Run(run).log({"step": every * n, "test_error": 50.0})
    return run


def test_the_run_of_least_loss_is_chosen_by_the_end_of_its_training_not_by_its_value(tmp_path, packaged):
    runs = seeds(tmp_path, [1.0, 2.0, 4.5])
    for run, last in zip(runs, ((0.4, 0.6), (0.3, 0.5), (0.7, 0.2)), strict=True):
        logged(run, [*[0.1] * 17, 0.0, *last], every=10)  # the last tenth of 200 steps: from 180 on
    keep(runs, least_loss=True)
    kept = kept_result(NAME)
    assert (kept.mean, kept.sd) == (2.0, None) and [run["seed"] for run in kept.runs] == [1]
    assert kept.chosen_from == [
        {"seed": 0, "loss": 0.3333, "value": 1.0},
        {"seed": 1, "loss": 0.2667, "value": 2.0},
        {"seed": 2, "loss": 0.3, "value": 4.5},
    ]
    row = next(line for line in table().splitlines() if f"| {NAME} " in line)
    assert "2.00 (of 3 that of least loss)" in row and f"`reticle train {NAME} --seeds 0,1,2`" in row


def test_a_loss_to_choose_by_must_have_been_logged(tmp_path, packaged):
    run = seeds(tmp_path, [1.0])[0]
    with pytest.raises(ValueError, match=r"0: must have logged a loss; its metrics\.jsonl has none\.\n  Lower train\.log_every"):
        keep([run], least_loss=True)
    assert not packaged.exists()


def test_one_seed_has_no_deviation(tmp_path, packaged):
    keep(seeds(tmp_path, [1.25]))
    assert kept_result(NAME).value == "1.25" and kept_result(NAME).sd is None


def test_result_of_a_recipe_of_ones_own_goes_where_one_says(tmp_path, packaged):
    run = finished(tmp_path / "run", tiny.recipe())
    with pytest.raises(
        ValueError, match=r"`out` must be given, as 'tiny' is not a recipe of the package\.\n  Say --out tiny\.result\.json"
    ):
        keep([run])
    assert keep([run], out=tmp_path / "mine.json") == tmp_path / "mine.json"
    assert json.loads((tmp_path / "mine.json").read_text())["mean"] == 1.0


def test_unfinished_run_is_not_kept(tmp_path, packaged):
    (tmp_path / "run").mkdir()
    with pytest.raises(FileNotFoundError, match=r"must be a complete run; it has no result\.json\.\n  Finish it"):
        keep([tmp_path / "run"])


def test_smoke_run_is_not_kept(tmp_path, packaged):
    with pytest.raises(ValueError, match="must not be a smoke run"):
        keep([finished(tmp_path, load(NAME, smoke=True))])
    assert not packaged.exists()


def test_mixed_recipes_are_not_kept(tmp_path, packaged):
    runs = seeds(tmp_path / "a", [1.0]) + seeds(tmp_path / "b", [1.0, 2.0], overrides=["train.lr=0.5"])[1:]
    with pytest.raises(ValueError, match=r"must be of the same recipe as .*; they differ in train\.lr\."):
        keep(runs)
    assert not packaged.exists()


def test_seed_counts_once(tmp_path, packaged):
    runs = seeds(tmp_path, [1.0])
    with pytest.raises(ValueError, match=r"must have different seeds; got \[0, 0\]\."):
        keep(runs * 2)


def test_nothing_to_keep_says_so():
    with pytest.raises(ValueError, match="must be one or more folders; got none"):
        keep([])


def test_damaged_result_is_named(tmp_path):
    run = Run(finished(tmp_path, tiny.recipe()))
    content = json.loads(run.result.read_text())
    run.result.write_text(json.dumps(content | {"value": "low"}))
    with pytest.raises(ValueError, match=r"result\.json: value: must be float; got 'low'\."):
        read_result(run)
    run.result.write_text("{")
    with pytest.raises(ValueError, match=r"result\.json: must be valid JSON; "):
        read_result(run)


def test_table_shows_the_measured_number_beside_the_papers(tmp_path, packaged):
    keep(seeds(tmp_path, [1.0, 2.0], overrides=["train.steps=10", "train.schedule={5: 0.1}", "optimizer.momentum=0.9"]))
    lines = table("jaderberg2015/mnist_r_cnn").splitlines()
    assert lines[:2] == ["| recipe | paper | measured | steps × batch, optimizer | command |", "| --- | --: | --: | --- | --- |"]
    assert lines[2] == (
        "| jaderberg2015/mnist_r_cnn | 1.2 | not yet run | 150,000 × 256, sgd lr 0.01 | `reticle train jaderberg2015/mnist_r_cnn` |"
    )
    assert lines[3] == (
        f"| {NAME} | 0.7 | 1.50 ± 0.71 | 10 × 256, sgd lr 0.01 momentum 0.9 "
        f"| `reticle train {NAME} --set optimizer.momentum=0.9 --set train.steps=10 --set 'train.schedule={{5: 0.1}}'` |"
    )
    assert len(lines) == 6
    assert table("jaderberg2015/mnist_r_cnn", measured_only=True).splitlines() == [*lines[:2], lines[3]]


def test_overview_lists_every_recipe(tmp_path, packaged):
    keep(seeds(tmp_path, [1.0]))
    rows = overview()
    assert len(rows) >= 39 and all(len(row) == len(rows[0]) for row in rows)
    assert (NAME, "0.7", "1.00", "1.0", "150,000 × 256, sgd lr 0.01") in rows
    assert ("jaderberg2015/mnist_tc_fcn", "13.2", "not yet run", "", "150,000 × 256, sgd lr 0.01") in rows


def test_committed_results_load_and_agree_with_their_recipes():
    for file in results.RECIPES.rglob("*.result.json"):
        name = file.relative_to(results.RECIPES).as_posix().removesuffix(".result.json")
        kept = kept_result(name)
        recipe = load(name, overrides=shlex.split(command(name, kept.changes))[4::2])
        assert kept.recipe == name and kept.steps == recipe.train.steps and kept.schedule == schedule_of(recipe)


def test_result_holds_what_json_can_hold():
    assert {f.type for f in dataclasses.fields(Result)} <= {str, int, float, bool, dict[str, results.Any]}


def test_commit_of_an_installed_package_is_its_version(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "PACKAGE", tmp_path / "site-packages" / "reticle")
    monkeypatch.setattr(machine, "version", lambda name: f"{name} 1.2.3")
    assert machine.commit() == "reticle 1.2.3"
