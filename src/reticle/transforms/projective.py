"""Projective maps: what a plane does when the camera moves."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .base import TRANSFORMS, AbstractMatrixTransform


@TRANSFORMS.register("projective")
class Projective(AbstractMatrixTransform):
    r"""Homographies of the plane; ``theta`` is the first eight entries of ``H`` row by row, ``h_33 = 1``.

    .. math:: w\,(x^s, y^s, 1)^\top = H_\theta\,(x^t, y^t, 1)^\top, \qquad w = h_{31} x^t + h_{32} y^t + 1

    Where ``w`` is 0 or below the point lies behind the viewer and is sampled as outside.

    Not every map has its inverse in the family: where the viewer of the inverse does not see the centre there is no ``h_33 = 1``, and
    :meth:`inverse` is NaN, every entry of that row. :func:`torch.linalg.inv` of :meth:`matrix` is right there, too.

    >>> theta = torch.tensor([[2.0, 0.2, 0.3, 0.4, 1.0, 0.1, 0.5, 0.5]])
    >>> Projective()(theta, torch.tensor([[1.0, 1.0]]))  # 2.5 / 2, 1.5 / 2
    tensor([[[1.2500, 0.7500]]])

    Reference: Hartley & Zisserman 2004, sec. 2.3; Jaderberg et al. 2015, sec. 3.2.
    """

    num_params = 8

    def identity(self) -> Float[Tensor, "8"]:
        return torch.eye(3).flatten()[:8]

    def entries(self, theta: Float[Tensor, "b 8"], size: Sequence[int] | None) -> Float[Tensor, "b 3 3"]:
        return torch.cat([theta, torch.ones_like(theta[:, :1])], dim=1).unflatten(1, (3, 3))

    def inverted(self, theta: Float[Tensor, "b 8"], size: Sequence[int] | None) -> Float[Tensor, "b 8"]:
        back = torch.linalg.inv(self.entries(theta, size))
        # divided by what is not above 0, all that was seen would lie behind the viewer
        corner = torch.where(back[:, 2:, 2:] > 0, back[:, 2:, 2:], torch.nan)
        return (back / corner).flatten(1)[:, :8]
