"""What can torch's own sampler do, and what must be kept from it? It is fast, and crashes on coordinates that it did not expect."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from ..grid import coordinate_dtype
from .modes import Mode, find_mode
from .padding import settle
from .reference import narrow, same_batch

if TYPE_CHECKING:
    from .backends import Spec


def refuses(s: "Spec") -> str | None:
    """Why torch cannot do the call, or None."""
    if s.device == "cuda" and torch.are_deterministic_algorithms_enabled():
        return "has no deterministic gradient on a GPU"
    if s.mode == "nearest":
        return "rounds half to even in nearest mode, not up"
    if s.mode not in ("bilinear", "bicubic"):
        return f"has no {s.mode if isinstance(s.mode, str) else 'user-defined'} mode"
    if s.padding_mode not in ("zeros", "border", "reflection"):
        return f"has no {s.padding_mode} padding"
    if s.forward_mode:
        return "has no forward mode"
    if s.ndim == 1 or (s.ndim == 3 and s.mode == "bicubic"):
        return f"has no {s.mode} mode in {s.ndim}-D"
    return None


def sample_aten(
    input: Shaped[Tensor, "#b c *size"],
    grid: Float[Tensor, "#b *out d"],
    mode: str | Mode,
    padding_mode: str,
    align_corners: bool,
    fill: Tensor | None,
) -> Shaped[Tensor, "b c *out"]:
    """:func:`torch.nn.functional.grid_sample`, guarded.

    Unguarded, its backward reads and writes outside the image for NaN and huge coordinates, and its 16-bit form computes offsets in
    16 bits, beyond 32,767 pixels outside the image too. So coordinates are settled first and 16-bit tensors are widened.
    """
    input, grid = same_batch(input, grid)
    dtype = coordinate_dtype(input.dtype, grid.dtype)
    support, size = find_mode(mode).support, input.shape[2:]
    safe = settle(grid.to(dtype), size, padding_mode, align_corners, support)
    output = F.grid_sample(input.to(dtype), safe, str(mode), padding_mode, align_corners)
    if padding_mode == "zeros" and align_corners and 1 in size:
        # along such an axis every point lies on its only pixel, so no settled coordinate can be outside
        output = torch.where(grid.isfinite().all(-1)[:, None], output, 0)
    return narrow(output, input.dtype)
