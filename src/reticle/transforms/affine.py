"""Affine maps: the six-parameter family of the paper, twelve in 3-D."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import product
from .base import TRANSFORMS, AbstractMatrixTransform, check_ndim, join


@TRANSFORMS.register("affine")
class Affine(AbstractMatrixTransform):
    r"""Any affine map: ``theta`` is the matrix ``A`` row by row, ``(a_11, a_12, t_x, a_21, a_22, t_y)``.

    .. math:: x^s = A_\theta\,(x^t, y^t, 1)^\top

    Translation, rotation, scale and shear, and, unguarded, reflection. The entries act on normalised coordinates; ``size`` changes nothing.

    Args:
        ndim: 2 for images (6 parameters), 3 for volumes (12).

    >>> Affine()(torch.tensor([[1.0, 2, 3, 4, 5, 6]]), torch.tensor([[1.0, -1]]))  # 1 - 2 + 3, 4 - 5 + 6
    tensor([[[2., 5.]]])

    Reference: Jaderberg et al. 2015, eq. (1).
    """

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.ndim = check_ndim("Affine", ndim)
        self.num_params = ndim * (ndim + 1)

    def identity(self) -> Float[Tensor, " p"]:
        return torch.eye(self.ndim, self.ndim + 1).flatten()

    def entries(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b d d+1"]:
        return theta.unflatten(1, (self.ndim, self.ndim + 1))

    def inverted(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b p"]:
        matrix = self.entries(theta, size)
        linear = torch.linalg.inv(matrix[..., : self.ndim])
        return join(linear, -product(linear, matrix[..., self.ndim :])[..., 0]).flatten(1)
