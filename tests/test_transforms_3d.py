"""The three-dimensional families against scipy, points and whole volumes; and what volumes have in common with images."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from families import random_theta, transformer
from numpy.testing import assert_allclose
from scipy import ndimage
from scipy.spatial.transform import Rotation

from reticle import Affine, Attention, Rigid, Similarity, Translation, base_grid

SIZE = (6, 10, 8)  # D, H, W
UNIT = np.array([SIZE[2], SIZE[1], SIZE[0]]) / 2  # voxels per normalised unit
SEEDS = range(4)


def moved(transform, theta, points, size=SIZE):
    return transform(torch.tensor(np.array(theta, dtype=np.float64))[None], torch.tensor(points), size)[0].numpy()


def random_points(seed):
    return np.random.default_rng([seed, 1]).uniform(-1.5, 1.5, (30, 3))


# points -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("length", [1e-9, 1e-4, 1.0, math.pi, 7.0])
def test_rigid_turns_voxels_by_the_rotation_vector_of_scipy(seed, length):
    draw = np.random.default_rng(seed)
    vector, t = draw.normal(size=3), draw.uniform(-1, 1, 3)
    vector *= length / np.linalg.norm(vector)
    points = random_points(seed)
    expected = Rotation.from_rotvec(vector).apply(points * UNIT) / UNIT + t
    assert_allclose(moved(Rigid(ndim=3), [*vector, *t], points), expected, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_similarity_also_scales(seed):
    draw = np.random.default_rng(seed)
    vector, log_scale, t = draw.normal(size=3), draw.uniform(-1, 1), draw.uniform(-1, 1, 3)
    points = random_points(seed)
    expected = math.exp(log_scale) * Rotation.from_rotvec(vector).apply(points * UNIT) / UNIT + t
    assert_allclose(moved(Similarity(ndim=3), [*vector, log_scale, *t], points), expected, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_attention_and_translation_are_scale_and_shift(seed):
    draw = np.random.default_rng(seed)
    log_scale, t = draw.uniform(-1, 1), draw.uniform(-1, 1, 3)
    points = random_points(seed)
    assert_allclose(moved(Attention(ndim=3), [log_scale, *t], points), math.exp(log_scale) * points + t, atol=1e-12)
    assert_allclose(moved(Translation(ndim=3), t, points), points + t, atol=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
def test_affine_is_the_affine_grid_of_torch(align_corners):
    theta = torch.randn(2, 12, dtype=torch.float64)
    mine = Affine(ndim=3)(theta, base_grid((3, 4, 5), align_corners=align_corners, dtype=torch.float64))
    torch.testing.assert_close(mine, F.affine_grid(theta.view(-1, 3, 4), (2, 1, 3, 4, 5), align_corners=align_corners))


def test_rotation_about_z_is_the_rotation_of_images_on_every_slice():
    points = torch.rand(20, 3, dtype=torch.float64)
    flat = Rigid()(torch.tensor([[0.7, 0.1, -0.2]], dtype=torch.float64), points[:, :2], (10, 8))
    deep = Rigid(ndim=3)(torch.tensor([[0, 0, 0.7, 0.1, -0.2, 0]], dtype=torch.float64), points, SIZE)
    torch.testing.assert_close(deep[..., :2], flat)
    torch.testing.assert_close(deep[0, :, 2], points[:, 2])


def test_cube_of_voxels_stays_a_cube():
    cube = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]]) / UNIT  # a corner and its three edges, in voxels
    corner, *ends = moved(Rigid(ndim=3), [0.3, -0.8, 0.5, 0.1, 0.2, 0.3], cube) * UNIT
    edges = np.array(ends) - corner
    assert_allclose(edges @ edges.T, 4 * np.eye(3), atol=1e-12)
    assert_allclose(np.linalg.det(edges), 8)  # not mirrored


def test_gradient_of_a_rotation_is_right_at_the_identity():
    # d(r x p) / dr at r = 0, by hand: the rows of the skew matrix of p
    r = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    image = Rigid(ndim=3)(r, torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64))[0]
    x, y, z = (torch.autograd.grad(image[i], r, retain_graph=True)[0][0, :3].tolist() for i in range(3))
    assert x == pytest.approx([0, 0.3, -0.2]) and y == pytest.approx([-0.3, 0, 0.1]) and z == pytest.approx([0.2, -0.1, 0])


@pytest.mark.parametrize("family", [Rigid, Similarity])
@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float32, 1e19), (torch.float32, 3e38), (torch.float64, 1e19), (torch.float64, 1.7e308)], ids=str
)
@pytest.mark.parametrize("direction", [(1, 0, 0), (1, -1, 1), (0, 1e-30, -0.5)], ids=str)
def test_rotation_vector_of_any_finite_length_is_a_rotation(family, dtype, size, direction):
    theta = torch.zeros(1, family(ndim=3).num_params, dtype=dtype)
    theta[0, :3] = size * torch.tensor(direction, dtype=torch.float64)
    matrix = family(ndim=3).matrix(theta.requires_grad_())
    turn = matrix[0, :, :3].double()
    torch.testing.assert_close(turn @ turn.T, torch.eye(3).double(), rtol=0, atol=1e-6)
    matrix.sum().backward()
    assert theta.grad.isfinite().all()


def test_rotation_vector_that_is_not_finite_is_no_rotation():
    theta = torch.zeros(3, 6)
    theta[1, 0], theta[2, 1] = math.inf, math.nan
    matrix = Rigid(ndim=3).matrix(theta)
    assert torch.equal(matrix[0], torch.eye(3, 4)) and matrix[1:, :, :3].isnan().all()


@pytest.mark.parametrize("length", [0, 1e-3, 0.4999, 0.5, 2.0])
def test_derivatives_of_a_rotation_are_right_on_both_sides_of_its_series(length):
    vector = length * torch.tensor([[2.0, -1.0, 2.0]], dtype=torch.float64) / 3
    theta = torch.cat([vector, torch.zeros_like(vector)], 1).requires_grad_()
    matrix = Rigid(ndim=3).matrix
    assert torch.autograd.gradcheck(matrix, theta) and torch.autograd.gradgradcheck(matrix, theta)


# whole volumes ----------------------------------------------------------------------------------------------------------------

SCIPY_MODE = {
    ("zeros", False): "grid-constant",
    ("zeros", True): "grid-constant",
    ("border", False): "nearest",
    ("border", True): "nearest",
    ("reflection", False): "reflect",
    ("reflection", True): "mirror",
    ("wrap", False): "grid-wrap",
    ("wrap", True): "grid-wrap",
}


def voxel_matrix(matrix, size, output_size, align_corners):
    """From output voxels (z, y, x) to input voxels (z, y, x), built with nothing of ours: a 4×4 matrix."""

    def to_norm(shape):  # voxels (x, y, z) -> [-1, 1]
        n = np.array(shape[::-1], dtype=float)
        scale, offset = (2 / (n - 1), -np.ones(3)) if align_corners else (2 / n, 1 / n - 1)
        return np.block([[np.diag(scale), offset[:, None]], [np.zeros((1, 3)), 1]])

    flip = np.eye(4)[[2, 1, 0, 3]]
    square = np.vstack([matrix, [0, 0, 0, 1]])
    return flip @ np.linalg.inv(to_norm(size)) @ square @ to_norm(output_size) @ flip


@pytest.mark.parametrize("transform", [Affine(ndim=3), Rigid(ndim=3), Similarity(ndim=3)], ids=["affine", "rigid", "similarity"])
@pytest.mark.parametrize(("padding_mode", "align_corners"), SCIPY_MODE)
def test_volume_is_the_one_that_scipy_makes(transform, padding_mode, align_corners):
    out, theta = (4, 7, 5), random_theta(transform, 1, seed=3)
    volume = torch.rand(1, 1, *SIZE, dtype=torch.float64)
    options = {"output_size": out, "padding_mode": padding_mode, "align_corners": align_corners}
    mine = transformer(transform, (1, *SIZE), **options).double().sample(volume, theta).output[0, 0]
    lengths = tuple(n - align_corners for n in SIZE)
    matrix = voxel_matrix(transform.matrix(theta, lengths)[0].numpy(), SIZE, out, align_corners)
    theirs = ndimage.affine_transform(volume[0, 0].numpy(), matrix, output_shape=out, order=1, mode=SCIPY_MODE[padding_mode, align_corners])
    assert_allclose(mine.numpy(), theirs, atol=1e-6)


def test_rigid_turns_a_volume_by_voxels():
    # a rotation vector in voxels, about the centre of the volume, by scipy alone
    vector = np.array([0.3, -0.5, 0.7])
    volume = torch.rand(1, 1, *SIZE, dtype=torch.float64)
    mine = transformer(Rigid(ndim=3), (1, *SIZE), padding_mode="border").double()
    turned = mine.sample(volume, torch.tensor([[*vector, 0, 0, 0]], dtype=torch.float64)).output[0, 0].numpy()
    turn = Rotation.from_rotvec(vector).as_matrix()[::-1, ::-1]  # (x, y, z) -> (z, y, x)
    centre = (np.array(SIZE) - 1) / 2
    theirs = ndimage.affine_transform(volume[0, 0].numpy(), turn, offset=centre - turn @ centre, order=1, mode="nearest")
    assert_allclose(turned, theirs, atol=1e-6)


def test_first_axis_of_theta_is_x_and_the_last_axis_of_a_volume():
    volume = torch.arange(3.0 * 4 * 5).view(1, 1, 3, 4, 5)
    layer = transformer(Translation(ndim=3), (1, 3, 4, 5), padding_mode="border")
    assert torch.equal(layer.sample(volume, torch.tensor([[2 / 5, 0, 0]])).output[..., :-1].round(decimals=4), volume[..., 1:])
    assert torch.equal(layer.sample(volume, torch.tensor([[0, 2 / 4, 0]])).output[..., :-1, :].round(decimals=4), volume[..., 1:, :])
    assert torch.equal(layer.sample(volume, torch.tensor([[0, 0, 2 / 3]])).output[:, :, :-1].round(decimals=4), volume[:, :, 1:])
