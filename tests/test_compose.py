"""Composition: who sees the target first, where theta is cut, what the matrix is."""

import math

import pytest
import torch
from families import MATRIX_FAMILIES, SIZES, make, random_theta, transformer
from hypothesis import given
from hypothesis import strategies as st

from reticle import Affine, Attention, Compose, Projective, Rigid, Similarity, ThinPlateSpline, Translation, apply_matrix, base_grid
from reticle.testing import check_transform

MIXED = {
    "rigid of attention": lambda: Compose(Rigid(), Attention()),
    "affine of tps": lambda: Compose(Affine(), ThinPlateSpline((2, 3))),
    "tps of projective": lambda: Compose(ThinPlateSpline((3, 2), 0.1), Projective()),
    "nested, without identity": lambda: Compose(Similarity(), Compose(Attention(scale=0.5), Translation())),
    "one alone": lambda: Compose(Affine()),
    "volumes": lambda: Compose(Translation(ndim=3), Rigid(ndim=3)),
}
PLANE = sorted(key for key in MATRIX_FAMILIES if key.endswith("2d"))


@pytest.mark.compile
@pytest.mark.parametrize("build", MIXED.values(), ids=MIXED)
def test_composition_keeps_the_contract(build):
    check_transform(build())


def test_last_one_sees_the_target_first():
    theta = torch.tensor([[0.5, 0.25, math.log(2), 0.0, 0.0]])
    point = torch.tensor([1.0, -1.0])
    assert Compose(Translation(), Attention())(theta, point).tolist() == [pytest.approx([2.5, -1.75])]  # 2x, then + t
    theta = torch.tensor([[math.log(2), 0.0, 0.0, 0.5, 0.25]])
    assert Compose(Attention(), Translation())(theta, point).tolist() == [pytest.approx([3.0, -1.5])]  # + t, then 2x


def test_theta_is_cut_in_the_order_of_the_transforms():
    compose = Compose(Translation(), Affine(), Attention(scale=0.5))
    assert compose.num_params == 2 + 6 + 2
    assert compose.identity().tolist() == [0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    assert not compose.has_identity and Compose(Translation(), Affine()).has_identity


@pytest.mark.parametrize("second", PLANE)
@pytest.mark.parametrize("first", PLANE)
def test_matrix_is_the_product_and_moves_points_as_the_map_does(first, second):
    one, two = make(first), make(second)
    a, b = random_theta(one, spread=0.1), random_theta(two, spread=0.1, seed=1)
    compose, size, points = Compose(one, two), (5, 8), base_grid((5, 8), dtype=torch.float64)
    theta = torch.cat([a, b], dim=1)
    in_turn = torch.stack([one(a[i : i + 1], two(b[i : i + 1], points, size)[0], size)[0] for i in range(3)])
    torch.testing.assert_close(compose(theta, points, size), in_turn)
    assert compose.matrix(theta, size).shape == (3, 3, 3)
    torch.testing.assert_close(apply_matrix(compose.matrix(theta, size), points), in_turn)


@given(seed=st.integers(0, 2**31), ndim=st.sampled_from([2, 3]))
def test_composition_is_associative(seed, ndim):
    f, g, h = Rigid(ndim=ndim), Affine(ndim=ndim), Similarity(ndim=ndim)
    size, points = SIZES[ndim], torch.rand(7, ndim, dtype=torch.float64)
    theta = random_theta(Compose(f, g, h), 2, seed=seed)
    flat = Compose(f, g, h)(theta, points, size)
    torch.testing.assert_close(Compose(Compose(f, g), h)(theta, points, size), flat, rtol=0, atol=1e-12)
    torch.testing.assert_close(Compose(f, Compose(g, h))(theta, points, size), flat, rtol=0, atol=1e-12)


@given(seed=st.integers(0, 2**31))
@pytest.mark.parametrize("key", MATRIX_FAMILIES)
def test_map_after_its_inverse_is_the_identity(key, seed):
    transform = make(key)
    theta, size = random_theta(transform, 2, spread=0.1, seed=seed), SIZES[transform.ndim]
    points = torch.rand(7, transform.ndim, dtype=torch.float64)
    there_and_back = torch.cat([theta, transform.inverse(theta, size)], dim=1)
    moved = Compose(transform, make(key))(there_and_back, points, size)
    torch.testing.assert_close(moved, points.expand(2, -1, -1), rtol=0, atol=1e-8)


def test_composition_resamples_once():
    # a shift by a pixel and back loses nothing but what a second resampling would lose
    x = torch.rand(1, 1, 4, 6, dtype=torch.float64)
    layer = transformer(Compose(Translation(), Translation()), (1, 4, 6)).double()
    there_and_back = torch.tensor([[0.5, 0.5, -0.5, -0.5]], dtype=torch.float64)
    torch.testing.assert_close(layer.sample(x, there_and_back).output, x, rtol=0, atol=1e-12)


def test_turn_inside_a_composition_keeps_angles():
    theta = torch.tensor([[0.0, 0.0, math.pi / 2, 0.0, 0.0]], dtype=torch.float64)
    moved = Compose(Translation(), Rigid())(theta, torch.tensor([0.5, 0.0], dtype=torch.float64), (4, 8))
    torch.testing.assert_close(moved, torch.tensor([[0.0, 1.0]], dtype=torch.float64))


def test_half_composition_keeps_the_spline_exact():
    compose = Compose(Affine(), ThinPlateSpline()).half()
    assert compose.transforms[1].solution.dtype == torch.float64 and not compose.state_dict()
    theta, points = random_theta(compose, dtype=torch.float16), base_grid((3, 4), dtype=torch.float16)
    moved = compose(theta, points)
    assert moved.dtype == torch.float32
    torch.testing.assert_close(moved, Compose(Affine(), ThinPlateSpline())(theta.double(), points.double()).float(), rtol=0, atol=2e-6)


@pytest.mark.errors
def test_wrong_parts_are_explained():
    with pytest.raises(ValueError, match=r"^Compose: `transforms` must be one or more transforms; got \(\).$"):
        Compose()
    with pytest.raises(ValueError, match=r"^Compose: `transforms` must be one or more transforms; got \('affine',\).$"):
        Compose("affine")
    with pytest.raises(ValueError, match=r"^Compose: `transforms` must have one ndim; got \[2, 3\].$"):
        Compose(Affine(), Affine(ndim=3))
    with pytest.raises(ValueError, match=r"^Compose: `theta` must have shape \(B, P\), P = 4; got \(1, 5\).$"):
        Compose(Translation(), Translation())(torch.zeros(1, 5), torch.zeros(2))
    with pytest.raises(NotImplementedError, match="^ThinPlateSpline: its maps have no matrix.\n  Call the transform on points instead.$"):
        Compose(Affine(), Compose(ThinPlateSpline())).matrix(torch.zeros(1, 38))


def test_matrix_of_nested_compositions_is_the_product_too():
    nested = Compose(Translation(), Compose(Rigid(), Attention()))
    flat = Compose(Translation(), Rigid(), Attention())
    theta = random_theta(flat)
    torch.testing.assert_close(nested.matrix(theta, (5, 8)), flat.matrix(theta, (5, 8)))


@pytest.mark.parametrize("outer", [Affine, Projective, ThinPlateSpline])
def test_a_point_behind_the_viewer_of_one_map_spoils_no_gradient(outer):
    family = Compose(outer(), Projective())
    theta = family.identity()[None].clone()
    theta[0, -2] = 2  # w = 1 + 2 x, which is negative on the left
    moved = family(theta.requires_grad_(), base_grid((3, 4)))
    torch.where(moved.isfinite(), moved, 0).sum().backward()
    assert (moved == torch.inf).any() and theta.grad.isfinite().all()
