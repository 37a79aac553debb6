"""Data of the tasks beside classification: digits to co-localise, and sequences of digits."""

import functools

import numpy as np
import pytest
import torch

from reticle.data import DATASETS
from reticle.data.sequence import PATCHES

colocated = functools.cache(functools.partial(DATASETS["colocated_digits"], digits="digits"))
sequences = functools.cache(functools.partial(DATASETS["digit_sequences"], digits="digits"))
windows = functools.cache(functools.partial(DATASETS["digit_windows"], digits="digits"))
MAKE = {
    "colocated_digits": lambda: colocated(digit=4, clutter=16),
    "digit_sequences": lambda: sequences(num_test=30),
    "digit_windows": lambda: windows(empty=0.2),
}
each_data = pytest.mark.parametrize("name", sorted(MAKE))


# both -------------------------------------------------------------------------------------------------------------------------


@each_data
@pytest.mark.parametrize("world_size", [2, 3])
def test_parts_of_a_batch_are_the_batch(name, world_size):
    data = MAKE[name]()
    whole = data.train_batch(5, 12, seed=1)
    parts = [data.train_batch(5, 12, seed=1, rank=rank, world_size=world_size) for rank in range(world_size)]
    for tensor, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(tensor, torch.cat(pieces))


@each_data
def test_a_batch_depends_on_seed_and_step_alone(name):
    data = MAKE[name]()
    images, targets = data.train_batch(7, 8, seed=3)
    assert images.dtype == torch.float32 and images.shape == (8, *data.input_shape) and len(targets) == 8
    assert images.min() == 0 and 0.9 < images.max() <= 1
    data.train_batch(2, 8, seed=3)
    again = data.train_batch(7, 8, seed=3)
    assert torch.equal(images, again[0]) and torch.equal(targets, again[1])
    assert not torch.equal(images, data.train_batch(8, 8, seed=3)[0])
    assert not torch.equal(images, data.train_batch(7, 8, seed=4)[0])


@each_data
def test_the_test_set_is_fixed(name):
    data = MAKE[name]()
    images, targets = data.test_set()
    assert images.shape == (data.num_test, *data.input_shape) and len(targets) == data.num_test
    assert torch.equal(images, data.test_set()[0])


# to co-localise ---------------------------------------------------------------------------------------------------------------


def test_each_image_holds_a_digit_of_the_class_in_its_box():
    data = colocated(digit=4)
    source = DATASETS["digits"](distortion="none").test
    of_class = source.images[source.labels == 4].float() / 255
    images, boxes = (tensor.clone() for tensor in data.test_set())
    assert data.input_shape == (1, 84, 84) and len(images) == 100
    assert torch.equal(boxes[:, 2:] - boxes[:, :2], torch.full((100, 2), 28.0))
    assert boxes.min() >= 0 and boxes.max() <= 84
    for index, (image, box) in enumerate(zip(images, boxes.int().tolist(), strict=True)):
        x, y, right, bottom = box
        assert torch.equal(image[0, y:bottom, x:right], of_class[index % len(of_class)])
        image[:, y:bottom, x:right] = 0
        assert not image.any()


def test_digits_are_anywhere_and_classes_differ():
    boxes = colocated(digit=4).boxes
    assert boxes[:, :2].min(0).values.max() <= 2 and boxes[:, :2].max(0).values.min() >= 54
    assert not torch.equal(colocated(digit=4).images, colocated(digit=5).images)


def test_clutter_lies_over_the_same_digits():
    plain, cluttered = colocated(digit=4), colocated(digit=4, clutter=16)
    assert torch.equal(plain.boxes, cluttered.boxes)
    more = cluttered.images - plain.images
    assert more.min() >= 0
    assert 100 < (more > 0).flatten(1).sum(1).float().mean() < 16 * 36


def test_training_shows_every_image_once_an_epoch():
    data = colocated(digit=4)
    boxes = torch.cat([data.train_batch(step, 20, seed=0)[1] for step in range(5)])
    assert sorted(map(tuple, boxes.tolist())) == sorted(map(tuple, data.boxes.tolist()))


# windows ----------------------------------------------------------------------------------------------------------------------


def test_windows_are_of_all_sizes_and_hold_the_digit_but_for_its_rim():
    data = windows()
    drawn = data._draw(np.random.default_rng(0), data.digits.train, np.arange(1000))
    side, first = drawn.window[:, :1], drawn.window[:, 1:]
    assert 28 <= side.min() < 28.2 and 83.5 < side.max() <= 84
    assert np.median(side) == pytest.approx((28 * 84) ** 0.5, abs=3)
    assert first.min() >= 0 and (first + side).max() <= 84 + 1e-9
    assert (first <= drawn.corner + 4 + 1e-9).all() and (first + side >= drawn.corner + 24 - 1e-9).all()
    assert (first > drawn.corner + 1).any() and (first + side < drawn.corner + 27).any()
    assert not drawn.empty.any() and drawn.patches.shape == (1000, 16, 5)


def test_a_window_shows_its_part_of_the_image():
    data, index = windows(clutter=0), np.arange(3)
    drawn = data._draw(np.random.default_rng(0), data.digits.test, index)
    corner = np.array([[10, 20], [0, 56], [20, 25]])
    window = np.array([[28.0, 10, 20], [28, 4, 52], [56, 20, 25]])
    images, labels = data._make(data.digits.test, index, drawn._replace(corner=corner, window=window), slice(0, 3), "cpu")
    digits, smooth = data.digits.test.pixels(index), torch.nn.functional.avg_pool2d
    # twice as dense and averaged, a window in place is a little smoother than the digit
    assert (images[0] - digits[0]).abs().max() < 0.25 and (images[0] - digits[0]).abs().mean() < 0.02
    assert (images[1, :, 4:, :24] - digits[1, :, :24, 4:]).abs().mean() < 0.02 and not images[1, :, :3].any()
    assert (images[2, :, :14, :14] - smooth(digits[2], 2)).abs().max() < 0.1 and not images[2, :, 15:].any()
    assert labels.tolist() == data.digits.test.labels[:3].tolist()


def test_windows_without_a_digit_are_a_class_of_their_own():
    data = windows(empty=0.25)
    images, labels = data.test_set()
    assert data.num_classes == 11 and windows().num_classes == 10 and labels.max() == 10
    assert (labels == 10).float().mean() == pytest.approx(0.25, abs=0.06)
    ink = images.flatten(1).sum(1)
    assert ink[labels == 10].mean() < 0.6 * ink[labels < 10].mean()
    plain = windows(empty=0.25, clutter=0)
    images, labels = plain.test_set()
    assert torch.equal(images.flatten(1).any(1), labels < 10)
    assert torch.equal(labels[labels < 10], plain.digits.test.labels[labels < 10])


def test_windows_near_a_digit_that_miss_it_are_of_the_last_class_too():
    data = windows(near=0.9, clutter=0)
    digits, index = data.digits.test, np.resize(np.arange(data.num_test), 2000)
    drawn = data._draw(np.random.default_rng(0), digits, index)
    side, first, missed = drawn.window[:, :1], drawn.window[:, 1:], drawn.empty
    assert data.num_classes == 11 and not drawn.bare.any() and 0.7 < missed.mean() < 0.9
    assert first.min() >= 0 and (first + side).max() <= 84 and side[missed].min() >= 28 and side[missed].max() <= 28 * 1.15
    assert (np.abs(first + side / 2 - drawn.corner - 14) <= 28).all(1)[missed].all()
    # on a grid of quarters of a pixel
    ticks = (np.arange(84 * 4) + 0.5) / 4
    for corner, own, start, is_missed in zip(drawn.corner, side, first, missed, strict=True):
        (x, y), (u, v) = (((ticks >= at[:, None]) & (ticks < at[:, None] + n)) for at, n in ((corner, 28), (start, own)))
        square, window = np.outer(y, x), np.outer(v, u)
        share = (square & window).sum() / (square | window).sum()
        holds_the_digit = (start <= corner + 4).all() and (start + own >= corner + 24).all()
        assert share < 0.76 if is_missed else share > 0.74 or holds_the_digit
    images, labels = data._make(digits, index, drawn, slice(0, 500), "cpu")
    assert torch.equal(labels == 10, torch.from_numpy(missed[:500]))
    assert images[labels == 10].flatten(1).any(1).float().mean() > 0.3  # some show a part of it


# sequences --------------------------------------------------------------------------------------------------------------------


def test_sequences_are_placed_as_the_authors_place_them():
    data = sequences(num_test=30)
    drawn = data._draw(np.random.default_rng(0), data.train, 5000)
    y, x = drawn.corner[..., 0], drawn.corner[..., 1]
    assert (np.diff(x) == 28).all() and set(x[:, 0]) == set(range(16))
    assert y.min() == 0 and y.max() == 72
    slopes = np.diff(y)
    free = ((y > 0) & (y < 72)).all(1)
    assert (slopes[free, 0] == slopes[free, 1]).all() and set(slopes[free, 0]) == set(range(-14, 14))
    assert set(drawn.patch[..., 3:].ravel()) == set(range(91)) and set(drawn.patch[..., 1:3].ravel()) == set(range(19))
    assert drawn.patch.shape == (5000, PATCHES, 5) and drawn.digit.max() == data.num_train - 1


def test_a_fixed_set_of_sequences_is_seen_once_an_epoch():
    data = sequences(num_test=30, num_images=12)
    epochs = [torch.cat([data.train_batch(step, 4, seed=0)[0] for step in steps]).flatten(1) for steps in (range(3), range(3, 6))]
    assert not torch.equal(*epochs)
    assert len(epochs[0].unique(dim=0)) == 12 and torch.equal(epochs[0].unique(dim=0), epochs[1].unique(dim=0))


def test_an_image_is_its_digits_and_its_patches_cut_off_at_one():
    data = sequences(num_test=30)
    drawn = data._draw(np.random.default_rng(1), data.test, 6)
    images, labels = data._make(data.test, drawn, slice(0, 6), "cpu")
    for index in range(6):
        canvas, clutter = np.zeros((100, 100)), np.zeros((100, 100))
        for digit, (y, x) in zip(drawn.digit[index], drawn.corner[index], strict=True):
            canvas[y : y + 28, x : x + 28] = data.test.images[digit] / 255
        for number, row, column, y, x in drawn.patch[index]:
            clutter[y : y + 9, x : x + 9] = data.train.images[number, row : row + 9, column : column + 9] / 255
        np.testing.assert_allclose(images[index, 0], np.minimum(canvas + clutter, 1), atol=1e-6)
        assert labels[index].tolist() == data.test.labels[drawn.digit[index]].tolist()
    assert data.length == labels.shape[1] == 3 and data.num_classes == 10


# errors -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.errors
@pytest.mark.parametrize(
    "name, options, message",
    [
        ("colocated_digits", {"digit": 10}, "ColocatedDigits: `digit` must be a class that has test digits, one of [0, 1, 2, 3"),
        ("colocated_digits", {"digit": -1}, "ColocatedDigits: `digit` must be a whole number of at least 0; got -1."),
        ("colocated_digits", {"digit": 1, "count": 1}, "ColocatedDigits: `count` must be a whole number of at least 2; got 1."),
        ("colocated_digits", {"digit": 1, "canvas": 27}, "ColocatedDigits: `canvas` must be a whole number of at least 28; got 27."),
        ("digit_windows", {"canvas": 27}, "DigitWindows: `canvas` must be a whole number of at least 28; got 27."),
        ("digit_windows", {"clutter": -1}, "DigitWindows: `clutter` must be a whole number of at least 0; got -1."),
        ("digit_windows", {"empty": 1.0}, "DigitWindows: `empty` must be a share from 0 to below 1; got 1.0."),
        ("digit_windows", {"near": -0.1}, "DigitWindows: `near` must be a share from 0 to below 1; got -0.1."),
        ("digit_windows", {"near": "0.2"}, "DigitWindows: `near` must be a share from 0 to below 1; got '0.2'."),
        ("digit_sequences", {"num_test": 0}, "DigitSequences: `num_test` must be a whole number of at least 1; got 0."),
        ("digit_sequences", {"num_images": 0}, "DigitSequences: `num_images` must be a whole number of at least 1; got 0."),
        ("digit_sequences", {"canvas": 99}, "DigitSequences: `canvas` must be a whole number of at least 100; got 99."),
    ],
)
def test_wrong_arguments_are_answered(name, options, message):
    with pytest.raises(ValueError) as error:
        DATASETS[name](digits="digits", **options)
    assert message in str(error.value)
