"""Attention: isotropic scale and translation, nothing else."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..checks import check_number
from .base import TRANSFORMS, AbstractMatrixTransform, check_ndim, join, positive


@TRANSFORMS.register("attention")
class Attention(AbstractMatrixTransform):
    r"""Crop, zoom and pan: ``theta = (log_scale, t_x, t_y[, t_z])``, or ``(t_x, t_y[, t_z])`` with a fixed scale.

    .. math:: A_\theta = \begin{pmatrix} s & 0 & t_x \\ 0 & s & t_y \end{pmatrix}, \qquad s = e^{\sigma}

    ``s < 1`` zooms in (a window of relative size ``s`` fills the output). ``t`` is the window's centre in normalised units.
    The logarithm keeps ``s`` positive, so the window can neither vanish nor flip; beyond ±30 it counts as ±30.

    Args:
        scale: fix ``s`` to this number, as the birds experiment does with 0.5. Such a family has no identity and no inverse
            (unless ``s = 1``): its :meth:`identity` is the centred window.
        ndim: 2 for images, 3 for volumes.

    >>> half_window = torch.tensor([[math.log(0.5), 0.2, -0.4]])
    >>> Attention()(half_window, torch.tensor([[1.0, 0.5]])).round(decimals=4)
    tensor([[[ 0.7000, -0.1500]]])

    Reference: Jaderberg et al. 2015, eq. (2); sec. 4.3 for the fixed scale.
    """

    def __init__(self, scale: float | None = None, *, ndim: int = 2) -> None:
        super().__init__()
        if scale is not None:
            check_number("Attention", "scale", scale)
            if scale <= 0:
                small = "0.5 is a window of half the size."
                raise ValueError(f"Attention: `scale` must be a positive number or None; got {scale!r}.\n  {small}")
        self.ndim, self.scale = check_ndim("Attention", ndim), scale
        self.num_params = ndim + (scale is None)
        self.has_identity = scale in (None, 1)

    def identity(self) -> Float[Tensor, " p"]:
        return torch.zeros(self.num_params)

    def entries(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b d d+1"]:
        scale = positive(theta[:, :1]) if self.scale is None else torch.full_like(theta[:, :1], self.scale)
        return join(torch.diag_embed(scale.expand(-1, self.ndim)), theta[:, -self.ndim :])

    def inverted(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b p"]:
        if not self.has_identity:
            raise NotImplementedError(
                f"Attention: no inverse within a family of fixed scale {self.scale}.\n  Use Attention() with a free scale."
            )
        if self.scale is not None:
            return -theta
        return torch.cat([-theta[:, :1], -theta[:, 1:] / positive(theta[:, :1])], dim=1)
