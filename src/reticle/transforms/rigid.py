"""Rigid motions: rotation and translation."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import product
from .base import TRANSFORMS, AbstractMatrixTransform, check_ndim, join
from .rotation import NUM_ANGLES, rotation


@TRANSFORMS.register("rigid")
class Rigid(AbstractMatrixTransform):
    r"""Turn and move the window: ``theta = (angle, t_x, t_y)``, in 3-D ``(r_x, r_y, r_z, t_x, t_y, t_z)``.

    .. math:: x^s = S^{-1} R(\alpha)\, S\, x^t + t, \qquad S = \mathrm{diag}(W, H)

    ``angle`` is in radians, positive turning the *source* point from +x towards +y (clockwise on screen), in pixels: with ``size``
    given, squares stay squares on images that are not square. In 3-D ``r`` is the rotation vector: axis times angle.
    ``t`` is in normalised units.

    Args:
        ndim: 2 for images, 3 for volumes.

    >>> theta = torch.tensor([[math.atan2(0.6, 0.8), 0.1, -0.2]])
    >>> Rigid()(theta, torch.tensor([[1.0, 0.5]])).round(decimals=4)  # .8 - .3 + .1, .6 + .4 - .2
    tensor([[[0.6000, 0.8000]]])

    Reference: Jaderberg et al. 2015, sec. 3.2 (constrained affine).
    """

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.ndim = check_ndim("Rigid", ndim)
        self.num_params = NUM_ANGLES[ndim] + ndim

    def identity(self) -> Float[Tensor, " p"]:
        return torch.zeros(self.num_params)

    def entries(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b d d+1"]:
        return join(rotation(theta[:, : -self.ndim], size), theta[:, -self.ndim :])

    def inverted(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b p"]:
        angle, t = theta[:, : -self.ndim], theta[:, -self.ndim :]
        back = rotation(-angle, size)
        return torch.cat([-angle, -product(back, t[..., None])[..., 0]], dim=1)
