"""Restricted maps: rotation, scale and translation, each switched on or off, as the traffic-sign experiments had them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import product
from .base import TRANSFORMS, AbstractMatrixTransform, join, positive
from .rotation import rotation


@TRANSFORMS.register("restricted")
class Restricted(AbstractMatrixTransform):
    r"""Turn, zoom and move, or some of these: ``theta`` holds ``(angle, log_scale, t_x, t_y)`` as far as they are switched on.

    .. math:: x^s = e^{\sigma} S^{-1} R(\alpha)\, S\, (x^t + t), \qquad S = \mathrm{diag}(W, H)

    With all three it contains the maps of :class:`Similarity`, whose ``t`` is added last: here the translation comes first and is
    zoomed and turned with the rest. Angles, scales and translations as there; what is switched off stays 0.

    Args:
        rotation, scale, translation: what may vary; at least one.

    >>> Restricted(rotation=False)(torch.tensor([[math.log(2), 0.1, -0.2]]), torch.tensor([[1.0, 0.5]])).round(decimals=4)
    tensor([[[2.2000, 0.6000]]])

    Reference: Moodstocks 2015 (``--rot``, ``--sca``, ``--tra``).
    """

    def __init__(self, *, rotation: bool = True, scale: bool = True, translation: bool = True) -> None:
        super().__init__()
        if not (rotation or scale or translation):
            raise ValueError("Restricted: `rotation`, `scale` or `translation` must be True; got False for all three.")
        self.rotation, self.scale, self.translation = rotation, scale, translation
        self.num_params = bool(rotation) + bool(scale) + 2 * bool(translation)

    def identity(self) -> Float[Tensor, " p"]:
        return torch.zeros(self.num_params)

    def entries(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b 2 3"]:
        angle, log_scale, t = self._split(theta)
        linear = positive(log_scale)[..., None] * rotation(angle, size)
        return join(linear, product(linear, t[..., None])[..., 0])

    def inverted(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b p"]:
        angle, log_scale, t = self._split(theta)
        # y = L (x + t) is undone by x = L^-1 (y - L t)
        moved = product(positive(log_scale)[..., None] * rotation(angle, size), t[..., None])[..., 0]
        switched = zip((-angle, -log_scale, -moved), (self.rotation, self.scale, self.translation), strict=True)
        return torch.cat([part for part, on in switched if on], dim=1)

    def _split(self, theta: Float[Tensor, "b p"]) -> tuple[Tensor, Tensor, Tensor]:
        """Angle, logarithm of the scale and translation, 0 where they are switched off."""
        parts, start = [], 0
        for on, width in ((self.rotation, 1), (self.scale, 1), (self.translation, 2)):
            parts.append(theta[:, start : start + width] if on else theta.new_zeros(theta.shape[0], width))
            start += width * bool(on)
        return parts[0], parts[1], parts[2]
