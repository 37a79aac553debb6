"""Who computes a call: chosen by static facts, said in words, never by luck."""

import itertools
import re

import pytest
import torch
from helpers import CALLS

import reticle
from reticle import MODES, Mode, explain, grid_sample, use_backend, warp
from reticle.sampling import BACKENDS, Spec, native, native_rules, plain, triton
from reticle.sampling import backends as backends_module
from reticle.sampling.aten import refuses
from reticle.sampling.backends import choose

IMAGE, GRID = torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 2, 2)
SPEC = Spec("cpu", torch.float32, 2, "bilinear", "zeros", False)
OWN = Mode(torch.ones_like, support=2)
NAMES = [b.name for b in BACKENDS]
KNOWN = "auto, native, triton, aten, reference"
FIRST = "aten" if native.WHY_NOT else "native"
FIRST_OF_ALL_MODES = "reference" if native.WHY_NOT else "native"


@pytest.fixture
def calls(monkeypatch):
    """Names of the backends that ran, in order."""
    ran = []

    def spy(backend):
        def seen(function):
            return lambda *args: ran.append(backend.name) or function(*args)

        return backend._replace(run=seen(backend.run), warp=backend.warp and seen(backend.warp))

    monkeypatch.setattr(backends_module, "BACKENDS", tuple(spy(b) for b in BACKENDS))
    monkeypatch.setattr(plain, "sample", lambda *args: ran.append("native") or native_rules.sample(*args))
    return ran


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_auto_always_finds_one_and_the_reference_refuses_nothing(ndim, dtype):
    for device in ("cpu", "cuda"):
        for call in [*CALLS, (OWN, "wrap", True)]:
            spec = Spec(device, dtype, ndim, *call)
            assert choose("f", spec).refuses(spec) is None
            assert choose("f", spec, "reference").name == "reference"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_aten_takes_what_it_must(mode, padding_mode, dtype):
    for align_corners in (False, True):
        assert choose("f", Spec("cpu", dtype, 2, mode, padding_mode, align_corners), "aten").name == "aten"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mode": "nearest"}, "rounds half to even in nearest mode, not up"),
        ({"mode": "bspline3"}, "has no bspline3 mode"),
        ({"mode": "lanczos3"}, "has no lanczos3 mode"),
        ({"mode": "gaussian"}, "has no gaussian mode"),
        ({"mode": OWN}, "has no user-defined mode"),
        ({"mode": MODES["bilinear"]}, "has no user-defined mode"),
        ({"padding_mode": "wrap"}, "has no wrap padding"),
        ({"padding_mode": "constant"}, "has no constant padding"),
        ({"ndim": 1}, "has no bilinear mode in 1-D"),
        ({"ndim": 3, "mode": "bicubic"}, "has no bicubic mode in 3-D"),
    ],
    ids=str,
)
def test_aten_says_why_it_refuses(change, why):
    spec = SPEC._replace(**change)
    with pytest.raises(NotImplementedError) as e:
        choose("f", spec, "aten")
    able = FIRST_OF_ALL_MODES if spec.mode in ("nearest", "bilinear", "bicubic", "bspline3") else "reference"
    assert str(e.value) == f"f: backend 'aten' {why}.\n  Use backend='auto', or {able!r}."
    assert choose("f", spec).name == able


def test_a_warp_refuses_in_its_own_name():
    with pytest.raises(NotImplementedError, match=r"^reticle.warp: backend 'aten' has no lanczos3 mode.\n"):
        warp(IMAGE, torch.eye(2, 3)[None], mode="lanczos3", backend="aten")


def test_aten_is_not_taken_where_torch_would_raise():
    spec = SPEC._replace(device="cuda")
    assert refuses(spec) is None
    torch.use_deterministic_algorithms(True)
    try:
        assert refuses(spec) == "has no deterministic gradient on a GPU" and refuses(SPEC) is None
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_named_backend_runs_and_auto_takes_the_first_able(calls):
    names = [b.name for b in BACKENDS if b.refuses(SPEC) is None]
    for name in ("auto", *names):
        grid_sample(IMAGE, GRID, backend=name)
        warp(IMAGE, torch.eye(2, 3)[None], backend=name)
    grid_sample(IMAGE, GRID, "lanczos3")
    assert calls == [FIRST] * 2 + [name for name in names for _ in range(2)] + ["reference"]


def test_use_backend_as_a_block_ends_with_it(calls):
    with use_backend("reference"):
        grid_sample(IMAGE, GRID)
        with use_backend("aten"):
            grid_sample(IMAGE, GRID)
        grid_sample(IMAGE, GRID)
        with use_backend("auto"):
            grid_sample(IMAGE, GRID)
    grid_sample(IMAGE, GRID)
    assert calls == ["reference", "aten", "reference", FIRST, FIRST]


def test_use_backend_as_a_block_may_come_again(calls):
    block = use_backend("reference")
    for _ in range(2):
        with block:
            grid_sample(IMAGE, GRID)
        grid_sample(IMAGE, GRID)
    assert calls == ["reference", FIRST] * 2


def test_use_backend_as_a_block_may_stand_within_itself(calls):
    block = use_backend("reference")
    with block, block:
        grid_sample(IMAGE, GRID)
    grid_sample(IMAGE, GRID)
    assert calls == ["reference", FIRST]


def test_use_backend_as_a_statement_lasts(calls):
    use_backend("reference")
    grid_sample(IMAGE, GRID)
    grid_sample(IMAGE, GRID, backend="aten")  # a name given with the call wins
    use_backend("auto")
    grid_sample(IMAGE, GRID)
    assert calls == ["reference", "aten", FIRST]


def test_use_backend_ends_after_an_error_too(calls):
    with pytest.raises(RuntimeError, match="stop"), use_backend("reference"):
        raise RuntimeError("stop")
    grid_sample(IMAGE, GRID)
    assert calls == [FIRST]


def test_a_forced_backend_refuses_as_a_named_one_does():
    with use_backend("aten"), pytest.raises(NotImplementedError, match="backend 'aten' has no lanczos3 mode"):
        grid_sample(IMAGE, GRID, "lanczos3")


@pytest.mark.errors
def test_an_unknown_backend_is_answered_and_changes_nothing(calls):
    text = f"reticle: unknown backend 'cuda'. Known: {KNOWN}."
    for call in (lambda: use_backend("cuda"), lambda: grid_sample(IMAGE, GRID, backend="cuda")):
        with pytest.raises(ValueError) as e:
            call()
        assert str(e.value) == text
    grid_sample(IMAGE, GRID)
    assert calls == [FIRST]


@pytest.mark.parametrize(
    ("mode", "padding_mode", "forced", "aten"),
    [
        ("bilinear", "zeros", "auto", "able"),
        ("bilinear", "zeros", "reference", "able"),
        ("bilinear", "wrap", "auto", "has no wrap padding"),
        ("nearest", "zeros", "auto", "rounds half to even in nearest mode, not up"),
        (OWN, "zeros", "auto", "has no user-defined mode"),
        ("lanczos3", "zeros", "aten", "has no lanczos3 mode"),
    ],
)
def test_explain_has_a_line_for_each_backend(mode, padding_mode, forced, aten):
    chosen = choose("f", SPEC._replace(mode=mode, padding_mode=padding_mode)).name if forced == "auto" else forced
    detail = "" if native.WHY_NOT else f" ({native.instruction_set()})"
    compiled = native.refuses(SPEC._replace(mode=mode)) or ("chosen" if chosen == "native" else "able") + detail
    aten = "chosen" if chosen == "aten" and aten == "able" else aten
    kernels = triton.refuses(SPEC._replace(mode=mode)) or ("chosen" if chosen == "triton" else "able") + f" ({triton.version()})"
    want = f"native     {compiled}\ntriton     {kernels}\naten       {aten}\nreference  {'chosen' if chosen == 'reference' else 'able'}"
    for grid_or_matrix in (GRID, torch.eye(2, 3)[None]):
        with use_backend(forced):
            assert explain(IMAGE, grid_or_matrix, mode, padding_mode) == want


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"device": "cuda"}, "computes on the CPU, not on cuda"),
        ({"mode": "lanczos3"}, "has no lanczos3 mode"),
        ({"mode": "gaussian"}, "has no gaussian mode"),
        ({"mode": OWN}, "has no user-defined mode"),
        ({"mode": MODES["bilinear"]}, "has no user-defined mode"),
        ({"learns_value": True}, "has no gradient to `value`"),
    ],
    ids=str,
)
def test_native_lacks_little(change, why):
    assert native.lacks(SPEC._replace(**change)) == why


@pytest.mark.skipif(triton.INTERPRETED, reason="interpreted, it computes on the CPU")
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"device": "cpu"}, "computes on GPUs, not on cpu"),
        ({"device": "mps"}, "computes on GPUs, not on mps"),
        ({"mode": "lanczos3"}, "has no lanczos3 mode"),
        ({"mode": OWN}, "has no user-defined mode"),
        ({"dtype": torch.complex64}, "has no torch.complex64"),
        ({"learns_value": True}, "has no gradient to `value`"),
    ],
    ids=str,
)
def test_triton_lacks_little(change, why):
    assert triton.lacks(SPEC._replace(device="cuda")._replace(**change)) == why
    for ndim, dtype in itertools.product((1, 2, 3), (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8)):
        for call in CALLS:
            if call[0] not in ("lanczos3", "gaussian"):
                assert triton.lacks(Spec("cuda", dtype, ndim, *call)) is None


def test_native_takes_all_the_rest():
    for ndim, dtype in itertools.product((1, 2, 3), (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8)):
        for call in CALLS:
            if call[0] not in ("lanczos3", "gaussian"):
                assert native.lacks(Spec("cpu", dtype, ndim, *call)) is None


@pytest.mark.errors
def test_explain_answers_typos():
    with pytest.raises(ValueError, match="Unknown mode 'bilinaer'. Did you mean 'bilinear'"):
        explain(IMAGE, GRID, "bilinaer")
    with pytest.raises(ValueError, match="Unknown padding_mode 'zeroes'. Did you mean 'zeros'"):
        explain(IMAGE, GRID, "bilinear", "zeroes")


@pytest.mark.errors
@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (TypeError, "reticle.explain: `input` must have a floating dtype or torch.uint8; got torch.int32.", {"input": IMAGE.int()}),
        (TypeError, "reticle.explain: `grid_or_matrix` must have a floating dtype; got torch.int64.", {"grid_or_matrix": GRID.long()}),
        (
            ValueError,
            "`grid_or_matrix` must be a grid (B, H_out, W_out, 2) or matrices (B, 2, 3) for an `input` of 4 axes; got (2, 5).",
            {"grid_or_matrix": torch.zeros(2, 5)},
        ),
        (TypeError, "reticle.explain: `align_corners` must be True or False; got 'no'.", {"align_corners": "no"}),
    ],
)
def test_explain_answers_what_no_call_takes(error, message, change):
    with pytest.raises(error, match=re.escape(message)):
        explain(**({"input": IMAGE, "grid_or_matrix": GRID} | change))


def test_backend_names_are_public():
    assert reticle.use_backend is use_backend and NAMES[-1] == "reference" and len(set(NAMES)) == len(NAMES)
