"""A plain call skips the checks in words: what is wrong is told all the same, and what goes wrong is told once."""

import itertools

import pytest
import torch

from reticle import grid_sample, warp
from reticle.sampling import native, native_rules, plain

pytestmark = pytest.mark.skipif(native.WHY_NOT is not None, reason=f"native {native.WHY_NOT}")
IMAGE, MATRIX, GRID = torch.rand(2, 3, 6, 7), torch.eye(2, 3)[None], torch.zeros(2, 4, 5, 2)


class Alike:
    """Not a name, but equal to one."""

    def __hash__(self):
        return hash("bilinear")

    def __eq__(self, other):
        return other == "bilinear"


def broken():
    yield 4
    raise ZeroDivisionError


@pytest.fixture
def calls(monkeypatch):
    """One entry for each plain call."""
    made = []
    monkeypatch.setattr(plain, "sample", lambda *args: made.append(args[0]) or native_rules.sample(*args))
    return made


def test_plain_calls_are_taken_as_such(calls):
    size = torch.nn.Parameter(torch.rand(1, 1, 4, 4))
    for x in (IMAGE, IMAGE.double(), IMAGE.bfloat16(), (IMAGE * 255).byte(), size):
        warp(x, MATRIX), warp(x, MATRIX, (4, 5), "nearest"), warp(x, MATRIX.double(), [4, 5], padding_mode="wrap")
        grid_sample(x, GRID[:1]), grid_sample(x, GRID[:1], "bicubic", "border", True)
    assert calls == ["warp", "warp", "warp", "grid_sample", "grid_sample"] * 5


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's own, in forward mode
def test_calls_that_are_not_plain_are_not_taken(calls):
    warp(IMAGE, MATRIX, padding_mode="constant"), warp(IMAGE, MATRIX, backend="native"), warp(IMAGE, MATRIX.half())
    warp(IMAGE, MATRIX, out=torch.empty_like(IMAGE)), warp(IMAGE, MATRIX, mode="lanczos3")
    warp((IMAGE * 255).byte(), MATRIX.clone().requires_grad_())
    torch.func.vmap(lambda m: warp(IMAGE, m[None]))(MATRIX)
    torch.func.jvp(lambda m: warp(IMAGE, m), (MATRIX,), (MATRIX,))
    assert calls == []


@pytest.mark.parametrize(
    "size",
    [{4, 5}, {4: 1, 5: 2}, frozenset((4, 5)), itertools.count(1), broken(), (4, True), (4, 5.0), ()],
    ids=["set", "dict", "frozenset", "endless", "broken", "bool", "float", "none"],
)
def test_sizes_that_are_no_sizes_are_told(size):
    with pytest.raises(ValueError, match="^reticle.warp: `output_size` must be 2 positive whole numbers"):
        warp(IMAGE, MATRIX, size)


def test_a_mode_that_is_no_name_is_told():
    for call in (lambda: warp(IMAGE, MATRIX, mode=Alike()), lambda: grid_sample(IMAGE, GRID, Alike())):
        with pytest.raises(TypeError, match="^`mode` must be a name in MODES or a Mode; got Alike.$"):
            call()


def test_an_error_that_no_argument_is_to_blame_for_is_raised_once(monkeypatch):
    def fails(*args):
        tries.append(args[0])
        raise RuntimeError("no memory")

    tries = []
    monkeypatch.setattr(plain, "sample", fails)
    for call in (lambda: warp(IMAGE, MATRIX), lambda: grid_sample(IMAGE, GRID)):
        with pytest.raises(RuntimeError, match="^no memory$"):
            call()
    assert tries == ["warp", "grid_sample"]


@pytest.mark.parametrize("kind", [RuntimeError, KeyError, TypeError])
def test_hooks_that_fail_are_heard(kind):
    def pack(x):
        packed.append(x)
        raise kind("hook")

    packed = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x), pytest.raises(kind, match="hook"):
        warp(IMAGE.clone().requires_grad_(), MATRIX)
    assert len(packed) == 1


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_tensor_is_refused_in_words():
    ragged = torch.nested.nested_tensor([torch.ones(3, 6, 7, dtype=torch.int64), torch.ones(3, 5, 7, dtype=torch.int64)])
    with pytest.raises(TypeError, match="`input` must have a floating dtype"):
        warp(ragged, MATRIX)
