"""What was measured, with what, and where? Plain rows, written by a run, checked when read."""

import functools
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..schema import At, at_least, build, plain
from ..training.atomic import write_atomically
from ..training.machine import commit, hardware
from .cases import KNOWN, TWICE
from .peers import PEERS

MEASURED, WRONG, CANNOT, ABSENT = "measured", "wrong", "cannot", "not installed"
STATES = (MEASURED, WRONG, CANNOT, ABSENT)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One contestant in one pass of one case, or why there is no number."""

    case: str
    which: str
    """``forward`` or ``forward_backward``."""
    threads: int = at_least(1)
    peer: str
    backend: str | None = None
    """Who computed it, if it was Reticle."""
    state: str
    reason: str | None = None
    median_ms: float | None = None
    iqr_ms: float | None = None
    rounds: int | None = None
    calls: int | None = None
    """Calls in each sample."""
    waited: float | None = None
    """The share of the time for which threads were ready and had no core: above a few percent, a number says little."""
    peak_mib: float | None = None
    """What memory grew by; None if that was not measured."""

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What a number stands for: no two rows share it."""
        return self.case, self.which, self.threads, self.peer


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The rows of a machine, and what is needed to judge them and to get them again."""

    suite: str
    device: str
    processor: str
    cores: int = at_least(1)
    system: str
    versions: dict[str, str]
    """Of Python, torch, Reticle and each peer."""
    commit: str
    date: str
    seed: int
    quick: bool
    load_before: float = at_least(0)
    """Processes that wanted to run, on average over a minute, before the first case and after the last one."""
    load_after: float = at_least(0)
    seconds: float = at_least(0)
    rows: list[Row]

    def find(self, case: str, which: str, threads: int, peer: str) -> Row | None:
        """The row of that key."""
        return next((row for row in self.rows if row.key == (case, which, threads, peer)), None)


def describe(rows: Sequence[Row], *, seed: int, quick: bool, load_before: float, seconds: float, date: str, device: str = "cpu") -> Suite:
    """``rows`` with everything that is to be said about this machine and this code."""
    return Suite(
        suite="sampler",
        device=device,
        processor=hardware(torch.device(device)),
        cores=os.cpu_count() or 1,
        system=platform.system(),
        versions=versions(),
        commit=commit(),
        date=date,
        seed=seed,
        quick=quick,
        load_before=load_before,
        load_after=load(),
        seconds=seconds,
        rows=list(rows),
    )


@functools.cache
def versions() -> dict[str, str]:
    """Of Python, Reticle, and each peer that is installed."""
    # by what is imported: OpenCV, for one, is installed under several names
    packages = importlib.metadata.packages_distributions()
    modules = {peer.module for peer in PEERS.values()} | {"reticle", "numpy"}
    found = sorted({name for module in modules for name in packages.get(module, ())})
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in found}


def load() -> float:
    """The load average of the last minute; 0 where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def merged(old: Suite, new: Suite) -> Suite:
    """``new`` and what it lacks of ``old``: parts of a suite, run one after the other.

    Raises:
        ValueError: they are not of the same machine and code.
    """
    same = ("suite", "device", "processor", "cores", "versions", "commit", "seed", "quick")
    unlike = [name for name in same if getattr(old, name) != getattr(new, name)]
    if unlike:
        raise ValueError(f"bench: the rows that are there were measured otherwise: {', '.join(unlike)} differ.\n  Write to another file.")
    rows = {row.key: row for row in (*old.rows, *new.rows)}
    # what came before the first part: later, the load is our own
    facts = {"rows": _in_order(rows.values()), "seconds": round(old.seconds + new.seconds, 1), "load_before": old.load_before}
    return Suite(**{name: getattr(new, name) for name in new.__dataclass_fields__} | facts)


def write(suite: Suite, file: Path) -> None:
    """Write ``suite`` as JSON."""
    write_atomically(file, json.dumps(plain(suite), indent=1) + "\n")


def read(file: Path) -> Suite:
    """A suite that :func:`write` wrote.

    Raises:
        ValueError: the file does not obey the schema; the message names the place.
    """
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: must be valid JSON; {error}.") from None
    suite: Suite = build(Suite, raw, At(str(file)))
    _check(suite, At(str(file)))
    return suite


def _check(suite: Suite, at: At) -> None:
    """What types cannot say."""
    if len({row.key for row in suite.rows}) < len(suite.rows):
        raise at.down("rows").error("a case has two rows of one contestant.")
    for name in ("python", "torch", "reticle"):
        if name not in suite.versions:
            raise at.down("versions").error(f"key {name!r} is missing.")
    for i, row in enumerate(suite.rows):
        here = at.down("rows").down(i)
        for key, known in (("case", KNOWN), ("which", TWICE), ("peer", PEERS), ("state", STATES)):
            if getattr(row, key) not in known:
                raise here.down(key).error(f"must be one of {', '.join(known)}; got {getattr(row, key)!r}.")
        if (row.state == MEASURED) != (row.median_ms is not None) or (row.state != MEASURED) != (row.reason is not None):
            raise here.error("must have a median if it was measured, else a reason.")
        if row.median_ms is not None and (row.median_ms <= 0 or row.iqr_ms is None or row.iqr_ms < 0 or not row.rounds or not row.calls):
            raise here.error("must have a positive median, an interquartile range, rounds and calls.")


def _in_order(rows: Iterable[Row]) -> list[Row]:
    """As a run in one piece makes them."""
    cases, peers = list(KNOWN), list(PEERS)
    return sorted(rows, key=lambda row: (cases.index(row.case), row.threads, TWICE.index(row.which), peers.index(row.peer)))
