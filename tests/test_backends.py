"""Who computes a call: chosen by static facts, said in words, never by luck."""

import pytest
import torch
from helpers import CALLS

import reticle
from reticle import MODES, Mode, explain, grid_sample, use_backend, warp
from reticle.sampling import BACKENDS, Spec
from reticle.sampling import backends as backends_module
from reticle.sampling.backends import choose

IMAGE, GRID = torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 2, 2)
SPEC = Spec("cpu", torch.float32, 2, "bilinear", "zeros", False)
OWN = Mode(torch.ones_like, support=2)
NAMES = [b.name for b in BACKENDS]


@pytest.fixture
def calls(monkeypatch):
    """Names of the backends that ran, in order."""
    ran = []

    def spy(backend):
        return backend._replace(run=lambda *args: ran.append(backend.name) or backend.run(*args))

    monkeypatch.setattr(backends_module, "BACKENDS", tuple(spy(b) for b in BACKENDS))
    return ran


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_auto_always_finds_one_and_the_reference_refuses_nothing(ndim, dtype):
    for device in ("cpu", "cuda"):
        for call in [*CALLS, (OWN, "wrap", True)]:
            spec = Spec(device, dtype, ndim, *call)
            assert choose(spec).refuses(spec) is None
            assert choose(spec, "reference").name == "reference"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_aten_takes_what_it_must(mode, padding_mode, dtype):
    for align_corners in (False, True):
        assert choose(Spec("cpu", dtype, 2, mode, padding_mode, align_corners), "aten").name == "aten"


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
        choose(spec, "aten")
    assert str(e.value) == f"reticle.grid_sample: backend 'aten' {why}.\n  Use backend='auto', or 'reference'."
    assert choose(spec).name == "reference"


def test_a_named_backend_runs_and_auto_takes_the_first_able(calls):
    for name in ("auto", *NAMES):
        grid_sample(IMAGE, GRID, backend=name)
        warp(IMAGE, torch.eye(2, 3)[None], backend=name)
    grid_sample(IMAGE, GRID, "lanczos3")
    assert calls == [NAMES[0]] * 2 + [name for name in NAMES for _ in range(2)] + ["reference"]


def test_use_backend_as_a_block_ends_with_it(calls):
    with use_backend("reference"):
        grid_sample(IMAGE, GRID)
        with use_backend("aten"):
            grid_sample(IMAGE, GRID)
        grid_sample(IMAGE, GRID)
        with use_backend("auto"):
            grid_sample(IMAGE, GRID)
    grid_sample(IMAGE, GRID)
    assert calls == ["reference", "aten", "reference", "aten", "aten"]


def test_use_backend_as_a_statement_lasts(calls):
    use_backend("reference")
    grid_sample(IMAGE, GRID)
    grid_sample(IMAGE, GRID, backend="aten")  # a name given with the call wins
    use_backend("auto")
    grid_sample(IMAGE, GRID)
    assert calls == ["reference", "aten", "aten"]


def test_use_backend_ends_after_an_error_too(calls):
    with pytest.raises(RuntimeError, match="stop"), use_backend("reference"):
        raise RuntimeError("stop")
    grid_sample(IMAGE, GRID)
    assert calls == ["aten"]


def test_a_forced_backend_refuses_as_a_named_one_does():
    with use_backend("aten"), pytest.raises(NotImplementedError, match="backend 'aten' has no lanczos3 mode"):
        grid_sample(IMAGE, GRID, "lanczos3")


@pytest.mark.errors
def test_an_unknown_backend_is_answered_and_changes_nothing(calls):
    text = "reticle: unknown backend 'cuda'. Known: auto, aten, reference."
    for call in (lambda: use_backend("cuda"), lambda: grid_sample(IMAGE, GRID, backend="cuda")):
        with pytest.raises(ValueError) as e:
            call()
        assert str(e.value) == text
    grid_sample(IMAGE, GRID)
    assert calls == ["aten"]


@pytest.mark.parametrize(
    ("mode", "padding_mode", "forced", "text"),
    [
        ("bilinear", "zeros", "auto", "aten       chosen\nreference  able"),
        ("bilinear", "zeros", "reference", "aten       able\nreference  chosen"),
        ("bilinear", "wrap", "auto", "aten       has no wrap padding\nreference  chosen"),
        ("nearest", "zeros", "auto", "aten       rounds half to even in nearest mode, not up\nreference  chosen"),
        (OWN, "zeros", "auto", "aten       has no user-defined mode\nreference  chosen"),
        ("lanczos3", "zeros", "aten", "aten       has no lanczos3 mode\nreference  able"),
    ],
)
def test_explain_has_a_line_for_each_backend(mode, padding_mode, forced, text):
    for grid_or_matrix in (GRID, torch.eye(2, 3)[None]):
        with use_backend(forced):
            assert explain(IMAGE, grid_or_matrix, mode, padding_mode) == text


@pytest.mark.errors
def test_explain_answers_typos():
    with pytest.raises(ValueError, match="Unknown mode 'bilinaer'. Did you mean 'bilinear'"):
        explain(IMAGE, GRID, "bilinaer")
    with pytest.raises(ValueError, match="Unknown padding_mode 'zeroes'. Did you mean 'zeros'"):
        explain(IMAGE, GRID, "bilinear", "zeroes")


def test_backend_names_are_public():
    assert reticle.use_backend is use_backend and NAMES[-1] == "reference" and len(set(NAMES)) == len(NAMES)
