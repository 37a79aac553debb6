"""Families that are a matrix: it does what the map does, and the inverse undoes it."""

import math

import pytest
import torch
from families import MATRIX_FAMILIES, SIZES, make, random_theta
from hypothesis import given
from hypothesis import strategies as st

from reticle import Attention, Projective, Rigid, Similarity, Translation, base_grid

each_matrix_family = pytest.mark.parametrize("key", MATRIX_FAMILIES)
QUARTER, LOG2 = math.pi / 2, math.log(2)


@each_matrix_family
@pytest.mark.parametrize("sized", [False, True], ids=["square", "sized"])
def test_matrix_moves_points_as_the_map_does(key, sized):
    transform = make(key)
    theta, points = random_theta(transform, spread=0.1), base_grid(SIZES[transform.ndim], dtype=torch.float64).flatten(0, -2)
    size = SIZES[transform.ndim] if sized else None
    matrix = transform.matrix(theta, size)
    lifted = torch.cat([points, torch.ones(len(points), 1, dtype=torch.float64)], dim=1)
    moved = torch.einsum("brc,nc->bnr", matrix, lifted)
    if matrix.shape[1] > transform.ndim:
        moved = moved[..., :-1] / moved[..., -1:]
    torch.testing.assert_close(transform(theta, points, size), moved)


@each_matrix_family
def test_matrix_and_inverse_are_at_least_float32(key):
    transform = make(key)
    assert transform.matrix(random_theta(transform, dtype=torch.float16)).dtype == torch.float32
    assert transform.matrix(random_theta(transform)).dtype == torch.float64
    assert transform.inverse(random_theta(transform, dtype=torch.float16)).dtype == torch.float32
    assert transform.inverse(random_theta(transform)).dtype == torch.float64
    assert transform.matrix(random_theta(transform, 0)).shape[0] == 0


def square(matrix):
    """Homogeneous ``(B, D+1, D+1)``."""
    last = torch.eye(matrix.shape[2], dtype=matrix.dtype)[None, -1:].expand(len(matrix), -1, -1)
    return matrix if matrix.shape[1] == matrix.shape[2] else torch.cat([matrix, last], dim=1)


@each_matrix_family
@given(seed=st.integers(0, 2**31), sized=st.booleans())
def test_inverse_is_an_inverse(key, seed, sized):
    transform = make(key)
    theta = random_theta(transform, 2, spread=0.15, seed=seed)
    size = SIZES[transform.ndim] if sized else None
    back = transform.inverse(theta, size)
    torch.testing.assert_close(transform.inverse(back, size), theta, rtol=0, atol=1e-7)
    eye = torch.eye(transform.ndim + 1, dtype=torch.float64)
    product = square(transform.matrix(back, size)) @ square(transform.matrix(theta, size))
    product = product / product[:, -1:, -1:]  # a homography is known up to scale
    torch.testing.assert_close(product, eye.expand_as(product), rtol=0, atol=1e-7)


def test_inverse_by_literal_numbers():
    # x -> 2x + (0.5, -1) is undone by x -> x / 2 - (0.25, -0.5)
    assert Attention().inverse(torch.tensor([[LOG2, 0.5, -1]])).tolist() == [pytest.approx([-LOG2, -0.25, 0.5])]
    assert Translation().inverse(torch.tensor([[0.5, -1]])).tolist() == [[-0.5, 1]]
    assert Attention(scale=1.0).inverse(torch.tensor([[0.5, -1]])).tolist() == [[-0.5, 1]]
    # -90 degrees takes t = (0.5, 0), 2 pixels right on 4 rows and 8 columns, to 2 pixels up
    assert Rigid().inverse(torch.tensor([[QUARTER, 0.5, 0]]), (4, 8)).tolist() == [pytest.approx([-QUARTER, 0, 1], abs=1e-6)]


def test_inverse_is_as_wide_as_it_is_computed():
    theta = torch.tensor([[0, -12, 0.5, 0]]).half()  # e^12 is more than 16 bits hold
    assert torch.equal(Similarity().inverse(theta), Similarity().inverse(theta.float()))


def test_a_homography_whose_inverse_is_no_member_has_none():
    # the last entry of the inverse matrix is below 0, 0, and above it
    theta = torch.tensor([[1.0, 0, 2, 0, 1, 0, 1, 0], [0, 0, 1, 0, 1, 0, -1, 0], [1, 0, 0.5, 0, 1, 0, 1, 0]])
    back = Projective().inverse(theta)
    assert back[:2].isnan().all()
    points = torch.tensor([[0.0, 0.0], [0.2, 0.3]])
    there = Projective()(theta[2:], points)[0]
    torch.testing.assert_close(Projective()(back[2:], there)[0], points)
