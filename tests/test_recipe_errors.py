"""Recipes: each fault stops before anything is trained, with its place and, where one is near, the likely fix."""

import re

import pytest
from helpers import RECIPE

from reticle.recipe import changed, load
from reticle.training.build import build_data, build_model, build_optimizer


@pytest.mark.parametrize(
    "name, message",
    [
        ("jaderberg2015/mnist_r_cnn_afine", "got 'jaderberg2015/mnist_r_cnn_afine'.\n  Did you mean jaderberg2015/mnist_r_cnn_affine"),
        ("xyzzy", "got 'xyzzy'.\n  `reticle recipes` lists"),
        ("no/such/file.yaml", "got 'no/such/file.yaml'."),
    ],
)
def test_unknown_recipe_is_answered_with_near_ones(name, message):
    with pytest.raises(FileNotFoundError) as error:
        load(name)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("lr: 0.1", "lr: 1e-3", "train.lr: must be float; got '1e-3'.\n  YAML takes 1e-3 for text: write 1.0e-3."),
        ("lr: 0.1", "lr: 2.5e4", "write 2.5e+4."),
        ("lr: 0.1", "lr: fast", "train.lr: must be float; got 'fast'."),
        ("lr: 0.1", "lr: .nan", "train.lr: must be a finite number; got nan."),
        ("lr: 0.1", "lr: -0.1", "train.lr: must be at least 0; got -0.1."),
        ("lr: 0.1", "lr: true", "train.lr: must be float; got True."),
        ("steps: 2", "steps: 1.5e+5", "train.steps: must be int; got 150000.0."),
        ("steps: 2", "steps: true", "train.steps: must be int; got True."),
        ("steps: 2", "steps: 0", "train.steps: must be at least 1; got 0."),
        ("steps: 2", "stepz: 2", "train: unknown key 'stepz'. Did you mean 'steps'?"),
        ("steps: 2", "steps: 2, 3: 4", "train: unknown key 3. Known: steps, batch_size, lr, localizer_lr"),
        ("steps: 2, ", "", "train: key 'steps' is missing."),
        ("lr: 0.1", "lr: 0.1, schedule: {soon: 0.1}", "train.schedule.soon: must be int; got 'soon'."),
        ("lr: 0.1", "lr: 0.1, schedule: {10: small}", "train.schedule.10: must be float; got 'small'."),
        ("lr: 0.1", "lr: 0.1, schedule: 10", "train.schedule: must be a mapping (key: value); got 10."),
        ("{name: cnn}", "{filters: 3}", "model: key 'name' is missing."),
        ("{name: cnn}", "{name: 3}", "model.name: must be str; got 3."),
        ("{name: cnn}", "{name: cnn, 3: 4}", "model: must be str; got 3."),
        ("{name: cnn}", "", "model: must be a mapping (key: value); got None."),
        ("seed: 0", "seed: -1", "seed: must be at least 0; got -1."),
        ("seed: 0", "seed: 99999999999999999999", "seed: must be at most 18446744073709551615; got 99999999999999999999."),
        ("seed: 0", "speed: 0", "unknown key 'speed'. Did you mean 'seed'?"),
        ("cite: someone, ", "cite: someone, reported: good, ", "source.reported: must be float; got 'good'."),
        ("seed: 0", "seed: {", "must be valid YAML; "),
        ("seed: 0", "seed: !!python/object:os.system 0", "must be valid YAML; could not determine a constructor"),
        ("seed: 0", "seed: \x00", "must be valid YAML; unacceptable character"),
        (RECIPE, "- a list", "must be a mapping (key: value); got list."),
        (RECIPE, "", "must be a mapping (key: value); got NoneType."),
    ],
)
def test_fault_in_a_file_is_named_with_its_place(write_recipe, old, new, message):
    assert old in RECIPE
    file = write_recipe(RECIPE.replace(old, new))
    with pytest.raises(ValueError) as error:
        load(file)
    assert str(error.value).startswith(f"{file}: ") and message in str(error.value)


def test_yaml_fault_is_named_with_line_and_column(write_recipe):
    with pytest.raises(ValueError, match=r"valid YAML; .* at line 2, column 2\."):
        load(write_recipe("a: {b\nc: ]\n"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3\n", "key 'a' stands at line 1, and again at line 3, column 1."),
        ("a:\n  steps: 1\n  'steps': 2\n", "key 'steps' stands at line 2, and again at line 3, column 3."),
        ("a: {5: 0.1, 5: 0.2}\n", "key '5' stands at line 1, and again at line 1, column 13."),
    ],
    ids=["top", "below", "in a line"],
)
def test_key_that_stands_twice_is_named_with_its_lines(write_recipe, text, fault):
    file = write_recipe(text)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{file}: must be valid YAML; {fault}')}$"):
        load(file)


def test_key_that_stands_twice_in_a_change_is_named():
    change = "train.schedule={5: 0.1, 5: 0.2}"
    with pytest.raises(ValueError, match=f"^{re.escape(f'--set {change}: must be valid YAML; key ')}'5' stands at line 1, and again"):
        load("digits/rts_clutter_cnn", overrides=[change])


def test_binary_file_is_no_recipe(write_recipe):
    with pytest.raises(ValueError, match="must be a text file in UTF-8"):
        load(write_recipe(b"\x80\x81\xff"))


@pytest.mark.parametrize(
    "change, message",
    [
        ("trian.lr=0.1", "--set trian.lr=0.1: unknown key 'trian'. Did you mean 'train'?"),
        ("train.lrr=0.1", "--set train.lrr=0.1: train: unknown key 'lrr'. Did you mean 'lr'?"),
        ("train.lr=1e-3", "--set train.lr=1e-3: train.lr: must be float; got '1e-3'.\n  YAML takes 1e-3 for text: write 1.0e-3."),
        ("train.lr", "--set must be key=value, such as train.lr=0.1; got 'train.lr'."),
        ("=3", "--set must be key=value, such as train.lr=0.1; got '=3'."),
        ("seed.x=3", "seed: must be a mapping to hold 'x'; got 0.\n  Set seed itself: it is one value."),
        ("train.lr.x=8", "train.lr: must be a mapping to hold 'x'; got 0.01.\n  Set train.lr itself: it is one value."),
        ("source.reported.x=8", "\n  Set source.reported itself: it is one value."),
        ("data={", "--set data={: must be valid YAML; "),
        (
            "model.transform.lattice=[3, 3]",
            "must be a mapping to hold 'lattice'; got 'tps'.\n  Write model.transform={name: tps, lattice: ...}.",
        ),
    ],
)
def test_fault_in_a_change_is_named(change, message):
    with pytest.raises(ValueError) as error:
        load("jaderberg2015/mnist_r_cnn_tps", overrides=[change])
    assert message in str(error.value)


def test_a_change_inside_a_list_is_refused():
    fault = "model.filters: must be a mapping to hold 0; got [32, 64, 96].\n  Give the whole list, such as model.filters=[32, 64, 96]."
    with pytest.raises(ValueError, match=f"^{re.escape(f'--set model.filters.0=8: {fault}')}$"):
        load("gtsrb/narrow_cnn", overrides=["model.filters.0=8"])


def test_fault_in_the_smoke_part_is_named(write_recipe):
    with pytest.raises(ValueError, match=r"mine.yaml: smoke: train: unknown key 'stepz'\. Did you mean 'steps'\?"):
        load(write_recipe(RECIPE + "smoke: {train.stepz: 1}\n"), smoke=True)


def test_recipe_without_smoke_part_says_so(write_recipe):
    with pytest.raises(ValueError, match="has no `smoke` part"):
        load(write_recipe(RECIPE), smoke=True)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"data.canvass": 3}, "data.canvass: 'digits' has no argument 'canvass'. Did you mean 'canvas'?"),
        ({"model.depth": 3}, "model.depth: 'cnn' has no argument 'depth'. Known: filters"),
        ({"model.num_classes": 3}, "model.num_classes: 'cnn' has no argument 'num_classes'. Known: filters"),
        ({"optimizer.lr": 3}, "optimizer.lr: 'sgd' has no argument 'lr'. "),
        ({"optimizer.momemtum": 3}, "Did you mean 'momentum'?"),
        ({"model": "st_cnnn"}, "Unknown model 'st_cnnn'. Did you mean 'st_cnn'?"),
        ({"data": "digitz"}, "Unknown data set 'digitz'. Did you mean 'digits'?"),
        ({"optimizer": "sgdd"}, "Unknown optimizer 'sgdd'. Did you mean 'sgd'?"),
        (
            {"model": "tiny:Nothing"},
            "model.name: 'tiny:Nothing' must be importable as module:name; module 'tiny' has no attribute 'Nothing'.",
        ),
        ({"model": "no_such:Net"}, "model.name: 'no_such:Net' must be importable as module:name; No module named 'no_such'."),
        ({"model": {"name": "st_cnn", "sampler": {"antialais": 2}}}, "got an unexpected keyword argument 'antialais'"),
        ({"model": "fractions:Fraction.from_float"}, "must be importable"),
        (
            {"model": "torch.nn:Linear"},
            "model.name: 'torch.nn:Linear' must take the argument 'input_shape'; it takes in_features, out_features,",
        ),
        ({"model": "tiny:no_module"}, "model.name: 'tiny:no_module' must make a torch.nn.Module; got dict."),
        ({"model": "tiny:Flat"}, "'tiny:Flat' must answer 2 images with logits of shape (2, 10), one a class; got (2, 1, 42, 42)."),
        ({"model": "tiny:Many"}, "'tiny:Many' must answer 2 images with logits of shape (2, 10), one a class; got tuple."),
        ({"model": "tiny:Narrow"}, "'tiny:Narrow' must take images of shape (2, 1, 42, 42); mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_wrong_names_and_arguments_are_answered(write_recipe, change, message):
    recipe = changed(load(write_recipe(RECIPE)), change, "test")
    with pytest.raises(ValueError) as error:
        data = build_data(recipe)
        build_optimizer(recipe, build_model(recipe, data))
    assert message in str(error.value)
