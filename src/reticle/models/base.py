"""Which networks can a recipe name? And how does a recipe name the transform inside one?"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..modules import Localizer, SpatialTransformer
from ..registry import Registry
from ..transforms import TRANSFORMS, AbstractTransform

MODELS: Registry[type[nn.Module]] = Registry("model")


def build_transform(transform: str | Mapping[str, Any] | AbstractTransform) -> AbstractTransform:
    """A transform from its registered name, from ``{name: .., **arguments}``, or itself.

    >>> build_transform({"name": "tps", "lattice": (3, 3)}).num_params
    18
    """
    if isinstance(transform, AbstractTransform):
        return transform
    if isinstance(transform, str):
        return TRANSFORMS[transform]()
    if not isinstance(transform, Mapping) or "name" not in transform:
        raise ValueError(f"`transform` must be a name, a mapping with 'name', or a transform; got {transform!r}.")
    arguments = {key: value for key, value in transform.items() if key != "name"}
    return TRANSFORMS[transform["name"]](**arguments)


def transformer_of(
    features: nn.Module,
    num_features: int,
    transform: str | Mapping[str, Any] | AbstractTransform,
    sampler: Mapping[str, Any] | None,
    start: Sequence[float] | None = None,
) -> SpatialTransformer:
    """A spatial transformer as a recipe describes it.

    ``sampler`` holds further arguments of :class:`reticle.SpatialTransformer`, ``start`` the ``theta`` before training.
    """
    family = build_transform(transform)
    return SpatialTransformer(Localizer(features, num_features, family, start_of(start)), family, **(sampler or {}))


def start_of(theta: Sequence[float] | None) -> Tensor | None:
    """``theta`` before training as localisers take it."""
    if theta is None:
        return None
    if not isinstance(theta, Sequence) or not all(isinstance(number, int | float) for number in theta):
        raise ValueError(f"`start` must be a list of numbers, one for each parameter of the transform; got {theta!r}.")
    return torch.tensor(theta, dtype=torch.get_default_dtype())


def output_shape(transformer: SpatialTransformer, input_shape: Sequence[int]) -> tuple[int, ...]:
    """Shape ``(C, *size)`` of what comes out of ``transformer`` for one image or volume."""
    return input_shape[0], *(transformer.output_size or input_shape[1:])


def width_of(features: nn.Module, input_shape: Sequence[int]) -> int:
    """Length of the output of ``features`` for one image or volume."""
    with torch.no_grad():
        return features(torch.zeros(1, *input_shape)).shape[1]
