"""A training in pictures: a film with a frame a snapshot, and a page with the way of the windows."""

import math

import pytest
import torch
from views import ORANGE, SIZE, view_of, zoomed

from reticle.viz import Snapshot, evolution_frames, evolution_picture
from reticle.viz.pages import _on_the_way


@pytest.fixture
def images():
    return torch.rand(3, 1, *SIZE)


def test_evolution_has_a_frame_a_snapshot_and_a_strip_that_fills(images):
    snapshots = [Snapshot(step, [view_of(images, zoomed(1 - step / 20))], torch.tensor([0, 1, 1])) for step in (0, 5, 10)]
    frames = evolution_frames(images, snapshots, labels=torch.tensor([0, 1, 2]), total=10)
    assert len({frame.size for frame in frames}) == 1

    def filled(frame):
        rows = [sum(frame.getpixel((x, y)) == ORANGE for x in range(frame.width)) for y in range(frame.height - 40, frame.height)]
        return max(rows)

    none, half, full = map(filled, frames)
    assert none == 0
    assert half == pytest.approx(full / 2, abs=1)


WAY = {0: 1.0, 1: 1.0, 2: 0.98, 4: 0.8, 8: 0.7, 16: 0.72, 32: 0.55, 64: 0.5, 128: 0.52, 256: 0.5}  # scale of the window at each step


def test_the_way_is_drawn_at_moments_that_are_equally_far_apart(images, monkeypatch):
    heads = []
    monkeypatch.setattr("reticle.viz.pages.table", lambda rows, *a, **how: heads.append([len(rows), *how["heads"]]) or rows[0].picture)
    snapshots = [Snapshot(step, [view_of(images, zoomed(scale))]) for step, scale in WAY.items()]
    evolution_picture(images, snapshots)
    evolution_picture(images, snapshots, rows=2, moments=2)
    evolution_picture(images, snapshots[:2])  # nothing moved
    # 1 to 0.5 in five parts: at 0.9, 0.8, 0.7, 0.6 or less; the last, though it had been there before
    first = [3, "step 0", "step 4", "step 8", "step 32", "step 64", "step 256", "sees"]
    assert heads == [first, [2, "step 0", "step 64", "step 256", "sees"], [3, "step 0", "step 1", "sees"]]


def test_the_way_has_the_windows_of_each_moment_and_the_last_output(images):
    snapshots = [Snapshot(step, [view_of(images, zoomed(scale))]) for step, scale in ((0, 1.0), (4, 0.75), (9, 0.5))]
    twice = [Snapshot(step, views * 2) for step, views, _ in snapshots]
    two, three, doubled = (evolution_picture(images, taken, side=200) for taken in (snapshots[::2], snapshots, twice))
    assert two.width < three.width < doubled.width and two.height == three.height == doubled.height
    assert sum(colour == ORANGE for colour in two.get_flattened_data()) > 1000


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf, 1e30])
def test_windows_that_are_nowhere_are_far_away_on_their_way(images, wild):
    def steps(scales):
        return [step for step, *_ in _on_the_way([Snapshot(i, [view_of(images, zoomed(scale))]) for i, scale in enumerate(scales)], 4)]

    assert steps([1.0, 0.9, wild, 0.5]) == [0, 3]
    assert steps([1.0, wild, 0.8, 0.6, 0.5]) == [0, 2, 3, 4]
    assert steps([wild, 1.0, 0.8, 0.6])[0] == 0 and steps([1.0, 0.8, wild])[-1] == 2
    evolution_picture(images, [Snapshot(0, [view_of(images, zoomed(1.0))]), Snapshot(1, [view_of(images, zoomed(wild))])])


def test_transformers_side_by_side_may_differ_in_size(images):
    small = view_of(images, zoomed(0.5))
    small = small._replace(grid=small.grid[:, ::2, ::2], output=small.output[:, :, ::2, ::2])
    snapshots = [Snapshot(step, [view_of(images, zoomed(scale)), small]) for step, scale in enumerate((1.0, 0.5))]
    assert [step for step, *_ in _on_the_way(snapshots, 2)] == [0, 1]
    assert evolution_picture(images, snapshots, side=200).width > evolution_picture(images, [Snapshot(0, [small])], side=200).width


@pytest.mark.errors
def test_wrong_snapshots_are_named(images):
    view = view_of(images, zoomed(0.5))
    with pytest.raises(ValueError, match=r"evolution_picture: `snapshots` must hold at least one; got none"):
        evolution_picture(images, [])
    for moments in (1, 2.5):
        with pytest.raises(ValueError, match=rf"`moments` must be a whole number of at least 2; got {moments}\.\n  The first and the last"):
            evolution_picture(images, [Snapshot(0, [view])], moments=moments)
    for views in ([view, view], [], [view_of(images, zoomed(0.5))._replace(grid=view.grid[:, ::2])]):
        with pytest.raises(ValueError, match=r"`snapshots` must all have the same views, with grids of one size; got \[\("):
            evolution_picture(images, [Snapshot(0, [view]), Snapshot(1, views)])
