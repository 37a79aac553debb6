"""The compiled sampler for CPUs: is it here, what does it take, and the shortest way into it. Its arithmetic is in ``csrc/``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from . import operators
from .native_rules import register

if TYPE_CHECKING:
    from .backends import Spec

_HERE = Path(__file__).parent


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
    return operators.lacks(s) if s.device == "cpu" else f"computes on the CPU, not on {s.device}"


def instruction_set() -> str:
    """What the kernels were compiled for that run here: ``"avx512vbmi"``, ``"avx512"``, ``"avx2"`` or ``"baseline"``."""
    return torch.ops.reticle.instruction_set()
