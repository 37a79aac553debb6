"""A few of the fuzzer's cases in every run, and the fuzzer itself: it must see what is slightly wrong."""

import fuzz
import pytest
import torch

from reticle.sampling import native

pytestmark = pytest.mark.skipif(native.WHY_NOT is not None, reason=f"native {native.WHY_NOT}")


@pytest.mark.parametrize("part", range(4))
def test_hard_calls_agree_with_the_reference(part):
    fuzz.run(150, 1_000_000 + 1000 * part)


def _moved(case, image, where):
    """A hundredth of a pixel to the right."""
    shift = torch.zeros(where.shape[-1] if not case.is_matrix else where.shape[1:], dtype=where.dtype)
    shift[(0,) if not case.is_matrix else (0, -1)] = 0.02 / case.image.shape[-1]
    return image, where + shift


FAULTS = {
    "image": lambda case, image, where: (image * 1.001, where),
    "place": _moved,
    "first pixel": lambda case, image, where: (image * (torch.arange(image[0].numel()).view(image.shape[1:]) > 0), where),
    "first sample": lambda case, image, where: (image, where[:1].expand_as(where)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fuzzer_sees_faults(fault, monkeypatch):
    right = fuzz.call

    def wrong(case, backend, image, where):
        return right(case, backend, *(FAULTS[fault](case, image, where) if backend == "native" else (image, where)))

    monkeypatch.setattr(fuzz, "call", wrong)
    cases = [c for c in map(fuzz.make, range(240)) if c.image.dtype in (torch.float32, torch.float64)]
    seen = 0
    for case in cases:
        try:
            fuzz.check(case)
        except AssertionError:
            seen += 1
    assert seen > {"image": 0.7, "place": 0.5, "first pixel": 0.3, "first sample": 0.3}[fault] * len(cases), f"{seen} of {len(cases)}"


def test_a_failure_names_its_seed(monkeypatch):
    monkeypatch.setattr(fuzz, "call", lambda case, backend, image, where: image.sum().expand(1) * 0)
    with pytest.raises(AssertionError, match=r"^seed 7: .*\n  (nearest|bilinear|bicubic|bspline3), "):
        fuzz.run(3, 7)
