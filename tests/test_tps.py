"""The thin-plate spline against scipy and scikit-image, on and off the lattice, with and without regularisation; dtypes and devices."""

import copy
import io
import math
import pickle

import numpy as np
import pytest
import skimage.transform as sk
import torch
from numpy.testing import assert_allclose
from scipy.interpolate import RBFInterpolator

from reticle import ThinPlateSpline, base_grid
from reticle.testing import check_transform

LATTICES = [(2, 2), (2, 3), (3, 3), (4, 4), (5, 3), (10, 10)]


def lattice_points(rows, columns):
    """Rows first, corners at ±1, by plain loops."""
    return np.array([[-1 + 2 * j / (columns - 1), -1 + 2 * i / (rows - 1)] for i in range(rows) for j in range(columns)])


def case(lattice, seed=0):
    """Random offsets of the lattice, and points in, on the rim of and far outside it."""
    draw = np.random.default_rng(seed)
    offsets = draw.normal(0, 0.2, (lattice[0] * lattice[1], 2))
    points = np.concatenate([draw.uniform(-1, 1, (40, 2)), draw.uniform(-3, 3, (20, 2)), [[1, 1], [-1, 1], [0, 0], [2, -2]]])
    return offsets, points


def bent(lattice, offsets, points, regularisation=0.0):
    transform = ThinPlateSpline(lattice, regularisation)
    return transform(torch.tensor(offsets).reshape(1, -1), torch.tensor(points))[0].numpy()


@pytest.mark.compile
@pytest.mark.parametrize(("lattice", "regularisation"), [((2, 2), 0.0), ((3, 5), 0.1), ((2, 4), 10.0)])
def test_other_lattices_keep_the_contract(lattice, regularisation):
    check_transform(ThinPlateSpline(lattice, regularisation))


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_spline_is_that_of_scikit_image(lattice):
    offsets, points = case(lattice)
    control = lattice_points(*lattice)
    theirs = sk.ThinPlateSplineTransform.from_estimate(control, control + offsets)
    # theirs adds 1e-8 inside the logarithm, which a dense lattice feels
    tolerance = 1e-6 if max(lattice) < 10 else 1e-3
    assert_allclose(bent(lattice, offsets, points), theirs(points), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("regularisation", [0.0, 1e-3, 0.1, 5.0])
@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_spline_is_that_of_scipy(lattice, regularisation):
    offsets, points = case(lattice)
    control = lattice_points(*lattice)
    # scipy's kernel is r^2 log r, half of r^2 log r^2: so is its smoothing
    theirs = RBFInterpolator(control, control + offsets, kernel="thin_plate_spline", degree=1, smoothing=regularisation / 2)
    assert_allclose(bent(lattice, offsets, points, regularisation), theirs(points), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_spline_takes_the_lattice_where_it_is_told(lattice):
    offsets, _ = case(lattice)
    control = lattice_points(*lattice)
    assert_allclose(bent(lattice, offsets, control), control + offsets, atol=1e-9)


def test_strong_regularisation_leaves_the_affine_fit():
    offsets, points = case((4, 4))
    control = lattice_points(4, 4)
    lifted = np.column_stack([np.ones(16), control])
    fit = np.linalg.lstsq(lifted, control + offsets, rcond=None)[0]
    assert_allclose(bent((4, 4), offsets, points, 1e9), np.column_stack([np.ones(len(points)), points]) @ fit, atol=1e-6)


def test_affine_offsets_bend_nothing():
    linear, shift = np.array([[0.1, -0.2], [0.3, 0.05]]), np.array([0.1, -0.4])
    _, points = case((4, 4))
    for regularisation in (0.0, 1.0):
        mine = bent((4, 4), lattice_points(4, 4) @ linear + shift, points, regularisation)
        assert_allclose(mine, points + points @ linear + shift, atol=1e-9)


def test_offsets_are_pairs_rows_first():
    # 2 rows and 3 columns; the fifth point is the middle of the bottom edge, (0, 1)
    theta = torch.zeros(1, 12, dtype=torch.float64)
    theta[0, 8:10] = torch.tensor([0.1, -0.3])
    moved = ThinPlateSpline((2, 3))(theta, torch.tensor([[0.0, 1.0], [0.0, -1.0], [1.0, 1.0]], dtype=torch.float64))
    torch.testing.assert_close(moved[0], torch.tensor([[0.1, 0.7], [0.0, -1.0], [1.0, 1.0]], dtype=torch.float64))


def test_spline_ignores_the_size():
    offsets, points = case((4, 4))
    theta, points = torch.tensor(offsets).reshape(1, -1), torch.tensor(points)
    assert torch.equal(ThinPlateSpline()(theta, points, (3, 9)), ThinPlateSpline()(theta, points))


def test_gradient_is_finite_and_right_on_the_lattice():
    transform = ThinPlateSpline((3, 3))
    theta = 0.2 * torch.randn(1, 18, dtype=torch.float64)
    points = torch.tensor(lattice_points(3, 3)).requires_grad_()
    transform(theta, points).sum().backward()
    step = torch.zeros(1, 2, dtype=torch.float64)
    for axis in range(2):  # the first derivative is continuous there, though the second is not
        step[0, axis] = 1e-5
        numeric = (transform(theta, points + step) - transform(theta, points - step)).sum(-1)[0] / 2e-5
        torch.testing.assert_close(points.grad[:, axis], numeric.detach(), rtol=0, atol=1e-3)
        step.zero_()


def test_identity_is_exact_for_float32_and_a_large_lattice():
    transform = ThinPlateSpline((10, 10))
    points = base_grid((31, 17))
    assert torch.equal(transform(transform.identity()[None], points)[0], points)


def test_float32_is_as_good_as_its_dtype():
    offsets, points = case((10, 10))
    theta, points = torch.tensor(offsets).reshape(1, -1), torch.tensor(points[:40])
    wide, narrow = ThinPlateSpline((10, 10))(theta, points), ThinPlateSpline((10, 10))(theta.float(), points.float())
    torch.testing.assert_close(narrow.double(), wide, rtol=0, atol=1e-4)


@pytest.mark.parametrize("convert", ["half", "bfloat16", "float", "double"])
def test_constants_keep_their_precision_when_the_model_is_converted(convert):
    transform = getattr(ThinPlateSpline(), convert)()
    assert transform.control.dtype == transform.solution.dtype == torch.float64
    assert getattr(transform.double(), convert)().solution.dtype == torch.float64
    offsets, points = case((4, 4))
    theta = torch.tensor(offsets).reshape(1, -1)
    assert torch.equal(transform(theta, torch.tensor(points)), ThinPlateSpline()(theta, torch.tensor(points)))
    moved = transform(theta.half(), torch.tensor(points).half())
    assert moved.dtype == torch.float32
    assert_allclose(moved, ThinPlateSpline()(theta.half().double(), torch.tensor(points).half().double()), rtol=0, atol=1e-5)


def test_constants_move_with_the_model_and_are_not_saved():
    transform = ThinPlateSpline()
    assert not transform.state_dict() and not list(transform.parameters())
    assert {name for name, _ in transform.named_buffers()} == {"control", "solution"}
    moved = transform.to("meta")
    assert moved is transform and transform.control.device.type == transform.solution.device.type == "meta"


def test_constants_are_made_when_a_model_without_memory_gets_some():
    with torch.device("meta"):
        transform = ThinPlateSpline((3, 4), 0.5)
    transform.to_empty(device="cpu")
    theta, points = (torch.tensor(part) for part in case((3, 4)))
    assert torch.equal(transform(theta.reshape(1, -1), points), ThinPlateSpline((3, 4), 0.5)(theta.reshape(1, -1), points))


def test_copies_and_pickles_bend_the_same():
    transform = ThinPlateSpline((3, 4), 0.5)
    file = io.BytesIO()
    torch.save(transform, file)
    file.seek(0)
    offsets, points = case((3, 4))
    theta, points = torch.tensor(offsets).reshape(1, -1), torch.tensor(points)
    for other in (copy.deepcopy(transform), pickle.loads(pickle.dumps(transform)), torch.load(file, weights_only=False)):
        assert torch.equal(other(theta, points), transform(theta, points)) and other.lattice == (3, 4)


def test_repr_shows_the_arguments():
    assert repr(ThinPlateSpline((3, 4), 0.5)) == "ThinPlateSpline(lattice=(3, 4), regularisation=0.5, num_params=24)"


@pytest.mark.errors
def test_wrong_lattice_and_regularisation_are_explained():
    for lattice in [(1, 4), (4, 1)]:
        with pytest.raises(ValueError, match=r"^ThinPlateSpline: `lattice` must have at least 2 rows and 2 columns; got \(., .\).$"):
            ThinPlateSpline(lattice)
    for lattice in [(4,), (4, 4, 4), 16, (4.0, 4.0), (0, 4)]:
        with pytest.raises(ValueError, match=r"^ThinPlateSpline: `lattice` must be 2 positive whole numbers"):
            ThinPlateSpline(lattice)
    with pytest.raises(ValueError, match=r"^ThinPlateSpline: `regularisation` must be 0 or more; got -0.1.$"):
        ThinPlateSpline(regularisation=-0.1)
    for regularisation in (math.inf, math.nan):
        with pytest.raises(ValueError, match=f"^ThinPlateSpline: `regularisation` must be finite in torch.float64; got {regularisation}.$"):
            ThinPlateSpline(regularisation=regularisation)
    with pytest.raises(TypeError, match=r"^ThinPlateSpline: `regularisation` must be a real number; got '1'.$"):
        ThinPlateSpline(regularisation="1")
