"""From a run to answers: new images in any form, names of the classes without the data, pictures, and what is said of bad ones."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image
from torch import nn

from reticle import DATASETS, Affine, Localizer, SpatialTransformer
from reticle.data.decode import Format, decode_files
from reticle.models import ContrastNorm, GlobalNorm
from reticle.predict import predict
from reticle.recipe import load
from reticle.show import look, show_run
from reticle.train import fit
from reticle.training.answers import answers
from reticle.training.build import load_model
from reticle.training.interface import read_interface
from reticle.training.looking import windows
from reticle.training.runs import Run

SMALL = ("data.limit=30", "model.filters=[4, 4, 4]", "train.log_every=1", "train.steps=3")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folders = tmp_path_factory.mktemp("runs")
    for name in ("narrow_cnn", "narrow_cnn_affine"):
        fit(load(f"gtsrb/{name}", smoke=True, overrides=SMALL), folders / name)
    return folders


@pytest.fixture
def run(trained, tmp_path):
    """A copy to spoil, of a network with a transformer."""
    return Run(shutil.copytree(trained / "narrow_cnn_affine", tmp_path / "run"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new")
    data = DATASETS["signs"](limit=15)
    for index, image in enumerate(data.test.images):
        Image.fromarray(image).resize((70, 60)).save(folder / f"{index:02d}.png")
    Image.new("L", (1, 1), 50).save(folder / "grey.png")
    return folder


def test_new_images_get_a_class_by_name_and_a_picture(run, pictures, tmp_path):
    found, drawn = predict(run.path, [pictures], out=tmp_path / "out")
    names = DATASETS["signs"](limit=15).class_names
    assert [p.file.name for p in found] == [*(f"{i:02d}.png" for i in range(15)), "grey.png"]
    assert all(p.name in names and p.second in names and p.name != p.second for p in found)
    assert all(1 / 15 <= p.confidence <= 1 and p.second_confidence <= p.confidence for p in found)
    assert [file.name for file in drawn] == ["predictions-1.png", "predictions-2.png"]
    assert not predict(run.path, [pictures])[1] and len(predict(run.path, [pictures / "01.png"] * 2)[0]) == 2


def test_one_image_or_folder_may_stand_alone(run, pictures):
    first = pictures / "00.png"
    alone = predict(run.path, [first])[0]
    assert predict(run.path, str(first))[0] == predict(run.path, first)[0] == alone
    assert predict(run.path, str(pictures))[0] == predict(run.path, [pictures])[0]


def test_answers_are_those_of_the_network(run, tmp_path):
    image = DATASETS["signs"](limit=15).test.images[3]
    Image.fromarray(image).save(tmp_path / "x.png")
    _, interface, model = load_model(run)
    assert not model.training
    with torch.no_grad():
        shares = model(torch.from_numpy(image).permute(2, 0, 1)[None] / 255).softmax(1)[0]
    (found,), _ = predict(run.path, [tmp_path / "x.png"])
    assert found.name == interface.class_names[int(shares.argmax())] and found.confidence == pytest.approx(float(shares.max()), abs=1e-5)


def test_new_images_are_made_to_fit_as_those_of_the_training_were(run, pictures, monkeypatch):
    asked, decode = [], decode_files
    monkeypatch.setattr(
        "reticle.predict.decode_files", lambda files, want, **options: (asked.append(want), decode(files, want, **options))[1]
    )
    for how in ("stretch", "pad"):
        run.interface.write_text(run.interface.read_text().replace('"stretch"', f'"{how}"'))
        predict(run.path, [pictures / "00.png"])
    assert asked == [Format((48, 48), 3, "stretch"), Format((48, 48), 3, "pad")]


def test_a_network_without_a_transformer_answers_without_pictures(trained, pictures, tmp_path):
    found, drawn = predict(trained / "narrow_cnn", [pictures], out=tmp_path / "out")
    assert len(found) == 16 and not drawn


def test_a_run_knows_what_it_takes(run):
    interface = read_interface(run)
    assert (interface.input_shape, interface.num_classes, interface.fit) == ([3, 48, 48], 15, "stretch")
    assert interface.name(0) == "red ring 0" and interface.name(99) == "99"


def test_mean_and_deviation_of_the_training_set_are_in_the_weights(run):
    _, _, model = load_model(run)
    mean, std = DATASETS["signs"](limit=30).statistics()
    assert (model.prepare[0].mean.item(), model.prepare[0].std.item()) == pytest.approx((mean, std), rel=1e-5)


def test_a_run_whose_classes_have_names_gets_pictures_of_them(run, trained):
    told = []
    files = {file.name for file in show_run(run.path, tell=told.append)}
    expected = {"confusion.png", "hardest.png", "mean.png"}
    assert files == {"curves.png", "window.png", "moving.gif", "evolution.gif", "evolution.png"} | expected and not told
    with Image.open(run.path / "pictures" / "moving.gif") as film:
        assert film.n_frames == 10  # a track, not a figure of eight
    plain = {file.name for file in show_run(trained / "narrow_cnn", tell=told.append)}
    assert plain == {"curves.png", "confusion.png", "hardest.png"}


def test_command_line_prints_a_table(run, pictures):
    command = [sys.executable, "-m", "reticle", "predict", str(run.path), str(pictures / "00.png"), str(pictures / "grey.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "00.png" in done.stdout and "%" in done.stdout and str(run.path / "predictions" / "predictions-1.png") in done.stdout


@pytest.mark.errors
def test_pictures_are_not_written_into_a_file(run, pictures, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match=r"file must be a folder to write into; it is a file\.\n  Choose another --out\.$"):
        predict(run.path, [pictures], out=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.errors
def test_bad_images_are_named(run, tmp_path):
    (tmp_path / "bad.png").write_text("no image")
    bad = re.escape(str(tmp_path / "bad.png"))
    with pytest.raises(ValueError, match=f"^1 of 1 images must decode, and do not:\n    {bad}: .+[^>]\n  Mend them, or leave them out.$"):
        predict(run.path, [tmp_path / "bad.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="predict: `images` must hold images; the folder '.*empty' holds none."):
        predict(run.path, [tmp_path / "empty"])
    with pytest.raises(ValueError, match="predict: `images` must be one or more files or folders; got none."):
        predict(run.path, [])
    with pytest.raises(FileNotFoundError, match="predict: `images` must be existing files or folders; got 'none.png'."):
        predict(run.path, ["none.png"])
    with pytest.raises(FileNotFoundError, match="predict: `images` must be existing files or folders; got '/none.png'."):
        predict(run.path, "/none.png")


@pytest.mark.errors
def test_what_is_no_run_is_refused(run, tmp_path, pictures):
    with pytest.raises(FileNotFoundError, match="run must be a folder that `reticle train` wrote"):
        predict(tmp_path, [pictures])
    run.interface.write_text("{")
    with pytest.raises(ValueError, match="interface.json: must be valid JSON"):
        predict(run.path, [pictures])
    run.interface.write_text(json.dumps({"input_shape": [1], "num_classes": "two"}))
    with pytest.raises(ValueError, match="interface.json: num_classes: must be int; got 'two'."):
        predict(run.path, [pictures])
    run.interface.unlink()
    with pytest.raises(FileNotFoundError, match="must hold interface.json, which `reticle train` writes at the start; it does not."):
        predict(run.path, [pictures])


# what a network looks at --------------------------------------------------------------------------------------------------------


class Behind(nn.Module):
    """A transformer behind ``first``, and a second one behind a convolution."""

    def __init__(self, *first):
        super().__init__()
        family = Affine()
        self.first = nn.Sequential(*first)
        self.transformer = SpatialTransformer(Localizer(nn.Flatten(), 3 * 64, family, start=torch.tensor([0.5, 0, 0, 0, 0.5, 0])), family)
        self.deeper = SpatialTransformer(Localizer(nn.Flatten(), 3 * 64, family), family)
        self.convolution = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.deeper(self.convolution(self.transformer(self.first(x)))).flatten(1)[:, :4]


@pytest.mark.parametrize("first", [(), (GlobalNorm(),), (GlobalNorm(), ContrastNorm())], ids=["bare", "global", "local"])
def test_normalisations_are_seen_through_and_deeper_transformers_are_not(first):
    model, images = Behind(*first), torch.rand(2, 3, 8, 8)
    seen, logits = windows(model, images)
    assert [s.transformer for s in seen] == [model.transformer] and torch.equal(logits, model(images))
    # what is drawn is sampled from the image itself, not from the normalised one
    expected = model.transformer.sample(images, model.transformer.localizer(model.first(images))).output
    torch.testing.assert_close(seen[0].warp.output, expected)
    assert not any(m._forward_hooks for m in model.modules())


def test_what_moves_pixels_is_not_seen_through():
    views, _ = look(Behind(nn.AvgPool2d(3, stride=1, padding=1)), torch.rand(2, 3, 8, 8))
    assert not views


def test_answers_count_and_average():
    class Zoom(nn.Module):
        def __init__(self):
            super().__init__()
            family = Affine()
            start = torch.tensor([-1.0, 0, 0, 0, 1, 0])  # mirrored
            self.transformer = SpatialTransformer(Localizer(nn.Flatten(), 4, family, start=start), family)

        def forward(self, x):
            return self.transformer(x)[:, 0, 0]

    images = torch.tensor([[[[5.0, 0.0], [0, 0]]], [[[0.0, 3.0], [0, 0]]], [[[0.0, 1.0], [0, 0]]], [[[0.0, 0.5], [0, 0]]]])
    found = answers(Zoom(), images, torch.tensor([0, 0, 1, 1]), num_classes=2, batch_size=3)
    assert found.predictions.tolist() == [1, 0, 0, 0] and found.confusion.tolist() == [[1, 1], [2, 0]]
    assert found.hardest(2).tolist() == [0, 2]
    torch.testing.assert_close(found.before[0, 0, 0], torch.tensor([2.5, 1.5]))
    torch.testing.assert_close(found.after[0, 0, 0], torch.tensor([1.5, 2.5]), atol=1e-5, rtol=0)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        ("jaderberg2015/addition_fcn", "must be a run of a network that reads grey or colour images; it reads inputs of shape (2, 42, 42)"),
        ("sonderby2015/cnn", "must be a run of the task classification, whose answers are classes; its task is sequence"),
    ],
)
def test_a_run_of_something_else_is_refused(recipe, text, tmp_path, pictures):
    fit(load(recipe, smoke=True, overrides=["data.digits=digits"]), tmp_path)
    with pytest.raises(ValueError, match=re.escape(text)):
        predict(tmp_path, [pictures])
