"""The compiled sampler for CPUs: is it here, what does it take, and the shortest way into it. Its arithmetic is in ``csrc/``."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from .native_rules import MODES, PADDING_MODES, register, run

if TYPE_CHECKING:
    from .backends import Spec

_HERE = Path(__file__).parent
_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8)
_MODE_IDS = {name: i for i, name in enumerate(MODES)}
_PADDING_IDS = {name: i for i, name in enumerate(PADDING_MODES)}


def _load() -> str | None:
    """Load the library; None, or in words why there is none. Nothing is raised, printed or compiled."""
    wanted = os.environ.get("RETICLE_NATIVE", "")
    if wanted == "0":
        return "is switched off by RETICLE_NATIVE=0"
    library, note = Path(wanted or _HERE / "_native.so"), _HERE / "_native.txt"
    if not library.is_file():
        return note.read_text(encoding="utf-8").strip() if note.is_file() else f"was not built: there is no {library.name}"
    try:
        torch.ops.load_library(library)
    except OSError as error:
        return f"cannot be loaded: {error}"
    for name in ("warp", "grid_sample"):
        register(name)
    return None


# a plain constant, which torch.compile can read: a function that remembers its answer it cannot trace
WHY_NOT = _load()


def refuses(s: "Spec") -> str | None:
    """Why the compiled sampler cannot do the call, or None."""
    return WHY_NOT or lacks(s)


def lacks(s: "Spec") -> str | None:
    """Why it cannot do the call wherever it was built, or None."""
    if s.device != "cpu":
        return f"computes on the CPU, not on {s.device}"
    if s.mode not in _MODE_IDS:
        return f"has no {s.mode if isinstance(s.mode, str) else 'user-defined'} mode"
    if s.dtype not in _DTYPES:
        return f"has no {s.dtype}"
    if s.learns_value:
        return "has no gradient to `value`"
    return None


def instruction_set() -> str:
    """What the kernels were compiled for that run here: ``"avx2"`` or ``"baseline"``."""
    return torch.ops.reticle.instruction_set()


def sample_native(
    input: Shaped[Tensor, "#b c *size"],
    grid: Float[Tensor, "#b *out d"],
    mode: str,
    padding_mode: str,
    align_corners: bool,
    fill: Tensor | None,
    out: Tensor | None = None,
) -> Shaped[Tensor, "b c *out"]:
    """The sample at the points of a grid of any strides."""
    return run("grid_sample", input, grid, (_MODE_IDS[mode], _PADDING_IDS[padding_mode], align_corners), fill, out)


def warp_native(
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
    how = (output_size, _MODE_IDS[mode], _PADDING_IDS[padding_mode], align_corners)
    return run("warp", input, matrix, how, fill, out)
