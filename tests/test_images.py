"""Somebody's own images: folders, tables and arrays become data sets, whatever the images are like."""

from pathlib import Path

import numpy as np
import pytest
import torch
from photographs import BYTES, COLOURS, encoded, folder, make_tree, picture, save, use_cache, write_table
from PIL import Image

from reticle import DATASETS
from reticle.data import Format, Labelled, LabelledImages, decode_image
from reticle.data.decode import ImageFile, decode_files
from reticle.recipe import load
from reticle.training.build import build_data, build_model


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    where = tmp_path_factory.mktemp("cache")
    use_cache(where, monkeypatch)
    return where


@pytest.fixture
def tree(tmp_path):
    return make_tree(tmp_path / "pets")


# folders ----------------------------------------------------------------------------------------------------------------------


def test_a_folder_of_classes_becomes_a_data_set(tree):
    data = folder(tree)
    assert data.class_names == ("blue", "green", "red") and data.num_classes == 3
    assert (data.num_train, data.num_test, data.input_shape) == (12, 3, (3, 8, 8))
    images, labels = data.train_batch(0, 12, seed=0)
    assert images.dtype == torch.float32 and sorted(labels.tolist()) == [0] * 4 + [1] * 4 + [2] * 4
    expected = torch.tensor(list(COLOURS.values()))[labels] / 255
    torch.testing.assert_close(images.mean((2, 3)), expected, atol=0.03, rtol=0)
    assert data.test_set()[1].tolist() == [0, 1, 2]


def test_a_batch_depends_on_seed_and_step_alone_and_parts_make_the_whole(tree):
    data = folder(tree)
    images, labels = data.train_batch(5, 6, seed=1)
    again = folder(tree, cache=False)
    again.train_batch(0, 6, seed=1)
    assert torch.equal(again.train_batch(5, 6, seed=1)[0], images)
    parts = [data.train_batch(5, 6, seed=1, rank=rank, world_size=3) for rank in range(3)]
    assert torch.equal(torch.cat([p[0] for p in parts]), images) and torch.equal(torch.cat([p[1] for p in parts]), labels)
    epoch = torch.cat([data.train_batch(step, 4, seed=1)[0] for step in range(3)])
    assert len({image.numpy().tobytes() for image in epoch}) == 12


def test_split_is_drawn_by_its_seed_and_share(tree):
    def tested(**options):
        return {image.numpy().tobytes() for image in folder(tree, **options).test_set()[0]}

    assert tested() == tested() and any(tested(split_seed=seed) != tested() for seed in range(1, 4))
    assert len(tested(test_share=0.4)) == 6 and len(tested(test_share=0.999)) == 12 and len(tested(test_share=0.001)) == 3


@pytest.mark.parametrize("second", ["test", "val", "valid", "validation"])
def test_train_and_test_folders_are_found(tree, tmp_path, second):
    tree.rename(tmp_path / "train")
    for name, colour in COLOURS.items():
        save(tmp_path / second / name / "deeper" / "x.JPG", picture(colour), format="JPEG")
    data = folder(tmp_path)
    assert (data.num_train, data.num_test) == (15, 3)
    other = folder(tmp_path / "train", test_path=tmp_path / second)
    assert (other.num_train, other.num_test) == (15, 3)


def test_the_first_of_the_test_folders_is_the_test_and_others_are_counted(tree, tmp_path, capsys):
    tree.rename(tmp_path / "train")
    for index, part in enumerate(("validation", "val", "test")):
        for name, colour in COLOURS.items():
            for i in range(1 + index):
                save(tmp_path / part / name / f"{i}.png", picture(colour))
        data = folder(tmp_path)
        assert (data.num_train, data.num_test) == (15, 3 * (1 + index))
    said = capsys.readouterr().err.splitlines()
    lead = "folder: neither trained on nor tested on, as there is another test: "
    assert said == [f"{lead}validation (3 images)", f"{lead}val (6 images), validation (3 images)"]


def test_a_path_may_start_from_the_data_folder(tree):
    assert folder("pets", data_dir=tree.parent).num_train == 12


def test_hidden_files_and_other_files_are_passed_over(tree):
    (tree / "red" / "notes.txt").write_text("no image")
    (tree / "red" / ".0.png").write_text("no image")
    (tree / ".git").mkdir()
    assert folder(tree).num_train == 12


def test_class_weights_change_how_often_a_class_is_drawn(tree):
    for i in range(3):
        (tree / "red" / f"{i}.png").unlink()

    def shares(weights):
        labels = folder(tree, class_weights=weights).train_batch(0, 6000, seed=0)[1]
        return (labels.bincount(minlength=3) / 6000).tolist()

    assert shares(None) == pytest.approx([4 / 9, 4 / 9, 1 / 9], abs=0.001)
    assert shares("balanced") == pytest.approx([1 / 3] * 3, abs=0.03)
    assert shares({"red": 8.0}) == pytest.approx([0.25, 0.25, 0.5], abs=0.03)


def test_limit_keeps_every_class(tree):
    data = folder(tree, limit=4)
    assert sorted(data.train.labels.tolist()) == [0, 0, 1, 2] and data.num_test == 3


# decoding ---------------------------------------------------------------------------------------------------------------------


def test_grey_among_colour_becomes_colour_and_the_other_way_round():
    grey = encoded(Image.new("L", (6, 4), 100))
    assert decode_image(grey, Format((4, 6))).tolist() == np.full((4, 6, 3), 100).tolist()
    colour = encoded(Image.new("RGB", (6, 4), (255, 0, 0)))
    assert decode_image(colour, Format((4, 6), 1)).tolist() == np.full((4, 6, 1), 76).tolist()


def test_turned_photographs_are_put_upright():
    image = Image.new("RGB", (8, 4), "white")
    image.paste((255, 0, 0), (0, 0, 4, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # to be shown turned clockwise by 90 degrees
    upright = decode_image(encoded(image, "PNG", exif=exif), Format((8, 4)))
    assert (upright[:4, :, 1] == 0).all() and (upright[4:, :, 1] == 255).all()


def test_one_pixel_fills_the_image():
    assert decode_image(encoded(Image.new("RGB", (1, 1), (1, 2, 3))), Format((5, 7))).reshape(-1, 3).tolist() == [[1, 2, 3]] * 35


def test_other_modes_are_converted():
    see_through = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (decode_image(encoded(see_through), Format((4, 4))) == 255).all()
    palette = Image.new("RGB", (4, 4), (0, 0, 255)).convert("P")
    assert decode_image(encoded(palette), Format((4, 4)))[0, 0].tolist() == [0, 0, 255]
    print_colours = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    assert decode_image(encoded(print_colours, "TIFF"), Format((4, 4)))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_become_the_upper_eight_whatever_else_an_image_holds(kind):
    levels = [0, 255, 256, 0x8000, 0xFFFF]
    for level in levels:
        deep = Image.fromarray(np.full((4, 4), level, np.uint16))
        assert decode_image(encoded(deep, kind), Format((4, 4), 1))[0, 0].tolist() == [level >> 8]


@pytest.mark.parametrize("fit, edge, middle", [("stretch", 255, 255), ("pad", 0, 255), ("crop", 255, 255)])
def test_other_proportions_are_made_to_fit(fit, edge, middle):
    image = Image.new("L", (20, 10), 255)
    image.paste(0, (0, 0, 2, 10))  # a dark edge at the left
    out = decode_image(encoded(image), Format((10, 10), 1, fit))[..., 0]
    assert out[0, 5] == edge and out[5, 5] == middle
    assert (out[5, 0] == 255) == (fit == "crop")


def test_large_photographs_are_shrunk_by_averages():
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG"):
        out = decode_image(encoded(Image.fromarray(noise), kind), Format((6, 8)))
        assert abs(out.mean() - 127.5) < 4 and out.std() < 12


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_give_what_one_gives(tree, workers):
    files = [ImageFile(path) for path in sorted(tree.rglob("*.png"))]
    pixels, good = decode_files(files, Format((4, 4)), workers=workers)
    assert good.all() and [tuple(p) for p in pixels[:2, 0, 0]] == [(20, 40, 200), (21, 41, 201)]


# the cache --------------------------------------------------------------------------------------------------------------------


def test_pixels_are_decoded_once(tree, own_cache, monkeypatch):
    first = folder(tree).test_set()[0]
    assert list(own_cache.rglob("images.npy"))
    monkeypatch.setattr("reticle.data.sources.decode_files", None)
    assert torch.equal(folder(tree).test_set()[0], first)


def test_a_changed_file_or_format_is_decoded_anew(tree):
    folder(tree)
    save(tree / "red" / "0.png", picture((0, 0, 0), (40, 40)))
    data = folder(tree, test_share=0.001)
    assert data.train.images.reshape(data.num_train, -1).max(1).min() == 0 or data.test.images.min() == 0
    assert folder(tree, size=(4, 6)).input_shape == (3, 4, 6) and folder(tree, color=False).input_shape == (1, 8, 8)


@pytest.mark.parametrize("spoil", [lambda f: f.unlink(), lambda f: f.write_bytes(f.read_bytes()[:200]), lambda f: f.write_bytes(b"")])
def test_a_damaged_cache_is_made_again(tree, own_cache, spoil):
    first = folder(tree).test_set()[0]
    spoil(next(own_cache.rglob("images.npy")))
    assert torch.equal(folder(tree).test_set()[0], first)


def test_a_cache_that_cannot_be_written_is_no_error(tree, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    use_cache(tmp_path / "file", monkeypatch)
    assert folder(tree).num_train == 12
    assert not list(tmp_path.rglob("*.npy"))


def test_no_cache_is_written_if_none_is_wanted(tree, own_cache):
    assert folder(tree, cache=False).num_train == 12
    assert not list(own_cache.rglob("*"))


# tables and arrays ------------------------------------------------------------------------------------------------------------


def rows_of(tree):
    return [[str(f.relative_to(tree)), f.parent.name] for f in sorted(tree.rglob("*.png"))]


@pytest.mark.parametrize("header, delimiter", [(("path", "label"), ","), (("File", " Class"), ";"), (("image", "target"), "\t")])
def test_a_table_becomes_a_data_set(tree, header, delimiter):
    table = write_table(tree / "list.csv", [header, *rows_of(tree)], delimiter)
    data = DATASETS["csv"](table, size=8)
    assert data.class_names == ("blue", "green", "red") and (data.num_train, data.num_test) == (12, 3)
    assert torch.equal(data.test_set()[0], folder(tree).test_set()[0])


def test_a_table_may_tell_the_split(tree, tmp_path):
    rows = [[*row, "test" if row[0].endswith("4.png") else "train"] for row in rows_of(tree)]
    table = write_table(tmp_path / "list.csv", [("path", "label", "split"), *rows])
    data = DATASETS["csv"](table, root=tree, size=8)
    assert (data.num_train, data.num_test) == (12, 3)
    test = write_table(tree / "other.csv", [("path", "label"), *rows_of(tree)[::5]])
    train = write_table(tree / "list.csv", [("path", "label"), *rows_of(tree)])
    data = DATASETS["csv"](train, test_path=test, size=8)
    assert (data.num_train, data.num_test) == (15, 3)


def test_the_first_of_the_tests_in_a_table_is_the_test_and_others_are_counted(tree, capsys):
    def made(words, **options):
        rows = [[*row, word] for row, word in zip(rows_of(tree), words * 3, strict=True)]
        data = DATASETS["csv"](write_table(tree / "list.csv", [("path", "label", "split"), *rows]), size=8, **options)
        return data.num_train, data.num_test, capsys.readouterr().err

    lead = "csv: neither trained on nor tested on, as there is another test: "
    assert made(["train", "Train", "test", "val", "val"]) == (6, 3, f"{lead}val (6 images)\n")
    assert made(["train", "train", "val", "val", "valid"]) == (6, 6, f"{lead}valid (3 images)\n")
    assert made(["train", "train", "train", "train", "validation"]) == (12, 3, "")
    assert made(["train"] * 5) == (12, 3, "")
    other = write_table(tree / "other.csv", [("path", "label"), *rows_of(tree)[::5]])
    assert made(["train", "train", "train", "train", "test"], test_path=other) == (12, 3, f"{lead}test (3 images)\n")


def test_numbers_are_sorted_as_numbers_and_may_be_given_names(tree):
    numbers = {"blue": "10", "green": "2", "red": "1"}
    rows = [[path, numbers[label]] for path, label in rows_of(tree)]
    assert DATASETS["csv"](write_table(tree / "a.csv", [("path", "label"), *rows]), size=8).class_names == ("1", "2", "10")
    rows = [[path, {"blue": "0", "green": "1", "red": "two"}[label]] for path, label in rows_of(tree)]
    data = DATASETS["csv"](write_table(tree / "b.csv", [("path", "label"), *rows]), classes=["zero", "one", "two"], size=8)
    assert data.class_names == ("zero", "one", "two") and data.test_set()[1].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "images",
    [BYTES, BYTES.transpose(0, 3, 1, 2), BYTES / np.float32(255), BYTES.astype(np.int64)],
    ids=["bytes", "channels first", "floats", "whole numbers"],
)
def test_arrays_become_a_data_set(tmp_path, images):
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(20) % 4)
    data = DATASETS["npz"](tmp_path / "a.npz")
    assert data.class_names == ("0", "1", "2", "3") and (data.num_train, data.num_test, data.input_shape) == (16, 4, (3, 6, 5))
    assert {image.tobytes() for image in [*data.train.images, *data.test.images]} == {image.tobytes() for image in BYTES}


def test_arrays_may_be_grey_named_and_split(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=BYTES[..., 0], y_train=np.arange(20)[:, None] % 2, x_test=BYTES[:4, ..., 0], y_test=[0, 1, 1, 0])
    data = DATASETS["npz"](tmp_path / "a.npz", classes=["even", "odd"], size=9)
    assert (data.num_train, data.num_test, data.input_shape) == (20, 4, (1, 9, 9))
    assert data.class_names == ("even", "odd") and data.test_set()[1].tolist() == [0, 1, 1, 0]


def test_statistics_are_those_of_numpy():
    data = LabelledImages(Labelled(BYTES, np.arange(20) % 4), Labelled(BYTES[:4], np.arange(4)), classes="abcd")
    assert data.statistics() == pytest.approx((BYTES.mean() / 255, BYTES.std() / 255))


def test_recipe_of_the_documentation_is_ten_lines_and_builds(tree, tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "your-images.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "pets.yaml").write_text(text)
    assert text.count("\n") <= 10
    recipe = load(tmp_path / "pets.yaml", overrides=[f"data.path={tree}"])
    data = build_data(recipe)
    model = build_model(recipe, data)
    assert recipe.name == "pets" and model(data.test_set()[0]).shape == (3, 3)
    assert (model.prepare[0].mean.item(), model.prepare[0].std.item()) == pytest.approx(data.statistics())
