"""What does a peer hand in? Two calls to be timed, and how their results read in our terms; conversions are never on the clock."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .inputs import Problem


@dataclass(frozen=True)
class Contestant:
    """A peer, ready for one problem."""

    forward: Callable[[], Any]
    output: Callable[[Any], Tensor] = lambda result: result
    """What ``forward`` returned as ``(B, C, *out)``."""
    backward: Callable[[], tuple[Tensor, ...]] | None = None
    """Forward and backward: the gradients to the input and to whatever says where to read. None: it has no gradients."""
    gradients: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]] = lambda result: result
    """What ``backward`` returned as gradients to ``Problem.input`` and ``Problem.where``."""
    inside_only: bool = False
    """Compared only where every pixel that counts lies in the input: beyond, it fills in another way."""
    compared: bool = True
    """False for the copy, which computes nothing."""


ORDERS = {"nearest": 0, "bilinear": 1, "bspline3": 3}
"""The modes that are B-splines, by degree: how SciPy and torch-interpol name them."""
Read = Callable[[Tensor, Tensor], Tensor]


def differentiable(problem: Problem, read: Read, convert: Callable[[Tensor], Tensor] | None = None) -> Contestant:
    """A contestant made of ``read(input, where)`` in torch, with ``where`` in the peer's own terms, ``convert``ed from ours."""
    leaf = problem.where.clone().requires_grad_()
    theirs = convert(leaf) if convert else leaf
    where = theirs.detach()
    if not problem.input.dtype.is_floating_point or problem.cotangent is None:
        return Contestant(lambda: read(problem.input, where))
    inputs = problem.input.clone().requires_grad_(), where.clone().requires_grad_()

    def gradients(result: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        to_input, to_theirs = result
        return to_input, torch.autograd.grad(theirs, leaf, to_theirs, retain_graph=True)[0] if convert else to_theirs

    backward = lambda: torch.autograd.grad(read(*inputs), inputs, problem.cotangent)  # noqa: E731
    return Contestant(lambda: read(problem.input, where), backward=backward, gradients=gradients)


def check_offer(problem: Problem, modes: Collection[str], dtypes: Collection[torch.dtype] = (torch.float32,)) -> None:
    """Raise NotImplementedError for what a peer does not have; zeros and border padding they all have."""
    case = problem.case
    if case.mode not in modes or case.padding_mode not in ("zeros", "border"):
        raise NotImplementedError(f"has no {case.mode} mode with {case.padding_mode} padding")
    if case.dtype not in dtypes:
        raise NotImplementedError(f"does not take {str(case.dtype).removeprefix('torch.')}")
