"""The distortions: worked by hand on tiny images, their laws by statistics, their promises on random ones."""

import numpy as np
import pytest
import torch

from reticle.data import DISTORTIONS
from reticle.data.clutter import PATCH, cut, draw_patches, paste
from reticle.data.distortions import CORNERS, homography
from reticle.data.split import ink_boxes
from reticle.grid import apply_matrix, base_grid

MANY = 4000
MNIST_LIKE = np.tile([0.5, -1.0, 10.0, 9.0], (MANY, 1))


def draw(name, ink=MNIST_LIKE, side=28, canvas=42):
    return DISTORTIONS[name]().draw(np.random.default_rng(7), ink, side=side, canvas=canvas)


def apply(name, image, theta, canvas):
    image, theta = torch.as_tensor(image)[None, None], torch.as_tensor(theta, dtype=torch.float32)[None]
    return DISTORTIONS[name]().apply(image, theta, canvas=canvas)[0, 0]


def assert_uniform(x, low, high):
    assert low <= x.min() and x.max() <= high
    middle, quarter = (low + high) / 2, (high - low) / 4
    np.testing.assert_allclose(np.quantile(x, [0.25, 0.5, 0.75]), [middle - quarter, middle, middle + quarter], atol=0.03 * (high - low))


@pytest.mark.parametrize("name", DISTORTIONS)
def test_draws_one_theta_an_image_and_the_same_from_the_same_generator(name):
    theta = draw(name)
    assert theta.shape == (MANY, DISTORTIONS[name]().transform.num_params)
    assert np.isfinite(theta).all()
    np.testing.assert_array_equal(theta, draw(name))


@pytest.mark.parametrize("name", DISTORTIONS)
def test_ink_stays_between_black_and_white(name):
    images = torch.ones(64, 1, 28, 28)
    output = DISTORTIONS[name]().apply(images, torch.from_numpy(draw(name)[:64]).float(), canvas=42)
    assert output.shape == (64, 1, 42, 42) and output.min() == 0
    assert 0.99 < output.amax((1, 2, 3)).min() and output.max() <= 1 + 1e-6


@pytest.mark.parametrize(
    "canvas, expected",
    [
        (2, [[0.1, 0.2], [0.3, 0.4]]),
        (4, [[0, 0, 0, 0], [0, 0.1, 0.2, 0], [0, 0.3, 0.4, 0], [0, 0, 0, 0]]),
        (3, [[0.1, 0.2, 0], [0.3, 0.4, 0], [0, 0, 0]]),
    ],
)
def test_none_moves_by_whole_pixels(canvas, expected):
    theta = draw("none", np.zeros((1, 4)), side=2, canvas=canvas)[0]
    torch.testing.assert_close(apply("none", [[0.1, 0.2], [0.3, 0.4]], theta, canvas), torch.tensor(expected))


def test_r_turns_the_canvas_points_from_x_to_y():
    quarter_turn = apply("r", [[1.0, 2.0], [3.0, 4.0]], [np.pi / 2, 0, 0], 2)
    torch.testing.assert_close(quarter_turn, torch.tensor([[2.0, 4.0], [1.0, 3.0]]), atol=1e-5, rtol=0)


def test_r_is_uniform_between_quarter_turns_about_the_centre():
    theta = draw("r")
    assert_uniform(theta[:, 0], -np.pi / 2, np.pi / 2)
    assert (theta[:, 1:] == 0).all()


def test_rts_is_uniform_in_angle_and_scale():
    theta = draw("rts")
    assert_uniform(theta[:, 0], -np.pi / 4, np.pi / 4)
    assert_uniform(np.exp(-theta[:, 1]), 0.7, 1.2)


def test_rts_puts_the_ink_anywhere_but_never_over_the_edge():
    theta, (x, y, half_x, half_y) = torch.from_numpy(draw("rts")), MNIST_LIKE[0]
    similarity = DISTORTIONS["rts"]().transform
    corners = torch.from_numpy(CORNERS * [half_x, half_y] + [x, y]) / 14  # in units of half the side of 28 pixels
    on_canvas = similarity(similarity.inverse(theta), corners) * 14  # (B, 4, 2), pixels from the centre
    assert on_canvas.abs().max() <= 21 + 1e-9
    middle, reach = on_canvas.mean(1), (on_canvas.amax(1) - on_canvas.amin(1)) / 2
    assert_uniform((middle / (21 - reach)).flatten().numpy(), -1, 1)


def test_rts_by_hand():
    # no turn, scale 2, centre of the ink at a quarter of the way: 4 px of ink centred at (1, 0) on a canvas of 16 px
    class Fixed(np.random.Generator):
        answers = iter([np.zeros(1), np.array([2.0]), np.array([[0.25, 0.5]])])

        def uniform(self, low=0.0, high=1.0, size=None):
            return next(self.answers)

    theta = DISTORTIONS["rts"]().draw(Fixed(np.random.PCG64()), np.array([[1.0, 0, 2, 1]]), side=8, canvas=16)
    # the ink reaches 4 and 2 px, so its centre goes to (0.25 * 4, 0.5 * 6) = (1, 3); source = target / 2 + t, (1, 0) = (0.5, 1.5) + t
    np.testing.assert_allclose(theta, [[0, -np.log(2), 0.5 / 4, -1.5 / 4]], atol=1e-12)


def test_rts_centres_ink_too_large_for_the_canvas():
    theta = torch.from_numpy(draw("rts", np.tile([0.0, 0, 14, 14], (200, 1)), canvas=28))
    big = theta[:, 1] < np.log(1 / 1.1)
    assert big.any() and theta[big, 2:].abs().max() < 0.25
    assert (theta[:, 2:].abs() < 1e-12).all(1).any()


def test_homography_by_hand():
    # (x, y) -> (x, y) / (1 + x / 2)
    target = np.array([[-2, -2], [2 / 3, -2 / 3], [2 / 3, 2 / 3], [-2, 2]])
    np.testing.assert_allclose(homography(CORNERS[None], target), [[1, 0, 0, 0, 1, 0, 0.5, 0]], atol=1e-12)


def test_p_moves_the_corners_of_the_square_by_five_pixels():
    theta = torch.from_numpy(draw("p"))
    projective = DISTORTIONS["p"]().transform
    matrix = torch.linalg.inv(projective.matrix(theta))
    pixels = apply_matrix(matrix / matrix[:, 2:, 2:], torch.from_numpy(CORNERS)).numpy() * 14
    np.testing.assert_allclose(pixels.mean(0), CORNERS * 14 * 0.875, atol=0.4)
    # N(0, 5) and the uniform scale: 25 + (14 * 0.25)^2 / 12
    np.testing.assert_allclose(pixels.std(0), np.sqrt(26.02), rtol=0.05)


def test_p_never_folds_the_square():
    theta = draw("p")
    inside = base_grid((9, 9), align_corners=True).double().flatten(0, 1)
    moved = torch.from_numpy(theta)
    matrix = torch.linalg.inv(DISTORTIONS["p"]().transform.matrix(moved))
    w = (matrix[:, 2:] @ torch.cat([inside, torch.ones(81, 1)], 1).double().T)[:, 0]
    assert (w * w[:, :1] > 0).all()


def test_e_bends_by_one_and_a_half_pixels():
    theta = draw("e")
    assert_uniform(np.exp(-theta[:, 0]), 0.75, 1)
    assert (theta[:, 1:3] == 0).all()
    bend = theta[:, 3:] * 14
    np.testing.assert_allclose(bend.std(0), 1.5, rtol=0.06)
    np.testing.assert_allclose(bend.mean(0), 0, atol=0.1)


def test_e_moves_the_square_and_then_scales_it():
    image = np.zeros((4, 4), dtype=np.float32)
    image[1, 2] = 1
    one_pixel = np.tile([1 / 2, 0], 16)  # every control point reads one pixel further right; half the side is 2 px
    moved = apply("e", image, [0, 0, 0, *one_pixel], 6)
    expected = torch.zeros(6, 6)
    expected[2, 2] = 1  # one pixel of margin, one to the left
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)


def test_tc_copies_whole_pixels_to_every_place():
    theta = draw("tc", canvas=60)
    corner = 16 - theta * 14
    np.testing.assert_allclose(corner, corner.round(), atol=1e-9)
    assert set(corner.round().flatten()) == set(range(33))
    image = torch.rand(28, 28)
    output = DISTORTIONS["tc"]().apply(image[None, None], torch.from_numpy(theta[:1]).float(), canvas=60)[0, 0]
    x, y = corner[0].round().astype(int)
    torch.testing.assert_close(output[y : y + 28, x : x + 28], image, atol=1e-4, rtol=0)
    torch.testing.assert_close(output.sum(), image.sum(), atol=0.05, rtol=0)


def test_clutter_comes_from_other_images_and_stays_on_the_canvas():
    own = np.arange(MANY) % 3
    patches = draw_patches(np.random.default_rng(0), own, 2, num_images=3, side=8, canvas=10)
    assert patches.shape == (MANY, 2, 5)
    assert (patches[..., 0] != own[:, None]).all()
    assert [set(patches[..., i].flat) for i in range(5)] == [{0, 1, 2}, {0, 1, 2}, {0, 1, 2}, set(range(5)), set(range(5))]


def test_clutter_is_cut_and_pasted_by_maximum():
    assert PATCH == 6
    images = torch.arange(2 * 49).view(2, 7, 7) / 100
    patches = torch.tensor([[[1, 1, 0, 0, 2], [0, 0, 1, 1, 1]]])  # image, row and column in it, row and column on the canvas
    pixels = cut(images, patches)
    torch.testing.assert_close(pixels[0], torch.stack([images[1, 1:, :6], images[0, :6, 1:]]))
    canvas = torch.zeros(1, 2, 8, 8)
    canvas[0, 0, 0, 2], canvas[0, 1, 7, 0] = 0.9, 0.5
    expected = canvas[0].clone()
    expected[:, :6, 2:] = torch.maximum(expected[:, :6, 2:], pixels[0, 0])
    expected[:, 1:7, 1:7] = torch.maximum(expected[:, 1:7, 1:7], pixels[0, 1])
    torch.testing.assert_close(paste(pixels, patches, canvas)[0], expected)
    assert expected[0, 0, 2] == 0.9 and expected[1, 0, 2] == 0.56 and expected[1, 7, 0] == 0.5


def test_ink_boxes_by_hand():
    images = np.zeros((3, 8, 8), dtype=np.uint8)
    images[0, 2, 1:5] = 9  # one row, four columns
    images[1, 7, 7] = 1
    expected = [[-1, -1.5, 2, 0.5], [3.5, 3.5, 0.5, 0.5], [0, 0, 4, 4]]  # without ink: all of it
    np.testing.assert_array_equal(ink_boxes(images), expected)
