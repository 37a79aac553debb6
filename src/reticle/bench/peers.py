"""Who competes? One function per peer turns a problem into a contestant: the same output, inputs made before, the same threads.

A peer that is not installed is said to be so; one that cannot do a call raises NotImplementedError with the reason.
"""

import dataclasses
import functools
import importlib
import importlib.util
import inspect
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..grid import base_grid
from ..sampling import BACKENDS, grid_sample, warp
from ..schema import suggest
from . import arrays
from .contestant import ORDERS, Contestant, Read, check_offer, differentiable
from .inputs import Problem


class Peer(NamedTuple):
    """A library that samples, or a way to call one."""

    make: Callable[[Problem], Contestant]
    what: str
    module: str = "torch"
    package: str = "torch"
    """Its name where one installs it."""
    set_threads: Callable[[int], None] = lambda n: None
    is_ours: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether it can be imported here."""
        return importlib.util.find_spec(self.module) is not None


def reticle(problem: Problem, backend: str = "auto") -> Contestant:
    """The public functions, with the backend that ``auto`` takes, or with a named one."""
    case, sampler = problem.case, warp if problem.is_matrix else grid_sample
    return differentiable(problem, lambda x, where: _call(sampler, x, where, case, backend=backend))


def reticle_out(problem: Problem) -> Contestant:
    """The same into memory that is there already: no fresh pages for the output."""
    sampler = warp if problem.is_matrix else grid_sample
    if "out" not in inspect.signature(sampler).parameters:
        raise NotImplementedError(f"reticle.{sampler.__name__} has no `out`")
    out = problem.input.new_empty(*problem.case.input[:2], *problem.case.size)
    return Contestant(lambda: _call(sampler, problem.input, problem.where, problem.case, out=out))


def reticle_float32(problem: Problem) -> Contestant:
    """The same numbers in float32, widened before the clock starts: what a narrower type gains, or costs."""
    if not problem.input.dtype.is_floating_point:
        raise NotImplementedError("reticle rounds to bytes only what was bytes")
    dtype, cotangent = problem.input.dtype, None if problem.cotangent is None else problem.cotangent.float()
    wide = reticle(dataclasses.replace(problem, input=problem.input.float(), cotangent=cotangent))
    return dataclasses.replace(wide, output=lambda result: result.to(dtype))


def pytorch(problem: Problem) -> Contestant:
    """``F.affine_grid`` and ``F.grid_sample``; the second alone where the grid is given. 16-bit images have 16-bit grids."""
    if not problem.input.dtype.is_floating_point:
        raise NotImplementedError("grid_sample takes no bytes")
    return differentiable(problem, _torch_read(problem, problem.input.dtype), lambda where: where.to(problem.input.dtype))


def compiled(problem: Problem) -> Contestant:
    """What one may hope for from the compiler: the same pair as one graph."""
    if not problem.input.is_cuda:
        raise NotImplementedError("is compared with on GPUs")
    if not problem.input.dtype.is_floating_point:
        raise NotImplementedError("grid_sample takes no bytes")
    dtype = problem.input.dtype
    return differentiable(problem, torch.compile(_torch_read(problem, dtype), fullgraph=True), lambda where: where.to(dtype))


def torch_float32(problem: Problem) -> Contestant:
    """What one writes to be safe: widen to float32, sample, round back."""
    read, dtype = _torch_read(problem, torch.float32), problem.input.dtype

    def converted(x: Tensor, where: Tensor) -> Tensor:
        wide = read(x.float(), where)
        return wide.to(dtype) if dtype.is_floating_point else wide.round().clamp(0, 255).to(dtype)

    return differentiable(problem, converted)


def kornia(problem: Problem) -> Contestant:
    """``warp_affine`` and ``warp_perspective``, whose matrix maps source to target in pixels."""
    transform = importlib.import_module("kornia.geometry.transform")
    case = problem.case
    check_offer(problem, ("nearest", "bilinear", "bicubic"))
    if not problem.is_matrix or len(case.size) != 2:
        raise NotImplementedError("warps images by matrices")
    function, rows = (transform.warp_perspective, 3) if problem.is_projective else (transform.warp_affine, 2)
    how = (case.size, case.mode, case.padding_mode, True)  # pixel matrices mean the same under either align_corners
    convert = lambda where: problem.pixel_matrix(where).inverse()[:, :rows].float()  # noqa: E731
    return differentiable(problem, lambda x, matrix: function(x, matrix, *how), convert)


def interpol(problem: Problem) -> Contestant:
    """``grid_pull``, whose points are in pixels and in the order of the axes. Its ``affine_grid`` fails for batches: a product does it."""
    library = importlib.import_module("interpol")
    case = problem.case
    check_offer(problem, ORDERS)
    if problem.is_projective:
        raise NotImplementedError("has no homographies")
    how = {"interpolation": ORDERS[case.mode], "bound": {"zeros": "zero", "border": "replicate"}[case.padding_mode], "extrapolate": True}
    if not problem.is_matrix:
        return differentiable(problem, lambda x, g: library.grid_pull(x, g, **how), lambda g: problem.pixels(g).flip(-1).float())
    points = library.identity_grid(case.size, dtype=torch.float32, device=problem.input.device).flatten(0, -2)

    def pull(x: Tensor, matrix: Tensor) -> Tensor:
        grid = points @ matrix[..., :-1].mT + matrix[:, None, :, -1]
        return library.grid_pull(x, grid.unflatten(1, case.size), **how)

    def convert(where: Tensor) -> Tensor:
        matrix = problem.pixel_matrix(where)[:, :-1]
        return torch.cat([matrix[:, :, :-1].flip(1, 2), matrix[:, :, -1:].flip(1)], dim=2).float()

    return differentiable(problem, pull, convert)


def copy(problem: Problem) -> Contestant:
    """``dst.copy_(src)`` of half the bytes that must move, each of them read and written: input and output; with gradients 3 and 2."""
    case = problem.case
    read, written = problem.input.nbytes, math.prod((*case.input[:2], *case.size)) * problem.input.element_size()
    once, more = (read + written) // 2, (3 * read + 2 * written) // 2
    a, b, c, d = (torch.full((n,), i, dtype=torch.uint8, device=problem.input.device) for i, n in enumerate((once, once, more, more)))
    backward = lambda: (c.copy_(d),)  # noqa: E731
    return Contestant(lambda: a.copy_(b), backward=backward, compared=False)


def _call(sampler: Callable, x: Tensor, where: Tensor, case, **more) -> Tensor:
    size = (case.size,) if sampler is warp else ()
    return sampler(x, where, *size, case.mode, case.padding_mode, False, **more)


def _torch_read(problem: Problem, dtype: torch.dtype) -> Read:
    case = problem.case
    check_offer(problem, ("nearest", "bilinear", "bicubic"), (case.dtype,))
    sample = lambda x, grid: F.grid_sample(x, grid, case.mode, case.padding_mode, False)  # noqa: E731
    if not problem.is_matrix:
        return sample
    if not problem.is_projective:
        return lambda x, matrix: sample(x, F.affine_grid(matrix, [*case.input[:2], *case.size], False))
    # torch has no homographies: this is what one writes, the points being made before
    base = base_grid(case.size, dtype=dtype, device=problem.input.device)
    points = torch.cat([base, torch.ones_like(base[..., :1])], dim=-1).flatten(0, -2)

    def project(x: Tensor, matrix: Tensor) -> Tensor:
        moved = points @ matrix.mT
        return sample(x, (moved[..., :-1] / moved[..., -1:]).unflatten(1, case.size))

    return project


PEERS: dict[str, Peer] = {
    "torch": Peer(pytorch, "affine_grid and grid_sample; grid_sample alone where the grid is given"),
    "torch_float32": Peer(torch_float32, "the same in float32, with the conversions"),
    "compiled": Peer(compiled, "torch.compile of affine_grid and grid_sample"),
    "opencv": Peer(arrays.opencv, "warpAffine, warpPerspective, remap", "cv2", "opencv-python-headless", arrays.set_opencv_threads),
    "kornia": Peer(kornia, "warp_affine, warp_perspective", "kornia", "kornia"),
    "interpol": Peer(interpol, "a matrix product and grid_pull", "interpol", "torch-interpol"),
    "scipy": Peer(arrays.scipy, "affine_transform, map_coordinates; one thread", "scipy", "scipy"),
    "simpleitk": Peer(arrays.simpleitk, "Resample", "SimpleITK", "SimpleITK", arrays.set_simpleitk_threads),
    "reticle": Peer(reticle, "warp, grid_sample", is_ours=True),
    "reticle_float32": Peer(reticle_float32, "the same numbers in float32", is_ours=True),
    "reticle_out": Peer(reticle_out, "the same into an output that is there already", is_ours=True),
    **{b.name: Peer(functools.partial(reticle, backend=b.name), f"reticle, backend={b.name!r}", is_ours=True) for b in BACKENDS},
    "copy": Peer(copy, "a copy of the bytes that must move: the limit"),
}


def find_peers(names: str) -> tuple[str, ...]:
    """The names of a list such as ``torch,opencv``; none for an empty one, which leaves the choice to each case."""
    wanted = tuple(name.strip() for name in names.split(",") if name.strip())
    for name in wanted:
        if name not in PEERS:
            raise ValueError(f"bench: unknown peer {name!r}. {suggest(name, PEERS)}")
    return wanted


def set_threads(n: int, names: Iterable[str]) -> None:
    """Let torch and the peers of these names, where installed, use ``n`` threads."""
    torch.set_num_threads(n)
    for peer in (PEERS[name] for name in names):
        if peer.is_installed:
            peer.set_threads(n)
