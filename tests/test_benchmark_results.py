"""Committed measurements obey the schema; what does not is named by its place."""

import dataclasses
import json
from pathlib import Path

import pytest

from reticle.bench import results, table
from reticle.bench.cases import CASES
from reticle.bench.results import Row, describe, merged, read, write

ROOT = Path(__file__).parents[1] / "benchmarks" / "results"
FILES = sorted(ROOT.rglob("*.json"))


def row(peer="reticle", median=2.0, *, case="a", which="forward", threads=1, **more):
    return Row(
        case=case, which=which, threads=threads, peer=peer, state="measured", median_ms=median, iqr_ms=0.1, rounds=7, calls=1, **more
    )


def refused(peer, state="wrong", reason="output is off", *, case="a"):
    return Row(case=case, which="forward", threads=1, peer=peer, state=state, reason=reason)


def suite(*rows, **more):
    return describe(rows, **{"seed": 0, "quick": False, "load_before": 0.1, "seconds": 1.0, "date": "2026-01-01"} | more)


def test_committed_files_obey_the_schema():
    for file in FILES:
        found = read(file)
        version, name = file.relative_to(ROOT).parts
        assert found.versions["reticle"] == version
        assert name.startswith(f"{found.suite}--") and name.endswith(f"--{found.device}.json") and name.count("--") == 2
        assert not found.quick and found.rows and found.date and found.processor
        assert "dirty" not in found.commit, "measure what is committed"


def test_a_suite_reads_as_it_was_written(tmp_path):
    want = suite(row(backend="aten", waited=0.0, peak_mib=1.5), row("torch", 4.0), refused("kornia"))
    write(want, tmp_path / "a.json")
    assert read(tmp_path / "a.json") == want
    assert want.processor and want.cores > 0 and want.commit and {"python", "torch", "reticle"} <= set(want.versions)


@pytest.mark.parametrize(
    "place, value, message",
    [
        (("rows", 0, "median_ms"), -1.0, r"rows\.0: must have a positive median"),
        (("rows", 0, "median_ms"), None, r"rows\.0: must have a median if it was measured, else a reason"),
        (("rows", 0, "median_ms"), "fast", r"rows\.0\.median_ms: must be float; got 'fast'"),
        (("rows", 0, "iqr_ms"), None, r"rows\.0: must have a positive median"),
        (("rows", 0, "case"), "z", r"rows\.0\.case: must be one of a, b1, .*; got 'z'"),
        (("rows", 0, "peer"), "z", r"rows\.0\.peer: must be one of torch, .*; got 'z'"),
        (("rows", 0, "threads"), 0, r"rows\.0\.threads: must be at least 1; got 0"),
        (("rows", 1, "peer"), "reticle", r"rows: a case has two rows of one contestant"),
        (("rows", 2, "state"), "measured", r"rows\.2: must have a median"),
        (("rows", 2, "state"), "lost", r"rows\.2\.state: must be one of measured, wrong, cannot, not installed"),
        (("versions",), {}, r"versions: key 'python' is missing"),
        (("speed",), 1, r"unknown key 'speed'"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, place, value, message):
    write(suite(row(), row("torch"), refused("kornia")), tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "a.json")


def test_a_file_that_is_no_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a\.json: must be valid JSON"):
        read(tmp_path / "a.json")


def test_parts_become_one_suite_in_the_order_of_the_cases():
    old, new = suite(row(case="b1"), row(), row("torch")), suite(row(median=1.0), row(threads=2))
    both = merged(old, new)
    assert [r.key for r in both.rows] == [
        *[("a", "forward", 1, "torch"), ("a", "forward", 1, "reticle"), ("a", "forward", 2, "reticle"), ("b1", "forward", 1, "reticle")],
    ]
    assert both.find("a", "forward", 1, "reticle").median_ms == 1.0 and both.seconds == 2.0


def test_parts_of_other_code_are_not_mixed(monkeypatch):
    old = suite(row())
    monkeypatch.setattr(results, "commit", lambda: "later")
    with pytest.raises(ValueError, match=r"were measured otherwise: commit differ\.\n  Write to another file"):
        merged(old, suite(row()))


def test_every_case_has_a_name_of_its_own():
    assert len({case.name for case in CASES}) == len(CASES)


def test_each_other_processor_has_its_newest_table(tmp_path):
    def put(name, processor, date, median):
        (tmp_path / "1").mkdir(exist_ok=True)
        found = dataclasses.replace(suite(row(median=median), row("torch", 4.0), date=date), processor=processor)
        write(found, tmp_path / "1" / f"sampler--{name}--cpu.json")

    put("new", "abacus", "2026-03-01", 1.0)
    assert table.elsewhere(tmp_path) == "not yet measured"
    put("older", "slide rule", "2026-01-01", 2.0), put("old", "slide rule", "2026-02-01", 8.0)
    found = table.elsewhere(tmp_path)
    assert table.latest(tmp_path).processor == "abacus" and found.count("**slide rule, ") == 1 and "abacus" not in found
    assert "2026-02-01" in found and "| 4.00 | 8.00 |" in found and "slower than a peer in 1 of 1" in found
