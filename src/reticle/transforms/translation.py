"""Translations: the window moves."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .base import TRANSFORMS, AbstractMatrixTransform, check_ndim, join


@TRANSFORMS.register("translation")
class Translation(AbstractMatrixTransform):
    r"""Move the window: ``theta = (t_x, t_y[, t_z])`` in normalised units (1 = half the image).

    .. math:: x^s = x^t + t

    Args:
        ndim: 2 for images, 3 for volumes.

    >>> Translation()(torch.tensor([[0.5, -0.25]]), torch.tensor([[0.25, 1.0]]))
    tensor([[[0.7500, 0.7500]]])

    Reference: Jaderberg et al. 2015, sec. 3.2 (constrained affine).
    """

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.ndim = self.num_params = check_ndim("Translation", ndim)

    def identity(self) -> Float[Tensor, " p"]:
        return torch.zeros(self.num_params)

    def entries(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b d d+1"]:
        eye = torch.eye(self.ndim, dtype=theta.dtype, device=theta.device)
        return join(eye.expand(theta.shape[0], -1, -1), theta)

    def inverted(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b p"]:
        return -theta
