"""From a run's folder to pictures and a page: whole, unfinished and damaged runs; and the demo, which may be stopped and run again."""

import dataclasses
import os
import re
import shutil
import sys

import pytest
import tiny
import torch
from PIL import Image
from torch import nn

from reticle import demo, show
from reticle.demo import run_demo
from reticle.modules import Localizer, ParallelTransformers, SpatialTransformer
from reticle.recipe import changed, load
from reticle.report import comparison, duration, write_report
from reticle.show import look, show_run
from reticle.train import fit
from reticle.training.results import read_result
from reticle.training.runs import Run
from reticle.transforms import Affine
from reticle.viz import save_curves

PLAIN, TRANSFORMER = "digits/rts_clutter_cnn", "digits/rts_clutter_cnn_similarity"
SMALL = ("model.filters=2", "train.log_every=1")


def small(name, *overrides):
    return load(name, smoke=True, overrides=[*SMALL, *overrides])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fit(small(TRANSFORMER), folder)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy to spoil."""
    return Run(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def told():
    return []


def names(files):
    assert all(file.stat().st_size > 500 for file in files)
    return {file.name for file in files}


def test_a_finished_run_gets_four_pictures(run, told):
    assert names(show_run(run.path, tell=told.append)) == {"curves.png", "window.png", "moving.gif", "evolution.gif", "evolution.png"}
    assert not told
    with Image.open(run.path / "pictures" / "evolution.gif") as film:
        assert film.n_frames == len(list(run.snapshots.glob("[0-9]*.safetensors")))
        assert film.info["duration"] == 1200
        film.seek(film.n_frames - 1)
        assert film.info["duration"] == 3000
    with Image.open(run.path / "pictures" / "moving.gif") as film:
        assert film.n_frames == 48


def test_a_running_run_shows_its_last_checkpoint(run, told):
    run.weights.unlink()
    run.result.unlink()
    with open(run.metrics, "a") as out:
        out.write('{"step": 3, "lo')  # killed while it wrote
    assert len(show_run(run.path, tell=told.append)) == 5
    assert not told


def test_a_run_without_weights_yet_shows_what_there_is(run, told):
    run.weights.unlink()
    run.checkpoint.unlink()
    run.metrics.unlink()
    assert names(show_run(run.path, tell=told.append)) == {"evolution.gif", "evolution.png"}
    assert [line.partition(": ")[2] for line in told] == [
        "no step is logged yet; curves.png has to wait.",
        "there are no weights yet; window.png and moving.gif come with the first checkpoint.",
    ]


def test_a_model_without_transformer_is_told_in_one_line(tmp_path, told):
    fit(small(PLAIN), tmp_path)
    assert names(show_run(tmp_path, tell=told.append)) == {"curves.png"}
    assert told == [f"{tmp_path}: the model has no transformer; there is no window to draw."]


def test_a_data_set_that_gives_what_it_must_alone_has_no_film(tmp_path, told):
    fit(changed(tiny.recipe(steps=2), {"data": "tiny:Bare"}, "test"), tmp_path)
    assert names(show_run(tmp_path, tell=told.append)) == {"curves.png", "window.png", "evolution.gif", "evolution.png"}
    assert told == ["tiny: the data set has neither `moving` nor `plain`, images to be moved; moving.gif is left out."]


def test_the_curve_of_another_task_has_its_unit(tmp_path, monkeypatch):
    fit(changed(tiny.recipe(steps=2), {"task": "tiny:Apart", "source.metric": "mean_distance"}, "test"), tmp_path)
    units = []
    monkeypatch.setattr(show, "save_curves", lambda curves, file, *, unit: units.append(unit) or save_curves(curves, file, unit=unit))
    monkeypatch.setattr(tiny.Corners, "class_names", ("low", "high"), raising=False)  # there is nothing to be confused
    made = names(show_run(tmp_path, tell=str))
    assert units == ["classes"] and "window.png" in made and not made & {"confusion.png", "hardest.png", "mean.png"}


@pytest.mark.errors
def test_damaged_parts_are_named(run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no recipe.yaml"):
        show_run(tmp_path)
    spoiled = sorted(run.snapshots.glob("[0-9]*"))[0]
    for file, part in ((run.weights, 100), (spoiled, 100), (run.snapshots / "images.safetensors", 0)):
        whole = file.read_bytes()
        file.write_bytes(whole[:part])
        with pytest.raises(ValueError, match=f"{re.escape(str(file))}: must be a safetensors file; it is damaged"):
            show_run(run.path)
        file.write_bytes(whole)
    (run.snapshots / "images.safetensors").rename(spoiled)
    with pytest.raises(ValueError, match=f"{re.escape(str(spoiled))}: must hold grid, output; it lacks"):
        show_run(run.path)
    spoiled.unlink()
    with pytest.raises(FileNotFoundError, match=r"images.safetensors: is missing, though the run has snapshots"):
        show_run(run.path)
    run.metrics.write_text("{}}\n")
    with pytest.raises(ValueError, match=f"{re.escape(str(run.metrics))}: must hold one JSON object a line"):
        show_run(run.path)


def transformer(size, *, align_corners=True):
    return SpatialTransformer(Localizer(nn.Flatten(), size, Affine()), Affine(), align_corners=align_corners)


def test_look_takes_the_transformers_that_read_the_image():
    first, second, deeper = transformer(64), transformer(64), transformer(128)
    model = nn.Sequential(ParallelTransformers(first, second), deeper, nn.Flatten(), nn.Linear(128, 3))
    with torch.no_grad():
        second.localizer.head.bias[2] = 0.5
    views, logits = look(model, torch.rand(5, 1, 8, 8))
    assert logits.shape == (5, 3)
    assert [view.align_corners for view in views] == [True, True]
    torch.testing.assert_close(views[1].grid, views[0].grid + torch.tensor([0.5, 0.0]))


def test_look_ignores_a_deeper_transformer_that_still_gets_the_image_unchanged():
    first, deeper = transformer(64, align_corners=False), transformer(64, align_corners=False)
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(first(images), images)
    views, _ = look(nn.Sequential(first, deeper, nn.Flatten(), nn.Linear(64, 3)), images)
    assert len(views) == 1


def test_look_finds_nothing_where_there_is_nothing():
    assert look(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.rand(1, 1, 2, 2))[0] == []


@pytest.fixture
def result(run):
    return dataclasses.replace(read_result(run), value=20.0, num_params=1234, seconds=95.0)


def test_the_report_holds_all_it_shows(result, tmp_path):
    picture = tmp_path / "window.png"
    Image.new("RGB", (4, 4)).save(picture)
    better = dataclasses.replace(result, value=5.0, recipe="<my>&recipe")
    file = write_report(
        tmp_path / "new" / "report.html", plain=result, transformer=better, pictures=[picture], commands={"reticle show a>b": "draw"}
    )
    page = file.read_text(encoding="utf-8")
    assert all(text in page for text in ("20.0 %", "5.0 %", "75 % fewer errors", "Ratio of the errors: 0.25", "1,234", "1 min 35 s"))
    assert all(text in page for text in ("&lt;my&gt;&amp;recipe", "a&gt;b"))
    assert re.findall(r'(?:src|href)="(.{10})', page) == ["data:image"]
    assert not re.search(r"https?://|@import|url\(", page)
    assert page.count("<figure>") == page.count("alt=") == 1


@pytest.mark.errors
def test_a_report_of_no_picture_is_refused(result, tmp_path):
    with pytest.raises(ValueError, match=r"`pictures` must be PNG or GIF files; got .*notes.txt"):
        write_report(tmp_path / "report.html", plain=result, transformer=result, pictures=[tmp_path / "notes.txt"], commands={})
    with pytest.raises(FileNotFoundError, match=r"window.png"):
        write_report(tmp_path / "report.html", plain=result, transformer=result, pictures=[tmp_path / "window.png"], commands={})


def test_errors_are_compared_in_words(result):
    def against(plain, value):
        return comparison(dataclasses.replace(result, value=plain), dataclasses.replace(result, value=value))

    assert against(20.0, 5.0) == "75 % fewer errors"
    assert against(20.0, 25.0) == "25 % more errors"
    assert against(0.0, 0.0) == "as many errors"
    assert against(0.0, 1.0) == "more errors"


def test_durations_are_read_easily():
    assert [duration(seconds) for seconds in (0.4, 59.6, 125)] == ["0 s", "1 min 0 s", "2 min 5 s"]


def test_the_commands_of_the_demo_can_be_typed_where_it_ran(tmp_path, monkeypatch):
    program = tmp_path / ".venv" / "bin" / "reticle"
    program.parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    monkeypatch.setenv("PATH", "")
    assert demo._program() == "reticle"  # no path that could help
    program.touch(mode=0o755)
    assert demo._program() == os.path.join(".venv", "bin", "reticle")
    monkeypatch.setenv("PATH", str(program.parent))
    assert demo._program() == "reticle"


def test_the_demo_goes_on_and_starts_over(tmp_path, monkeypatch, capsys):
    recipes = small(PLAIN), small(TRANSFORMER)
    trainings = []

    def counted(recipe, *args, **how):
        trainings.append(recipe.name)
        if len(trainings) == 2:
            raise KeyboardInterrupt
        return fit(recipe, *args, **how)

    monkeypatch.setattr("reticle.demo.fit", counted)
    with pytest.raises(KeyboardInterrupt):
        run_demo(*recipes, tmp_path)
    report = run_demo(*recipes, tmp_path)
    assert trainings == [PLAIN, TRANSFORMER, TRANSFORMER]  # what was complete is kept
    assert {file.name for file in tmp_path.glob("*.*")} == {"window.png", "evolution.gif", "moving.gif", "curves.png", "report.html"}
    assert report.read_text(encoding="utf-8").count("<figure>") == 4
    assert "with spatial transformer" in capsys.readouterr().out
    monkeypatch.setattr("reticle.demo.show_run", lambda *_, **__: [])  # drawn once is enough
    run_demo(*recipes, tmp_path)
    assert trainings[3:] == [PLAIN, TRANSFORMER]  # a finished demo is replaced
    report.unlink()
    run_demo(small(PLAIN, "seed=1"), recipes[1], tmp_path)
    assert trainings[5:] == [PLAIN]  # and so is a run of another recipe
