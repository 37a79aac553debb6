"""Who computes a call? Each backend says in words what it refuses; the first that does not refuse is taken."""

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..checks import check_batch, check_bool, check_device, check_floating, check_input
from . import aten, native, triton
from .modes import Mode, find_mode
from .operators import sample_by, warp_by
from .padding import PADDING_MODES
from .reference import sample_reference


class Spec(NamedTuple):
    """Every fact a choice may rest on. All static, so that ``torch.compile`` traces the choice away."""

    device: str
    dtype: torch.dtype
    ndim: int
    mode: str | Mode
    padding_mode: str
    align_corners: bool
    learns_value: bool = False
    """Whether a gradient to ``value`` is wanted."""
    forward_mode: bool = False
    """Whether tangents may be asked for: within a level of forward-mode differentiation."""


class Backend(NamedTuple):
    """A way to compute :func:`reticle.grid_sample`, and perhaps :func:`reticle.warp`."""

    name: str
    refuses: Callable[[Spec], str | None]
    """Why it cannot do the call, in words that follow its name; None if it can."""
    run: Callable[..., Tensor]
    """``(input, grid, mode, padding_mode, align_corners, fill) -> output``; the batch of ``input`` or of ``grid`` may be 1, ``fill``
    holds one value per channel, or is None for 0."""
    warp: Callable[..., Tensor] | None = None
    """``(input, matrix, output_size, mode, padding_mode, align_corners, fill) -> output``; without it ``run`` is given a grid."""
    writes: bool = False
    """Whether ``run`` and ``warp`` take a last ``out``, a tensor that they write to and return."""
    detail: Callable[[], str] = str
    """What else to say of it: the instruction set that it was compiled for."""


def _ways(sample: str, warp: str) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """``run`` and ``warp`` of operators of our own."""
    return partial(sample_by, sample), partial(warp_by, warp)


BACKENDS: tuple[Backend, ...] = (  # in order of preference
    Backend("native", native.refuses, *_ways("grid_sample", "warp"), writes=True, detail=native.instruction_set),
    Backend("triton", triton.refuses, *_ways("triton_grid_sample", "triton_warp"), writes=True, detail=triton.version),
    Backend("aten", aten.refuses, aten.sample_aten),
    Backend("reference", lambda s: None, sample_reference),
)
forced = "auto"  # what "auto" means: see use_backend, and plain.py


def choose(fn: str, spec: Spec, name: str = "auto") -> Backend:
    """The first backend that does not refuse; a named backend that refuses raises with its reason, in the name of ``fn``."""
    name = forced if name == "auto" else name
    if name == "auto":
        return next(b for b in BACKENDS if b.refuses(spec) is None)
    backend = find_backend(name)
    assert backend is not None, "auto was answered above"
    why = backend.refuses(spec)
    if why is not None:
        able = next(b.name for b in BACKENDS if b.refuses(spec) is None)
        raise NotImplementedError(f"{fn}: backend {name!r} {why}.\n  Use backend='auto', or {able!r}.")
    return backend


class use_backend:
    """Let ``backend="auto"`` mean ``name`` from here on; as a ``with`` block, only inside it. For debugging, export and tests.

    The setting is one for the whole process.

    >>> with use_backend("reference"):
    ...     print(explain(torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 2, 2)).splitlines()[-1])
    reference  chosen
    """

    def __init__(self, name: str) -> None:
        find_backend(name)
        self._name, self._entered = name, False
        self._before: list[str] = []  # one entry for each block that is open
        self._set()

    def __enter__(self) -> None:
        if self._entered:  # a block again, by the same object
            self._set()
        self._entered = True

    def _set(self) -> None:
        global forced
        self._before.append(forced)
        forced = self._name

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global forced
        forced = self._before.pop()


def explain(
    input: Tensor, grid_or_matrix: Tensor, mode: str | Mode = "bilinear", padding_mode: str = "zeros", align_corners: bool = False
) -> str:
    """One line per backend: ``chosen``, ``able``, or why it refuses such a call of ``grid_sample`` or ``warp``.

    >>> print(explain(torch.zeros(1, 1, 4, 4), torch.eye(2, 3)[None], "lanczos3").split("\\n", 2)[2])
    aten       has no lanczos3 mode
    reference  chosen

    Raises:
        TypeError: a dtype that neither of the two takes.
        ValueError: shapes, devices or names that neither of the two takes.
    """
    fn = "reticle.explain"
    check_input(fn, input, whole=True)
    check_floating(fn, "grid_or_matrix", grid_or_matrix)
    _check_points(fn, input.ndim - 2, grid_or_matrix)
    check_device(fn, "input", input, "grid_or_matrix", grid_or_matrix)
    check_batch(fn, "input", input, "grid_or_matrix", grid_or_matrix)
    check_bool(fn, "align_corners", align_corners)
    spec = make_spec(input, mode, padding_mode, align_corners)
    chosen = choose(fn, spec).name if forced == "auto" else forced
    return "\n".join(f"{b.name:10s} {b.refuses(spec) or _able(b, chosen)}" for b in BACKENDS)


def _check_points(fn: str, ndim: int, points: Tensor) -> None:
    is_grid = points.ndim == ndim + 2 and points.shape[-1] == ndim
    is_matrix = points.ndim == 3 and tuple(points.shape[1:]) in ((ndim, ndim + 1), (ndim + 1, ndim + 1))
    if not is_grid and not is_matrix:
        grid = ", ".join(["B", *("D_out", "H_out", "W_out")[-ndim:], str(ndim)])
        want = f"a grid ({grid}) or matrices (B, {ndim}, {ndim + 1})"
        raise ValueError(f"{fn}: `grid_or_matrix` must be {want} for an `input` of {ndim + 2} axes; got {tuple(points.shape)}.")


def _able(backend: Backend, chosen: str) -> str:
    detail = backend.detail()
    return ("chosen" if backend.name == chosen else "able") + (f" ({detail})" if detail else "")


def make_spec(input: Tensor, mode: str | Mode, padding_mode: str, align_corners: bool, fill: Tensor | None = None) -> Spec:
    """The static facts of a call; unknown names raise here."""
    find_mode(mode), PADDING_MODES[padding_mode]
    learns_value = fill is not None and fill.requires_grad and torch.is_grad_enabled()
    device = "cpu" if input.is_cpu else input.device.type  # of a small call the name of a device takes a thirtieth
    return Spec(device, input.dtype, input.ndim - 2, mode, padding_mode, align_corners, learns_value, forward_ad._current_level >= 0)


def find_backend(name: str) -> Backend | None:
    """The backend of that name; None for ``"auto"``."""
    if name == "auto":
        return None
    for backend in BACKENDS:
        if backend.name == name:
            return backend
    raise ValueError(f"reticle: unknown backend {name!r}. Known: auto, {', '.join(b.name for b in BACKENDS)}.")
