"""What a transform says of a wrong argument, to the letter."""

import math
import re

import pytest
import torch
from families import FAMILIES, MATRIX_FAMILIES, make

from reticle import TRANSFORMS, Affine, Attention, Compose, Restricted, Rigid, ThinPlateSpline, base_grid

each_family = pytest.mark.parametrize("key", FAMILIES)
each_matrix_family = pytest.mark.parametrize("key", MATRIX_FAMILIES)


@pytest.mark.errors
@each_family
def test_wrong_theta_is_explained(key):
    transform = make(key)
    name, points = type(transform).__name__, base_grid((2,) * transform.ndim)
    expected = re.escape(f"{name}: `theta` must have shape (B, P), P = {transform.num_params}; got (2, 5).")
    with pytest.raises(ValueError, match=f"^{expected}$"):
        transform(torch.zeros(2, 5), points)
    with pytest.raises(ValueError, match=re.escape(f"; got ({transform.num_params},).")):
        transform(transform.identity(), points)
    with pytest.raises(TypeError, match=f"^{name}: `theta` must have a floating dtype; got torch.int64.\n  Convert it first"):
        transform(torch.zeros(2, transform.num_params, dtype=torch.long), points)
    with pytest.raises(TypeError, match=f"^{name}: `theta` must be a tensor; got list.$"):
        transform([0.0] * transform.num_params, points)


@pytest.mark.errors
@each_matrix_family
def test_wrong_theta_is_explained_by_matrix_and_inverse_too(key):
    transform = make(key)
    for method in (transform.matrix, transform.inverse):
        with pytest.raises(ValueError, match=re.escape(f"`theta` must have shape (B, P), P = {transform.num_params}; got (2, 5).")):
            method(torch.zeros(2, 5))
        with pytest.raises(ValueError, match=f"`size` must be {transform.ndim} positive whole numbers"):
            method(transform.identity()[None], (4,))


@pytest.mark.errors
@each_family
def test_wrong_points_are_explained(key):
    transform = make(key)
    name, theta = type(transform).__name__, transform.identity()[None]
    axes = "x, y" if transform.ndim == 2 else "x, y, z"
    for points in (torch.zeros(4, 5), torch.tensor(0.0)):
        expected = f"{name}: `points` must have shape (..., {transform.ndim}), the last axis ({axes}); got {tuple(points.shape)}."
        with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
            transform(theta, points)
    with pytest.raises(TypeError, match=f"^{name}: `points` must have a floating dtype; got torch.int64."):
        transform(theta, torch.zeros(4, transform.ndim, dtype=torch.long))
    with pytest.raises(ValueError, match=f"^{name}: `theta` and `points` must be on one device; got cpu and meta."):
        transform(theta, torch.zeros(4, transform.ndim, device="meta"))


@pytest.mark.errors
@pytest.mark.parametrize("size", [(4,), (4, 5, 6, 7), (4, 0), (4, -1, 2), (4.0, 5.0), 4], ids=str)
def test_wrong_size_is_explained(size):
    with pytest.raises(ValueError, match=re.escape(f"Rigid: `size` must be 2 positive whole numbers (H, W); got {size!r}.")):
        Rigid()(torch.zeros(1, 3), torch.zeros(4, 2), size)
    with pytest.raises(ValueError, match=re.escape(f"Rigid: `size` must be 3 positive whole numbers (D, H, W); got {size!r}.")):
        Rigid(ndim=3)(torch.zeros(1, 6), torch.zeros(4, 3), size)


@pytest.mark.errors
@pytest.mark.parametrize("key", [key for key in FAMILIES if key.endswith("3d")])
@pytest.mark.parametrize("ndim", [1, 4, "2"])
def test_wrong_ndim_is_explained(key, ndim):
    cls, _ = FAMILIES[key]
    with pytest.raises(ValueError, match=f"^{cls.__name__}: `ndim` must be 2 or 3; got {ndim!r}.$"):
        cls(ndim=ndim)


@pytest.mark.errors
def test_attention_of_fixed_scale_says_what_it_cannot():
    with pytest.raises(NotImplementedError, match=r"^Attention: no inverse within a family of fixed scale 0.5.\n  Use Attention\(\) with"):
        Attention(scale=0.5).inverse(torch.zeros(1, 2))
    for scale in (0, -1.0):
        with pytest.raises(ValueError, match=f"^Attention: `scale` must be a positive number or None; got {scale!r}."):
            Attention(scale=scale)
    for scale in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"^Attention: `scale` must be finite in torch.float64; got {scale!r}.$"):
            Attention(scale=scale)
    for scale in ("0.5", [0.5, 0.4], True):
        with pytest.raises(TypeError, match=re.escape(f"Attention: `scale` must be a real number; got {scale!r}.")):
            Attention(scale=scale)
    assert not Attention(scale=0.5).has_identity and Attention(scale=1.0).has_identity and Attention().has_identity


@pytest.mark.errors
@pytest.mark.parametrize("transform", [ThinPlateSpline(), Compose(Rigid(), Affine())])
def test_families_without_inverses_say_so(transform):
    name = type(transform).__name__
    with pytest.raises(NotImplementedError, match=f"^{name}: the inverses of its maps are not of the family.\n  If it has a matrix"):
        transform.inverse(transform.identity()[None])


@pytest.mark.errors
def test_unknown_family_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"^Unknown transform 'afine'. Did you mean 'affine'\? Known: affine, attention, "):
        TRANSFORMS["afine"]


@pytest.mark.errors
def test_restricted_to_nothing_is_refused():
    expected = "^Restricted: `rotation`, `scale` or `translation` must be True; got False for all three.$"
    with pytest.raises(ValueError, match=expected):
        Restricted(rotation=False, scale=False, translation=False)
