"""The benchmark: nobody who is wrong gets a number, losses are said, and the command does what it says."""

import contextlib
import dataclasses
import itertools
import warnings

import pytest
import torch
from test_benchmark_results import refused, row, suite

from reticle import cli
from reticle.bench import memory, parity, table
from reticle.bench.cases import BOTH, CASES, FORWARD, KNOWN, TINY, find_cases
from reticle.bench.inputs import WHERE, make
from reticle.bench.peers import PEERS, Peer, copy, find_peers, pytorch, reticle
from reticle.bench.results import ABSENT, CANNOT, MEASURED, WRONG, read
from reticle.bench.run import Options, check_threads, run

TRIAL = Options(threads=(1,), quick=True)
SMALL = {
    "affine": TINY,
    "to another size": dataclasses.replace(TINY, output=(5, 11), where="crop"),
    "one channel": dataclasses.replace(TINY, input=(2, 1, 9, 8)),
    "projective": dataclasses.replace(TINY, where="projective"),
    "border": dataclasses.replace(TINY, padding_mode="border"),
    "nearest": dataclasses.replace(TINY, mode="nearest", input=(2, 3, 33, 32)),
    "bicubic": dataclasses.replace(TINY, mode="bicubic"),
    "bspline3": dataclasses.replace(TINY, mode="bspline3"),
    "grid": dataclasses.replace(TINY, where="smooth"),
    "volume": dataclasses.replace(TINY, input=(2, 2, 5, 6, 7)),
    "channels last": dataclasses.replace(TINY, channels_last=True),
    "bytes": dataclasses.replace(TINY, dtype=torch.uint8, passes=(FORWARD,)),
    "bfloat16": dataclasses.replace(TINY, dtype=torch.bfloat16),
}
NO_GRADIENTS = ("opencv", "scipy", "simpleitk", "reticle_out")
CANNOT_DO = {  # what others do not have; ours may grow
    "compiled": set(SMALL),  # on a CPU
    "torch": {"bspline3", "bytes"},
    "torch_float32": {"bspline3"},
    "opencv": {"bspline3", "volume", "bfloat16"},
    "kornia": {"bspline3", "grid", "volume", "bytes", "bfloat16"},
    "interpol": {"projective", "bicubic", "bytes", "bfloat16"},
    "scipy": {"projective", "bicubic", "bytes", "bfloat16"},
    "simpleitk": {"projective", "border", "bicubic", "bspline3", "grid", "bytes", "bfloat16"},
}


def states(found, which):
    return {r.peer: r.state for r in found.rows if r.which == which}


@pytest.fixture
def contestant(monkeypatch):
    """Let a function be a peer called torch."""

    def enter(make, module="torch"):
        monkeypatch.setitem(PEERS, "torch", Peer(make, "a stand-in", module, "a-package"))

    return enter


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("peer", [name for name in PEERS if name != "copy"])
def test_peers_compute_what_was_asked_or_say_that_they_cannot(peer, name):
    pytest.importorskip(PEERS[peer].module)
    problem = make(SMALL[name], seed=0)
    refuses = pytest.raises((NotImplementedError, TypeError)) if name in CANNOT_DO.get(peer, ()) else contextlib.nullcontext()
    with warnings.catch_warnings(action="ignore"), refuses:  # what others warn of at import
        try:
            entered = PEERS[peer].make(problem)
            entered.forward()
        except (NotImplementedError, TypeError) as fault:
            if not PEERS[peer].is_ours:
                raise
            assert "reticle" in str(fault)
            return
    if name in CANNOT_DO.get(peer, ()):
        return
    right = parity.truth(problem)
    if (peer, name) == ("torch", "bfloat16"):
        assert "output is off" in parity.fault(peer, entered, FORWARD, problem, right)
        return
    assert parity.fault(peer, entered, FORWARD, problem, right) is None
    assert bool(entered.backward) == (peer not in NO_GRADIENTS and BOTH in problem.case.passes)
    if entered.backward:
        assert parity.fault(peer, entered, BOTH, problem, right) is None


def test_each_library_takes_part_in_what_it_is_there_for():
    for case in CASES:
        for peer in case.peers:
            assert peer in PEERS
            small = dataclasses.replace(case, input=(2, case.input[1], *(7,) * len(case.size)), output=())
            if peer != "reticle_out" and PEERS[peer].is_installed:
                with warnings.catch_warnings(action="ignore"):
                    PEERS[peer].make(make(small, seed=0))


def shifted(problem):
    """One pixel off."""
    right = pytorch(problem)
    return dataclasses.replace(right, output=lambda out: out.roll(1, -1))


def wrong_gradient(problem):
    right = pytorch(problem)
    return dataclasses.replace(right, gradients=lambda grads: (grads[0], 1.1 * grads[1]))


def not_a_number(problem):
    right = pytorch(problem)
    return dataclasses.replace(right, output=lambda out: out.clone().index_fill_(3, torch.tensor(0), torch.nan))


def of_another_size(problem):
    right = pytorch(problem)
    return dataclasses.replace(right, output=lambda out: out[..., :-1])


@pytest.mark.parametrize(
    "wrong, passes, reason",
    [
        (shifted, {FORWARD}, "output is off by"),
        (not_a_number, {FORWARD}, "output is off by inf"),
        (of_another_size, {FORWARD}, r"output is (2, 3, 9, 7) torch.float32"),
        (wrong_gradient, {BOTH}, "gradient of the matrix is off by"),
    ],
)
def test_who_is_wrong_gets_no_number(contestant, wrong, passes, reason):
    contestant(wrong)
    found = run([TINY], TRIAL._replace(peers=("torch",)))
    for which in TINY.passes:
        assert states(found, which) == {"reticle": MEASURED, "torch": WRONG if which in passes else MEASURED, "copy": MEASURED}
    refusals = [r for r in found.rows if r.state == WRONG]
    assert refusals and all(r.median_ms is None and r.reason.startswith(reason) for r in refusals)
    assert reason in table.refusals(found) and "torch" in table.refusals(found)
    assert f"torch {WRONG}" in table.full(found)


def test_reticle_is_not_excused(monkeypatch):
    monkeypatch.setitem(PEERS, "reticle", Peer(shifted, "wrong", is_ours=True))
    found = run([TINY], TRIAL._replace(peers=("torch",)))
    assert states(found, FORWARD)["reticle"] == WRONG
    assert all("forward + backward" in line for line in table.losses(found).splitlines()[2:])
    (line,) = (line for line in table.full(found).splitlines() if "| forward |" in line)
    assert f"| 1 | {WRONG} |" in line and "×" not in line


def test_a_peer_that_is_not_there_is_said_to_be_so(contestant):
    contestant(pytorch, module="no_such_module")
    found = run([TINY], TRIAL._replace(peers=("torch",)))
    assert states(found, FORWARD) == {"reticle": MEASURED, "copy": MEASURED, "torch": ABSENT}
    assert "pip install a-package" in table.refusals(found)


def test_a_peer_that_cannot_says_why():
    found = run([dataclasses.replace(TINY, mode="bspline3")], TRIAL._replace(peers=("torch",)))
    assert states(found, FORWARD)["torch"] == CANNOT
    assert "has no bspline3 mode" in table.refusals(found)


def test_memory_sees_what_a_call_takes():
    if not memory.RESET.exists():
        pytest.skip("only Linux tells")
    peak = memory.peak_mib(lambda: torch.ones(2**20 * 10).clone())
    assert 78 < peak < 100


def test_the_copy_moves_the_bytes_of_the_limit():
    problem = make(dataclasses.replace(TINY, output=(5, 4)), seed=0)
    limit = copy(problem)
    read_, written = problem.input.nbytes, 2 * 3 * 5 * 4 * 4
    assert 2 * limit.forward().nbytes == read_ + written
    assert 2 * limit.backward()[0].nbytes == 3 * read_ + 2 * written


@pytest.mark.parametrize("where", WHERE)
def test_inputs_are_the_same_for_the_same_seed(where):
    case = dataclasses.replace(TINY, where=where)
    a, b, c = (make(case, seed) for seed in (0, 0, 1))
    assert a.input.equal(b.input) and a.where.equal(b.where) and a.cotangent.equal(b.cotangent)
    assert not a.input.equal(c.input) and not a.where.equal(c.where)


def test_the_gate_takes_the_reference_unless_that_is_long(monkeypatch):
    problem = make(TINY, seed=0)
    assert parity.truth(problem).backend == "reference"
    monkeypatch.setattr(parity, "LARGE", 1)
    right = parity.truth(problem)
    assert right.backend == "aten" and parity.fault("reticle", reticle(problem), BOTH, problem, right) is None


def test_losses_are_listed_worst_first():
    found = suite(
        *(row(median=2.0), row("torch", 1.0), row("kornia", 3.0), row("copy", 0.1), refused("scipy")),
        *(row(median=2.0, case="b1"), row("torch", 1.9, case="b1"), row("aten", 0.1, case="b1")),
    )
    lines = table.losses(found).splitlines()
    assert lines[0] == "Reticle is slower than a peer in 2 of 3 comparisons:"
    assert lines[2:] == [
        "- `a`, forward, 1 thread: torch 1.00 ms, reticle 2.00 ms (0.50×)",
        "- `b1`, forward, 1 thread: torch 1.90 ms, reticle 2.00 ms (0.95×)",
    ]
    assert "torch 1.00 0.50× slower, kornia 3.00 1.5×, scipy wrong |" in table.full(found)
    assert "| `a` | MNIST-like canvas, 256×1×42×42 | 1.00 | 2.00 | 0.50× slower | 0.10 |" in table.short(found)


def test_torch_that_is_wrong_in_16_bits_is_measured_in_32():
    found = suite(
        row(case="bfloat16"), refused("torch", case="bfloat16"), row("torch_float32", 4.0, case="bfloat16"), row("copy", case="bfloat16")
    )
    assert "| 4.00 in float32 | 2.00 | 2.0× | 2.00 |" in table.short(found)


def test_a_busy_machine_is_marked():
    found = suite(row(waited=0.2), row("torch", 4.0, waited=0.01))
    assert "| 2.00 ~ (0.10) |" in table.full(found) and "1 numbers, marked ~" in table.machine(found)


def test_without_results_tables_say_so(tmp_path):
    assert table.latest(tmp_path) is None
    for part in (table.short, table.full, table.losses, table.refusals, table.machine, table.memory):
        assert part(None) == "not yet measured"


def test_lists_on_the_command_line():
    assert find_cases("") == CASES and find_cases("a, tiny") == (KNOWN["a"], TINY)
    assert find_peers("") == () and find_peers("torch,opencv") == ("torch", "opencv")
    assert check_threads("1,4,1") == (1, 4) and check_threads("")[0] == 1


@pytest.fixture
def bench(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)

    def bench(*args):
        monkeypatch.setattr("sys.argv", ["reticle", "bench", *args])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        return code, *capfd.readouterr()

    return bench


def test_command_measures_prints_and_writes(bench, tmp_path):
    threads = torch.get_num_threads()
    code, out, _ = bench("--cases", "tiny", "--peers", "torch", "--threads", "1", "--quick", "--memory")
    assert code == 0 and out.splitlines()[-1] == "runs/bench/sampler--cpu.json"
    assert "tiny" in out and "torch" in out and "Reticle is slower than a peer in" in out
    found = read(tmp_path / "runs/bench/sampler--cpu.json")
    assert [(r.which, r.peer) for r in found.rows] == list(itertools.product(TINY.passes, ("reticle", "torch", "copy")))
    assert found.quick and all(r.state == MEASURED for r in found.rows)
    assert found.rows[0].backend and torch.get_num_threads() == threads

    code, _, _ = bench("--cases", "tiny", "--peers", "aten", "--threads", "1", "--quick", "--add", "--out", "runs/bench/sampler--cpu.json")
    again = read(tmp_path / "runs/bench/sampler--cpu.json")
    assert code == 0 and {r.peer for r in again.rows} == {"reticle", "torch", "aten", "copy"}


@pytest.mark.parametrize(
    "args, message",
    [
        (["--cases", "tyny"], "bench: unknown case 'tyny'. Did you mean 'tiny'?"),
        (["--peers", "torhc"], "bench: unknown peer 'torhc'. Did you mean 'torch'?"),
        (["--threads", "0"], "bench: `threads` must be whole numbers of at least 1, such as 1,2; got '0'."),
        (
            ["--cases", "tiny", "--out", "."],
            "bench: `out` must be a file; got the folder '.'.\n  Give a file in it, such as 'sampler--cpu.json'.",
        ),
    ],
)
def test_command_answers_typos(bench, args, message):
    code, out, err = bench(*args)
    assert code == 2 and out == "" and err == f"reticle: {message}\n"
