"""Random hard calls of the compiled sampler against the reference: ``python tests/fuzz.py --cases 100000 --seed 0``.

Each case has a seed of its own, named when it fails: ``--cases 1 --seed N`` runs it again. The reference computes in double; a
point is compared as closely as the rounding of its coordinates allows. Where that is too uncertain (huge coordinates that fold,
denominators near 0, the ties of nearest) only the contract is asked: finite, and inside the range of the image.
"""

import argparse
import sys
import time
from dataclasses import dataclass

import torch
from fuzz_cases import MODES, Case, make
from torch import Tensor

from reticle import grid_sample, warp
from reticle.grid import base_grid, source_grid

UNCERTAIN = 0.02  # pixels


def call(case: Case, backend: str, image: Tensor, where: Tensor) -> Tensor:
    """The call of a case on other tensors."""
    how = (case.mode, case.padding_mode, case.align_corners)
    if case.is_matrix:
        return warp(image, where, case.out, *how, value=case.value, backend=backend)
    return grid_sample(image, where, *how, value=case.value, backend=backend)


def eps_of(case: Case) -> float:
    """The rounding of coordinates."""
    wide = torch.float64 in (case.image.dtype, case.where.dtype)
    return torch.finfo(torch.float64 if wide else torch.float32).eps


@dataclass
class Places:
    """Where the points of a case lie, in double, and how sure that is."""

    norm: Tensor  # (B, *out, D)
    blur: Tensor  # of each coordinate, in pixels
    certain: Tensor  # (B, *out): may be compared
    smooth: Tensor  # (B, *out): and not within rounding of a pixel centre, where slopes are one-sided


def norms(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised coordinates, their rounding in the same units but for that of numbers near 1, and at which points that can be told."""
    where, eps, ndim = case.where.double(), 16 * eps_of(case), len(case.out)
    if not case.is_matrix:
        return where, torch.zeros_like(where), torch.ones_like(where[..., 0], dtype=torch.bool)
    norm = source_grid(where, case.out, case.align_corners)
    target = base_grid(case.out, align_corners=case.align_corners, dtype=torch.float64)
    # a target near 0 is as uncertain as its distance to 1, from which it is computed
    size_of_target = target.abs().clamp(min=1 / 8)
    terms = torch.einsum("brk,...k->b...r", where[..., :ndim].abs(), size_of_target) + where[..., ndim].abs()[:, *[None] * ndim]
    rounding = eps * terms[..., :ndim]
    sure = terms.amax(-1) < 1e18  # far from where single precision overflows
    if where.shape[1] > ndim:
        w = torch.einsum("bk,...k->b...", where[:, ndim, :ndim], target) + where[:, ndim, ndim][:, *[None] * ndim]
        rounding = (rounding + eps * norm.abs().nan_to_num(posinf=0) * terms[..., ndim:]) / w.abs()[..., None]
        sure &= (w.abs() > 2 * eps * terms[..., ndim]) & (w.abs() > 1e-9)
    lost = ~(where.abs() < 1e12).flatten(1).all(1)  # what overflows, and whether it cancels, is for test_wild_points
    return norm, rounding, sure & ~lost[:, *[None] * ndim]


def places(case: Case) -> Places:
    """Bound the rounding of each coordinate by the sizes of the terms that it is made of."""
    eps, size = 16 * eps_of(case), torch.tensor([*reversed(case.image.shape[2:])], dtype=torch.float64)
    norm, rounding, sure = norms(case)
    far, folds = 4 * MODES[case.mode], case.padding_mode in ("reflection", "wrap")
    magnitude = norm.abs().nan_to_num(posinf=0)
    blur = (rounding + eps * (1 + (magnitude * 1e-9 if folds and not case.is_matrix else magnitude))) * size / 2
    if folds:
        blur += 1e-15 * magnitude * size
    outside = magnitude > far + 2 * rounding
    blur = torch.where((outside & (not folds)) | ~norm.isfinite() & (rounding == 0), 0, blur)
    # how far beyond a centre a point lies is held in the precision of the sums
    fraction = own_rounding(case.image) / 64
    blur = blur + torch.where(blur > 0, fraction, 0)
    edge = (magnitude - far).abs() <= 2 * rounding + 1e-12  # one pixel, corners aligned: inside up to there, outside beyond
    pixel = norm * (size - int(case.align_corners)) / 2 + (size - 1) / 2
    at = pixel.nan_to_num(nan=0.5, posinf=0.5, neginf=0.5)
    step = at - at.floor()
    tie = (step - 0.5).abs() <= 2 * blur if case.mode == "nearest" else torch.zeros_like(step, dtype=torch.bool)
    beside = 1e-7 if MODES[case.mode] == 4 else 0  # closer to a centre the outer weights of a cubic are not told from 0, even in double
    kink = torch.minimum(step, 1 - step) <= (2 * blur + fraction).clamp(min=beside)
    near_far = edge if not folds else torch.zeros_like(edge)
    certain = sure & ~((blur > UNCERTAIN) | tie | near_far | blur.isnan()).any(-1)
    return Places(norm, blur.nan_to_num(0, 0, 0).clamp(max=1), certain, certain & ~kink.any(-1))


def check(case: Case) -> None:
    """Raise AssertionError unless the compiled sampler does what the reference does."""
    torch.manual_seed(0)
    where = places(case)
    check_output(case, where)
    if case.image.dtype.is_floating_point:
        check_gradients(case, where)


def clean(image: Tensor) -> Tensor:
    """Without absurd pixels, in double."""
    image = image.double()
    return torch.where(image.abs() <= 1e3, image, 0)


def own_rounding(*tensors: Tensor) -> float:
    """Relative to the largest pixel: of the sums of a point."""
    return 256 * torch.finfo(torch.float64 if all(t.dtype == torch.float64 for t in tensors) else torch.float32).eps


def check_output(case: Case, where: Places) -> None:
    got, image = call(case, "native", case.image, case.where), clean(case.image)
    assert got.dtype == case.image.dtype
    got, want = got.double(), call(case, "reference", image, case.where.double())
    largest = max(image.abs().max().item(), abs(case.value))
    if case.image.dtype.is_floating_point and not torch.equal(image, case.image.double()):
        # absurd pixels have no part in what stays the same; of one sign, two of them do not cancel each other
        absurd = torch.where(case.image.double() == image, image, case.image.double().abs())
        wild = call(case, "reference", absurd, case.where.double())
        compared = (wild == want) & where.smooth[:, None]
    else:
        compared = where.certain[:, None].expand_as(got)
        assert got.isfinite().all(), "not finite"
        if case.mode in ("nearest", "bilinear"):
            assert got.min() >= min(image.min().item(), case.value, 0) - 0.01 * largest - 1, "below the image"
            assert got.max() <= max(image.max().item(), case.value, 0) + 0.01 * largest + 1, "above the image"
    tolerance = largest * (4 * where.blur.sum(-1)[:, None] + own_rounding(case.image))
    if case.image.dtype == torch.uint8:
        want, tolerance = want.clamp(0, 255), tolerance + 0.5
    else:
        tolerance = tolerance + want.abs() * torch.finfo(case.image.dtype).eps
    agree("output", got, want, tolerance, compared)


def check_gradients(case: Case, where: Places) -> None:
    image = case.image if torch.equal(clean(case.image), case.image.double()) else clean(case.image).to(case.image.dtype)
    cotangent = torch.where(where.smooth[:, None], case.cotangent, 0)
    got = slopes(case, "native", image, case.where, cotangent)
    want = slopes(case, "reference", image.double(), case.where.double(), cotangent.double())
    # everything, also where nothing is compared, is defined
    raw = slopes(case, "native", image, case.where, case.cotangent)
    assert raw[0].isfinite().all(), "gradient to the image is not finite"
    if not case.is_matrix:
        assert not raw[1][~case.where.isfinite()].any(), "gradient to a coordinate that is not finite"
    blur = where.blur.sum(-1)[:, None]
    error = cotangent.double().abs() * (4 * blur + own_rounding(case.image))
    reach = torch.autograd.functional.vjp(lambda i: sample(case, i, where.norm, "bspline3"), image.double(), error)[1]
    tolerance = 40 * reach + 4 * error.max() if error.numel() else reach
    tolerance = tolerance + 2 * torch.finfo(case.image.dtype).eps * want[0].abs()
    agree("gradient to the image", got[0].double(), want[0], tolerance, want[0].isfinite())
    largest = max(image.double().abs().max().item(), abs(case.value))
    half = torch.tensor([(n - int(case.align_corners)) / 2 for n in reversed(case.image.shape[2:])], dtype=torch.float64)
    errors = (cotangent.double().abs() * largest * (12 * blur + 4 * own_rounding(case.image, case.where))).sum(1)[..., None] * half
    tolerance = matrix_tolerance(case, where, errors, image, cotangent) if case.is_matrix else errors
    if len(case.where) == 1:
        tolerance = tolerance.sum(0, keepdim=True)
    own = torch.finfo(case.where.dtype)
    tolerance = tolerance + 4 * own.eps * want[1].abs() + own.smallest_normal * own.eps  # subnormal numbers are that far apart
    held = want[1].abs() + tolerance < own.max  # what its dtype cannot hold is infinite
    agree("gradient to where", got[1].double(), want[1], tolerance, want[1].isfinite() & held)


def sample(case: Case, image: Tensor, grid: Tensor, mode: str) -> Tensor:
    return grid_sample(image, grid, mode, case.padding_mode, case.align_corners, value=case.value, backend="reference")


def slopes(case: Case, backend: str, image: Tensor, where: Tensor, cotangent: Tensor) -> tuple[Tensor, ...]:
    image, where = image.detach().requires_grad_(), where.detach().requires_grad_()
    return torch.autograd.grad(call(case, backend, image, where), (image, where), cotangent)


def matrix_tolerance(case: Case, where: Places, errors: Tensor, image: Tensor, cotangent: Tensor) -> Tensor:
    """What errors of the gradient at each point come to in the entries of the matrix."""
    ndim = len(case.out)
    slope = torch.autograd.functional.vjp(lambda g: sample(case, image.double(), g, case.mode), where.norm, cotangent.double())[1]
    errors = errors + own_rounding(case.image, case.where) * slope.abs()
    target = base_grid(case.out, align_corners=case.align_corners, dtype=torch.float64)
    target = torch.cat([target, torch.ones_like(target[..., :1])], dim=-1)
    w = torch.ones_like(errors[..., :1])
    if case.where.shape[1] > ndim:
        w = torch.einsum("bk,...k->b...", case.where[:, ndim].double(), target)[..., None].expand_as(w)
        places = where.norm.abs().nan_to_num(0, 0, 0)
        # the rounding of w counts, too
        errors = (errors + slope.abs() * 64 * eps_of(case) * (1 + places) / w.abs()) / w.abs()
        errors = torch.cat([errors, (errors * places).sum(-1, keepdim=True)], dim=-1)
    errors = torch.where(where.smooth[..., None], errors, 0).flatten(1, -2)
    return torch.einsum("bpr,pk->brk", errors, target.abs().flatten(0, -2) + own_rounding(case.image)) * 2 + 1e-12


def agree(what: str, got: Tensor, want: Tensor, tolerance: Tensor, compared: Tensor) -> None:
    """Where ``compared``, within ``tolerance``."""
    wrong = compared & ~((got - want).abs() <= tolerance)
    if wrong.any():
        at = tuple(wrong.nonzero()[0].tolist())
        allowed = tolerance.expand_as(want)[at].item()
        raise AssertionError(f"{what} at {at}: {got[at].item()!r}, not {want[at].item()!r} within {allowed:.3g}; {int(wrong.sum())} places")


def run(cases: int, seed: int, *, progress: bool = False) -> None:
    """Check so many cases, from the one of ``seed`` on; the first that fails is named."""
    start = time.monotonic()
    for k in range(seed, seed + cases):
        case = make(k)
        try:
            check(case)
        except (AssertionError, RuntimeError, ValueError) as error:
            raise AssertionError(f"seed {k}: {error}\n  {case}") from error
        if progress and time.monotonic() - start > 0 and (k - seed + 1) % 1000 == 0:
            print(f"{k - seed + 1:,} of {cases:,} cases, {time.monotonic() - start:,.0f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Random hard calls of the compiled sampler against the reference.")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        run(given.cases, given.seed, progress=True)
    except AssertionError as error:
        sys.exit(str(error))
    print(f"{given.cases:,} cases agree with the reference")
