"""Which digits a training step sees, how the bundled ones look, and what is said of wrong arguments."""

import numpy as np
import pytest
import torch

from reticle.data import DATASETS, DISTORTIONS, DistortedDigits, Split, distorted

# ---- the bundled digits ----


def test_bundled_digits_are_split_in_proportion_and_look_like_mnist():
    data = DATASETS["digits"]()
    assert (data.num_train, data.num_test, data.input_shape) == (1297, 500, (1, 42, 42))
    train, test = data.train, data.test
    assert test.labels.bincount().tolist() == [50, 51, 49, 51, 50, 51, 50, 50, 48, 50]
    assert test.labels[:6].tolist() == [0, 9, 1, 5, 7, 8] and train.labels[:6].tolist() == [1, 2, 3, 4, 5, 6]
    pictures = {image.numpy().tobytes() for image in torch.cat([train.images, test.images])}
    assert len(pictures) == 1797
    centre, half = test.ink[:, :2], test.ink[:, 2:]
    assert (abs(centre) + half).max() <= 11 and half.max(0).min() >= 10 and abs(centre.mean(0)).max() < 1
    assert test.images.amax((1, 2)).min() > 200 and test.images[:, :2].max() == 0


# ---- batches ----

RNG = np.random.default_rng(0)
COUNT = 23


def blobs(count=COUNT, level=255, labels=None):
    images = np.zeros((count, 28, 28), dtype=np.uint8)
    images[:, 6:22, 8:20] = RNG.integers(level // 2, level, (count, 16, 12), endpoint=True)
    return Split(images, np.arange(count) % 10 if labels is None else labels)


TRAIN, TEST = blobs(), blobs(12)


def digits(train=TRAIN, test=TEST, **options):
    return DistortedDigits(train, test, **options)


@pytest.mark.parametrize("name", DISTORTIONS)
@pytest.mark.parametrize("world_size", [2, 3, 12])
def test_parts_of_a_batch_are_the_batch(name, world_size):
    data = digits(distortion=name, clutter=3)
    images, labels = data.train_batch(5, 24, seed=1)
    parts = [data.train_batch(5, 24, seed=1, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert torch.equal(torch.cat([part[0] for part in parts]), images)
    assert torch.equal(torch.cat([part[1] for part in parts]), labels)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_a_batch_depends_on_seed_and_step_alone(name):
    first = digits(distortion=name, clutter=2)
    images, labels = first.train_batch(7, 8, seed=3)
    assert images.dtype == torch.float32 and labels.dtype == torch.int64
    assert images.shape == (8, *first.input_shape) and labels.shape == (8,)
    assert images.min() == 0 and 0.4 < images.max() <= 1 + 1e-6
    torch.manual_seed(99)
    np.random.seed(99)
    again = digits(distortion=name, clutter=2)
    again.train_batch(0, 8, seed=3)
    again.test_set()
    assert torch.equal(again.train_batch(7, 8, seed=3)[0], images)
    assert not torch.equal(again.train_batch(8, 8, seed=3)[0], images)
    assert not torch.equal(again.train_batch(7, 8, seed=4)[0], images)


def test_one_digit_is_distorted_anew_at_every_step_and_seed():
    data = digits(limit=1)
    seen = [data.train_batch(step, 1, seed=seed)[0] for step, seed in ((0, 0), (1, 0), (0, 1))] + [data.test_set()[0]]
    assert len({image.numpy().tobytes() for image in seen}) == 4


def test_images_stay_what_they_were():
    # pins the stream of random numbers: a change here changes every committed result
    data = DATASETS["digits"](clutter=6)
    images, labels = data.train_batch(0, 8, seed=0)
    assert labels.tolist() == [6, 9, 7, 7, 7, 0, 5, 7]
    np.testing.assert_allclose(images.sum((1, 2, 3)), [160.3, 135.3, 116.0, 197.3, 208.9, 158.0, 154.2, 237.0], atol=0.1)
    np.testing.assert_allclose(data.test_set()[0][:4].sum((1, 2, 3)), [193.0, 109.0, 216.0, 126.1], atol=0.1)


@pytest.mark.parametrize("batch_size", [5, 23, 60])
def test_every_epoch_shows_every_digit_once(batch_size):
    each = Split(np.ones((COUNT, 8, 8), dtype=np.uint8), np.arange(COUNT))
    data = digits(each, each, distortion="none", canvas=8, num_classes=COUNT)
    seen = torch.cat([data.train_batch(step, batch_size, seed=0)[1] for step in range(COUNT)])
    epochs = seen.view(batch_size, COUNT)
    assert (epochs.sort(dim=1).values == torch.arange(COUNT)).all()
    assert not (epochs == epochs[0]).all()


def test_the_test_set_is_always_the_same(monkeypatch):
    data = digits(distortion="e", clutter=2)
    images, labels = data.test_set()
    assert labels.tolist() == TEST.labels.tolist()
    data.train_batch(3, 4, seed=8)
    monkeypatch.setattr(distorted, "CHUNK", 5)
    assert torch.equal(data.test_set()[0], images)
    assert torch.equal(digits(distortion="e", clutter=2).test_set()[0], images)


@pytest.mark.parametrize("distortion", ["tc", "rts"])
def test_clutter_comes_from_the_same_split(distortion):
    dark, bright = blobs(level=100), blobs(level=255)
    assert digits(dark, bright, distortion=distortion, clutter=40).train_batch(0, 8, seed=0)[0].max() <= 100.01 / 255
    assert digits(bright, dark, distortion=distortion, clutter=40).test_set()[0].max() <= 100.01 / 255


def test_clutter_brightens_and_the_paper_has_it_in_tc_only():
    bare, strewn = (digits(distortion="r", clutter=n).train_batch(0, 64, seed=0)[0] for n in (0, 9))
    assert (strewn >= bare).all() and (strewn > bare).sum() > 64 * 100
    assert {name: digits(distortion=name).clutter for name in DISTORTIONS} == dict.fromkeys(DISTORTIONS, 0) | {"tc": 6}
    assert {name: digits(distortion=name).canvas for name in DISTORTIONS} == dict.fromkeys(DISTORTIONS, 42) | {"tc": 60}
    assert digits(distortion="tc", canvas=50, clutter=0).input_shape == (1, 50, 50)


def test_limit_keeps_the_first_of_both():
    data = digits(limit=4, clutter=1)
    assert (data.num_train, data.num_test) == (4, 4)
    assert set(data.train_batch(0, 64, seed=0)[1].tolist()) == {0, 1, 2, 3}
    assert torch.equal(data.test_set()[1], torch.arange(4))
    assert digits(limit=1000).num_train == COUNT


def test_plain_digits_are_centred_copies_of_different_classes():
    labels = np.array([3, 3, 1, 3, 2, 1, 1, 1, 1, 1, 1, 1])
    images, found = digits(test=Split(TEST.images, labels)).plain(5)
    assert found.tolist() == [3, 1, 2, 3, 1]
    expected = torch.zeros(5, 1, 42, 42)
    expected[:, 0, 7:35, 7:35] = torch.from_numpy(TEST.images[[0, 2, 4, 1, 5]]) / 255
    torch.testing.assert_close(images, expected, atol=1e-5, rtol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("name", DISTORTIONS)
def test_a_gpu_gets_the_same_batch(name, device, deterministic):
    data = digits(distortion=name, clutter=4)
    images, labels = data.train_batch(2, 16, seed=0, device=device)
    assert images.device.type == labels.device.type == device.type
    torch.testing.assert_close(images.cpu(), data.train_batch(2, 16, seed=0)[0], atol=1e-4, rtol=0)
    assert torch.equal(data.train_batch(2, 16, seed=0, device=device)[0], images)


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


# ---- wrong arguments ----

IMAGES, NUMBERS = TRAIN


@pytest.mark.errors
@pytest.mark.parametrize(
    "options, message",
    [
        ({"distortion": "rtss"}, "Unknown distortion 'rtss'. Did you mean 'rts'\\? Known: e, none, p, r, rts, tc."),
        ({"canvas": 27}, "DistortedDigits: `canvas` must be at least 28, the side of the digits; got 27."),
        ({"canvas": 42.0}, "`canvas` must be a whole number of at least 1; got 42.0."),
        ({"clutter": -1}, "`clutter` must be a whole number of at least 0; got -1."),
        ({"clutter": 6, "limit": 1}, r"`clutter` must be 0 unless .* got 6 with 1 of side 28.\n  Raise `limit` to 2 or more"),
        ({"limit": 0}, "`limit` must be a whole number of at least 1; got 0."),
        ({"limit": True}, "`limit` must be a whole number of at least 1; got True."),
        ({"test": Split(IMAGES[:, :20, :20], NUMBERS)}, r"`train` and `test` must have images of one size; got \[20, 28\]."),
        ({"train": Split(IMAGES[:0], NUMBERS[:0])}, r"`train` must have images \(N, S, S\), at least one; got \(0, 28, 28\)."),
        ({"test": Split(IMAGES[:, 1:], NUMBERS)}, r"`test` must have images \(N, S, S\), at least one; got \(23, 27, 28\)."),
        ({"train": Split(IMAGES, NUMBERS[1:])}, r"`train` must have one label for each of its 23 images; got \(22,\)."),
        ({"train": Split(IMAGES, NUMBERS + 1)}, "`train` must have whole labels from 0 to 9; got int64 1 to 10."),
        ({"test": Split(IMAGES, NUMBERS - 1)}, "`test` must have whole labels from 0 to 9; got int64 -1 to 8."),
        ({"test": Split(IMAGES, NUMBERS / 2)}, "`test` must have whole labels from 0 to 9; got float64 0.0 to 4.5."),
    ],
)
def test_wrong_data_sets_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        digits(**options)


@pytest.mark.errors
def test_images_must_be_bytes():
    with pytest.raises(TypeError, match=r"`train` must have uint8 images; got float64.\n  Scale them to 0 .. 255 and round."):
        digits(Split(IMAGES / 255, NUMBERS))


@pytest.mark.errors
@pytest.mark.parametrize(
    "options, message",
    [
        ({"step": -1}, "train_batch: `step` must be a whole number of at least 0; got -1."),
        ({"seed": None}, "train_batch: `seed` must be a whole number of at least 0; got None."),
        ({"batch_size": 0}, "train_batch: `batch_size` must be a whole number of at least 1; got 0."),
        ({"world_size": 3}, "train_batch: `batch_size` must be a multiple of `world_size` = 3; got 8.\n  It counts the images of all"),
        ({"rank": 2, "world_size": 2}, "train_batch: `rank` must be below `world_size` = 2; got 2."),
    ],
)
def test_wrong_batches_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        digits().train_batch(**{"step": 0, "batch_size": 8, "seed": 0} | options)


@pytest.mark.errors
@pytest.mark.parametrize(
    "count, message", [(0, "a whole number of at least 1; got 0"), (13, "at most 12, the number of test images; got 13")]
)
def test_plain_wants_a_count_that_there_is(count, message):
    with pytest.raises(ValueError, match=f"plain: `count` must be {message}"):
        digits().plain(count)
