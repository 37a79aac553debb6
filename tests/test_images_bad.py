"""Bad images, folders, tables and arrays: one clear error with the name of the file, or a stated rule."""

import re

import numpy as np
import pytest
from photographs import BYTES, encoded, folder, make_tree, picture, save, use_cache, write_table
from PIL import Image

from reticle import DATASETS
from reticle.data import Labelled, LabelledImages


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    where = tmp_path_factory.mktemp("cache")
    use_cache(where, monkeypatch)


@pytest.fixture
def tree(tmp_path):
    return make_tree(tmp_path / "pets")


def refused(message, call, *args, **options):
    with pytest.raises(ValueError) as error:
        call(*args, **options)
    assert re.search(message, str(error.value)), str(error.value)


@pytest.mark.errors
@pytest.mark.parametrize(
    "content", [b"", b"no image at all", encoded(picture((9, 9, 9), (64, 64)))[:90], encoded(picture((9, 9, 9)), "JPEG")[:300]]
)
def test_an_image_that_does_not_decode_is_named_or_skipped_and_counted(tree, capsys, content):
    bad = tree / "green" / "3.png"
    bad.write_bytes(content)
    fix = "Mend or remove them, or leave them out with on_error: skip."
    expected = f"^1 of 15 images must decode, and do not:\n    {re.escape(str(bad))}: .+\n  {fix}$"
    refused(expected, folder, tree)
    for _ in range(2):  # from the cache, too
        data = folder(tree, on_error="skip")
        assert data.num_train + data.num_test == 14
        assert f"folder: 1 of 15 images do not decode and are left out: {bad}" in capsys.readouterr().err


@pytest.mark.errors
@pytest.mark.parametrize("dtype, what", [(np.float32, "floating-point numbers"), (np.int32, "whole numbers of any size")])
def test_an_image_whose_white_is_not_known_is_named(tree, dtype, what):
    bad = save(tree / "green" / "3.tif", Image.fromarray(np.ones((4, 4), dtype)), format="TIFF")
    must = f"must have 8 or 16 bits a channel; got {what}, of which none is known to be white. Save it with 8 or 16 bits"
    refused(f"^1 of 16 images must decode, and do not:\n    {re.escape(str(bad))}: {must}\n", folder, tree)


@pytest.mark.errors
def test_a_class_whose_every_image_is_skipped_is_told(tree, capsys):
    for file in (tree / "green").glob("*.png"):
        file.write_bytes(b"")
    refused("^folder: every class must have a training image; 'green' has none.\n  Remove the class", folder, tree, on_error="skip")


@pytest.mark.errors
def test_an_empty_class_is_named(tree):
    (tree / "yellow").mkdir()
    (tree / "yellow" / "readme.txt").write_text("soon")
    refused(rf"^folder: {re.escape(str(tree / 'yellow'))} must hold images; it holds none.\n  Remove the folder", folder, tree)


@pytest.mark.errors
def test_classes_that_differ_are_named(tree, tmp_path):
    save(tmp_path / "test" / "red" / "1.png", picture((9, 9, 9)))
    save(tmp_path / "test" / "pink" / "1.png", picture((9, 9, 9)))
    message = "^folder: train and test must have the same classes; only test has pink and only train has blue, green.\n  Name them alike"
    refused(message, folder, tree, test_path=tmp_path / "test")


@pytest.mark.errors
def test_one_single_image_is_not_enough(tmp_path):
    save(tmp_path / "a" / "only" / "1.png", picture((9, 9, 9)))
    refused("^folder: there must be at least two classes; got 'only'.\n  Nothing can be told apart", folder, tmp_path / "a")
    save(tmp_path / "a" / "other" / "1.png", picture((9, 9, 9)))
    refused("^folder: there must be at least one test image; got none.\n  Give more images, a larger test_share", folder, tmp_path / "a")


@pytest.mark.errors
@pytest.mark.parametrize(
    "options, message",
    [
        ({"size": 0}, r"folder: `size` must be a positive whole number, or two, \(H, W\); got 0."),
        ({"size": [8]}, r"`size` must be a positive whole number, or two, \(H, W\); got \[8\]."),
        ({"fit": "squeeze"}, "folder: `fit` must be one of stretch, crop, pad; got 'squeeze'."),
        ({"on_error": "ignore"}, "folder: `on_error` must be one of stop, skip; got 'ignore'."),
        ({"test_share": 0}, "folder: `test_share` must be a number between 0 and 1; got 0."),
        ({"workers": -1}, "folder: `workers` must be a whole number of at least 0; got -1."),
        ({"limit": 0}, "`limit` must be a whole number of at least 1; got 0."),
        ({"test_path": "nowhere"}, "folder: `test_path` must be an existing folder; got 'nowhere'.\n  Looked at "),
        ({"class_weights": "even"}, "`class_weights` must be 'balanced', a mapping from classes to numbers, or nothing; got 'even'."),
        ({"class_weights": {"rde": 2}}, "`class_weights` must name classes; got 'rde'.\n  Known: blue, green, red."),
        ({"class_weights": {"red": -1}}, "`class_weights` must be finite and at least 0, not all of them 0; got {'red': -1}."),
    ],
)
def test_wrong_options_are_refused(tree, options, message):
    refused(message, folder, tree, **options)


@pytest.mark.errors
def test_a_folder_without_classes_says_how_it_must_be(tmp_path):
    save(tmp_path / "1.png", picture((9, 9, 9)))
    refused(
        "must hold one folder for each class; it holds none.\n  Put the images into folders named after their classes.", folder, tmp_path
    )
    refused("folder: `path` must be an existing folder; got '.*1.png'.", folder, tmp_path / "1.png")


@pytest.mark.errors
@pytest.mark.parametrize(
    "rows, message",
    [
        (
            [("path", "label"), ("red/0.png", "7")],
            r"list.csv, line 2: the label must be one of the 3 classes \(a, b, c\) or a number from 0 to 2; got '7'.",
        ),
        ([("path", "label"), ("red/0.png", "")], "list.csv, line 2: must have a path and a label; got "),
        ([("path", "label"), ("red/9.png", "a")], "list.csv, line 2: the image must exist; got '.*9.png'.\n  Paths start from "),
        ([("path", "color")], r"list.csv must have a column 'label' \(label, class, .*\) in its first line; got path, color."),
        ([], r"list.csv must have a column 'path' \(path, file, .*\) in its first line; got nothing."),
    ],
)
def test_faults_in_a_table_are_named_with_their_line(tree, rows, message):
    refused(message, DATASETS["csv"], write_table(tree / "list.csv", rows), classes=["a", "b", "c"], size=8)


@pytest.mark.errors
@pytest.mark.parametrize("word", ["tset", "holdout", "trian", "training", ""])
def test_an_unknown_word_for_the_set_is_named_with_its_line(tree, word):
    rows = [("path", "label", "Set"), ("red/0.png", "a", "train"), ("red/1.png", "b", word), ("red/2.png", "a", "test")]
    known = "train, test, val, valid, validation"
    message = f"^csv: .*list.csv, line 3: the column 'Set' must be one of {known}; got '{word}'.$"
    refused(message, DATASETS["csv"], write_table(tree / "list.csv", rows), size=8)


@pytest.mark.errors
def test_a_table_of_no_test_images_is_not_made_up_for(tree):
    rows = [("path", "label"), *((f"{name}/{i}.png", name) for name in ("red", "blue") for i in range(5))]
    train, test = write_table(tree / "list.csv", rows), write_table(tree / "test.csv", rows[:1])
    refused(r"^csv: .*test.csv: must have lines of images; got none.$", DATASETS["csv"], train, test_path=test, size=8)


@pytest.mark.errors
def test_a_table_without_lines_to_train_on_is_named(tree):
    table = write_table(tree / "list.csv", [("path", "label", "split"), ("red/0.png", "red", "val"), ("blue/0.png", "blue", "test")])
    refused(r"^csv: .*list.csv: must have lines to train on; got none.$", DATASETS["csv"], table, size=8)


@pytest.mark.errors
def test_names_must_differ_and_a_table_be_text(tree):
    table = write_table(tree / "list.csv", [("path", "label"), ("red/0.png", "a")])
    refused("csv: `classes` must be different names; got 'a' twice.", DATASETS["csv"], table, classes=["a", "a"])
    (tree / "list.csv").write_bytes(b"\xff\xfe\x00")
    refused("list.csv must be a text file in UTF-8", DATASETS["csv"], table)


@pytest.mark.errors
@pytest.mark.parametrize(
    "content, message",
    [
        ({"images": BYTES}, "a.npz must hold x_train and y_train or .* or x and y; it holds images."),
        (
            {"images": BYTES, "labels": np.arange(19)},
            r"labels must be one whole number or text for each of the 20 images; got int64 \(19,\).",
        ),
        ({"images": BYTES, "labels": np.arange(20) / 2}, "labels must be one whole number or text for each of the 20 images; got float64"),
        (
            {"images": BYTES[..., :2], "labels": np.arange(20)},
            r"images must be \(N, H, W\), .* with one or three channels; got \(20, 6, 5, 2\).",
        ),
        (
            {"images": BYTES * 2.0, "labels": np.arange(20)},
            "images must be bytes from 0 to 255 or numbers from 0 to 1; got float64 from 0 to 510.",
        ),
        ({"images": BYTES, "labels": np.arange(20) - 1}, r"labels\[0\]: the label must be one of the 20 classes .* got '-1'."),
    ],
)
def test_faults_in_arrays_are_named(tmp_path, content, message):
    np.savez(tmp_path / "a.npz", **content)
    refused(message, DATASETS["npz"], tmp_path / "a.npz", classes=[f"c{i}" for i in range(20)])


@pytest.mark.errors
@pytest.mark.parametrize("size", [0, (4, 5, 6), (4, 0), 4.5, True, "large"])
def test_a_wrong_size_is_refused_by_every_data_set(tmp_path, tree, size):
    np.savez(tmp_path / "a.npz", images=BYTES, labels=np.arange(20) % 4)
    table = write_table(tree / "list.csv", [("path", "label"), ("red/0.png", "a"), ("blue/0.png", "b")])
    for name, path in (("npz", tmp_path / "a.npz"), ("csv", table), ("folder", tree)):
        message = rf"^{name}: `size` must be a positive whole number, or two, \(H, W\); got {re.escape(repr(size))}\.$"
        refused(message, DATASETS[name], path, size=size)


@pytest.mark.errors
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"no archive"])
def test_a_damaged_archive_of_arrays_is_named(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    refused("a.npz must be an .npz file of plain arrays; .*\n  Write it with numpy.savez.", DATASETS["npz"], tmp_path / "a.npz")


@pytest.mark.errors
@pytest.mark.parametrize(
    "images, labels, message",
    [
        (
            BYTES[..., 0],
            np.arange(20) % 4,
            r"`train` must have images \(N, H, W, C\), at least one, with one or three channels; got \(20, 6, 5\).",
        ),
        (BYTES, np.arange(19) % 4, r"`train` must have one label for each of its 20 images; got \(19,\)."),
        (BYTES, np.arange(20) % 5, "`train` must have whole labels from 0 to 3; got int64 0 to 4."),
        (BYTES[:, :3], np.arange(20) % 4, r"`train` and `test` must have images of one size; got \(3, 5, 3\) and \(6, 5, 3\)."),
    ],
)
def test_wrong_sets_are_refused(images, labels, message):
    refused(message, LabelledImages, Labelled(images, labels), Labelled(BYTES, np.arange(20) % 4), classes="abcd")


@pytest.mark.errors
def test_images_must_be_bytes():
    with pytest.raises(TypeError, match="`train` must have uint8 images; got float64.\n  Scale them to 0 .. 255 and round."):
        LabelledImages(Labelled(BYTES / 2, np.arange(20) % 4), Labelled(BYTES, np.arange(20) % 4), classes="abcd")
