"""How is an operator of our own called, compiled or in Triton, and which calls can it not do?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from .native_rules import MODES, PADDING_MODES, run

if TYPE_CHECKING:
    from .backends import Spec

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8)
MODE_IDS = {name: i for i, name in enumerate(MODES)}
PADDING_IDS = {name: i for i, name in enumerate(PADDING_MODES)}


def lacks(s: "Spec") -> str | None:
    """Why no such operator does the call, on whatever device, or None."""
    if s.mode not in MODE_IDS:
        return f"has no {s.mode if isinstance(s.mode, str) else 'user-defined'} mode"
    if s.dtype not in DTYPES:
        return f"has no {s.dtype}"
    if s.learns_value:
        return "has no gradient to `value`"
    return None


def sample_by(
    operator: str,
    input: Shaped[Tensor, "#b c *size"],
    grid: Float[Tensor, "#b *out d"],
    mode: str,
    padding_mode: str,
    align_corners: bool,
    fill: Tensor | None,
    out: Tensor | None = None,
) -> Shaped[Tensor, "b c *out"]:
    """The sample at the points of a grid of any strides."""
    return run(operator, input, grid, (MODE_IDS[mode], PADDING_IDS[padding_mode], align_corners), fill, out)


def warp_by(
    operator: str,
    input: Shaped[Tensor, "#b c *size"],
    matrix: Float[Tensor, "#b r s"],
    output_size: Sequence[int],
    mode: str,
    padding_mode: str,
    align_corners: bool,
    fill: Tensor | None,
    out: Tensor | None = None,
) -> Shaped[Tensor, "b c *out"]:
    """The sample under a matrix; no grid is stored."""
    return run(operator, input, matrix, (output_size, MODE_IDS[mode], PADDING_IDS[padding_mode], align_corners), fill, out)
