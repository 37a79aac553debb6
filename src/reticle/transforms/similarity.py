"""Similarities: rotation, isotropic scale and translation."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import product
from .base import TRANSFORMS, AbstractMatrixTransform, check_ndim, join, positive
from .rotation import NUM_ANGLES, rotation


@TRANSFORMS.register("similarity")
class Similarity(AbstractMatrixTransform):
    r"""Turn, zoom and move the window: ``theta = (angle, log_scale, t_x, t_y)``, in 3-D ``(r_x, r_y, r_z, log_scale, t_x, t_y, t_z)``.

    .. math:: x^s = e^{\sigma} S^{-1} R(\alpha)\, S\, x^t + t, \qquad S = \mathrm{diag}(W, H)

    ``angle`` is in radians, positive turning the *source* point from +x towards +y (clockwise on screen), in pixels: with ``size``
    given, squares stay squares on images that are not square. In 3-D ``r`` is the rotation vector: axis times angle.
    ``log_scale`` keeps the scale positive; 0 is scale 1, and beyond ±30 it counts as ±30. ``t`` is in normalised units (1 = half the
    image).

    Args:
        ndim: 2 for images, 3 for volumes.

    >>> theta = torch.tensor([[math.atan2(0.6, 0.8), math.log(2), 0.1, -0.2]])
    >>> Similarity()(theta, torch.tensor([[1.0, 0.5]])).round(decimals=4)  # 2(.8 - .3) + .1, 2(.6 + .4) - .2
    tensor([[[1.1000, 1.8000]]])

    Reference: Jaderberg et al. 2015, sec. 3.2 (constrained affine).
    """

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.ndim = check_ndim("Similarity", ndim)
        self.num_params = NUM_ANGLES[ndim] + 1 + ndim

    def identity(self) -> Float[Tensor, " p"]:
        return torch.zeros(self.num_params)

    def entries(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b d d+1"]:
        angle, log_scale, t = self._split(theta)
        return join(positive(log_scale)[..., None] * rotation(angle, size), t)

    def inverted(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b p"]:
        angle, log_scale, t = self._split(theta)
        back = positive(-log_scale)[..., None] * rotation(-angle, size)
        return torch.cat([-angle, -log_scale, -product(back, t[..., None])[..., 0]], dim=1)

    def _split(self, theta: Float[Tensor, "b p"]) -> tuple[Tensor, ...]:
        return theta.split([NUM_ANGLES[self.ndim], 1, self.ndim], dim=1)
