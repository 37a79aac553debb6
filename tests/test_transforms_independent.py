"""The two-dimensional families against scikit-image, OpenCV and torch: points on random parameters, and whole images."""

import math

import cv2
import numpy as np
import pytest
import skimage.transform as sk
import torch
import torch.nn.functional as F
from families import smooth_image, transformer
from numpy.testing import assert_allclose

from reticle import Affine, Attention, Projective, Rigid, Similarity, Translation, base_grid, warp

SIZE = (20, 32)  # H, W
UNIT = np.array([SIZE[1], SIZE[0]]) / 2  # pixels per normalised unit
SEEDS = range(5)


def random_points(seed, n=40):
    return np.random.default_rng([seed, 1]).uniform(-1.5, 1.5, (n, 2))


def moved(transform, theta, points, size=SIZE):
    """Our own answer: ``(N, 2)`` for one theta."""
    return transform(torch.tensor(np.array(theta, dtype=np.float64))[None], torch.tensor(points), size)[0].numpy()


def from_pixels(map_of_pixels, points):
    """A map of pixels about the centre, applied to normalised points."""
    return map_of_pixels(points * UNIT) / UNIT


# points -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_translation_is_that_of_scikit_image(seed):
    t = np.random.default_rng(seed).uniform(-1, 1, 2)
    expected = from_pixels(sk.EuclideanTransform(translation=t * UNIT), random_points(seed))
    assert_allclose(moved(Translation(), t, random_points(seed)), expected, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_rigid_is_the_euclidean_transform_of_scikit_image_in_pixels(seed):
    draw = np.random.default_rng(seed)
    angle, t = draw.uniform(-4, 4), draw.uniform(-1, 1, 2)
    expected = from_pixels(sk.EuclideanTransform(rotation=angle, translation=t * UNIT), random_points(seed))
    assert_allclose(moved(Rigid(), [angle, *t], random_points(seed)), expected, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_similarity_is_that_of_scikit_image_in_pixels(seed):
    draw = np.random.default_rng(seed)
    angle, log_scale, t = draw.uniform(-4, 4), draw.uniform(-1, 1), draw.uniform(-1, 1, 2)
    theirs = sk.SimilarityTransform(scale=math.exp(log_scale), rotation=angle, translation=t * UNIT)
    assert_allclose(moved(Similarity(), [angle, log_scale, *t], random_points(seed)), from_pixels(theirs, random_points(seed)), atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_attention_is_a_similarity_of_scikit_image_that_does_not_turn(seed):
    draw = np.random.default_rng(seed)
    log_scale, t = draw.uniform(-1, 1), draw.uniform(-1, 1, 2)
    theirs = from_pixels(sk.SimilarityTransform(scale=math.exp(log_scale), translation=t * UNIT), random_points(seed))
    assert_allclose(moved(Attention(), [log_scale, *t], random_points(seed)), theirs, atol=1e-12)
    assert_allclose(moved(Attention(scale=math.exp(log_scale)), t, random_points(seed)), theirs, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_affine_is_that_of_scikit_image(seed):
    draw = np.random.default_rng(seed)
    theirs = sk.AffineTransform(
        scale=draw.uniform(0.5, 2, 2), rotation=draw.uniform(-4, 4), shear=draw.uniform(-0.5, 0.5), translation=draw.uniform(-1, 1, 2)
    )
    points = random_points(seed)
    assert_allclose(moved(Affine(), theirs.params[:2].ravel(), points), theirs(points), atol=1e-12)
    back = Affine().inverse(torch.tensor(theirs.params[None, :2].reshape(1, 6)))[0].numpy()
    assert_allclose(moved(Affine(), back, points), theirs.inverse(points), atol=1e-11)


@pytest.mark.parametrize("seed", SEEDS)
def test_affine_is_the_one_that_opencv_fits_to_three_points(seed):
    draw = np.random.default_rng(seed)
    target = np.array([[-1, -1], [1, -1], [-1, 1]], dtype=np.float32)
    source = (target + draw.normal(0, 0.3, (3, 2))).astype(np.float32)
    theta = cv2.getAffineTransform(target, source).ravel()
    assert_allclose(moved(Affine(), theta, target.astype(np.float64)), source, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_projective_is_that_of_scikit_image_and_opencv(seed):
    matrix = np.eye(3) + np.random.default_rng(seed).uniform(-0.2, 0.2, (3, 3))
    matrix = matrix / matrix[2, 2]
    points = random_points(seed)
    mine = moved(Projective(), matrix.ravel()[:8], points)
    assert_allclose(mine, sk.ProjectiveTransform(matrix)(points), atol=1e-12)
    assert_allclose(mine, cv2.perspectiveTransform(points[None], matrix)[0], atol=1e-12)
    back = Projective().inverse(torch.tensor(matrix.reshape(1, 9)[:, :8]))[0].numpy()
    assert_allclose(np.append(back, 1).reshape(3, 3), cv2.invert(matrix)[1] / cv2.invert(matrix)[1][2, 2], atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_projective_takes_the_corners_where_opencv_was_told(seed):
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float32)
    source = (corners + np.random.default_rng(seed).normal(0, 0.2, (4, 2))).astype(np.float32)
    theta = cv2.getPerspectiveTransform(corners, source).ravel()[:8]
    assert_allclose(moved(Projective(), theta, corners.astype(np.float64)), source, atol=1e-6)


@pytest.mark.parametrize("degrees", [-120.0, 35.0, 90.0])
def test_positive_angles_are_clockwise_where_those_of_opencv_are_not(degrees):
    theirs = cv2.getRotationMatrix2D((0, 0), degrees, 1.5)
    mine = Similarity().matrix(torch.tensor([[-math.radians(degrees), math.log(1.5), 0, 0]], dtype=torch.float64))[0]
    assert_allclose(mine.numpy(), theirs, atol=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
def test_affine_is_the_affine_grid_of_torch(align_corners):
    theta = torch.randn(3, 6, dtype=torch.float64)
    mine = Affine()(theta, base_grid((5, 6), align_corners=align_corners, dtype=torch.float64))
    torch.testing.assert_close(mine, F.affine_grid(theta.view(-1, 2, 3), (3, 1, 5, 6), align_corners=align_corners))


# whole images -----------------------------------------------------------------------------------------------------------------

IMAGE = smooth_image(*SIZE)
OPENCV_BORDER = {
    ("zeros", False): cv2.BORDER_CONSTANT,
    ("zeros", True): cv2.BORDER_CONSTANT,
    ("border", False): cv2.BORDER_REPLICATE,
    ("border", True): cv2.BORDER_REPLICATE,
    ("reflection", False): cv2.BORDER_REFLECT,
    ("reflection", True): cv2.BORDER_REFLECT_101,
}
SKIMAGE_MODE = {
    ("zeros", False): "constant",
    ("zeros", True): "constant",
    ("border", False): "edge",
    ("border", True): "edge",
    ("reflection", False): "symmetric",
    ("reflection", True): "reflect",
    ("wrap", False): "wrap",
    ("wrap", True): "wrap",
}
AFFINE = [0.9, 0.25, 0.1, -0.2, 1.15, -0.15]
PROJECTIVE = [0.9, 0.25, 0.1, -0.2, 1.15, -0.15, 0.12, -0.2]


def pixel_matrix(theta, size, output_size, align_corners):
    """The 3×3 matrix from output pixels to input pixels, built with nothing of ours."""

    def to_norm(height, width):  # pixels -> [-1, 1]
        if align_corners:
            return np.array([[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1], [0, 0, 1]])
        return np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])

    matrix = np.vstack([np.array(theta).reshape(2, 3), [0, 0, 1]]) if len(theta) == 6 else np.append(theta, 1).reshape(3, 3)
    return np.linalg.inv(to_norm(*size)) @ matrix @ to_norm(*output_size)


def reticle_image(theta, output_size, padding_mode, align_corners, mode="bilinear"):
    transform = Affine() if len(theta) == 6 else Projective()
    options = {"output_size": output_size, "padding_mode": padding_mode, "align_corners": align_corners, "mode": mode}
    layer = transformer(transform, (1, *SIZE), **options).double()
    with torch.no_grad():
        layer.localizer.head.bias.copy_(torch.tensor(theta))
        return layer(IMAGE[None, None])[0, 0].numpy()


@pytest.mark.parametrize("theta", [AFFINE, PROJECTIVE], ids=["affine", "projective"])
@pytest.mark.parametrize(("padding_mode", "align_corners"), SKIMAGE_MODE)
def test_image_is_the_one_that_scikit_image_makes(theta, padding_mode, align_corners):
    matrix = pixel_matrix(theta, SIZE, (15, 21), align_corners)
    mode = SKIMAGE_MODE[padding_mode, align_corners]
    theirs = sk.warp(IMAGE.numpy(), sk.ProjectiveTransform(matrix), output_shape=(15, 21), order=1, mode=mode)
    assert_allclose(reticle_image(theta, (15, 21), padding_mode, align_corners), theirs, atol=1e-6)


@pytest.mark.parametrize("theta", [AFFINE, PROJECTIVE], ids=["affine", "projective"])
@pytest.mark.parametrize(("padding_mode", "align_corners"), OPENCV_BORDER)
def test_image_is_the_one_that_opencv_makes(theta, padding_mode, align_corners):
    matrix = pixel_matrix(theta, SIZE, (15, 21), align_corners)
    how = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, "borderMode": OPENCV_BORDER[padding_mode, align_corners], "borderValue": 0}
    if len(theta) == 6:
        theirs = cv2.warpAffine(IMAGE.numpy(), matrix[:2], (21, 15), **how)
    else:
        theirs = cv2.warpPerspective(IMAGE.numpy(), matrix, (21, 15), **how)
    # its weights are multiples of 1/32 of a pixel
    assert_allclose(reticle_image(theta, (15, 21), padding_mode, align_corners), theirs, atol=1 / 64)


def test_half_of_an_image_is_the_area_average_of_opencv():
    half = transformer(Affine(), (1, *SIZE), output_size=(10, 16), antialias=2).double()
    theirs = cv2.resize(IMAGE.numpy(), (16, 10), interpolation=cv2.INTER_AREA)
    assert_allclose(half(IMAGE[None, None])[0, 0].detach().numpy(), theirs, atol=1e-12)


@pytest.mark.parametrize("direction", [1, -1])
def test_quarter_turn_of_an_image_is_that_of_numpy(direction):
    # the window turns clockwise, so what it shows turns counter-clockwise, as rot90 does
    theta = torch.tensor([[direction * math.pi / 2, 0, 0]], dtype=torch.float64)
    image = torch.rand(1, 1, 7, 7, dtype=torch.float64)
    turned = warp(image, Rigid().matrix(theta, (7, 7)), padding_mode="border")
    assert_allclose(turned[0, 0].numpy(), np.rot90(image[0, 0].numpy(), direction), atol=1e-12)
