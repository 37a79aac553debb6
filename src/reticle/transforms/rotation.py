"""How does an angle become a matrix? Rotations that keep angles in pixels, also where the axes have different lengths."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

NUM_ANGLES = {2: 1, 3: 3}
"""An angle in 2-D; a rotation vector (axis times angle) in 3-D."""
_FAR = 1e150  # a component of a rotation vector counts as no more


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
    """Rodrigues 1840, with the angle in functions of its square alone: these have all derivatives at 0 too, the angle has none."""
    # in double: the squares of all singles fit. Of doubles not all do; what is infinite stays so
    wide = vector.double()
    v = torch.where(wide.isfinite(), wide.clamp(-_FAR, _FAR), wide)
    square = v.square().sum(-1)
    sine, versine = _sinc(square), _sinc(square / 4).square() / 2  # sin(a) / a, (1 - cos(a)) / a^2
    x, y, z = (v * sine[:, None]).unbind(-1)
    zero = torch.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    skew = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    cosine = torch.diag_embed((1 - versine * square)[:, None].expand_as(v))
    return (cosine + skew + (v * versine[:, None])[:, :, None] * v[:, None, :]).to(vector.dtype)


def _sinc(square: Tensor) -> Tensor:
    """sin(a) / a as a function of a^2."""
    near = square < 0.25  # the series errs by less than 1e-19 there
    small, angle = torch.where(near, square, 0), torch.where(near, 1, square).sqrt()
    series = torch.ones_like(square)
    for factor in (210, 156, 110, 72, 42, 20, 6):
        series = 1 - small / factor * series
    return torch.where(near, series, angle.sin() / angle)
