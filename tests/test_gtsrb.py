"""German traffic signs: both layouts of the archives, tracks and boxes, damaged archives, the drawn stand-in, the real ones if there."""

import csv
import hashlib
import io
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reticle import DATASETS
from reticle.data import cache, gtsrb_files
from reticle.data.gtsrb import one_track_of_each, to_boxes
from reticle.data.gtsrb_files import CLASSES, Signs, read_signs
from reticle.recipe import load, names

SIGNS = [(label, track, frame) for label in (0, 5, 42) for track in range(3) for frame in range(4)]
TEST = [5, 0, 42, 5]


def image(label, frame, kind):
    memory = io.BytesIO()
    Image.new("RGB", (30 + frame, 25), (5 * label, 10 * frame, 99)).save(memory, kind)
    return memory.getvalue()


def roi(frame):
    return [30 + frame, 25, 3, 5, 26 + frame, 19]


def write_zip(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def table(rows, delimiter=","):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def write_compact(folder):
    write_zip(folder / "train-a.zip", {f"{c:05d}/{t:05d}_{f:05d}.jpg": image(c, f, "PNG") for c, t, f in SIGNS})
    write_zip(folder / "test.zip", {f"{i:05d}.jpg": image(c, i, "PNG") for i, c in enumerate(TEST)})
    header = "archive file class_id track frame width height roi_x1 roi_y1 roi_x2 roi_y2".split()
    train = [["train-a.zip", f"{c:05d}/{t:05d}_{f:05d}.jpg", c, t, f, *roi(f)] for c, t, f in SIGNS]
    test = [["test.zip", f"{i:05d}.jpg", c, "", "", *roi(i)] for i, c in enumerate(TEST)]
    for name, rows in (("train.csv", train), ("test.csv", test)):
        (folder / name).write_text(table([header, *rows]))


def write_official(folder):
    header = "Filename Width Height Roi.X1 Roi.Y1 Roi.X2 Roi.Y2 ClassId".split()
    root = "GTSRB/Final_Training/Images"
    members = {f"{root}/{c:05d}/{t:05d}_{f:05d}.ppm": image(c, f, "PPM") for c, t, f in SIGNS}
    for label in (0, 5, 42):
        rows = [[f"{t:05d}_{f:05d}.ppm", *roi(f), c] for c, t, f in SIGNS if c == label]
        members[f"{root}/{label:05d}/GT-{label:05d}.csv"] = table([header, *rows], ";")
    write_zip(folder / gtsrb_files.TRAIN, members)
    write_zip(folder / gtsrb_files.TEST, {f"GTSRB/Final_Test/Images/{i:05d}.ppm": image(c, i, "PPM") for i, c in enumerate(TEST)})
    rows = [[f"{i:05d}.ppm", *roi(i), c] for i, c in enumerate(TEST)]
    write_zip(folder / gtsrb_files.TRUTH, {"GT-final_test.csv": table([header, *rows], ";")})


LAYOUTS = {"compact": write_compact, "official": write_official}


@pytest.fixture(params=LAYOUTS)
def archives(request, tmp_path, monkeypatch):
    """The archives of a tiny GTSRB in one of the layouts, an empty cache, no net."""
    folder = tmp_path / "data" / "gtsrb"
    folder.mkdir(parents=True)
    LAYOUTS[request.param](folder)
    sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in gtsrb_files.MD5 if (folder / name).exists()}
    monkeypatch.setattr(gtsrb_files, "MD5", {**gtsrb_files.MD5, **sums})
    monkeypatch.setattr(gtsrb_files, "COUNTS", {"train": len(SIGNS), "test": len(TEST)})
    monkeypatch.setattr(gtsrb_files, "MIRRORS", ())
    monkeypatch.setattr(cache.pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.delenv("RETICLE_DATA", raising=False)
    return folder


def gtsrb(archives, **options):
    return DATASETS["gtsrb"](data_dir=archives.parent, **{"size": 8} | options)


def test_both_layouts_hold_the_same_signs(archives):
    data = gtsrb(archives)
    assert (data.num_train, data.num_test, data.num_classes, data.input_shape) == (36, 4, 43, (3, 8, 8))
    assert data.class_names == CLASSES and len(set(CLASSES)) == 43 and CLASSES[14] == "Stop"
    assert data.train.labels.tolist() == [label for label, _, _ in SIGNS] and data.test.labels.tolist() == TEST
    assert data.train.images[:, 4, 4].tolist() == [[5 * label, 10 * frame, 99] for label, _, frame in SIGNS]
    assert data.train_signs.tracks.tolist() == [track for _, track, _ in SIGNS]
    left, top, right, bottom = to_boxes(data.train_signs)[1].tolist()
    assert (left, top, right, bottom) == pytest.approx((2 * 3 / 31 - 1, 2 * 5 / 25 - 1, 2 * 28 / 31 - 1, 2 * 20 / 25 - 1))


def test_validation_takes_one_whole_track_of_each_class_and_leaves_the_test_set_alone(archives):
    data = gtsrb(archives, validation=True)
    assert (data.num_train, data.num_test) == (24, 12)
    held = {(int(c), int(t)) for c, t in zip(data.test.labels, data.test_signs.tracks, strict=True)}
    left = {(int(c), int(t)) for c, t in zip(data.train.labels, data.train_signs.tracks, strict=True)}
    assert sorted(c for c, _ in held) == [0, 5, 42] and not held & left


def test_pixels_are_decoded_once(archives, monkeypatch):
    first = gtsrb(archives).test_set()[0]
    monkeypatch.setattr("reticle.data.gtsrb.decode_files", None)
    assert torch.equal(gtsrb(archives).test_set()[0], first)


def test_moving_sign_is_one_track_in_its_order(archives):
    images, labels = gtsrb(archives).moving()
    # no stop sign is among the three classes
    assert labels.tolist() == [0] * 4 and (images[:, 1, 4, 4] * 255).round().tolist() == [0, 10, 20, 30]


def test_limit_keeps_every_class_and_its_boxes(archives):
    data = gtsrb(archives, limit=3)
    assert data.train.labels.tolist() == [0, 5, 42] and data.num_test == 3
    assert len(data.train_signs.boxes) == len(data.train_signs.files) == 3


def test_a_track_is_never_torn_apart_and_another_seed_takes_another():
    labels, tracks = np.repeat([0, 1], 300), np.tile(np.repeat(np.arange(10), 30), 2)
    signs = Signs([], labels, tracks, np.zeros((600, 4)))
    held = one_track_of_each(signs)
    assert held.sum() == 60 and all(len(set(tracks[held & (labels == c)])) == 1 for c in (0, 1))
    assert any((one_track_of_each(signs, seed=seed) != held).any() for seed in range(1, 5))


# faults -----------------------------------------------------------------------------------------------------------------------


def some_archive(archives, *, test=False):
    kinds = ("test.zip", gtsrb_files.TEST) if test else ("train-a.zip", gtsrb_files.TRAIN)
    return next(archives / name for name in kinds if (archives / name).exists())


@pytest.mark.errors
@pytest.mark.parametrize("test", [False, True])
def test_a_missing_archive_is_named(archives, test):
    file = some_archive(archives, test=test)
    file.unlink()
    with pytest.raises(ValueError, match=f"^{re.escape(str(file))} must be there, .*; it is missing.\n  Probably an interrupted"):
        gtsrb(archives)


@pytest.mark.errors
@pytest.mark.parametrize("spoil", [lambda content: content[:-40], lambda content: b"<html>", lambda content: b""])
def test_a_damaged_archive_is_named_and_kept(archives, spoil):
    file = some_archive(archives)
    file.write_bytes(spoil(file.read_bytes()))
    before = file.read_bytes()
    with pytest.raises(ValueError, match=f"^{re.escape(str(file))} must (be a whole zip archive; .*|have the md5 .*; got .*).\n  Probably"):
        gtsrb(archives)
    assert file.read_bytes() == before


@pytest.mark.errors
def test_an_image_that_does_not_decode_is_named(archives, monkeypatch):
    file = some_archive(archives)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    bad = next(name for name in members if not name.endswith(".csv"))
    write_zip(file, members | {bad: b"no image"})
    monkeypatch.setitem(gtsrb_files.MD5, file.name, hashlib.md5(file.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=f"^1 of 36 images must decode, and do not:\n    {re.escape(f'{file}: {bad}')}: cannot identify"):
        gtsrb(archives)


@pytest.mark.errors
def test_another_number_of_images_is_refused(archives, monkeypatch):
    monkeypatch.setattr(gtsrb_files, "COUNTS", {"train": len(SIGNS), "test": 5})
    with pytest.raises(ValueError, match="the test set of GTSRB must have 5 images; got 4.\n  Probably"):
        read_signs(archives)


@pytest.mark.errors
def test_a_table_that_names_what_is_not_there_is_refused(tmp_path):
    write_compact(tmp_path)
    (tmp_path / "test.csv").write_text((tmp_path / "test.csv").read_text().replace("00002.jpg", "00009.jpg"))
    with pytest.raises(ValueError, match=r"test.zip must hold 00009.jpg, as test.csv says; it does not.\n  Probably"):
        read_signs(tmp_path)
    (tmp_path / "test.csv").unlink()
    with pytest.raises(ValueError, match=r"test.csv must be there, beside the archives; it is missing.\n  Probably"):
        read_signs(tmp_path)


@pytest.mark.errors
def test_what_is_nowhere_and_cannot_be_downloaded_says_what_to_do(archives, tmp_path):
    for file in archives.iterdir():
        file.unlink()
    with pytest.raises(
        FileNotFoundError, match="GTSRB_Final_Training_Images.zip must be downloaded once, .*\n  Put GTSRB's three archives"
    ):
        gtsrb(archives)
    with pytest.raises(ValueError, match="reticle.data.gtsrb: `data_dir` must be an existing folder; got '.*none'."):
        DATASETS["gtsrb"](data_dir=tmp_path / "none")


# the stand-in -----------------------------------------------------------------------------------------------------------------


def test_drawn_signs_are_the_same_everywhere():
    data = DATASETS["signs"](limit=15)
    assert (data.num_train, data.num_test, data.num_classes, data.input_shape) == (15, 15, 15, (3, 48, 48))
    assert data.class_names[0] == "red ring 0" and data.train.labels.tolist() == list(range(15))
    # pins the drawing, within what other processors may round
    assert data.train.images.mean((1, 2, 3))[:5] == pytest.approx([96.3, 130.7, 55.9, 82.1, 136.2], abs=1)
    again = DATASETS["signs"](limit=30)
    assert np.array_equal(again.train.images[::2], data.train.images)


def test_drawn_signs_come_nearer_in_their_boxes():
    data = DATASETS["signs"](limit=15)
    images, labels = data.moving()
    assert images.shape == (10, 3, 48, 48) and labels.tolist() == [0] * 10
    redness = (images[:, 0] - images[:, 2]).clamp(min=0).sum((1, 2))
    assert redness[-1] > 1.5 * redness[0]
    for image, box in list(zip(data.test.images.astype(float), data.test_signs.boxes, strict=True))[:3]:
        y, x = np.nonzero(image[..., 0] - image[..., 2] > image.max() / 4)  # the red ring
        assert [x.min(), y.min(), x.max() + 1, y.max() + 1] == pytest.approx(((box + 1) * 24).tolist(), abs=1.2)


def test_recipes_name_what_the_data_sets_take():
    import inspect

    own = [name for name in names() if name.startswith(("gtsrb/", "moodstocks2015/"))]
    assert len(own) >= 9
    for name in own:
        recipe = load(name)
        inspect.signature(DATASETS[recipe.data.name]).bind(**recipe.data.args)
        assert load(name, smoke=True).data.name == "signs"


PAPER = {"gtsrb_cnn": 98.85, "gtsrb_cnn_st1": 99.46, "gtsrb_cnn_st1_st3": 99.61, "gtsrb_cnn_st1_st3_26": 99.67}


@pytest.mark.parametrize("name", PAPER)
def test_recipes_say_what_the_paper_says(name):
    recipe = load(f"moodstocks2015/{name}")
    assert (recipe.source.metric, recipe.source.reported) == ("accuracy_percent", PAPER[name])
    assert (recipe.optimizer.name, recipe.optimizer.args) == ("sgd", {})
    assert (recipe.train.batch_size, recipe.train.lr, recipe.train.schedule) == (50, 0.01, {})
    assert recipe.train.steps == 39_209 // 50 * (26 if name.endswith("26") else 14)


@pytest.mark.parametrize("name", ["gtsrb/narrow_cnn_affine", "gtsrb/narrow_cnn_refined"])
def test_small_recipes_differ_in_the_transformer_alone(name):
    plain, other = load("gtsrb/narrow_cnn"), load(name)
    assert (plain.data, plain.optimizer, plain.train) == (other.data, other.optimizer, other.train)
    assert plain.model.args.items() <= other.model.args.items() and "localizers" in other.model.args


# the real ones ----------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not Path(os.environ.get("RETICLE_DATA", ""), "gtsrb", "train.csv").is_file(), reason="RETICLE_DATA does not name a folder with gtsrb/"
)
def test_real_signs_are_listed_as_published():
    train, test = read_signs(Path(os.environ["RETICLE_DATA"], "gtsrb"))
    counts = "210 2220 2250 1410 1980 1860 420 1440 1410 1470 2010 1320 2100 2160 780 630 420 1110 1200 210 360 330 390 510 270 1500 600"
    assert np.bincount(train.labels)[:27].tolist() == list(map(int, counts.split())) and len(test.labels) == 12_630
    held = one_track_of_each(train)
    assert held.sum() == 1_290 and len({(c, t) for c, t in zip(train.labels, train.tracks, strict=True)}) == 1_307
    # the sign fills most of the image
    boxes = to_boxes(train)
    assert (boxes.abs() <= 1).all() and 1.3 < (boxes[:, 2] - boxes[:, 0]).mean() < 1.8
