"""How does the library speak of a wrong argument? One voice: which argument, what it must be, what it was, the likely fix.

Only static facts are checked (shape, dtype, device): a look at values would wait for the device and break compiled graphs.
"""

from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import cast

import torch
from torch import Tensor

_INPUT = "(B, C, W), (B, C, H, W) or (B, C, D, H, W)"


def check_shape(fn: str, name: str, x: Tensor, shape: str, *, hint: str = "", **sizes: int) -> None:
    """Raise ValueError unless ``x`` has ``shape``, such as ``"B N 2"``: digits and the given ``sizes`` bind, other letters are free.

    >>> check_shape("f", "theta", torch.zeros(2, 5), "B P", P=6)
    Traceback (most recent call last):
    ValueError: f: `theta` must have shape (B, P), P = 6; got (2, 5).
    """
    check_tensor(fn, name, x)
    want = shape.split()
    bound = [int(w) if w.isdigit() else sizes.get(w) for w in want]
    if len(want) == x.ndim and all(b is None or b == n for b, n in zip(bound, x.shape, strict=True)):
        return
    given = "".join(f", {k} = {v}" for k, v in sizes.items() if k in want)
    raise ValueError(f"{fn}: `{name}` must have shape ({', '.join(want)}){given}; got {tuple(x.shape)}.{_second_line(hint)}")


def check_tensor(fn: str, name: str, x: object) -> None:
    """Raise TypeError unless ``x`` is a tensor, and ValueError unless its layout is dense."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{fn}: `{name}` must be a tensor; got {type(x).__name__}.")
    if x.layout is not torch.strided:
        raise ValueError(f"{fn}: `{name}` must be dense; got {x.layout}.\n  Convert it first with {name}.to_dense().")


def check_floating(fn: str, name: str, x: Tensor) -> None:
    """Raise TypeError unless ``x`` is a tensor of a real floating dtype of 16 bits or more."""
    check_tensor(fn, name, x)
    if not computes(x.dtype):
        wide = " of 16 bits or more" if x.dtype.is_floating_point else ""
        raise TypeError(f"{fn}: `{name}` must have a floating dtype{wide}; got {x.dtype}.\n  Convert it first, for example {name}.float().")


def computes(dtype: torch.dtype) -> bool:
    """Whether it is a real floating dtype of 16 bits or more: torch computes nothing in narrower ones."""
    return dtype.is_floating_point and dtype.itemsize > 1


def check_input(fn: str, input: Tensor, *, whole: bool = False) -> None:
    """Raise unless ``input`` is a floating batch of signals, images or volumes with at least one pixel each; ``whole``: or of bytes."""
    check_tensor(fn, "input", input)
    if not computes(input.dtype) and not (whole and input.dtype == torch.uint8):
        allowed = "a floating dtype" + " of 16 bits or more" * input.dtype.is_floating_point + " or torch.uint8" * whole
        raise TypeError(f"{fn}: `input` must have {allowed}; got {input.dtype}.\n  Convert it first, for example input.float().")
    if input.ndim not in (3, 4, 5):
        raise ValueError(f"{fn}: `input` must have shape {_INPUT}; got {tuple(input.shape)}.\n  Add missing axes with input[None].")
    if 0 in input.shape[2:]:
        raise ValueError(f"{fn}: `input` must have at least one pixel along every axis; got {tuple(input.shape)}.")


def check_device(fn: str, a: str, x: Tensor, b: str, y: Tensor) -> None:
    """Raise ValueError unless ``x`` and ``y`` live on one device."""
    if x.device != y.device:
        raise ValueError(f"{fn}: `{a}` and `{b}` must be on one device; got {x.device} and {y.device}.\n  Move one with .to(device).")


def check_batch(fn: str, a: str, x: Tensor, b: str, y: Tensor) -> None:
    """Raise ValueError unless the first axes of ``x`` and ``y`` are equal or one of them is 1."""
    m, n = x.shape[0], y.shape[0]
    if m != n and 1 not in (m, n):
        raise ValueError(f"{fn}: `{a}` and `{b}` must have the same batch size, or one of them 1; got {m} and {n}.")


def check_size(fn: str, name: str, size: Sequence[int], ndim: int | None = None) -> tuple[int, ...]:
    """Return ``size`` as a tuple, or raise ValueError unless it holds positive whole numbers, ``ndim`` of them if given."""
    right = isinstance(size, Sequence) and (ndim is None or len(size) == ndim) and len(size) > 0
    # what is compiled, exported or traced for any size is not a number yet
    open_ended = (torch.SymInt, Tensor) if torch.jit.is_tracing() else (torch.SymInt,)
    if right and all(isinstance(n, (Integral, *open_ended)) and not isinstance(n, bool) and n > 0 for n in size):
        return tuple(n if isinstance(n, open_ended) else int(n) for n in size)
    count = f"{ndim} " if ndim else ""
    axes = {1: "(W,)", 2: "(H, W)", 3: "(D, H, W)"}.get(ndim or 0, "(H, W) or (D, H, W)")
    raise ValueError(f"{fn}: `{name}` must be {count}positive whole numbers {axes}; got {size!r}.")


def check_positive_int(fn: str, name: str, n: object) -> None:
    """Raise ValueError unless ``n`` is a whole number of at least 1."""
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise ValueError(f"{fn}: `{name}` must be a whole number of at least 1; got {n!r}.")


def check_bool(fn: str, name: str, value: object) -> None:
    """Raise TypeError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{fn}: `{name}` must be True or False; got {value!r}.")


def check_number(fn: str, name: str, value: object) -> None:
    """Raise TypeError unless ``value`` is a real number, and ValueError unless it is finite."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{fn}: `{name}` must be a real number; got {value!r}.")
    check_finite(fn, name, value)


def check_numbers(fn: str, name: str, value: object) -> None:
    """Raise TypeError unless ``value`` is a real number, or a sequence, an array or a dense tensor of them."""
    if isinstance(value, Tensor):
        check_tensor(fn, name, value)
    if not _is_real(value):
        got = value.dtype if isinstance(value, Tensor) else repr(value)
        raise TypeError(f"{fn}: `{name}` must be a real number, or a sequence or tensor of real numbers; got {got}.")


def _is_real(x: object) -> bool:
    if isinstance(x, Tensor):
        return not x.dtype.is_complex
    if isinstance(x, Sequence):
        return not isinstance(x, str | bytes) and all(map(_is_real, x))
    # under torch.compile a number may be a symbol; of an array the dtype tells
    return isinstance(x, (Real, torch.SymFloat, torch.SymInt)) or getattr(getattr(x, "dtype", None), "kind", "") in ("b", "i", "u", "f")


def check_finite(fn: str, name: str, value: object, dtype: torch.dtype = torch.float64) -> None:
    """Raise ValueError unless the numbers in ``value``, one or several, are finite in ``dtype``. Tensors pass: a look would wait."""
    largest = torch.finfo(dtype).max
    if not all(abs(number) <= largest for number in _numbers(value)):
        raise ValueError(f"{fn}: `{name}` must be finite in {dtype}; got {value!r}.")


def _numbers(x: object) -> Iterator[float]:
    """The real numbers in ``x``, a number, a sequence or an array, but not in a tensor."""
    if isinstance(x, Tensor):
        return
    x = x.tolist() if hasattr(x, "tolist") else x  # of an array
    for part in x if isinstance(x, Sequence) else (x,):
        if isinstance(part, Real):
            yield cast(float, part)
        elif isinstance(part, Sequence):
            yield from _numbers(part)


def _second_line(hint: str) -> str:
    return f"\n  {hint}" if hint else ""
