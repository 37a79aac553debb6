"""Digits as bodies in a volume, the network that turns them towards itself, and the pictures of a run."""

import math
import re

import numpy as np
import pytest
import torch
from PIL import ImageColor

from reticle import DATASETS, MODELS, TRANSFORMS
from reticle.data import DigitVolumes, DistortedDigits, Split
from reticle.recipe import load
from reticle.show import show_run
from reticle.train import fit
from reticle.training.checkpoint import read_tensors
from reticle.viz import BOX, Snapshot, View, evolution_frames, evolution_picture, window_picture
from reticle.viz.panel import Look
from reticle.viz.style import CORNERS, WINDOWS
from reticle.viz.volume import box_overshoot, bright, volume_card

SHAPE = (1, 20, 28, 30)
SOLID = sorted(name for name in TRANSFORMS if name in ("affine", "attention", "rigid", "similarity", "translation"))


def volumes(**options):
    return DATASETS["digit_volumes"](**{"digits": "digits", "side": 26} | options)


def bars(count=12):
    """Bars of 16 x 4 pixels, off the middle of their images, as digits."""
    images = np.zeros((count, 28, 28), dtype=np.uint8)
    images[:, 4:20, 8:12] = 255
    split = Split(images, np.arange(count) % 10)
    return DistortedDigits(split, split, distortion="none", canvas=28)


# ---- data ----


def test_an_upright_body_is_the_digit_in_every_slice():
    data = DigitVolumes(bars(), side=42, thickness=6, turn=0, tilt=0)
    body = data.train_batch(0, 4, seed=0)[0][:, 0]
    for volume in body:
        # the bar is found whole: its size on each axis, at full brightness but for the rim
        inside = (volume > 0.01).nonzero()
        extent = (inside.amax(0) - inside.amin(0) + 1).tolist()
        assert all(size <= n <= size + 2 for n, size in zip(extent, (6, 16, 4), strict=True)), extent
        assert volume.sum() == pytest.approx(6 * 16 * 4, rel=0.02)
    voxels = torch.stack(torch.meshgrid(*[torch.arange(42.0)] * 3, indexing="ij"), -1)
    centres = [(volume[..., None] * voxels).sum((0, 1, 2)) / volume.sum() for volume in body]
    assert torch.stack(centres).std(0).min() > 1  # each at another place, along all axes


@pytest.mark.parametrize("tilt", [0.0, 40.0, 90.0])
def test_pose_turns_and_then_tilts_the_body_without_bending_it(tilt):
    data = DigitVolumes(bars(), side=42, tilt=tilt, thickness=6)
    chance = np.random.default_rng(0).random((200, 6))
    chance[:100, 1] = 1
    ink = np.tile([[-4.0, -2, 2, 8]], (200, 1))
    linear = data.pose(chance, ink, 28)[:, :, :3] * torch.tensor([28.0, 28, 6])[:, None] / 42
    torch.testing.assert_close(linear @ linear.mT, torch.eye(3, dtype=torch.float64).expand(200, 3, 3))  # scale 1 at side 42
    assert (torch.linalg.det(linear) > 0).all()
    # the angle between the depth of the body and that of the volume
    angle = torch.rad2deg(torch.arccos(linear[:, 2, 2].clamp(-1, 1)))
    assert angle.max() <= tilt + 1e-4
    torch.testing.assert_close(angle[:100], torch.full_like(angle[:100], tilt), atol=1e-3, rtol=0)


def test_all_of_the_ink_is_in_the_volume_and_may_touch_its_walls():
    data = DigitVolumes(bars(), side=42, tilt=90.0, thickness=8)
    ink = np.tile([[-4.0, -4, 2, 8]], (2000, 1))  # as in `bars`: from 8 to 12 and from 4 to 20 of 28
    matrix = data.pose(np.random.default_rng(1).random((2000, 6)), ink, 28)
    corners = BOX.double() * torch.tensor([2.0, 8, 4]) + torch.tensor([-4.0, -4, 0])
    corners = corners / torch.tensor([14.0, 14, 4])  # in halves of the body's sides
    placed = torch.linalg.solve(matrix[:, :, :3], corners.T - matrix[:, :, 3:])
    assert placed.abs().max() <= 1 + 1e-9 and placed.abs().amax((0, 2)).min() > 0.99


@pytest.mark.parametrize("world_size", [2, 3, 12])
def test_parts_of_a_batch_are_the_batch(world_size):
    data = volumes()
    images, labels = data.train_batch(5, 12, seed=1)
    assert images.shape == (12, *data.input_shape) == (12, 1, 26, 26, 26)
    parts = [data.train_batch(5, 12, seed=1, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert torch.equal(torch.cat([part[0] for part in parts]), images)
    assert torch.equal(torch.cat([part[1] for part in parts]), labels)


def test_a_batch_depends_on_seed_and_step_alone():
    images = volumes().train_batch(7, 4, seed=3)[0]
    assert images.min() == 0 and 0.9 < images.max() <= 1 + 1e-6
    again = volumes()
    again.train_batch(0, 8, seed=3)
    assert torch.equal(again.train_batch(7, 4, seed=3)[0], images)
    assert not torch.equal(again.train_batch(8, 4, seed=3)[0], images)
    assert not torch.equal(again.train_batch(7, 4, seed=4)[0], images)


def test_the_test_set_is_always_the_same_and_no_larger_than_memory_allows(monkeypatch):
    data = volumes(test_limit=20)
    images, labels = data.test_set()
    assert (len(images), data.num_test, data.num_train) == (20, 20, 1297)
    assert labels.tolist() == DATASETS["digits"]().test.labels[:20].tolist()
    monkeypatch.setattr("reticle.data.volumes.CHUNK", 7)
    assert torch.equal(data.test_set()[0], images)
    assert volumes(test_limit=None).num_test == 500 and volumes(limit=5).num_test == 5


def test_digits_are_as_large_in_a_volume_as_in_an_image_of_42():
    # 216 voxels a cubed pixel, or so, at a side of 6 x 42
    small, large = (DigitVolumes(bars(), side=side, turn=0, tilt=0).train_batch(0, 1, seed=0)[0].sum() for side in (42, 84))
    assert large / small == pytest.approx(8, rel=0.05)
    assert DigitVolumes(bars(), side=60, scale=1.5).scale == 1.5


@pytest.mark.errors
@pytest.mark.parametrize(
    "options, message",
    [
        ({"side": 0}, "`side` must be a whole number above 0; got 0."),
        ({"side": 26.5}, "`side` must be a whole number above 0; got 26.5."),
        ({"thickness": True}, "`thickness` must be a whole number above 0; got True."),
        ({"test_limit": 0}, "`test_limit` must be a whole number above 0; got 0."),
        ({"scale": -1.0}, "`scale` must be a finite number above 0; got -1.0."),
        ({"scale": math.inf}, "`scale` must be a finite number above 0; got inf."),
        ({"tilt": 200}, "`tilt` must be an angle of 0 to 180 degrees; got 200."),
        ({"turn": -1}, "`turn` must be an angle of 0 to 180 degrees; got -1."),
    ],
)
def test_wrong_volumes_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(f'DigitVolumes: {message}')}"):
        volumes(**options)


# ---- models ----


def test_a_volume_is_summed_along_its_depth():
    model, x = MODELS["volume_cnn"](SHAPE), torch.rand(2, *SHAPE)
    torch.testing.assert_close(model(x), model.classifier(x[:, :, 0] + x[:, :, 1:].sum(2)))
    torch.testing.assert_close(model(x), model(x.flip(2)))


@pytest.mark.parametrize("family", SOLID)
def test_the_transformer_starts_as_the_network_without_one(family):
    model = MODELS["st_volume_cnn"](SHAPE, transform=family).double()
    assert model.transformer.transform.ndim == 3
    x = torch.rand(2, *SHAPE, dtype=torch.float64)
    torch.testing.assert_close(model(x), model.classifier(x))


def test_the_window_may_be_shallower_than_the_volume():
    model = MODELS["st_volume_cnn"](SHAPE, transform={"name": "affine", "ndim": 3}, sampler={"output_size": (9, 24, 26)})
    assert model.transformer(torch.rand(2, *SHAPE)).shape == (2, 1, 9, 24, 26) and model(torch.rand(2, *SHAPE)).shape == (2, 10)


@pytest.mark.parametrize("side", [24, 28, 36, 60])
def test_the_localiser_looks_at_about_14_voxels_a_side_whatever_the_volume(side):
    seen = []
    model = MODELS["st_volume_cnn"]((1, side, side, side), filters=2, localizer_filters=2)
    model.transformer.localizer.features[0][0].register_forward_hook(lambda _, x, y: seen.append(y.shape[-1]))
    model(torch.rand(1, 1, side, side, side))
    assert 12 <= seen[0] <= 15


@pytest.mark.errors
def test_too_small_a_volume_is_refused():
    with pytest.raises(
        ValueError, match=re.escape("STVolumeCNN: `input_shape` must be at least 14 voxels along each side; got (1, 13, 30, 30).")
    ):
        MODELS["st_volume_cnn"]((1, 13, 30, 30))
    with pytest.raises(
        ValueError, match=re.escape("CNN: `input_shape` must be at least 24×24 pixels for its two layers; got (1, 20, 30).")
    ):
        MODELS["volume_cnn"]((1, 40, 20, 30))


# ---- pictures ----

LOOK = Look(200, margin=0.2)
RGB = [ImageColor.getrgb(colour) for colour in CORNERS]


def boxed(scale, shift=(0.0, 0.0, 0.0)):
    return View(BOX * scale + torch.tensor(shift), torch.rand(1, 20, 20))


def test_the_box_is_drawn_from_the_front_and_from_above():
    scale = torch.tensor([0.5, 0.8, 0.6])
    picture = volume_card(torch.zeros(1, 20, 20, 20), boxed(scale), LOOK, captions=[("", "#000000")]).picture
    # 10 pixels a voxel, a strip of 40 round 200; the front's corners as on an image
    assert [picture.getpixel(at) for at in ((90, 60), (190, 60), (190, 220), (90, 220))] == RGB
    # from above the front is the upper edge; the lower corners, drawn last, hide the upper ones
    left = 280 + LOOK.gap
    assert [picture.getpixel((left + x, 80)) for x in (90, 190)] == [RGB[3], RGB[2]]
    edge = picture.getpixel((left + 140, 80)), picture.getpixel((left + 140, 200))
    assert edge[0] == ImageColor.getrgb(WINDOWS[0]) and edge[1] != (0, 0, 0)


def test_a_volume_is_seen_along_both_its_depth_and_its_height():
    volume = torch.zeros(1, 20, 20, 20)
    volume[0, 4, 12, 15] = 1.0  # z, y, x
    picture = volume_card(volume, boxed(torch.ones(3)), LOOK, captions=[("", "#000000")]).picture
    left = 280 + LOOK.gap
    assert picture.getpixel((40 + 155, 40 + 125)) == picture.getpixel((left + 40 + 155, 40 + 45)) == (255, 255, 255)
    assert picture.getpixel((2 * left + 40 + 155, 40 + 125)) == (255, 255, 255)  # the sum, as bright as it can be


def test_a_window_beyond_the_volume_gets_room():
    volume = torch.rand(1, 1, 20, 20, 20)
    views = [View((BOX * torch.tensor(scale))[None], torch.rand(1, 1, 20, 20)) for scale in (0.5, 1.4)]
    assert box_overshoot(views[0]) == 0.0 and box_overshoot(views[1]) == pytest.approx(0.2)
    inside, beyond = (window_picture(volume, [view]) for view in views)
    assert beyond.width > inside.width
    assert window_picture(volume, [View(torch.full((1, 8, 3), math.nan), views[0].output)]).size == inside.size


def test_a_sum_of_nothing_is_black():
    assert torch.equal(bright(torch.zeros(1, 3, 3)), torch.zeros(1, 3, 3))
    assert bright(torch.tensor([[[0.0, 5.0]]])).tolist() == [[[0.0, 1.0]]]


def test_a_film_of_volumes_has_a_frame_a_snapshot():
    x, view = torch.rand(2, 1, 12, 12, 12), View((BOX * 0.7).expand(2, 8, 3), torch.rand(2, 1, 12, 12))
    frames = evolution_frames(x, [Snapshot(step, [view], torch.tensor([1, 0])) for step in (0, 4)], labels=torch.tensor([1, 1]))
    assert len({frame.tobytes() for frame in frames}) == 2 and len({frame.size for frame in frames}) == 1


def test_the_way_of_a_box_is_seen_from_the_front():
    x, boxes = torch.rand(2, 1, 12, 12, 12), [View((BOX * scale).expand(2, 8, 3), torch.rand(2, 1, 12, 12)) for scale in (1.0, 0.8, 0.5)]
    pages = [evolution_picture(x, [Snapshot(step, [box]) for step, box in enumerate(boxes[:n])]) for n in (2, 3)]
    assert pages[1].width > pages[0].width and pages[1].height == pages[0].height


@pytest.mark.errors
def test_views_that_do_not_fit_a_volume_are_named():
    with pytest.raises(ValueError, match=r"`grid` must have shape \(B, 8, 3\), B = 1; got \(1, 4, 3\)"):
        window_picture(torch.rand(1, 1, 12, 12, 12), [View(torch.zeros(1, 4, 3), torch.rand(1, 1, 12, 12))])


SMALL = ["data.digits=digits", "model.filters=2", "train.log_every=1"]


def test_a_run_is_drawn_before_and_after_training(tmp_path):
    fit(load("jaderberg2015/volume_cnn_affine", smoke=True, overrides=[*SMALL, "model.localizer_filters=2"]), tmp_path)
    first, *_, last = sorted((tmp_path / "snapshots").glob("[0-9]*"))
    assert set(read_tensors(last)) == {"theta", "output", "prediction"} and last.stat().st_size < 50_000
    torch.testing.assert_close(read_tensors(first)["theta"], torch.eye(3, 4).flatten().expand(6, 12))
    told = []
    assert {file.name for file in show_run(tmp_path, tell=told.append)} == {"curves.png", "window.png", "evolution.gif", "evolution.png"}
    assert told == ["jaderberg2015/volume_cnn_affine: the model reads volumes; moving.gif is for images."]


def test_a_run_without_transformer_has_its_curves(tmp_path):
    fit(load("jaderberg2015/volume_cnn", smoke=True, overrides=SMALL), tmp_path)
    assert [file.name for file in show_run(tmp_path, tell=str)] == ["curves.png"]
