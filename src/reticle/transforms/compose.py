"""Composition: several families one after the other, one resampling."""

import functools
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import product, to_homogeneous
from .base import AbstractTransform


class Compose(AbstractTransform):
    r"""The map :math:`T_1(\theta_1) \circ T_2(\theta_2) \circ \dots`; ``theta`` is ``(theta_1, theta_2, ..)`` end to end.

    Maps run from target to source, so the *last* one sees the target points first.

    Args:
        transforms: at least one, all with the same ``ndim``.

    >>> zoom_then_shift = Compose(Translation(), Attention())  # x -> s x + t_2 -> s x + t_2 + t_1
    >>> theta = torch.tensor([[0.5, 0.0, math.log(2), 0.1, 0.2]])
    >>> zoom_then_shift(theta, torch.tensor([[1.0, -1.0]])).round(decimals=4)
    tensor([[[ 2.6000, -1.8000]]])

    Reference: Lin & Lucey 2017, sec. 3 (warps are composed, images are resampled once).
    """

    def __init__(self, *transforms: AbstractTransform) -> None:
        super().__init__()
        if not transforms or not all(isinstance(t, AbstractTransform) for t in transforms):
            raise ValueError(f"Compose: `transforms` must be one or more transforms; got {transforms!r}.")
        if len({t.ndim for t in transforms}) > 1:
            raise ValueError(f"Compose: `transforms` must have one ndim; got {[t.ndim for t in transforms]}.")
        self.transforms = torch.nn.ModuleList(transforms)
        self.ndim = transforms[0].ndim
        self.num_params = sum(t.num_params for t in transforms)
        self.has_identity = all(t.has_identity for t in transforms)

    def identity(self) -> Float[Tensor, " p"]:
        return torch.cat([t.identity() for t in self._members()])

    def move(
        self, theta: Float[Tensor, "b p"], points: Float[Tensor, "#b n d"], size: Sequence[int] | None = None
    ) -> Float[Tensor, "b n d"]:
        for transform, part in reversed(self._parts(theta)):
            # a point that one map sends to infinity stays there: 0 times infinity would make NaN of gradients
            seen = points.isfinite().all(-1, keepdim=True)
            points = torch.where(seen, transform.move(part, torch.where(seen, points, 0), size), torch.inf)
        return points

    def matrix(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None = None) -> Float[Tensor, "b c c"]:
        """The product of the matrices, ``(B, D+1, D+1)``, if every part has one.

        Of several projective parts it shows again what lay behind one viewer but before the last; :meth:`move` does not.
        """
        self._check(theta, size)
        first, *rest = (to_homogeneous(t.matrix(part, size)) for t, part in self._parts(theta))
        return functools.reduce(product, rest, first)

    def _parts(self, theta: Float[Tensor, "b p"]) -> list[tuple[AbstractTransform, Tensor]]:
        members = self._members()
        return list(zip(members, theta.split([t.num_params for t in members], dim=1), strict=True))

    def _members(self) -> list[AbstractTransform]:
        return [cast(AbstractTransform, t) for t in self.transforms]
