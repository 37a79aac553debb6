"""How does an angle become a matrix? Rotations that keep angles in pixels, also where the axes have different lengths."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

NUM_ANGLES = {2: 1, 3: 3}
"""An angle in 2-D; a rotation vector (axis times angle) in 3-D."""


def rotation(angle: Float[Tensor, "b a"], size: Sequence[int] | None) -> Float[Tensor, "b d d"]:
    r"""The rotation in normalised coordinates that is a true rotation in pixels.

    .. math:: S^{-1} R(\alpha)\, S, \qquad S = \mathrm{diag}(W, H[, D])

    Args:
        angle: ``(B, 1)``, radians from +x to +y; or ``(B, 3)``, a rotation vector, right-handed: about +z it turns +x to +y.
        size: lengths of the source axes in pixels, ``(H, W)`` or ``(D, H, W)``; ``None`` means all equal.
    """
    turn = _plane(angle[:, 0]) if angle.shape[1] == 1 else _space(angle)
    if size is None:
        return turn
    lengths = torch.stack([turn.new_full((), n) for n in reversed(size)])  # not new_tensor: it would freeze the size on export
    return turn * (lengths[None, :] / lengths[:, None])


def _plane(angle: Float[Tensor, " b"]) -> Float[Tensor, "b 2 2"]:
    c, s = angle.cos(), angle.sin()
    return torch.stack([torch.stack([c, -s], dim=-1), torch.stack([s, c], dim=-1)], dim=-2)


def _space(vector: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    skew = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    # the closed form divides by the angle, which is 0 at the identity; the exponential has no such point.
    # in double, which autocast and TF32 leave alone
    return torch.matrix_exp(skew.double()).to(vector.dtype)
