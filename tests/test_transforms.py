"""The families of maps: the contract, the order of theta, direction and sign by literal numbers."""

import inspect
import math

import pytest
import torch
from families import FAMILIES, SIZES, make, random_theta

from reticle import TRANSFORMS, AbstractTransform, Affine, Attention, Projective, Restricted, Rigid, Similarity, Translation, base_grid
from reticle.testing import check_transform

each_family = pytest.mark.parametrize("key", FAMILIES)
each_name = pytest.mark.parametrize("name", sorted(TRANSFORMS))
LOG2 = math.log(2)
TURN = math.atan2(0.6, 0.8)  # cos 0.8, sin 0.6


def move(transform, theta, point, size=None):
    """One point under one theta, as a list rounded to 1e-9."""
    theta, point = torch.tensor([theta], dtype=torch.float64), torch.tensor(point, dtype=torch.float64)
    return [round(v, 9) + 0.0 for v in transform(theta, point, size)[0].tolist()]


@pytest.mark.compile
@each_family
def test_family_keeps_the_contract(key):
    check_transform(make(key))


FIXED = [Attention(scale=0.5), Attention(scale=1.0), Attention(scale=0.5, ndim=3)]
SWITCHES = [(True, False, False), (False, True, False), (False, False, True), (True, True, False), (True, False, True), (False, True, True)]
SWITCHED = [Restricted(rotation=r, scale=s, translation=t) for r, s, t in SWITCHES]


@pytest.mark.compile
@pytest.mark.parametrize("transform", [*FIXED, *SWITCHED], ids=repr)
def test_family_with_arguments_keeps_the_contract(transform):
    check_transform(transform)


@each_name
def test_registered_class_is_final_and_has_a_worked_example(name):
    cls = TRANSFORMS[name]
    assert issubclass(cls, AbstractTransform) and not inspect.isabstract(cls)
    assert not [sub for sub in cls.__subclasses__() if sub.__module__.startswith("reticle.")]
    assert ">>>" in cls.__doc__ and "Reference:" in cls.__doc__ and "theta" in cls.__doc__ and ".. math::" in cls.__doc__


@each_family
def test_identity_maps_every_point_to_itself_bit_for_bit(key):
    transform = make(key)
    points = base_grid(SIZES[transform.ndim])
    moved = transform(transform.identity()[None], points, SIZES[transform.ndim])
    assert torch.equal(moved[0], points)


def test_numbers_of_parameters():
    assert {key: make(key).num_params for key in FAMILIES if key.split("_")[0] in COUNTS} == {
        f"{name}_{ndim}d": count for name, counts in COUNTS.items() for ndim, count in counts.items()
    }


COUNTS = {
    "translation": {2: 2, 3: 3},
    "rigid": {2: 3, 3: 6},
    "similarity": {2: 4, 3: 7},
    "attention": {2: 3, 3: 4},
    "restricted": {2: 4},
    "affine": {2: 6, 3: 12},
    "projective": {2: 8},
    "tps": {2: 32},
}
QUARTER = math.pi / 2
LITERAL = {
    "translation: x, y": (Translation(), [0.5, -0.25], [0.1, 0.2], [0.6, -0.05]),
    "translation: x, y, z": (Translation(ndim=3), [0.5, -0.25, 1], [0.1, 0.2, 0.3], [0.6, -0.05, 1.3]),
    "rigid: a quarter turn takes +x to +y": (Rigid(), [QUARTER, 0, 0], [1, 0], [0, 1]),
    "rigid: a quarter turn takes +y to -x": (Rigid(), [QUARTER, 0, 0], [0, 1], [-1, 0]),
    "rigid: angle, x, y": (Rigid(), [TURN, 0.1, -0.2], [1, 0.5], [0.8 - 0.3 + 0.1, 0.6 + 0.4 - 0.2]),
    "rigid: about +z, x to y": (Rigid(ndim=3), [0, 0, QUARTER, 0, 0, 0], [1, 0, 0], [0, 1, 0]),
    "rigid: about +x, y to z": (Rigid(ndim=3), [QUARTER, 0, 0, 0, 0, 0], [0, 1, 0], [0, 0, 1]),
    "rigid: about +y, z to x": (Rigid(ndim=3), [0, QUARTER, 0, 0, 0, 0], [0, 0, 1], [1, 0, 0]),
    "rigid: r, x, y, z": (Rigid(ndim=3), [0, 0, TURN, 0.1, -0.2, 0.3], [1, 0.5, 0.25], [0.6, 0.8, 0.55]),
    "similarity: angle, log scale, x, y": (Similarity(), [TURN, LOG2, 0.1, -0.2], [1, 0.5], [1.1, 1.8]),
    "similarity: r, log scale, x, y, z": (Similarity(ndim=3), [0, 0, TURN, LOG2, 0.1, -0.2, 0.3], [1, 0.5, 0.25], [1.1, 1.8, 0.8]),
    "attention: log scale, x, y": (Attention(), [-LOG2, 0.2, -0.4], [1, 0.5], [0.7, -0.15]),
    "attention: log scale, x, y, z": (Attention(ndim=3), [-LOG2, 0.2, -0.4, 0.1], [1, 0.5, -1], [0.7, -0.15, -0.4]),
    "attention of half: x, y": (Attention(scale=0.5), [0.2, -0.4], [1, 0.5], [0.7, -0.15]),
    "restricted: angle, log scale, x, y": (Restricted(), [TURN, LOG2, 0.1, -0.2], [0.9, 0.7], [1, 2]),
    "restricted: angle, x, y": (Restricted(scale=False), [TURN, 0.1, -0.2], [0.9, 0.7], [0.5, 1]),
    "restricted: log scale": (Restricted(rotation=False, translation=False), [LOG2], [0.9, 0.7], [1.8, 1.4]),
    "affine: rows": (Affine(), [1, 2, 3, 4, 5, 6], [1, -1], [1 - 2 + 3, 4 - 5 + 6]),
    "affine: rows of three": (Affine(ndim=3), [*range(1, 13)], [1, -1, 2], [1 - 2 + 6 + 4, 5 - 6 + 14 + 8, 9 - 10 + 22 + 12]),
    "projective: rows": (Projective(), [2, 0.2, 0.3, 0.4, 1, 0.1, 0.5, 0.25], [1, 2], [2.7 / 2, 2.5 / 2]),
}


@pytest.mark.parametrize(("transform", "theta", "point", "expected"), LITERAL.values(), ids=LITERAL)
def test_point_lands_where_arithmetic_by_hand_says(transform, theta, point, expected):
    assert move(transform, theta, point) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("family", [Rigid(), Similarity()], ids=["rigid", "similarity"])
def test_quarter_turn_is_one_of_pixels_not_of_normalised_units(family):
    # 4 rows and 8 columns: one unit is 4 pixels along x and 2 along y
    theta = [QUARTER, *[0.0] * (family.num_params - 1)]
    assert move(family, theta, [0.5, 0], (4, 8)) == [0, 1]  # 2 pixels right become 2 pixels down
    assert move(family, theta, [0, 1], (4, 8)) == [-0.5, 0]  # 2 pixels down become 2 pixels left


@pytest.mark.parametrize("family", [Rigid(ndim=3), Similarity(ndim=3)], ids=["rigid", "similarity"])
def test_quarter_turn_of_a_volume_is_one_of_voxels(family):
    # one unit is 4 voxels along x, 2 along y, 1 along z
    rest = [0.0] * (family.num_params - 3)
    assert move(family, [0, 0, QUARTER, *rest], [0.5, 0, 0], (2, 4, 8)) == [0, 1, 0]
    assert move(family, [QUARTER, 0, 0, *rest], [0, 0.5, 0], (2, 4, 8)) == [0, 0, 1]
    assert move(family, [0, QUARTER, 0, *rest], [0, 0, 1], (2, 4, 8)) == [0.25, 0, 0]


@pytest.mark.parametrize(("family", "side"), [(Rigid(), 2.0), (Similarity(), 6.0)], ids=["rigid", "similarity"])
def test_square_of_pixels_stays_a_square(family, side):
    theta = torch.tensor([[0.4, 0.1, -0.2]] if family.num_params == 3 else [[0.4, math.log(3), 0.1, -0.2]], dtype=torch.float64)
    unit = torch.tensor([9 / 2, 5 / 2], dtype=torch.float64)  # pixels per unit of an image of 5 rows and 9 columns
    square = torch.tensor([[0.0, 0], [2, 0], [2, 2], [0, 2]], dtype=torch.float64)  # in pixels
    corners = family(theta, square / unit, (5, 9))[0] * unit
    sides = corners.roll(-1, 0) - corners
    torch.testing.assert_close(sides.norm(dim=1), torch.full((4,), side, dtype=torch.float64))
    torch.testing.assert_close((sides * sides.roll(-1, 0)).sum(1), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-12)
    assert math.atan2(sides[0, 1], sides[0, 0]) == pytest.approx(0.4)
    # the translation is in normalised units on every image
    assert (corners[0] / unit).tolist() == pytest.approx([0.1, -0.2])


@each_family
def test_families_that_do_not_turn_ignore_the_size(key):
    transform = make(key)
    points, theta = base_grid(SIZES[transform.ndim], dtype=torch.float64), random_theta(transform)
    same = torch.equal(transform(theta, points, SIZES[transform.ndim]), transform(theta, points))
    assert same == (key.split("_")[0] not in ("rigid", "similarity", "restricted"))


@each_family
def test_size_none_means_equal_lengths(key):
    transform = make(key)
    points, theta = base_grid(SIZES[transform.ndim], dtype=torch.float64), random_theta(transform)
    torch.testing.assert_close(transform(theta, points), transform(theta, points, (7,) * transform.ndim), rtol=0, atol=1e-15)


def test_point_at_or_behind_the_viewer_is_infinite_and_has_no_gradient():
    theta = torch.tensor([[1.0, 0, 0, 0, 1, 0, -1, 0]], requires_grad=True)  # w = 1 - x
    points = torch.tensor([[0.5, 0.25], [1.0, 0.25], [2.0, 0.25]], requires_grad=True)
    moved = Projective()(theta, points)
    assert moved[0, 0].tolist() == [1.0, 0.5] and torch.equal(moved[0, 1:], torch.full((2, 2), torch.inf))
    moved[0, 0].sum().backward(retain_graph=True)
    alone = theta.grad.clone()
    theta.grad = points.grad = None
    moved.sum().backward()
    assert torch.equal(theta.grad, alone) and torch.equal(points.grad[1:], torch.zeros(2, 2))


@each_family
@pytest.mark.parametrize("shape", [(), (0,), (6,), (2, 3), (2, 1, 3)], ids=str)
def test_points_keep_their_shape(key, shape):
    transform = make(key)
    theta, points = random_theta(transform, 2), torch.rand(*shape, transform.ndim, dtype=torch.float64)
    moved = transform(theta, points)
    assert moved.shape == (2, *shape, transform.ndim)
    torch.testing.assert_close(moved.flatten(1, -2) if shape else moved[:, None], transform(theta, points.reshape(-1, transform.ndim)))


@each_family
@pytest.mark.parametrize(
    ("theta_dtype", "points_dtype", "wide"),
    [
        (torch.float16, torch.bfloat16, torch.float32),
        (torch.float64, torch.float32, torch.float64),
        (torch.float32, torch.float64, torch.float64),
    ],
    ids=str,
)
def test_coordinates_have_the_widest_dtype_and_at_least_float32(key, theta_dtype, points_dtype, wide):
    transform = make(key)
    theta, points = random_theta(transform, dtype=theta_dtype), base_grid(SIZES[transform.ndim], dtype=points_dtype)
    moved = transform(theta, points)
    assert moved.dtype == wide
    torch.testing.assert_close(moved.double(), transform(theta.double(), points.double()), rtol=0, atol=2e-6)


@each_family
def test_points_may_differ_from_sample_to_sample_in_move(key):
    transform = make(key)
    theta, points = random_theta(transform), torch.rand(3, 5, transform.ndim, dtype=torch.float64)
    each = torch.stack([transform(theta[i : i + 1], points[i])[0] for i in range(3)])
    torch.testing.assert_close(transform.move(theta, points), each)


@each_family
def test_gradient_is_finite_and_reaches_every_parameter_at_the_identity(key):
    transform = make(key)
    theta = transform.identity().double()[None].requires_grad_()
    points = torch.rand(50, transform.ndim, dtype=torch.float64).mul(2).sub(1).requires_grad_()
    (transform(theta, points) * torch.rand(50, transform.ndim, dtype=torch.float64)).sum().backward()
    assert theta.grad.isfinite().all() and (theta.grad != 0).all() and points.grad.isfinite().all()


@each_family
def test_transform_has_no_parameters_and_saves_nothing(key):
    transform = make(key)
    assert not list(transform.parameters()) and not transform.state_dict()
    assert f"num_params={transform.num_params}" in repr(transform)


@pytest.mark.parametrize("name", ["attention", "similarity"])
@pytest.mark.parametrize("log_scale", [-1e4, 100.0, 1e30])
def test_an_absurd_scale_has_a_finite_map_and_gradient(name, log_scale):
    transform = TRANSFORMS[name]()
    theta = transform.identity()[None].clone()
    theta[:, transform.num_params - 3] = log_scale
    moved = transform(theta.requires_grad_(), base_grid((3, 3)))
    moved.sum().backward()
    assert moved.isfinite().all() and theta.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_coordinates_do_not_depend_on_the_precision_of_matrix_products(name):
    transform = TRANSFORMS[name]()
    theta = transform.identity() + 0.1 * torch.randn(2, transform.num_params)
    points = base_grid((5, 4))
    before = torch.get_float32_matmul_precision()
    expected = transform(theta, points)
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(transform(theta, points), expected)
    finally:
        torch.set_float32_matmul_precision(before)
