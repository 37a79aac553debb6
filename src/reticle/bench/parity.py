"""Does a contestant compute what was asked? No number is printed for one whose values or gradients differ from the truth.

The truth is float64: of the reference backend, or, where that would take minutes, of torch's own sampler behind ``reticle``, which
the tests compare with the reference.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..sampling import MODES, aten, grid_sample, warp
from ..sampling.backends import Spec
from .cases import BOTH, FORWARD
from .contestant import Contestant
from .inputs import Problem

LARGE = 2**24  # pixels that count, over all outputs
ROUNDING = {torch.float16: 2**-11, torch.bfloat16: 2**-8, torch.uint8: 1 / 255}
"""What an output may lose by its dtype, relative to the largest one."""
OPENCV = 0.05
"""Before version 5, OpenCV rounds coordinates to 1/32 of a pixel."""


class Truth(NamedTuple):
    """What is right, in float64."""

    backend: str
    output: Tensor
    gradients: tuple[Tensor, ...]
    """To the input and to the matrix or grid; empty where no backward pass is measured."""


def truth(problem: Problem) -> Truth:
    """The right output and gradients of ``problem``."""
    case = problem.case
    taps = MODES[case.mode].support ** len(case.size)
    spec = Spec("cpu", torch.float64, len(case.size), case.mode, case.padding_mode, False)
    is_large = math.prod((*case.input[:2], *case.size)) * taps > LARGE
    backend = "aten" if is_large and aten.refuses(spec) is None else "reference"
    backward = BOTH in case.passes
    image, where = (t.double().requires_grad_(backward) for t in (problem.input, problem.where))
    how = (case.mode, case.padding_mode, False)
    output = warp(image, where, case.size, *how, backend=backend) if problem.is_matrix else grid_sample(image, where, *how, backend=backend)
    gradients: tuple[Tensor, ...] = ()
    if backward and problem.cotangent is not None:
        gradients = torch.autograd.grad(output, (image, where), problem.cotangent.double())
    output = output.detach()
    return Truth(backend, output.round() if case.dtype == torch.uint8 else output, gradients)


def fault(name: str, contestant: Contestant, which: str, problem: Problem, right: Truth) -> str | None:
    """Run one pass of a contestant and compare it with the truth: what is wrong with it, or None."""
    if which == FORWARD:
        output = contestant.output(contestant.forward())
        if not contestant.compared:
            return None
        if output.shape != right.output.shape or output.dtype != problem.case.dtype:
            return f"output is {tuple(output.shape)} {output.dtype}"
        where = _inside(problem, right.output) if contestant.inside_only else None
        return _difference("output", output, right.output, output_tolerance(name, problem), _share(problem, "output"), where)
    assert contestant.backward is not None, "asked before"
    gradients = contestant.gradients(contestant.backward())
    return _gradients_fault(gradients, problem, right) if contestant.compared else None


def _gradients_fault(gradients: Sequence[Tensor], problem: Problem, right: Truth) -> str | None:
    side, rounding = max(problem.case.input[2:]), ROUNDING.get(problem.case.dtype, 0.0)
    (to_input, to_where), tolerance = gradients, 4 * rounding + _float32(side)
    fault = _difference("gradient of the input", to_input, right.gradients[0], tolerance, _share(problem, "input"))
    if fault or not problem.is_matrix:
        return fault or _difference("gradient of the grid", to_where, right.gradients[1], tolerance, _share(problem, "grid"))
    # a sum over all pixels, in which those that rounding moves across a kink count with another slope
    error = ((to_where.double() - right.gradients[1]).norm() / right.gradients[1].norm().clamp(min=1)).item()
    tolerance = 4 * rounding + 2e-3 * side**0.5
    return None if error <= tolerance else f"gradient of the matrix is off by {error:.1e} of its norm, tolerance {tolerance:.1e}"


def output_tolerance(name: str, problem: Problem) -> float:
    """How far an output may be off, relative to the largest one: by its coordinates' float32, by its dtype, by OpenCV's tables."""
    rounding = ROUNDING.get(problem.case.dtype, 0.0)
    return rounding + _float32(max(problem.case.input[2:])) + (OPENCV if name == "opencv" else 0.0)


def _float32(side: int) -> float:
    """Coordinates of up to ``side`` pixels, rounded a few times to 24 bits, where neighbouring pixels are as different as can be."""
    return 1e-5 + 1e-6 * side


def _share(problem: Problem, what: str) -> float:
    """The share of values that may be off: where rounding moves a point across the edge of a pixel, nearest and slopes jump."""
    jumps = problem.case.mode == "nearest" or what == "grid"
    return 5e-6 * max(problem.case.input[2:]) if jumps else 0.0


def _difference(what: str, got: Tensor, right: Tensor, tolerance: float, share: float, where: Tensor | None = None) -> str | None:
    error = (got.double() - right).abs() / right.abs().max().clamp(min=1)
    error = error.nan_to_num(math.inf)  # NaN compares as right with everything
    if where is not None:
        error = error[where.expand_as(error)]
    wrong = (error > tolerance).double().mean().item()
    if wrong <= share:
        return None
    return f"{what} is off by {error.max().item():.1e} of the largest, tolerance {tolerance:.1e}, at {wrong:.1%} of the values"


def _inside(problem: Problem, output: Tensor) -> Tensor:
    """``(B, 1, *out)``: whether the point lies between the centres of the outermost pixels."""
    points = problem.pixels(problem.where)
    last = torch.tensor(problem.case.input[:1:-1], dtype=points.dtype, device=points.device) - 1
    return ((points >= 0) & (points <= last)).all(-1)[:, None]
