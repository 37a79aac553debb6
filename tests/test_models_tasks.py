"""The networks of the tasks beside classification: sizes computed from the papers' layers, the identity at the start, learning, errors."""

import math
import re

import pytest
import torch
from torch import nn

from reticle import MODELS
from reticle.tasks.sequence import Sequence

SMALL = {"filters": 4, "hidden": 16}
READERS = ("spn_cnn", "ffn_spn", "rnn_spn")
each_reader = pytest.mark.parametrize("name", READERS)


def reader(name, input_shape=(1, 60, 62), **options):
    return MODELS[name](input_shape, 7, length=3, **(SMALL | options))


def locator(**options):
    return MODELS["locator"]((1, 84, 84), **options)


def count(module):
    return sum(p.numel() for p in module.parameters())


# readers ----------------------------------------------------------------------------------------------------------------------


@each_reader
@pytest.mark.parametrize("channels", [1, 3])
def test_images_become_logits_of_each_digit(name, channels):
    assert reader(name, (channels, 60, 62))(torch.rand(5, channels, 60, 62)).shape == (5, 3, 7)


@each_reader
def test_a_few_steps_lower_the_loss_and_move_every_weight(name):
    model, task = reader(name), Sequence()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x, y = torch.rand(8, 1, 60, 62), torch.arange(24).reshape(8, 3) % 7
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(6):
        losses.append(task.loss(model(x), x, y))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    assert not [key for key, value in model.state_dict().items() if torch.equal(value, before[key])]


@pytest.mark.parametrize(
    "name, options, expected",
    [  # computed by hand from the layers of the authors' code
        ("spn_cnn", {}, 1_056 - 96 + 83_040 * 2 + 96 * 21 * 21 * 400 + 400 + 12_030),
        ("ffn_spn", {"downsample": 2}, 7_440 + 1_620 * 200 + 200 + 1_206 + 960 + 83_040 * 2 + 96 * 9 * 9 * 400 + 400 + 12_030),
        ("rnn_spn", {"downsample": 3}, 7_440 + 768 * (1_620 + 256 + 2) + 1_542 + 320 + 9_248 * 2 + 32 * 4 * 4 * 400 + 400 + 4_010),
    ],
)
def test_networks_have_the_parameters_of_the_papers_layers(name, options, expected):
    assert count(MODELS[name]((1, 100, 100), 10, length=3, **options)) == expected


@pytest.mark.parametrize("downsample", [1, 2, 3, 4])
def test_windows_are_so_many_times_smaller_and_start_as_the_whole_image(downsample):
    x = torch.rand(2, 1, 100, 100)
    for name in ("ffn_spn", "rnn_spn"):
        model = reader(name, (1, 100, 100), downsample=downsample, sampler={"align_corners": True})
        windows = model.transformer(x)
        side = 100 // downsample
        assert windows.shape == ((2, 1, side, side) if name == "ffn_spn" else (2, 3, 1, side, side))
        expected = nn.functional.interpolate(x, (side, side), mode="bilinear", align_corners=True)
        torch.testing.assert_close(windows if name == "ffn_spn" else windows[:, 2], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["ffn_spn", "rnn_spn"])
def test_windows_may_start_in_the_middle(name):
    model, x = reader(name, start=[0.5, 0, 0, 0, 0.5, 0]), torch.rand(2, 1, 60, 62)
    warp = model.transformer.warp(x)
    assert (warp if name == "ffn_spn" else warp[2]).theta.tolist() == [[0.5, 0, 0, 0, 0.5, 0]] * 2


@pytest.mark.errors
@pytest.mark.parametrize("start", ["big", 0.5, [0.5, "0"]])
def test_a_start_that_is_no_theta_is_answered(start):
    message = f"`start` must be a list of numbers, one for each parameter of the transform; got {start!r}."
    for make in (lambda: reader("ffn_spn", start=start), lambda: reader("rnn_spn", start=start), lambda: locator(start=start)):
        with pytest.raises(ValueError, match="^" + re.escape(message)):
            make()


@pytest.mark.errors
@pytest.mark.parametrize("name", ["ffn_spn", "rnn_spn"])
def test_the_size_of_the_window_is_said_once(name):
    message = "ffn_spn, rnn_spn: `sampler` must leave output_size to `downsample`; got (40, 40)."
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        reader(name, sampler={"output_size": (40, 40)})
    for downsample in (0, 1.5):
        message = f"ffn_spn, rnn_spn: `downsample` must be a whole number of at least 1; got {downsample}."
        with pytest.raises(ValueError, match="^" + re.escape(message)):
            reader(name, downsample=downsample)


def test_each_digit_is_read_in_its_own_window():
    model = reader("rnn_spn").eval()
    nn.init.normal_(model.transformer.transformer.localizer.localizer.head.weight, std=0.3)
    x = torch.rand(4, 1, 60, 62)
    alone = torch.stack([model.classifier(warp.output) for warp in model.transformer.warp(x)], dim=1)
    torch.testing.assert_close(model(x), alone)


# the locator ------------------------------------------------------------------------------------------------------------------


def test_locator_has_the_layers_of_the_paper():
    assert count(locator()) == 5_947


def test_locator_may_start_elsewhere():
    found = locator(start=[-math.log(2), 0, 1])(torch.rand(2, 1, 84, 84))
    torch.testing.assert_close(found.box, torch.tensor([[21.0, 63.0, 63.0, 105.0]]).expand(2, 4))


def test_locator_starts_as_the_whole_image():
    found = MODELS["locator"]((1, 84, 60), window=20)(torch.rand(3, 1, 84, 60))
    assert found.window.shape == (3, 1, 20, 20)
    torch.testing.assert_close(found.box, torch.tensor([[0.0, 0.0, 60.0, 84.0]]).expand(3, 4))


def test_box_is_where_the_window_is_read():
    model = locator()
    with torch.no_grad():
        model.transformer.localizer.head.bias.copy_(torch.tensor([0.5, 1.0, 0.25]).log())
        model.transformer.localizer.head.bias[1:] = torch.tensor([0.25, -0.5])
    found = model(torch.rand(1, 1, 84, 84))
    # half as wide as the image, its centre a quarter of the half to the right and half of the half up
    torch.testing.assert_close(found.box, torch.tensor([[31.5, 0.0, 73.5, 42.0]]))
    x = torch.zeros(1, 1, 84, 84)
    x[..., 0:42, 32:73] = 1
    assert model(x).window[..., 1:-1].min() == 1


def test_box_of_a_turned_window_is_the_one_around_it():
    model = locator(transform="similarity")
    with torch.no_grad():
        model.transformer.localizer.head.bias[:2] = torch.tensor([torch.pi / 4, -0.5 * torch.log(torch.tensor(2.0))])
    torch.testing.assert_close(model(torch.rand(1, 1, 84, 84)).box, torch.tensor([[0.0, 0.0, 84.0, 84.0]]), rtol=0, atol=1e-4)


def test_layers_of_the_cnn_are_what_it_computes_on_the_way():
    model, x = MODELS["cnn"]((1, 28, 28), filters=4, hidden=6), torch.rand(3, 1, 28, 28)
    first, second, third, logits = model.layers(x)
    assert (first.shape, second.shape, third.shape) == ((3, 4, 10, 10), (3, 4, 2, 2), (3, 6))
    assert min(first.min(), second.min(), third.min()) == 0
    assert torch.equal(logits, model(x))


# errors -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.errors
@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: MODELS["locator"]((1, 16, 84)),
            "Locator: `input_shape` must be at least 17×17 pixels for its localiser; got (1, 16, 8",
        ),
        (lambda: reader("spn_cnn", (1, 17, 30)), "the classifier must see at least 18×18 pixels; got (1, 17, 30)."),
        (lambda: reader("rnn_spn", (1, 60, 60), downsample=4), "the classifier must see at least 18×18 pixels; got (1, 15, 15)."),
        (lambda: reader("ffn_spn", (1, 35, 60), downsample=1), "must be at least 36×36 pixels for the localiser; got (1, 35, 60)."),
    ],
)
def test_too_small_an_image_is_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_smallest_images_are_enough():
    assert MODELS["locator"]((1, 17, 17))(torch.rand(1, 1, 17, 17)).window.shape == (1, 1, 28, 28)
    assert reader("spn_cnn", (1, 18, 18))(torch.rand(1, 1, 18, 18)).shape == (1, 3, 7)
    assert reader("ffn_spn", (1, 36, 36), downsample=2)(torch.rand(1, 1, 36, 36)).shape == (1, 3, 7)
