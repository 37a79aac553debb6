"""What does ``reticle bench`` do? It measures what was asked, prints the table, and writes the numbers."""

import sys
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from . import table
from .cases import find_cases
from .peers import find_peers
from .results import Row, Suite, merged, read, write
from .run import Options, check_threads, run

CLEAR = "\r\x1b[K" if sys.stderr.isatty() else ""
OUT = Path("runs", "bench", "sampler--cpu.json")


def measure(
    cases: str = "",
    threads: str = "",
    peers: str = "",
    *,
    quick: bool = False,
    out: Path | None = None,
    add: bool = False,
    memory: bool = False,
) -> Path:
    """Measure, write after each case, print what was measured; return the file."""
    wanted, options = find_cases(cases), Options(check_threads(threads), find_peers(peers), quick, memory)
    file = out or OUT
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
