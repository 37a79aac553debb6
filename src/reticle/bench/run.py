"""How is a suite measured? Case by case: the truth, the gate for every contestant, and only then the clock."""

import datetime
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch

from ..sampling import explain
from . import parity
from .cases import FORWARD, Case
from .contestant import Contestant
from .inputs import Problem, make
from .memory import peak_mib
from .peers import PEERS, set_threads
from .results import ABSENT, CANNOT, MEASURED, WRONG, Row, Suite, describe, load
from .timing import FULL, QUICK, interleaved

FAULTS = (NotImplementedError, RuntimeError, TypeError, ValueError)
"""How libraries refuse a call; the reason is printed in place of a number."""


OURS = ("reticle", "reticle_float32", "reticle_out")
"""Who leaves the choice of the backend to ``auto``."""


class Options(NamedTuple):
    """How a suite is measured."""

    threads: tuple[int, ...] = (1, 2)
    peers: tuple[str, ...] = ()
    """Instead of those that each case names."""
    quick: bool = False
    memory: bool = False
    seed: int = 0
    device: str = "cpu"


def run(cases: Sequence[Case], options: Options = Options(), tell: Callable[[Row], None] = lambda row: None) -> Suite:  # noqa: B008
    """Measure ``cases``; ``tell`` gets each row as soon as it is there."""
    before, load_before, start = torch.get_num_threads(), load(), time.perf_counter()
    date = datetime.date.today().isoformat()
    rows: list[Row] = []
    try:
        for case in cases:
            for row in _rows(case, options):
                tell(row)
                rows.append(row)
    finally:
        set_threads(before, {row.peer for row in rows})
    facts = {"seed": options.seed, "quick": options.quick, "date": date, "device": options.device}
    return describe(rows, load_before=load_before, seconds=round(time.perf_counter() - start, 1), **facts)  # type: ignore[arg-type]


def check_threads(names: str) -> tuple[int, ...]:
    """The numbers of a list such as ``1,2``; one, and two where there are two cores, for an empty one."""
    words = [word.strip() for word in names.split(",") if word.strip()] or [str(n) for n in (1, 2) if n <= (os.cpu_count() or 1)]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise ValueError(f"bench: `threads` must be whole numbers of at least 1, such as 1,2; got {names!r}.")
    return tuple(dict.fromkeys(int(word) for word in words))


class Heat(NamedTuple):
    """One pass of one case on so many threads."""

    problem: Problem
    right: parity.Truth
    threads: int
    which: str
    options: Options


Refused = dict[str, tuple[str, str]]
"""By name: the state and the reason."""


def _rows(case: Case, options: Options) -> Iterator[Row]:
    names = dict.fromkeys(("reticle", *(options.peers or case.peers), "copy"))
    set_threads(max(options.threads), names)
    problem = make(case, options.seed, options.device)
    right = parity.truth(problem)
    for threads in options.threads:
        set_threads(threads, names)
        contestants, refused = _prepare(names, problem)
        for which in case.passes:
            yield from _measured(Heat(problem, right, threads, which, options), contestants, refused)


def _prepare(names: Iterable[str], problem: Problem) -> tuple[dict[str, Contestant], Refused]:
    """Who takes part, and who does not."""
    contestants, refused = {}, {}
    for name in names:
        if not PEERS[name].is_installed:
            refused[name] = ABSENT, f"pip install {PEERS[name].package}"
            continue
        try:
            contestants[name] = PEERS[name].make(problem)
        except FAULTS as fault:
            refused[name] = CANNOT, _one_line(fault)
    return contestants, refused


def _measured(heat: Heat, contestants: dict[str, Contestant], refused: Refused) -> Iterator[Row]:
    """The rows of one pass: those that the gate lets through are timed together, the others have a reason."""
    calls, refused = {}, dict(refused)
    for name, contestant in contestants.items():
        call = contestant.forward if heat.which == FORWARD else contestant.backward
        if call is None:
            continue  # no gradients are offered: not a fault
        fault = _gate(name, contestant, heat)
        if fault:
            refused[name] = fault
        else:
            calls[name] = call
    timings = interleaved(calls, QUICK if heat.options.quick else FULL, heat.options.device)
    facts = {"case": heat.problem.case.name, "which": heat.which, "threads": heat.threads}
    backend = _backend(heat.problem)
    for name, t in timings.items():
        peak = peak_mib(calls[name], heat.options.device) if heat.options.memory else None
        numbers = {"median_ms": _digits(t.median * 1e3), "iqr_ms": _digits(t.iqr * 1e3), "rounds": t.rounds, "calls": t.calls}
        more = {"waited": _rounded(t.waited, 3), "peak_mib": _rounded(peak, 1), "backend": backend if name in OURS else None}
        yield Row(**facts, peer=name, state=MEASURED, **numbers, **more)  # type: ignore[arg-type]
    for name, (state, reason) in refused.items():
        yield Row(**facts, peer=name, state=state, reason=reason)  # type: ignore[arg-type]


def _gate(name: str, contestant: Contestant, heat: Heat) -> tuple[str, str] | None:
    """State and reason, if the contestant must not be timed."""
    try:
        reason = parity.fault(name, contestant, heat.which, heat.problem, heat.right)
    except FAULTS as fault:
        return CANNOT, _one_line(fault)
    return (WRONG, reason) if reason else None


def _backend(problem: Problem) -> str | None:
    """Who computes the case when nobody is named."""
    case = problem.case
    lines = explain(problem.input, problem.where, case.mode, case.padding_mode).splitlines()
    return next((line.split()[0] for line in lines if line.split()[1:2] == ["chosen"]), None)


def _one_line(fault: Exception) -> str:
    return str(fault).strip().split("\n")[0][:200] or type(fault).__name__


def _digits(x: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{x:.4g}")


def _rounded(x: float | None, digits: int) -> float | None:
    return None if x is None else round(x, digits)
