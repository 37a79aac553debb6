"""The sampler for GPUs, in Triton: is it here, what does it take, and how is it called? Its arithmetic is in ``triton_kernels/``.

``triton`` is imported when the first call on a GPU arrives. Where it is missing, nothing else changes.
"""

import importlib.util
import os
from typing import TYPE_CHECKING

import torch

from . import operators
from .native_rules import new_like, new_output, register

if TYPE_CHECKING:
    from .backends import Spec

# Triton's own switch: kernels are then run by an interpreter in Python, for tests, on tensors of the CPU
INTERPRETED = os.environ.get("TRITON_INTERPRET", "0") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
_HOW = "int mode_id, int padding_id, bool align_corners, Tensor? fill"
_LIBRARY = torch.library.Library("reticle", "FRAGMENT")
_known: dict[str, str | None] = {}


def why_not() -> str | None:
    """Import the kernels, once; None, or in words why there are none. Nothing is raised or printed."""
    if "reason" not in _known:
        _known["reason"] = _load()
    return _known["reason"]


# the compiler is to ask, not to trace: torch.compiler.assume_constant_result, which would load the compiler here
why_not.__dict__["_dynamo_marked_constant"] = True


def _load() -> str | None:
    if os.environ.get("RETICLE_TRITON", "") == "0":
        return "is switched off by RETICLE_TRITON=0"
    if importlib.util.find_spec("triton") is None:
        return "needs the module triton, which is not installed"
    try:
        from .triton_kernels import launch  # noqa: F401
    except (ImportError, OSError, RuntimeError, AttributeError) as error:  # what half an installation raises
        return f"cannot be imported: {error}"
    return None


def version() -> str:
    """Of Triton, for those who want to know what runs."""
    import triton

    return f"{triton.__version__}, interpreted" if INTERPRETED else triton.__version__


def refuses(s: "Spec") -> str | None:
    """Why the kernels cannot do the call, or None."""
    return lacks(s) or why_not()


def lacks(s: "Spec") -> str | None:
    """Why they cannot do the call wherever Triton is, or None."""
    if s.device != DEVICE:
        return f"computes on {DEVICE} tensors, not on {s.device}" if INTERPRETED else f"computes on GPUs, not on {s.device}"
    return operators.lacks(s)


def _forward_into(input, where, mode, padding, align_corners, fill, output):
    from .triton_kernels import launch

    launch.forward_into(input, where, mode, padding, align_corners, fill, output)


def _warp(input, matrix, output_size, mode, padding, align_corners, fill):
    output = new_output(input, matrix, output_size)
    _forward_into(input, matrix, mode, padding, align_corners, fill, output)
    return output


def _grid_sample(input, grid, mode, padding, align_corners, fill):
    output = new_output(input, grid, grid.shape[1:-1])
    _forward_into(input, grid, mode, padding, align_corners, fill, output)
    return output


def _backward(grad, input, where, mode, padding, align_corners, fill, need_input, need_where):
    from .triton_kernels import launch

    to_input = new_like(input, input.shape) if need_input else None
    grad_input, grad_where = launch.gradients(grad, input, where, mode, padding, align_corners, fill, to_input, need_where)
    return input.new_empty(0) if grad_input is None else grad_input, where.new_empty(0) if grad_where is None else grad_where


def _define() -> None:
    """The operators; that they are known does not need Triton, so that exported programs can be read anywhere."""
    for name, where, size, function in (
        ("triton_warp", "matrix", "SymInt[] output_size, ", _warp),
        ("triton_grid_sample", "grid", "", _grid_sample),
    ):
        _LIBRARY.define(f"{name}(Tensor input, Tensor {where}, {size}{_HOW}) -> Tensor")
        _LIBRARY.define(f"{name}_into(Tensor input, Tensor {where}, {_HOW}, Tensor(a!) output) -> ()")
        _LIBRARY.define(
            f"{name}_backward(Tensor grad, Tensor input, Tensor {where}, {_HOW}, bool need_input, bool need_where) -> (Tensor, Tensor)"
        )
        for end, implementation in (("", function), ("_into", _forward_into), ("_backward", _backward)):
            _LIBRARY.impl(name + end, implementation, DEVICE.upper())
        register(name)


_define()
