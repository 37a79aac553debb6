"""How do rows of numbers become tables? For the terminal and for the pages; what Reticle loses stands in them like what it wins."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from .cases import BOTH, CASES, FORWARD, KNOWN, TWICE, Case
from .peers import PEERS
from .results import MEASURED, WRONG, Row, Suite, read

NOT_YET = "not yet measured"
SLOWER = "slower"
BUSY = 0.05
PASS = {FORWARD: "forward", BOTH: "forward + backward"}


def latest(folder: Path, device: str = "cpu") -> Suite | None:
    """The newest committed suite of a device, if there is one."""
    suites = [read(file) for file in sorted(folder.glob(f"*/*--{device}.json"))]
    return max(suites, key=lambda suite: suite.date, default=None)


def elsewhere(folder: Path, device: str = "cpu") -> str:
    """The short table of every other processor that has been measured, each by its newest suite, and where Reticle is slower there."""
    main, others = latest(folder, device), {}
    for suite in sorted((read(file) for file in sorted(folder.glob(f"*/*--{device}.json"))), key=lambda suite: suite.date):
        if main and suite.processor != main.processor:
            others[suite.processor] = suite
    parts = [f"**{_where(suite)}**, {suite.date}, `{suite.commit}`:\n\n{short(suite)}\n\n{losses(suite)}" for suite in others.values()]
    return "\n\n".join(parts) or NOT_YET


def short(suite: Suite | None) -> str:
    """The README's table: torch and Reticle on as many threads as were measured."""
    if suite is None:
        return NOT_YET
    columns = ("torch ms", "reticle ms", "ratio", "copy ms")
    rows = [("case", "work", *columns, *(f"both: {column}" for column in columns))]
    for case in (case for case in CASES if case.short):
        numbers = [cell for which in TWICE for cell in _numbers(suite, case, which)]
        rows.append((f"`{case.name}`", f"{case.what}, {case.shape}", *numbers))
    return markdown(rows)


def full(suite: Suite | None) -> str:
    """Every case, pass and number of threads, with every peer."""
    header = ("case", "pass", "threads", "reticle ms (IQR)", "backend", "reticle / copy", "peers: ms, and peer / reticle")
    return markdown([header, *((f"`{case}`", *cells) for case, *cells in _lines(suite))]) if suite else NOT_YET


def losses(suite: Suite | None) -> str:
    """Where a peer was faster: as a sentence and a list."""
    if suite is None:
        return NOT_YET
    pairs = [(ours, row) for row in suite.rows if row.state == MEASURED and _competes(row) for ours in [_ours(suite, row)] if ours]
    lost = [(ours, row) for ours, row in pairs if _ratio(row, ours) < 1]
    lines = [f"Reticle is slower than a peer in {len(lost)} of {len(pairs)} comparisons{':' if lost else '.'}", ""]
    for ours, row in sorted(lost, key=lambda pair: _ratio(pair[1], pair[0])):
        where = f"`{row.case}`, {PASS[row.which]}, {_threads(row.threads)}"
        lines.append(f"- {where}: {row.peer} {_ms(row.median_ms)} ms, reticle {_ms(ours.median_ms)} ms ({_ratio(row, ours):.2f}×)")
    return "\n".join(lines).strip()


def refusals(suite: Suite | None) -> str:
    """Who got no number, and why."""
    if suite is None:
        return NOT_YET
    rows = [(f"`{case}`", *cells) for case, *cells in without_number(suite)]
    return markdown([("case", "contestant", "no number", "reason"), *rows]) if rows else "Everybody computed what was asked."


def without_number(suite: Suite) -> list[tuple[str, str, str, str]]:
    """Case, contestant, state and reason; once, where several passes have the same."""
    rows = [(row.case, row.peer, row.state, row.reason or "") for row in suite.rows if row.state != MEASURED]
    return list(dict.fromkeys(rows))


def machine(suite: Suite | None) -> str:
    """Where the numbers are from."""
    if suite is None:
        return NOT_YET
    busy = sum(1 for row in suite.rows if row.waited is not None and row.waited > BUSY)
    facts = {
        "processor": _where(suite),
        "date, commit": f"{suite.date}, `{suite.commit}`",
        "versions": ", ".join(f"{name} {version}" for name, version in suite.versions.items()),
        "load average": f"{suite.load_before:g} before, {suite.load_after:g} after; {busy} numbers, marked ~, waited for a core",
        "seed, duration": f"{suite.seed}, {suite.seconds / 60:.0f} minutes{', quick: a trial' if suite.quick else ''}",
    }
    return markdown([("what", "value"), *facts.items()])


def _where(suite: Suite) -> str:
    return f"{suite.processor}, {suite.cores} cores, {suite.system}"


def memory(suite: Suite | None) -> str:
    """What each contestant takes at its peak, where that was measured, on as many threads as were."""
    rows = [row for row in suite.rows if row.peak_mib is not None and row.threads == max(r.threads for r in suite.rows)] if suite else []
    if not suite or not rows:
        return NOT_YET
    lines = [("case", "pass", "reticle MiB", "peers, MiB")]
    for row in (row for row in rows if row.peer == "reticle"):
        others = [f"{r.peer} {r.peak_mib:,.1f}" for r in rows if (r.case, r.which) == (row.case, row.which) and _competes(r)]
        lines.append((f"`{row.case}`", PASS[row.which], f"{row.peak_mib:,.1f}", ", ".join(others)))
    return markdown(lines)


def terminal(suite: Suite) -> list[tuple[str, ...]]:
    """What ``reticle bench`` prints, headings first."""
    header = ("case", "pass", "threads", "reticle ms (IQR)", "backend", "/ copy", "peer ms, peer / reticle")
    return [header, *_lines(suite, "\n")]


def cases() -> str:
    """Every case with its work, for the pages."""
    rows = [("case", "what", "shape", "mode, padding", "dtype", "peers")]
    for case in KNOWN.values():
        dtype = str(case.dtype).removeprefix("torch.")
        rows.append((f"`{case.name}`", case.what, case.shape, f"{case.mode}, {case.padding_mode}", dtype, ", ".join(case.peers)))
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """``rows``, headings first, as a table; columns of numbers are right-aligned."""
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    marks = ["--:" if heading.endswith(("ms", "ms (IQR)", "MiB", "threads", "ratio", "/ copy")) else "---" for heading in rows[0]]
    return "\n".join([lines[0], f"| {' | '.join(marks)} |", *lines[1:]])


def _numbers(suite: Suite, case: Case, which: str) -> tuple[str, str, str, str]:
    threads = max(row.threads for row in suite.rows)
    ours, limit = (suite.find(case.name, which, threads, peer) for peer in ("reticle", "copy"))
    theirs = suite.find(case.name, which, threads, "torch")
    note = ""
    if theirs and theirs.state == WRONG and "torch_float32" in case.peers:
        # torch's 16-bit form is wrong: what one writes in its place is what counts
        theirs, note = suite.find(case.name, which, threads, "torch_float32"), " in float32"
    ratio = _marked(_ratio(theirs, ours)) if ours and theirs and _both(theirs, ours) else ""
    return _cell(theirs) + note, _cell(ours), ratio, _cell(limit)


def _lines(suite: Suite, between: str = ", ") -> Iterator[tuple[str, ...]]:
    seen = dict.fromkeys((row.case, row.threads, row.which) for row in suite.rows)
    for case, threads, which in seen:
        ours, limit = (suite.find(case, which, threads, peer) for peer in ("reticle", "copy"))
        rows = [row for row in suite.rows if (row.case, row.threads, row.which) == (case, threads, which)]
        spread = f" ({_ms(ours.iqr_ms)})" if ours and ours.state == MEASURED else ""
        near = f"{ours.median_ms / limit.median_ms:.1f}×" if ours and limit and _both(ours, limit) else ""  # type: ignore[operator]
        named = [f"{row.peer} {_cell(row)}{_against(row, ours)}" for row in rows if row.peer not in ("reticle", "copy")]
        yield case, PASS[which], str(threads), _cell(ours) + spread, (ours and ours.backend) or "", near, between.join(named)


def _against(row: Row, ours: Row | None) -> str:
    return f" {_marked(_ratio(row, ours))}" if ours and _both(row, ours) else ""


def _ours(suite: Suite, row: Row) -> Row | None:
    ours = suite.find(row.case, row.which, row.threads, "reticle")
    return ours if ours and ours.state == MEASURED else None


def _competes(row: Row) -> bool:
    """Whether the row is of somebody else, and computed something."""
    return row.peer != "copy" and not PEERS[row.peer].is_ours


def _both(a: Row, b: Row) -> bool:
    return a.state == b.state == MEASURED


def _ratio(theirs: Row, ours: Row) -> float:
    assert theirs.median_ms is not None and ours.median_ms is not None, "measured, as asked before"
    return theirs.median_ms / ours.median_ms


def _marked(ratio: float) -> str:
    return f"{ratio:.2f}× {SLOWER}" if ratio < 1 else f"{ratio:.1f}×"


def _cell(row: Row | None) -> str:
    if row is None:
        return NOT_YET
    if row.state != MEASURED:
        return row.state
    return _ms(row.median_ms) + (" ~" if row.waited is not None and row.waited > BUSY else "")


def _ms(x: float | None) -> str:
    """Three significant digits, no exponent."""
    if x is None:
        return ""
    return f"{x:,.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}" if x >= 0.1 else f"{x:.4f}"


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"
