"""What must torch know of our own operators, compiled or in Triton? Shapes, gradients of every order, how to run over a batch of calls.

``where`` stands for a matrix or a grid, ``how`` for what lies between the tensors: the output size (of a warp), mode, padding, corners.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C import _AutoDispatchBelowAutograd
from torch.autograd import forward_ad

from ..grid import source_grid
from .reference import sample_reference

# in the order of csrc/sampler.h
MODES = ("nearest", "bilinear", "bicubic", "bspline3")
PADDING_MODES = ("zeros", "constant", "border", "reflection", "wrap")


class Operator(NamedTuple):
    """One of the two ways to sample, and what goes with it."""

    forward: Callable[..., Tensor]
    """``(input, where, *how, fill) -> output``"""
    into: Callable[..., None]
    """``(input, where, mode, padding, align_corners, fill, output)``"""
    backward: Callable[..., tuple[Tensor, Tensor]]
    """``(grad, input, where, mode, padding, align_corners, fill, need_input, need_where) -> (grad_input, grad_where)``"""


OPERATORS: dict[str, Operator] = {}  # by what is there: each backend registers its own


def register(name: str) -> None:
    """Tell torch of the operator ``name``, once it is defined: of ``..warp``, from a matrix, or ``..grid_sample``, from a grid."""
    ops, library = torch.ops.reticle, torch.library
    OPERATORS[name] = Operator(*(getattr(ops, name + end).default for end in ("", "_into", "_backward")))
    library.register_fake(f"reticle::{name}", _fake_warp if name.endswith("warp") else _fake_grid_sample)
    library.register_fake(f"reticle::{name}_into", lambda *args: None)
    library.register_fake(f"reticle::{name}_backward", _fake_backward)
    library.register_autograd(f"reticle::{name}", _backward_of(name), setup_context=_remember)
    library.register_autograd(f"reticle::{name}_backward", _second_backward, setup_context=_remember_backward)
    library.register_vmap(f"reticle::{name}", _vmap_of(name))
    library.register_vmap(f"reticle::{name}_backward", _vmap_backward_of(name))


def run(name: str, input: Tensor, where: Tensor, how: tuple, fill: Tensor | None, out: Tensor | None) -> Tensor:
    """The shortest way into the operator ``name`` that the circumstances allow."""
    op = OPERATORS[name]
    if where.dtype in (torch.float16, torch.bfloat16):
        where = where.float()
    if input.dtype == torch.uint8:
        where = where.detach()  # whole numbers have no slope
    if torch.compiler.is_compiling():
        if forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active():
            # the compiler does not see the derivatives of an operator there
            return composition(input, where, how, fill)
        result = op.forward(input, where, *how, fill)  # its registered rules are traced
        return result if out is None else out.copy_(result)
    if out is not None:
        op.into(input, where, *how[-3:], fill, out)
        torch.autograd.graph.increment_version(out)
        return out
    # forward derivatives, and graphs of torch.jit, in which sizes are tensors: as torch's own operators
    if forward_ad._current_level >= 0 or torch.jit.is_tracing():
        return composition(input, where, how, fill)
    if torch._C._are_functorch_transforms_active():
        return TransformedSample.apply(name, input, where, how, fill)
    return sample(name, input, where, how, fill)


def sample(name: str, input: Tensor, where: Tensor, how: tuple, fill: Tensor | None) -> Tensor:
    """The way into the operator ``name`` of a call that runs as it is written, and of which at most gradients are wanted."""
    if torch.is_grad_enabled() and (input.requires_grad or where.requires_grad):
        return Sample.apply(name, input, where, how, fill)
    # the operator's registered autograd is Python and costs more than a small warp; here it would do nothing
    with _AutoDispatchBelowAutograd():
        return OPERATORS[name].forward(input, where, *how, fill)


def composition(input: Tensor, where: Tensor, how: Sequence[Any], fill: Tensor | None) -> Tensor:
    """The same in torch's own operators, from which every derivative can be had."""
    mode, padding, align_corners = how[-3:]
    grid = source_grid(where, how[0], align_corners) if len(how) == 4 else where
    return sample_reference(input, grid, MODES[mode], PADDING_MODES[padding], align_corners, fill)


def _fake_warp(input, matrix, output_size, mode, padding, align_corners, fill):
    return new_output(input, matrix, output_size)


def _fake_grid_sample(input, grid, mode, padding, align_corners, fill):
    return new_output(input, grid, grid.shape[1:-1])


def _fake_backward(grad, input, where, mode, padding, align_corners, fill, need_input, need_where):
    grad_where = where.new_empty(where.shape if need_where else (0,), dtype=where.dtype)
    return new_like(input, input.shape) if need_input else input.new_empty(0), grad_where


def new_output(input: Tensor, where: Tensor, size: Sequence[int]) -> Tensor:
    """Memory for the output of ``size`` of a sample of ``input``."""
    batch = where.shape[0] if input.shape[0] == 1 else input.shape[0]
    return new_like(input, (batch, input.shape[1], *size))


def new_like(like: Tensor, size: Sequence[int]) -> Tensor:
    """Memory as csrc/ops.cpp lays it out: the channels of a pixel side by side where those of ``like`` are."""
    channels = like.shape[1]
    if like.ndim > 3 and channels > 1 and like.stride(1) == 1 and all(step >= channels for step in like.stride()[2:]):
        layout = torch.channels_last if like.ndim == 4 else torch.channels_last_3d
        return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=layout)
    return like.new_empty(size)


def gradients(name: str, grad: Tensor, input: Tensor, where: Tensor, how: Sequence[Any], fill: Tensor | None, needed: Sequence[bool]):
    """The gradients to ``input`` and ``where``, None for what is not needed; differentiable where gradients are being recorded."""
    if torch.is_grad_enabled():
        to_input, to_where = Gradient.apply(name, grad, input, where, how, fill, needed)
    else:
        with _AutoDispatchBelowAutograd():
            to_input, to_where = OPERATORS[name].backward(grad, input, where, *how[-3:], fill, *needed)
    return to_input if needed[0] else None, to_where if needed[1] else None


class Sample(torch.autograd.Function):
    """A sample with gradients, by the form of Function that costs least; torch.func cannot look into it."""

    @staticmethod
    def forward(ctx, name, input, where, how, fill):
        """The sample."""
        ctx.name, ctx.how = name, how
        ctx.save_for_backward(input, where, fill)
        with _AutoDispatchBelowAutograd():
            return OPERATORS[name].forward(input, where, *how, fill)

    @staticmethod
    def backward(ctx, grad):
        """The gradients to input and where."""
        input, where, fill = ctx.saved_tensors
        return None, *gradients(ctx.name, grad, input, where, ctx.how, fill, ctx.needs_input_grad[1:3]), None, None


class TransformedSample(torch.autograd.Function):
    """The same, for torch.func."""

    generate_vmap_rule = True
    backward = Sample.backward

    @staticmethod
    def forward(name, input, where, how, fill):
        """The sample."""
        with _AutoDispatchBelowAutograd():
            return OPERATORS[name].forward(input, where, *how, fill)

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what the gradients need."""
        ctx.name, input, where, ctx.how, fill = inputs
        ctx.save_for_backward(input, where, fill)


class Gradient(torch.autograd.Function):
    """The gradients of a sample, differentiable in their turn."""

    generate_vmap_rule = True

    @staticmethod
    def forward(name, grad, input, where, how, fill, needed):
        """The gradients; empty where not needed."""
        with _AutoDispatchBelowAutograd():
            return OPERATORS[name].backward(grad, input, where, *how[-3:], fill, *needed)

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what the second derivatives need."""
        _, grad, input, where, how, fill, ctx.needed = inputs
        ctx.how = how[-3:]
        ctx.save_for_backward(grad, input, where, fill)

    @staticmethod
    def backward(ctx, *cotangents):
        """The second derivatives."""
        grad, input, where, fill = ctx.saved_tensors
        return None, *_second(grad, input, where, ctx.how, fill, ctx.needed, cotangents), None, None, None


def _second(grad, input, where, how, fill, needed, cotangents) -> tuple[Tensor, Tensor, Tensor]:
    """No kernel has second derivatives: those of the composition."""
    vjp: Callable[..., Any] = torch.func.vjp
    if where.shape[-1] == input.ndim - 1:  # a matrix
        how = (grad.shape[2:], *how)

    def first(grad, input, where):
        _, pull = vjp(lambda i, w: composition(i, w, how, fill), input, where)
        return tuple(g for g, n in zip(pull(grad), needed, strict=True) if n)

    _, pull = vjp(first, grad, input, where)
    return pull(tuple(c for c, n in zip(cotangents, needed, strict=True) if n))


def _remember(ctx, inputs, output):
    input, where, *ctx.how, fill = inputs
    ctx.save_for_backward(input, where, fill)


def _backward_of(name: str) -> Callable[..., Any]:
    def backward(ctx, grad):
        input, where, fill = ctx.saved_tensors
        found = gradients(name, grad, input, where, ctx.how, fill, ctx.needs_input_grad[:2])
        return *found, *[None] * len(ctx.how), None

    return backward


def _remember_backward(ctx, inputs, output):
    grad, input, where, *ctx.how, fill, need_input, need_where = inputs
    ctx.needed = need_input, need_where
    ctx.save_for_backward(grad, input, where, fill)


def _second_backward(ctx, *cotangents):
    grad, input, where, fill = ctx.saved_tensors
    return *_second(grad, input, where, ctx.how, fill, ctx.needed, cotangents), *[None] * 6


def _vmap_of(name: str) -> Callable[..., Any]:
    def rule(info, in_dims, input, where, *how_and_fill):
        op, dims = OPERATORS[name].forward, in_dims[:2]
        if in_dims[-1] is not None:  # a fill of its own for each
            return _one_by_one(op, info, in_dims, (input, where, *how_and_fill))
        batch = _logical_batch((input, where), dims)
        flat = [_flatten(x, d, info.batch_size, batch, share=True) for x, d in zip((input, where), dims, strict=True)]
        return op(*flat, *how_and_fill).unflatten(0, (info.batch_size, batch)), 0

    return rule


def _vmap_backward_of(name: str) -> Callable[..., Any]:
    def rule(info, in_dims, grad, input, where, *rest):
        op, dims, tensors, needed = OPERATORS[name].backward, in_dims[:3], (grad, input, where), rest[-2:]
        if in_dims[-3] is not None:
            return _one_by_one(op, info, in_dims, (*tensors, *rest))
        batch = _logical_batch(tensors, dims)
        shares = (False, not needed[0], not needed[1])
        flat = [_flatten(x, d, info.batch_size, batch, share=s) for x, d, s in zip(tensors, dims, shares, strict=True)]
        outputs = []
        for g, x, d, n in zip(op(*flat, *rest), tensors[1:], dims[1:], needed, strict=True):
            g = g.unflatten(0, (info.batch_size, batch)) if n else g
            one = n and _size(x, d) == 1 != batch
            outputs.append(g.sum(1, keepdim=True) if one else g)
        return tuple(outputs), tuple(0 if n else None for n in needed)

    return rule


def _one_by_one(op, info, in_dims, args):
    def call(i):
        return op(*(a.select(d, i) if isinstance(a, Tensor) and d is not None else a for a, d in zip(args, in_dims, strict=True)))

    results = [call(i) for i in range(info.batch_size)]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    return tuple(torch.stack(r) for r in zip(*results, strict=True)), (0, 0)


def _size(x: Tensor, dim: int | None) -> int:
    """The batch that one of the calls sees."""
    return x.shape[0] if dim is None else x.movedim(dim, 0).shape[1]


def _logical_batch(tensors: Sequence[Tensor], dims: Sequence[int | None]) -> int:
    sizes = [_size(x, d) for x, d in zip(tensors, dims, strict=True)]
    return next((n for n in sizes if n != 1), 1)


def _flatten(x: Tensor, dim: int | None, calls: int, batch: int, *, share: bool) -> Tensor:
    """All calls as one batch; what is the same for all of it stays one sample, if ``share`` says that it may."""
    if dim is None and x.shape[0] == 1 and share:
        return x
    x = x[None] if dim is None else x.movedim(dim, 0)
    return x.expand(calls, batch, *x.shape[2:]).flatten(0, 1)
