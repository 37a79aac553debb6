"""Two digits to add: what a step shows, that both transformers see both, that they part, and the pictures of a run."""

import re

import pytest
import torch

from reticle import DATASETS, MODELS, ParallelTransformers
from reticle.data import DigitSums
from reticle.recipe import load
from reticle.show import show_run
from reticle.train import fit
from reticle.training.checkpoint import read_tensors
from reticle.training.runs import Run
from reticle.training.snapshots import key_of
from reticle.viz import window_picture

BASE = DATASETS["digits"]()
DATA = DigitSums(BASE)


# ---- data ----


def test_two_digits_and_their_sum():
    images, sums = DATA.train_batch(3, 32, seed=1)
    assert DATA.num_classes == 19 and DATA.input_shape == images.shape[1:] == (2, 42, 42)
    # each channel is a batch of the set below: the pictures, the labels, and nothing in common
    for channel, step in enumerate((6, 7)):
        assert torch.equal(images[:, channel : channel + 1], BASE.train_batch(step, 32, seed=1)[0])
    assert torch.equal(sums, BASE.train_batch(6, 32, seed=1)[1] + BASE.train_batch(7, 32, seed=1)[1])
    assert not (images[:, 0] == images[:, 1]).flatten(1).all(1).any()


@pytest.mark.parametrize("world_size", [2, 3, 12])
def test_parts_of_a_batch_are_the_batch(world_size):
    images, sums = DATA.train_batch(5, 24, seed=1)
    parts = [DATA.train_batch(5, 24, seed=1, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert torch.equal(torch.cat([part[0] for part in parts]), images)
    assert torch.equal(torch.cat([part[1] for part in parts]), sums)


def test_an_odd_part_is_still_whole_pairs():
    whole = DATA.train_batch(2, 6, seed=0)[0]
    assert torch.equal(DATA.train_batch(2, 6, seed=0, rank=1, world_size=2)[0], whole[3:])


def test_an_epoch_of_digits_takes_half_as_many_steps():
    data = DATASETS["digit_sums"](digits="digits", distortion="none", limit=24)
    seen = torch.cat([data.train_batch(step, 4, seed=0)[0].flatten(0, 1) for step in range(3)])
    assert len({image.numpy().tobytes() for image in seen}) == 24


def test_the_test_set_shows_every_image_twice_and_never_beside_itself():
    images, sums = DATA.test_set()
    assert len(images) == DATA.num_test == 500 and torch.equal(images, DATA.test_set()[0])
    flat, labels = BASE.test_set()
    known = {image.numpy().tobytes(): int(label) for image, label in zip(flat, labels, strict=True)}
    first, second = ([image.numpy().tobytes() for image in images[:, c]] for c in (0, 1))
    assert set(first) == set(second) == set(known)
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert sums.tolist() == [known[a] + known[b] for a, b in zip(first, second, strict=True)]
    assert set(sums.tolist()) == set(range(19))


def test_plain_pairs_are_undistorted():
    images, sums = DATA.plain(4)
    upright, labels = BASE.plain(4)
    assert images.shape == (4, 2, 42, 42) and sums.sum() == 2 * labels.sum()
    assert images.sum() == pytest.approx(2 * upright.sum().item(), rel=1e-5)


@pytest.mark.errors
def test_what_is_wrong_with_a_batch_is_said_in_its_own_numbers():
    with pytest.raises(ValueError, match="`batch_size` must be a multiple of `world_size` = 2; got 3."):
        DATA.train_batch(0, 3, seed=0, world_size=2)
    with pytest.raises(ValueError, match="Unknown data set 'mnits'. Did you mean 'mnist'"):
        DATASETS["digit_sums"](digits="mnits")


# ---- model ----


def parallel(**options):
    return MODELS["parallel_st_fcn"]((2, 28, 30), 19, hidden=8, **options)


@pytest.mark.parametrize("family", ["affine", "projective", "tps"])
@pytest.mark.parametrize("localizer", ["fc", "conv"])
def test_each_transformer_warps_both_channels(family, localizer):
    model = parallel(transformers=3, transform=family, localizer=localizer).double()
    assert isinstance(model.transformer, ParallelTransformers) and len(model.transformer.transformers) == 3
    x = torch.rand(4, 2, 28, 30, dtype=torch.float64)
    torch.testing.assert_close(model.transformer(x), torch.cat([x, x, x], dim=1), rtol=0, atol=1e-12)
    assert torch.equal(model(x), model.classifier(model.transformer(x)))


@pytest.mark.parametrize("localizer", ["fc", "conv"])
def test_transformers_that_start_alike_part(localizer):
    model = parallel(localizer=localizer)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.rand(16, 2, 28, 30), torch.arange(16) % 19
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    first, second = (warp.theta for warp in model.transformer.warp(x))
    assert (first - second).abs().max() > 1e-4


def test_sampler_options_reach_every_transformer_and_size_the_classifier():
    model = parallel(sampler={"output_size": (20, 21), "antialias": 2})
    assert [t.antialias for t in model.transformer.transformers] == [2, 2]
    assert model.transformer(torch.rand(1, 2, 28, 30)).shape == (1, 4, 20, 21)
    assert model(torch.rand(3, 2, 28, 30)).shape == (3, 19)


def test_one_transformer_may_have_either_localiser():
    layers = {kind: str(MODELS["st_fcn"]((2, 42, 42), localizer=kind).transformer.localizer) for kind in ("fc", "conv")}
    assert "Conv2d" not in layers["fc"] and "Conv2d(2, 20, kernel_size=(5, 5)" in layers["conv"]


@pytest.mark.errors
@pytest.mark.parametrize("name, model", [("st_fcn", "STFCN"), ("parallel_st_fcn", "ParallelSTFCN")])
def test_wrong_localisers_and_sizes_are_refused(name, model):
    with pytest.raises(ValueError, match=re.escape(f"{model}: `localizer` must be fc or conv; got 'cnn'.")):
        MODELS[name]((2, 42, 42), localizer="cnn")
    with pytest.raises(
        ValueError, match=re.escape(f"{model}: `input_shape` must be at least 28×28 pixels for its localiser; got (2, 20, 42).")
    ):
        MODELS[name]((2, 20, 42), localizer="conv")
    if name == "parallel_st_fcn":
        with pytest.raises(ValueError, match=r"ParallelSTFCN: `transformers` must be a whole number of at least 1; got 0"):
            parallel(transformers=0)


# ---- a run, and its pictures ----


@pytest.mark.parametrize("name, count", [("2fcn_tps", 2), ("fcn_affine", 1)])
def test_a_run_is_drawn(name, count, tmp_path):
    small = ["data.digits=digits", "model.hidden=8", "train.log_every=1"]
    fit(load(f"jaderberg2015/addition_{name}", smoke=True, overrides=small), tmp_path)
    kept = read_tensors(sorted(Run(tmp_path).snapshots.glob("[0-9]*"))[-1])
    assert set(kept) == {"prediction"} | {key_of(key, number) for key in ("theta", "grid", "output") for number in range(count)}
    told = []
    assert {file.name for file in show_run(tmp_path, tell=told.append)} == {
        "curves.png",
        "window.png",
        "moving.gif",
        "evolution.gif",
        "evolution.png",
    }
    assert not told


def test_the_film_shows_each_transformer(tmp_path, monkeypatch):
    fit(load("jaderberg2015/addition_2fcn_affine", smoke=True, overrides=["data.digits=digits", "model.hidden=8"]), tmp_path)
    snapshots = []

    def frames(images, taken, **_):
        snapshots.extend(taken)
        return [window_picture(images, taken[0].views)]

    monkeypatch.setattr("reticle.show.evolution_frames", frames)
    show_run(tmp_path, tell=str)
    assert [len(snapshot.views) for snapshot in snapshots] == [2] * len(snapshots)
    last = snapshots[-1].views
    assert not torch.equal(last[0].grid, last[1].grid)
