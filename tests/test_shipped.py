"""Trained networks that ship: each is a run of its recipe, small, found by its name, and as good as its result says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from reticle.predict import predict
from reticle.recipe import changed, load
from reticle.tasks import build_task
from reticle.training.build import build_data, build_model
from reticle.training.checkpoint import read_tensors
from reticle.training.results import read_result
from reticle.training.runs import SHIPPED, find_run, shipped_runs

NAMES = shipped_runs()
READER = "jaderberg2015/mnist_tc_cnn_affine"
each = pytest.mark.parametrize("name", NAMES)
real = pytest.mark.skipif(
    not Path(os.environ.get("RETICLE_DATA", ""), "mnist").is_dir(), reason="RETICLE_DATA does not name a folder with mnist/"
)


def test_there_are_some_and_they_are_small():
    assert {"jaderberg2015/coloc_embedding", "jaderberg2015/coloc_embedding_clutter", READER} <= set(NAMES)
    sizes = [file.stat().st_size for file in SHIPPED.rglob("*.safetensors")]
    assert len(sizes) == len(NAMES) and max(sizes) <= 2_000_000 and sum(sizes) <= 10_000_000


@each
def test_it_is_a_whole_run_of_its_recipe(name):
    run = find_run(name)
    assert {"recipe.yaml", "result.json", "weights.safetensors", "interface.json"} == {file.name for file in run.path.iterdir()}
    result = read_result(run)
    assert (result.recipe, result.smoke) == (name, False)
    assert changed(load(name), result.changes, "test") == load(run.recipe)


@real
@each
def test_it_is_as_good_as_its_result_says(name):
    run = find_run(name)
    recipe, count = load(run.recipe), 400
    data = build_data(changed(recipe, {"data.limit": count}, "test"))
    model = build_model(recipe, data).eval()
    model.load_state_dict(read_tensors(run.weights))
    images, targets = data.test_set()
    with torch.no_grad():
        error = build_task(recipe).mistakes(model(images[:count]), targets[:count]).mean().item()
    share = read_result(run).value / 100
    assert error == pytest.approx(100 * share, abs=350 * (share * (1 - share) / count) ** 0.5)  # deviations of chance, three and a half


def test_a_folder_of_ones_own_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_run(READER).path == SHIPPED / READER
    own = Path(READER)
    own.mkdir(parents=True)
    assert find_run(READER).path == SHIPPED / READER  # not yet a run
    (own / "recipe.yaml").touch()
    assert find_run(READER).path == own


@pytest.mark.errors
@pytest.mark.parametrize(
    "name, fix", [(READER[:-1], f"Did you mean '{READER}'"), ("nowhere", "jaderberg2015/coloc_embedding"), ("../weights/" + READER, "")]
)
def test_a_wrong_name_is_answered(name, fix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (60, 60)).save("black.png")
    with pytest.raises(FileNotFoundError) as error:
        predict(name, ["black.png"])
    start = f"run must be a folder that `reticle train` wrote, or ship with the package; got '{name}', which has no recipe.yaml.\n"
    assert str(error.value).startswith(start) and fix in str(error.value)


@real
def test_it_reads_digits_in_new_images(tmp_path):
    data = build_data(changed(load(READER), {"data.limit": 20}, "test"))
    images, labels = (part[:20] for part in data.test_set())
    files = [tmp_path / f"{number:02d}.png" for number in range(len(images))]
    for image, file in zip(images, files, strict=True):
        Image.fromarray(image[0].mul(255).round().byte().numpy()).save(file)
    answers, pictures = predict(READER, files, out=tmp_path / "out")
    assert sum(int(answer.name) == label for answer, label in zip(answers, labels.tolist(), strict=True)) >= 18
    assert [picture.name for picture in pictures] == ["predictions-1.png", "predictions-2.png"]


def test_the_command_line_takes_a_name_and_writes_below_runs(tmp_path):
    Image.new("L", (60, 60)).save(tmp_path / "black.png")
    command = [sys.executable, "-m", "reticle", "predict", READER, "black.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / READER / "predictions" / "predictions-1.png").is_file() and "black.png" in done.stdout
