"""How long does a call take? Contestants take turns, round by round, so that a busy moment of the machine hits all of them alike.

Each round has an order of its own: what ran just before leaves its threads waiting for more work, and its memory for the next to take.

On a GPU its own events are the clock, and samples are longer, so that the time between calls is not what is measured.
``time.perf_counter``, not ``torch.utils.benchmark``: its timers measure one contestant to the end before the next one starts.
"""

import gc
import glob
import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

Calls = Mapping[str, Callable[[], Any]]
SAMPLE = 1e-3  # seconds that a sample lasts at least, by repeating the call: far above the clock's resolution
LONG = 0.1  # seconds of a call that is not made again only to see whether it can be shorter


class Budget(NamedTuple):
    """How many rounds are made: as many as fit into ``seconds``, between ``least`` and ``most``."""

    seconds: float
    least: int
    most: int
    least_of_long: int
    """Instead of ``least``, where one round takes more than a second."""


FULL, QUICK = Budget(1.2, 15, 60, 5), Budget(0.05, 3, 3, 1)


class Timing(NamedTuple):
    """Seconds of one call: the median and the interquartile range over the rounds."""

    median: float
    iqr: float
    rounds: int
    calls: int
    """Calls in each sample."""
    waited: float | None
    """The time that threads of this process waited for a core, as a share of the time measured: 0 on a quiet machine."""


def interleaved(calls: Calls, budget: Budget = FULL, device: str = "cpu") -> dict[str, Timing]:
    """Time each of ``calls``, A B C, B A C, ...; each was called before, by the gate and to find out how often to repeat it."""
    sample = _sample if device == "cpu" else _sample_of_gpu
    numbers = {name: _number(call, sample) for name, call in calls.items()}
    one_round = sum(sample(call, numbers[name]) * 2 * numbers[name] for name, call in calls.items())
    least = budget.least if one_round < 1 else budget.least_of_long
    rounds = min(max(round(budget.seconds / one_round), least), budget.most)
    samples: dict[str, list[float]] = {name: [] for name in calls}
    waits: dict[str, list[float | None]] = {name: [] for name in calls}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(rounds):
            for name in random.Random(turn).sample(sorted(calls), len(calls)):
                before = _waited() if device == "cpu" else None
                samples[name].append(sample(calls[name], numbers[name]))
                after = _waited() if device == "cpu" else None
                waits[name].append(None if after is None or before is None else (after - before) / numbers[name])
    finally:
        if collecting:
            gc.enable()
    return {name: _timing(samples[name], waits[name], numbers[name]) for name in calls}


def _timing(samples: list[float], waits: list[float | None], number: int) -> Timing:
    known = [wait for wait in waits if wait is not None]
    waited = sum(known) / sum(samples) if len(known) == len(samples) else None
    return Timing(statistics.median(samples), _iqr(samples), len(samples), number, waited)


def _number(call: Callable[[], Any], sample: Callable[[Callable[[], Any], int], float]) -> int:
    """How many calls make a sample."""
    first = sample(call, 1)  # the machine may have been busy just then
    shortest = first if first > LONG else min(sample(call, 1) for _ in range(3))
    return max(1, round(SAMPLE / shortest))


def _sample(call: Callable[[], Any], number: int) -> float:
    """Seconds per call, after as many that are not counted: the first few pay for how another left the caches."""
    for _ in range(number):
        call()
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number


def _sample_of_gpu(call: Callable[[], Any], number: int) -> float:
    """Seconds per call between two events on the GPU, which is not waited for in between."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(number):
        call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3 / number


def _iqr(samples: list[float]) -> float:
    if len(samples) < 2:
        return 0.0
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return high - low


def _waited() -> float | None:
    """Seconds for which the threads of this process were ready and had no core; None where the system does not tell."""
    total, found = 0, False
    for file in glob.glob("/proc/self/task/*/schedstat"):
        try:
            with open(file) as stat:
                total += int(stat.read().split()[1])
        except (OSError, IndexError):
            continue  # a thread that has just ended
        found = True
    return total / 1e9 if found else None
