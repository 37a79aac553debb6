"""Which networks can a recipe name? And how does a recipe name the transform inside one?"""

from collections.abc import Mapping
from typing import Any

from torch import nn

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
