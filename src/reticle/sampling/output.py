"""Where does a result go? Into new memory, or into a tensor that the caller gave as ``out``."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from ..checks import check_device, check_tensor
from .backends import Backend
from .modes import Mode


def check_out(fn: str, out: Tensor, size: Sequence[int], mode: str | Mode, tensors: dict[str, Tensor | None]) -> None:
    """Raise unless ``out`` can hold a result of ``size``, in the dtype and on the device of the input, and nothing needs a gradient."""
    check_tensor(fn, "out", out)
    input = tensors["input"]
    assert input is not None
    check_device(fn, "input", input, "out", out)
    if tuple(out.shape) != tuple(size):
        raise ValueError(f"{fn}: `out` must have shape {tuple(size)}; got {tuple(out.shape)}.")
    if out.dtype != input.dtype:
        raise TypeError(f"{fn}: `out` must have the dtype of `input`, {input.dtype}; got {out.dtype}.")
    if torch.is_grad_enabled():
        learned = {"mode": next(mode.parameters(), None)} if isinstance(mode, Mode) else {}
        for name, x in {**tensors, **learned, "out": out}.items():
            if x is not None and x.requires_grad:
                raise ValueError(
                    f"{fn}: `out` must not be given while gradients are recorded; got `{name}` that requires them.\n"
                    "  Call it inside torch.no_grad(), or without `out`."
                )
    if not torch.compiler.is_compiling() and not out.is_contiguous() and overlaps_itself(out):
        raise ValueError(f"{fn}: `out` must have memory of its own for each element; got strides {out.stride()}.\n  Give out.contiguous().")


def overlaps_itself(x: Tensor) -> bool:
    """Whether two elements may share memory."""
    if 0 in x.shape:
        return False
    reach = 0
    for step, n in sorted((step, n) for step, n in zip(x.stride(), x.shape, strict=True) if n > 1):
        if step <= reach:
            return True
        reach += step * (n - 1)
    return False


def compute(backend: Backend, run: Callable[..., Tensor], args: tuple[Any, ...], out: Tensor | None) -> Tensor:
    """``run(*args)``, written to ``out`` if there is one."""
    if out is None:
        return run(*args)
    tensors = [x for x in args if isinstance(x, Tensor)]
    # what is read while it is written would not be what was meant
    if backend.writes and _is_memory(out, *tensors) and not any(_same_memory(out, x) for x in tensors):
        return run(*args, out=out)
    return out.copy_(run(*args))


def _is_memory(out: Tensor, *inputs: Tensor) -> bool:
    """Whether ``out`` holds its numbers as they are, and no transformation of torch wants to know what is written there."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return False
    plain = all(type(x) in (Tensor, Parameter) for x in (out, *inputs))  # those without memory, such as FakeTensor, are subclasses
    return plain and not out.is_neg() and not out.is_conj()


def _same_memory(a: Tensor, b: Tensor) -> bool:
    """Whether their storages overlap: two of them may be views of one array, each from another place on."""
    x, y = a.untyped_storage(), b.untyped_storage()
    return x.data_ptr() < y.data_ptr() + y.nbytes() and y.data_ptr() < x.data_ptr() + x.nbytes()
