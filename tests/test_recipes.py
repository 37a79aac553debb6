"""Recipes: each that ships loads, says what the paper says, builds and trains."""

import functools
import inspect

import pytest
import torch
import yaml
from helpers import RECIPE

from reticle import DATASETS
from reticle.recipe import RECIPES, changed, differences, dump, find, load, names
from reticle.schema import Part
from reticle.train import fit
from reticle.training.build import build_data, build_model

# Jaderberg et al. 2015, Table 1; TC: section 4.1
PAPER = {
    "fcn": {"r": 2.1, "rts": 5.2, "p": 3.1, "e": 3.2, "tc": 13.2},
    "cnn": {"r": 1.2, "rts": 0.8, "p": 1.5, "e": 1.4, "tc": 3.5},
    "fcn_affine": {"r": 1.2, "rts": 0.8, "p": 1.5, "e": 2.7, "tc": 2.0},
    "fcn_projective": {"r": 1.3, "rts": 0.9, "p": 1.4, "e": 2.6},
    "fcn_tps": {"r": 1.1, "rts": 0.8, "p": 1.4, "e": 2.4},
    "cnn_affine": {"r": 0.7, "rts": 0.5, "p": 0.8, "e": 1.2, "tc": 1.7},
    "cnn_projective": {"r": 0.8, "rts": 0.6, "p": 0.8, "e": 1.3},
    "cnn_tps": {"r": 0.7, "rts": 0.5, "p": 0.8, "e": 1.1},
}
# Table 4
SUMS = {"fcn": 47.7, "cnn": 14.7, "fcn_affine": 22.6, "fcn_projective": 18.5, "fcn_tps": 19.1}
SUMS |= {"2fcn_affine": 9.0, "2fcn_projective": 5.9, "2fcn_tps": 5.8}
CELLS = [(network, distortion) for network, row in PAPER.items() for distortion in row]


def test_every_cell_of_the_paper_has_its_recipe():
    assert len(CELLS) == 36
    assert {n for n in names() if n.startswith("jaderberg2015/mnist_")} >= {f"jaderberg2015/mnist_{d}_{n}" for n, d in CELLS}


@pytest.mark.parametrize("network, distortion", CELLS)
def test_cell_says_what_the_paper_says(network, distortion):
    recipe = load(f"jaderberg2015/mnist_{distortion}_{network}")
    base, _, family = network.partition("_")
    assert recipe.source.reported == PAPER[network][distortion]
    assert recipe.data == Part("mnist", {"distortion": distortion, "canvas": 60 if distortion == "tc" else 42})
    assert recipe.optimizer == Part("sgd", {"momentum": 0.0})
    assert (recipe.train.steps, recipe.train.batch_size, recipe.train.localizer_lr) == (150_000, 256, 1.0)
    rates = [recipe.train.lr_at(step) for step in (0, 49_999, 50_000, 99_999, 100_000, 149_999)]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001], rel=1e-12)
    assert recipe.model.name == (f"st_{base}" if family else base)
    assert recipe.model.args.get("transform", "") == family
    average = {"rts": {"antialias": 2}, "tc": {"antialias": 2, "output_size": [30, 30]}}.get(distortion, {})
    assert recipe.model.args.get("sampler") == ({"align_corners": True} | average if family else None)


@pytest.mark.parametrize("network", SUMS)
def test_sum_of_two_digits_says_what_the_paper_says(network):
    recipe = load(f"jaderberg2015/addition_{network}")
    base, _, family = network.partition("_")
    assert recipe.source.reported == SUMS[network]
    assert recipe.data == Part("digit_sums", {"digits": "mnist", "distortion": "rts", "canvas": 42})
    assert (recipe.optimizer, recipe.train) == (load("jaderberg2015/mnist_rts_fcn").optimizer, load("jaderberg2015/mnist_rts_fcn").train)
    assert recipe.model.name == {"2fcn": "parallel_st_fcn", "fcn": "st_fcn" if family else "fcn", "cnn": "cnn"}[base]
    assert recipe.model.args.get("transform", "") == family
    model = build_model(recipe, DATASETS["digit_sums"](digits="digits"))
    if base != "cnn":  # the paper's CNN cannot have as many
        assert sum(p.numel() for p in model.parameters()) == pytest.approx(400_000, rel=0.06)


def test_volumes_have_no_number_in_print():
    plain, transformer = load("jaderberg2015/volume_cnn"), load("jaderberg2015/volume_cnn_affine")
    assert plain.source.reported is None and transformer.source.reported is None
    assert set(differences(plain, transformer)) == {"name", "model.name", "model.transform", "model.sampler"}


digits = functools.cache(DATASETS["digits"])


@pytest.mark.parametrize("name", names())
def test_recipe_trains_its_smoke_version(name, tmp_path, monkeypatch):
    recipe = load(name, smoke=True)
    assert recipe.is_smoke and not load(name).is_smoke
    inspect.signature(DATASETS[recipe.data.name]).bind(**recipe.data.args)
    # digits of MNIST's size that need no download
    monkeypatch.setitem(DATASETS, "mnist", digits)
    result = fit(recipe, tmp_path)
    assert result.smoke and result.steps == recipe.train.steps and result.recipe == name
    assert 0 <= result.value <= 100


def test_every_class_of_the_paper_is_located():
    paper = {"t": [100] * 10, "tc": [81, 82, 88, 75, 94, 84, 93, 85, 89, 87]}  # Jaderberg et al. 2015, Table 5
    for kind, row in paper.items():
        recipes = [load(f"jaderberg2015/coloc_{kind}_{digit}") for digit in range(10)]
        assert [recipe.source.reported for recipe in recipes] == row
        assert [recipe.data.args for recipe in recipes] == [{"digit": digit, "clutter": 16 * (kind == "tc")} for digit in range(10)]
        assert {recipe.task.name for recipe in recipes} == {"colocalisation"} and {r.source.metric for r in recipes} == {"correct_percent"}


def test_sequences_are_read_with_the_protocol_of_the_authors():
    reported = {"cnn": 2.9, "ffn_spn_d2": 2.0, "rnn_spn_d3": 1.5}  # Sønderby et al. 2015, abstract
    for name in ("cnn", *(f"{kind}_spn_d{d}" for kind in ("ffn", "rnn") for d in (1, 2, 3, 4))):
        recipe = load(f"sonderby2015/{name}")
        assert recipe.source.reported == reported.get(name) and recipe.task == Part("sequence")
        assert recipe.model.args.get("downsample") == (int(name[-1]) if "spn" in name else None)
        assert (recipe.train.batch_size, recipe.train.clip_norm, recipe.optimizer.name) == (100, 5.0, "rmsprop")
        assert recipe.train.steps == 300 * 600
        rates = [recipe.train.lr_at(600 * epoch) for epoch in (0, 29, 30, 40, 41, 299)]
        assert rates == pytest.approx([5e-4, 5e-4, 5e-4 / 1.5, 5e-4 / 1.5, 5e-4 / 1.5**2, 5e-4 / 1.5**25], rel=0.02)


def test_a_smoke_recipe_stays_one_whatever_is_changed(write_recipe):
    name = "digits/rts_clutter_cnn"
    changed = load(name, smoke=True, overrides=["train.steps=3", "is_smoke=false"])
    assert changed.is_smoke and changed.train.steps == 3
    again = load(write_recipe(dump(changed)), overrides=["train.steps=4"])
    assert again.is_smoke and again.train.steps == 4
    # values as small alone are no reason
    assert not load(name, overrides=[f"{path}={value}" for path, value in load(name).smoke.items()]).is_smoke


@pytest.mark.parametrize("name", names())
def test_complete_recipe_loads_back_equal(name, write_recipe):
    for recipe in (load(name), load(name, smoke=True, overrides=["data.limit=3", "model.more={deep: [1, 2.5, true, null]}"])):
        assert load(write_recipe(dump(recipe))) == recipe


def test_recipe_is_found_by_name_or_path(write_recipe):
    assert find("jaderberg2015/mnist_r_cnn") == RECIPES / "jaderberg2015" / "mnist_r_cnn.yaml"
    assert load(RECIPES / "jaderberg2015" / "mnist_r_cnn.yaml").name == "jaderberg2015/mnist_r_cnn"
    assert load(write_recipe(RECIPE)).name == "mine"


def test_a_merged_key_may_come_again(write_recipe):
    # c, nested less deeply than b, is built first
    text = RECIPE + "smoke: {train.x: {b: &b {<<: &a {x: 1, y: 2}, x: 3}}, train.y: {<<: *b, y: 4}}\n"
    smoke = load(write_recipe(text)).smoke
    assert smoke == {"train.x": {"b": {"x": 3, "y": 2}}, "train.y": {"x": 3, "y": 4}}


def test_any_path_can_be_set():
    changes = [
        "data.limit=100",
        "train.lr=1",
        "train.schedule={5: 0.5}",
        "model.sampler.antialias=2",
        "optimizer=adam",
        "source.reported=null",
    ]
    recipe = load("jaderberg2015/mnist_r_cnn_affine", overrides=changes)
    assert recipe.data.args == {"distortion": "r", "canvas": 42, "limit": 100}
    assert recipe.train.lr == 1.0 and isinstance(recipe.train.lr, float)
    assert recipe.train.schedule == {5: 0.5}
    assert recipe.model.args["sampler"] == {"align_corners": True, "antialias": 2}
    assert recipe.optimizer == Part("adam")
    assert recipe.source.reported is None


def test_one_step_of_the_schedule_can_be_set():
    assert load("jaderberg2015/mnist_r_cnn", overrides=["train.schedule.70=0.5"]).train.schedule == {50_000: 0.1, 100_000: 0.1, 70: 0.5}


def test_set_comes_after_smoke():
    assert load("jaderberg2015/mnist_r_cnn", smoke=True, overrides=["train.steps=7"]).train.steps == 7


def test_changing_a_recipe_leaves_the_old_one():
    old = load("jaderberg2015/mnist_r_cnn_affine")
    new = changed(old, {"model.sampler.antialias": 4, "seed": 3}, "test")
    assert old == load("jaderberg2015/mnist_r_cnn_affine")
    assert differences(old, new) == {"seed": (0, 3), "model.sampler": ({"align_corners": True}, {"align_corners": True, "antialias": 4})}


def test_defaults_live_in_the_dataclass_only():
    for name in names():
        written = yaml.safe_load(find(name).read_text())
        assert set(written) <= {"source", "seed", "data", "model", "task", "optimizer", "train", "smoke"}


def test_weights_depend_on_the_seed_alone(write_recipe):
    recipe = load(write_recipe(RECIPE))
    data = build_data(recipe)
    first, again, other = (build_model(r, data).state_dict() for r in (recipe, recipe, changed(recipe, {"seed": 1}, "test")))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
