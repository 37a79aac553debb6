"""Pictures: the window is drawn where the transformer looks, films have the right frames, and wrong input is named."""

import math
import subprocess
import sys

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageColor
from views import ORANGE, SIZE, view_of, zoomed

from reticle.grid import base_grid
from reticle.transforms import Affine, Attention, ThinPlateSpline
from reticle.viz import (
    MOTIONS,
    Curve,
    Snapshot,
    evolution_frames,
    moving_frames,
    moving_images,
    save_curves,
    save_gif,
    window_picture,
)
from reticle.viz.curves import smooth
from reticle.viz.outline import corners, inner_lines, is_bent, outline, overshoot, window_pixels
from reticle.viz.panel import Look, input_panel, output_panel
from reticle.viz.style import CORNERS, MARGIN, WINDOWS, to_picture

LOOK = Look(200, margin=0.2)  # 10 pixels a pixel, 40 round the image
RGB = [ImageColor.getrgb(colour) for colour in CORNERS]


@pytest.fixture
def images():
    return torch.rand(3, 1, *SIZE)


@pytest.mark.parametrize("align_corners", [False, True])
def test_window_of_the_identity_is_the_border_of_the_image(align_corners):
    window = window_pixels(base_grid((5, 8), align_corners=align_corners), (5, 8), align_corners=align_corners)
    assert window.shape == (7, 10, 2)
    expected = torch.tensor([[0.0, 0.0], [8.0, 0.0], [8.0, 5.0], [0.0, 5.0]])
    torch.testing.assert_close(corners(window), expected, atol=1e-5, rtol=0)


def test_outline_goes_round_clockwise_and_closes():
    window = window_pixels(base_grid((3, 4)), (3, 4))
    line = outline(window)
    assert len(line) == 2 * (5 + 6) - 4 + 1
    torch.testing.assert_close(line[0], line[-1])
    x, y = line.unbind(1)
    assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2 == pytest.approx(12)


def test_inner_lines_are_evenly_spaced_rows_and_columns():
    lines = inner_lines(window_pixels(base_grid((30, 30)), (30, 30)), 2)
    expected = torch.tensor([[0.0, 9.5], [0.0, 20.5], [9.5, 0.0], [20.5, 0.0]])
    torch.testing.assert_close(torch.stack([line[0] for line in lines]), expected, atol=1e-4, rtol=0)


def test_only_a_bent_grid_is_bent():
    torch.manual_seed(1)
    grid = base_grid((9, 7))
    assert not is_bent(Affine()(torch.randn(4, 6), grid))
    assert is_bent(ThinPlateSpline()(0.1 * torch.randn(1, 32), grid))


def test_overshoot_is_a_share_of_the_longer_side_and_ignores_infinity():
    window = torch.tensor([[[-2.0, 0.0], [4.0, 13.0]], [[math.inf, 1.0], [math.nan, 2.0]]])
    assert overshoot(window, (10, 20)) == pytest.approx(3 / 20)


def test_corner_dots_lie_at_the_corners_of_the_window():
    window = window_pixels(Affine()(zoomed(0.5), base_grid(SIZE))[0], SIZE)
    panel = input_panel(torch.zeros(1, *SIZE), [window], LOOK, colours=WINDOWS[:1])
    assert panel.size == (280, 280)
    assert [panel.getpixel(at) for at in ((90, 90), (190, 90), (190, 190), (90, 190))] == RGB
    assert [panel.getpixel(at) for at in ((140, 90), (190, 140), (140, 190), (90, 140))] == [ORANGE] * 4
    assert panel.getpixel((140, 140)) == (0, 0, 0)
    assert panel.getpixel((5, 5)) == ImageColor.getrgb(MARGIN)


def test_a_quarter_turn_moves_each_dot_on_by_one():
    quarter = torch.tensor([[0.0, -0.5, 0.0, 0.5, 0.0, 0.0]])
    panel = input_panel(torch.zeros(1, *SIZE), [window_pixels(Affine()(quarter, base_grid(SIZE))[0], SIZE)], LOOK, colours=WINDOWS[:1])
    # the output's top left is read at the input's top right: the image is turned back
    assert [panel.getpixel(at) for at in ((190, 90), (190, 190), (90, 190), (90, 90))] == RGB


def test_a_mirrored_window_swaps_its_dots():
    mirrored = torch.tensor([[-0.5, 0.0, 0.0, 0.0, 0.5, 0.0]])
    panel = input_panel(torch.zeros(1, *SIZE), [window_pixels(Affine()(mirrored, base_grid(SIZE))[0], SIZE)], LOOK, colours=WINDOWS[:1])
    assert [panel.getpixel(at) for at in ((190, 90), (90, 90), (90, 190), (190, 190))] == RGB


def test_a_window_that_leaves_the_image_is_drawn_in_the_margin():
    panel = input_panel(torch.ones(3, *SIZE), [window_pixels(Affine()(zoomed(1.2), base_grid(SIZE))[0], SIZE)], LOOK, colours=WINDOWS[:1])
    assert [panel.getpixel(at) for at in ((20, 20), (260, 20), (260, 260), (20, 260))] == RGB
    assert panel.getpixel((20, 140)) == ORANGE
    assert panel.getpixel((140, 60)) == (255, 255, 255)


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf, 1e30])
def test_points_that_are_nowhere_are_left_out(wild):
    grid = Affine()(zoomed(0.5), base_grid(SIZE))[0]
    grid[:, 10:] = wild
    panel = input_panel(torch.zeros(1, *SIZE), [window_pixels(grid, SIZE)], Look(200, margin=0.2, lines=3), colours=WINDOWS[:1])
    assert panel.getpixel((90, 90)) == RGB[0]
    assert ORANGE not in [panel.getpixel((x, 90)) for x in range(200, 280)]


def test_output_panel_shows_the_output_and_the_same_dots():
    panel = output_panel(torch.full((3, 10, 10), 0.6), Look(200), colour=WINDOWS[0])
    edge = (panel.width - 200) // 2
    far = panel.width - edge
    assert [panel.getpixel(at) for at in ((edge, edge), (far, edge), (far, far), (edge, far))] == RGB
    assert panel.getpixel((100, 100)) == (153, 153, 153)


def test_pixels_are_enlarged_crisply_and_out_of_range_values_clamp():
    picture = to_picture(torch.tensor([[[0.0, 2.0], [math.nan, -1.0]]]), 100)
    assert picture.size == (100, 100)
    assert sorted(picture.getcolors()) == [(2500, (255, 255, 255)), (7500, (0, 0, 0))]


def test_two_channels_are_two_colours_and_white_where_both_are_bright():
    image = torch.tensor([[[0.0, 1.0, 0.0, 1.0]], [[0.0, 0.0, 1.0, 1.0]]])
    picture = to_picture(image, 4)
    black, first, second, both = (picture.getpixel((x, 0)) for x in range(4))
    assert black == (0, 0, 0) and both == (255, 255, 255)
    assert first[2] == 255 > first[0] and second[0] == 255 > second[2]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 8, 8), (3, 1, 9), (1, 30, 8), (3, 301, 400)])
def test_any_size_and_colour_is_drawn(shape):
    x = torch.rand(2, *shape)
    picture = window_picture(x, [view_of(x, zoomed(0.7))], labels=torch.tensor([1, 2]), predictions=torch.tensor([1, 0]), side=60)
    assert min(picture.size) > 60


def test_lines_inside_the_window_only_where_it_is_bent():
    images = torch.zeros(1, 1, *SIZE)
    windows = view_of(images, zoomed(0.9)), view_of(images, 0.08 * torch.randn(1, 32), ThinPlateSpline())
    pictures = [window_picture(images, [view]) for view in windows]
    # the inner lines are thinner than a pixel: blends of orange and black
    straight, bent = (sum(red > blue + 60 for red, _, blue in picture.get_flattened_data()) for picture in pictures)
    assert bent > 1.5 * straight


def test_each_parallel_transformer_has_its_colour_and_its_output(images):
    views = [view_of(images, zoomed(0.5)), view_of(images, zoomed(0.8))]
    one, two = window_picture(images, views[:1]), window_picture(images, views)
    assert two.width > one.width
    present = [{colour for _, colour in picture.getcolors(10**6)} for picture in (one, two)]
    assert [ImageColor.getrgb(WINDOWS[1]) in colours for colours in present] == [False, True]


def test_pictures_are_the_same_for_the_same_input(images, tmp_path):
    view = view_of(images, zoomed(0.6))
    assert window_picture(images, [view]).tobytes() == window_picture(images, [view]).tobytes()
    for name in "ab":
        save_curves({"run": Curve([(1, 2.0), (9, 1.0)], [(9, 30.0)])}, tmp_path / f"{name}.png")
        save_gif(evolution_frames(images, [Snapshot(0, [view]), Snapshot(1, [view])]), tmp_path / f"{name}.gif", durations=[100, 200])
    for kind in ("png", "gif"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_gif_has_every_frame_its_duration_and_true_colours(images, tmp_path):
    snapshots = [Snapshot(step, [view_of(images, zoomed(1 - step / 20))]) for step in range(6)]
    frames = evolution_frames(images, snapshots)
    file = save_gif(frames, tmp_path / "new" / "film.gif", durations=[900, 100, 100, 100, 100, 2000])
    with Image.open(file) as film:
        assert film.n_frames == 6
        assert film.size == frames[0].size
        assert film.info["loop"] == 0
        durations = []
        for number in range(6):
            film.seek(number)
            durations.append(film.info["duration"])
            shown = film.convert("RGB")
            assert shown.getpixel((0, 0)) == (255, 255, 255)
            assert sum(colour == ORANGE for colour in shown.get_flattened_data()) > 100
    assert durations == [900, 100, 100, 100, 100, 2000]


@pytest.mark.parametrize("motion", sorted(MOTIONS))
def test_motion_is_a_smooth_closed_loop_that_keeps_its_ink(motion):
    image = torch.zeros(1, 40, 40)
    image[:, 12:28, 16:24] = 1
    moving = moving_images(image, motion=motion, frames=24)
    assert moving.shape == (24, 1, 40, 40)
    steps = (moving - moving.roll(1, 0)).abs().mean((1, 2, 3))
    assert steps.max() < 4 * steps.mean()
    assert moving.std(0).max() > 0.2
    moving[..., 1:-1, 1:-1] = 0
    assert moving.max() < 0.05


def test_moving_frames_show_each_moment():
    moving = moving_images(torch.rand(1, 12, 12), frames=5)
    frames = moving_frames(moving, [view_of(moving, zoomed(0.9))], label=3, predictions=torch.tensor([3, 3, 3, 1, 3]))
    assert len({frame.tobytes() for frame in frames}) == 5
    assert len({frame.size for frame in frames}) == 1


def test_smoothing_is_unbiased_from_the_first_value_on():
    assert smooth([4.0, 4.0, 4.0], 0.9) == pytest.approx([4, 4, 4])
    assert smooth([2.0, 8.0], 0.5) == pytest.approx([2, 6])
    assert smooth([2.0, 8.0], 0.0) == [2, 8]


def test_curves_draw_any_number_of_runs(tmp_path):
    curves = {f"run {i}": Curve([(step, 3.0 / (step + i)) for step in range(1, 40)], [(39, 10.0 + i)]) for i in range(9)}
    with Image.open(save_curves(curves, tmp_path / "curves.png")) as picture:
        assert picture.size == (1200, 462)


def test_each_curve_ends_with_its_error_in_its_unit(tmp_path, monkeypatch):
    drawn, subplots = [], Figure.subplots
    monkeypatch.setattr(Figure, "subplots", lambda *args, **kwargs: drawn.extend(subplots(*args, **kwargs)) or drawn)
    # more curves than colours
    save_curves({f"run {i}": Curve(test_error=[(9, 10.0 + i)]) for i in range(9)}, tmp_path / "curves.png", unit="things")
    _, error = drawn
    assert [text.get_text() for text in error.texts] == [f"{10 + i:.1f} things" for i in range(9)]
    assert error.get_title(loc="left") == "test error, things"


def test_curves_leave_out_what_has_no_logarithm(tmp_path):
    with_gaps = Curve([(1, 2.0), (2, 0.0), (3, math.nan), (4, math.inf), (5, 1.0)])
    without = Curve([(1, 2.0), (5, 1.0)])
    first, second = (save_curves({"run": curve}, tmp_path / name).read_bytes() for curve, name in ((with_gaps, "a"), (without, "b")))
    assert first == second


@pytest.mark.errors
def test_wrong_input_is_named(images, tmp_path):
    view = view_of(images, zoomed(0.5))
    with pytest.raises(ValueError, match=r"`images` must have shape \(B, C, H, W\); got \(20, 20\)"):
        window_picture(images[0, 0], [view])
    with pytest.raises(ValueError, match=r"`images` must hold at least one image of one to three channels; got \(3, 4, 20, 20\)"):
        window_picture(images.expand(-1, 4, -1, -1), [view])
    with pytest.raises(ValueError, match=r"`grid` must have shape \(B, H, W, 2\), B = 2; got \(3, 20, 20, 2\)"):
        window_picture(images[:2], [view])
    with pytest.raises(ValueError, match=r"`snapshots` must hold at least one; got none"):
        evolution_frames(images, [])
    with pytest.raises(ValueError, match=r"save_gif: `frames` must hold at least one; got none\.$"):
        save_gif([], tmp_path / "x.gif", durations=[])
    with pytest.raises(ValueError, match=r"`durations` must have one entry a frame; got 1 for 2 frames"):
        save_gif([Image.new("RGB", (4, 4))] * 2, tmp_path / "x.gif", durations=[1])
    with pytest.raises(ValueError, match=r"`curves` must hold at least one point; got none"):
        save_curves({"run": Curve()}, tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"Unknown motion 'rst'. Did you mean 'rts'"):
        moving_images(images[0], motion="rst")
    with pytest.raises(ValueError, match=r"`frames` must be a whole number of at least 1; got 0"):
        moving_images(images[0], frames=0)


def test_importing_draws_on_no_backend():
    code = "import sys, reticle.viz; sys.exit(any(name in sys.modules for name in ('matplotlib', 'matplotlib.pyplot')))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_attention_window_is_seen_by_its_size():
    # log scale -0.7: half the side
    window = window_pixels(Attention()(torch.tensor([[-math.log(2), 0.0, 0.0]]), base_grid(SIZE))[0], SIZE)
    torch.testing.assert_close(corners(window)[2], torch.tensor([15.0, 15.0]), atol=1e-4, rtol=0)
