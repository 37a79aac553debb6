"""What does ``reticle bench`` do? It measures what was asked, prints the table, and writes the numbers."""

import sys
from pathlib import Path

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from . import table
from .cases import find_cases
from .peers import find_peers
from .results import Row, Suite, merged, read, write
from .run import Options, check_threads, run

CLEAR = "\r\x1b[K" if sys.stderr.isatty() else ""
OUT = Path("runs", "bench")


def measure(
    cases: str = "",
    threads: str = "",
    peers: str = "",
    *,
    quick: bool = False,
    out: Path | None = None,
    add: bool = False,
    memory: bool = False,
    device: str = "cpu",
) -> Path:
    """Measure, write after each case, print what was measured; return the file."""
    check_device(device)
    # on a GPU, threads of the CPU only start kernels
    counts = check_threads(threads or "1" * (device != "cpu"))
    wanted, options = find_cases(cases, device), Options(counts, find_peers(peers), quick, memory, device=device)
    name = f"sampler--{device}.json"
    file = out or OUT / name
    if file.is_dir():  # now, not when the first case has been measured
        raise ValueError(f"bench: `out` must be a file; got the folder {str(file)!r}.\n  Give a file in it, such as {str(file / name)!r}.")
    kept = read(file) if add and file.exists() else None
    done: Suite | None = None
    for case in wanted:
        part = run([case], options, tell=_progress)
        print(f"{CLEAR}{case.name}: {part.seconds:.0f} s", file=sys.stderr, flush=True)
        done = merged(done, part) if done else part
        kept = merged(kept, part) if kept else part
        # a run that is stopped has lost one case
        write(kept, file)
    assert done is not None, "there is a case"
    print_table(done)
    return file


def check_device(device: str) -> None:
    """Raise unless it is one that is measured, and there."""
    if device not in ("cpu", "cuda"):
        raise ValueError(f"bench: `device` must be cpu or cuda; got {device!r}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("bench: `device` must be one that torch can use; got 'cuda'.\n  `reticle info` says what is here.")


def print_table(suite: Suite) -> None:
    """The table, then who has no number and why, then how often Reticle loses."""
    header, *lines = table.terminal(suite)
    shown = Table(*header, box=box.SIMPLE_HEAD)
    for line in lines:
        shown.add_row(*line)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(shown)
    for case, peer, state, reason in table.without_number(suite):
        console.print(f"{case}, {peer}: no number, {state}: {reason}", markup=False)
    console.print(table.losses(suite).splitlines()[0].rstrip(":.") + ".")


def _progress(row: Row) -> None:
    """On a terminal, the row that is there, overwritten by the next one."""
    if CLEAR:
        print(f"{CLEAR}{_where(row)}", end="", file=sys.stderr, flush=True)


def _where(row: Row) -> str:
    return f"{row.case}, {table.PASS[row.which]}, {row.threads} threads, {row.peer}"
