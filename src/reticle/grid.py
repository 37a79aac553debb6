"""Where are things? Pixel centres, normalised points in [-1, 1], the regular target grid G, and matrices that move points.

The only file of Python that computes with ``align_corners``: -1 and 1 are the outer edges of the first and the last pixel of an
axis (False, the default) or their centres (True).
"""

from collections.abc import Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from .checks import check_device, check_floating, check_size

Coordinate = TypeVar("Coordinate", Tensor, float)


def extent(size: int, *, align_corners: bool = False) -> int:
    """Length in pixels of the interval [-1, 1] along an axis of ``size`` pixels: edge to edge, or centre to centre."""
    return size - 1 if align_corners else size


def pixel_to_norm(pixel: Coordinate, size: int, *, align_corners: bool = False) -> Coordinate:
    r"""Map pixel coordinates of one axis, centres at ``0 .. size-1``, to normalised ones.

    .. math:: x_{norm} = \frac{2 x + 1}{n} - 1 \quad\text{or, corners aligned,}\quad \frac{2 x}{n - 1} - 1

    An axis of one pixel has its centre at 0 under both conventions.

    >>> pixel_to_norm(torch.arange(4.0), 4)
    tensor([-0.7500, -0.2500,  0.2500,  0.7500])
    >>> pixel_to_norm(torch.arange(4.0), 4, align_corners=True)
    tensor([-1.0000, -0.3333,  0.3333,  1.0000])
    """
    length = extent(size, align_corners=align_corners)
    if length == 0:
        return pixel * 0.0
    # rounded to a multiple of the spacing near 1, so that norm_to_pixel, ours and torch's, adds 1 without a second rounding
    return (2 * pixel + (length - size + 1)) / length - 1


def norm_to_pixel(norm: Coordinate, size: int, *, align_corners: bool = False) -> Coordinate:
    """Inverse of :func:`pixel_to_norm`. With ``align_corners=True`` every point of an axis of one pixel lies on that pixel.

    >>> norm_to_pixel(torch.tensor([-1.0, 0.0, 1.0]), 4)
    tensor([-0.5000,  1.5000,  3.5000])
    """
    return norm * (extent(size, align_corners=align_corners) / 2) + (size - 1) / 2


def base_grid(
    size: Sequence[int], *, align_corners: bool = False, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Float[Tensor, "*size d"]:
    """The regular target grid ``G``: the normalised centre of every output pixel.

    Args:
        size: ``(W,)``, ``(H, W)`` or ``(D, H, W)`` of the output.
        align_corners: the convention of the sampler that will read the grid.
    Returns:
        ``(*size, D)``; the last axis holds ``(x, y)`` or ``(x, y, z)``, the reverse of the order of ``size``.
    Raises:
        ValueError: ``size`` is not made of positive whole numbers.
        TypeError: ``dtype`` is not floating.

    >>> base_grid((1, 2))
    tensor([[[-0.5000,  0.0000],
             [ 0.5000,  0.0000]]])

    Reference: Jaderberg et al. 2015, sec. 3.2.
    """
    size = check_size("reticle.base_grid", "size", size)
    dtype = dtype or torch.get_default_dtype()
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"reticle.base_grid: `dtype` must be a floating dtype; got {dtype!r}.")
    # 16-bit dtypes cannot count the pixels of a large axis: compute wide, then round once
    pixels = [torch.arange(n, dtype=coordinate_dtype(dtype), device=device) for n in size]
    axes = [pixel_to_norm(p, n, align_corners=align_corners).to(dtype) for p, n in zip(pixels, size, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)


def coordinate_dtype(*dtypes: torch.dtype) -> torch.dtype:
    """The dtype in which coordinates of such tensors are computed: the widest of them, at least float32."""
    wide = torch.float32
    for dtype in dtypes:
        wide = torch.promote_types(wide, dtype)
    return wide


def apply_matrix(matrix: Float[Tensor, "b r c"], points: Float[Tensor, "*n d"]) -> Float[Tensor, "b *n d"]:
    r"""Move ``points`` by each matrix of a batch.

    .. math:: x^s = A x^t + a \quad\text{or}\quad x^s = \frac{H_{xy} (x^t, 1)^\top}{H_w (x^t, 1)^\top}

    Convention:
        - target to source, normalised coordinates, ``(x, y)`` or ``(x, y, z)``.
        - a homogeneous denominator of 0 or below lies behind the viewer: the point becomes ``inf``, which samplers treat as outside.
    Args:
        matrix: ``(B, D, D+1)``, affine, or ``(B, D+1, D+1)``, projective.
        points: ``(*N, D)``, shared by the batch.
    Returns:
        ``(B, *N, D)``, in float32 or wider.
    Raises:
        ValueError: shapes do not fit, or the devices differ.
        TypeError: a dtype is not floating.
    Gradients:
        To both; 0 for points behind the viewer.

    >>> shift = torch.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, -0.25]]])
    >>> apply_matrix(shift, torch.tensor([[0.0, 0.0], [1.0, 2.0]]))
    tensor([[[ 0.5000, -0.2500],
             [ 1.5000,  1.7500]]])
    """
    check_floating("reticle.apply_matrix", "points", points)
    if points.ndim == 0:
        raise ValueError("reticle.apply_matrix: `points` must have shape (..., D), the last axis (x, y) or (x, y, z); got ().")
    check_matrix("reticle.apply_matrix", matrix, points.shape[-1])
    check_device("reticle.apply_matrix", "matrix", matrix, "points", points)
    return move_points(matrix, points.reshape(1, -1, points.shape[-1])).reshape(matrix.shape[0], *points.shape)


def move_points(matrix: Float[Tensor, "b r c"], points: Float[Tensor, "#b n d"]) -> Float[Tensor, "b n d"]:
    """:func:`apply_matrix` without checks, for points that may differ from sample to sample: ``(B or 1, N, D)``."""
    d = points.shape[-1]
    dtype = coordinate_dtype(matrix.dtype, points.dtype)
    matrix, points = matrix.to(dtype), points.to(dtype)
    # no matrix product: autocast and TF32 would round its coordinates to 16 or 19 bits
    rows = [sum((row[:, i, None] * points[..., i] for i in range(d)), row[:, d, None]) for row in matrix.unbind(1)]
    moved = torch.stack(rows, dim=-1)
    return moved if matrix.shape[1] == d else _divide(moved)


def source_grid(matrix: Float[Tensor, "b r c"], size: Sequence[int], align_corners: bool) -> Float[Tensor, "b *size d"]:
    """Where a warp to ``size`` under ``matrix`` reads: the target grid, moved."""
    target = base_grid(size, align_corners=align_corners, dtype=coordinate_dtype(matrix.dtype), device=matrix.device)
    return move_points(matrix, target.reshape(1, -1, target.shape[-1])).reshape(matrix.shape[0], *target.shape)


def product(a: Float[Tensor, "*b r k"], b: Float[Tensor, "*b k c"]) -> Float[Tensor, "*b r c"]:
    """The product of small matrices, in full precision also under autocast and TF32."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def check_matrix(fn: str, matrix: Tensor, ndim: int, input: Tensor | None = None) -> None:
    """Raise unless ``matrix`` is a floating ``(B, D, D+1)`` or ``(B, D+1, D+1)`` for ``ndim`` = D axes, those of ``input``, if given."""
    check_floating(fn, "matrix", matrix)
    if matrix.ndim != 3 or matrix.shape[1] not in (ndim, ndim + 1) or matrix.shape[2] != ndim + 1:
        affine, projective = f"(B, {ndim}, {ndim + 1})", f"(B, {ndim + 1}, {ndim + 1})"
        hint = "add the batch axis with matrix[None]"
        if input is not None:
            hint = f"add the axis that `input` {tuple(input.shape)} or `matrix` lacks with [None]"
        raise ValueError(
            f"{fn}: `matrix` must have shape {affine} or {projective}; got {tuple(matrix.shape)}.\n"
            f"  It maps normalised target points to source points; {hint}."
        )


def to_homogeneous(matrix: Float[Tensor, "b r c"]) -> Float[Tensor, "b c c"]:
    """Give an affine ``(B, D, D+1)`` its last row ``(0, .., 0, 1)``; leave ``(B, D+1, D+1)`` as it is."""
    if matrix.shape[1] == matrix.shape[2]:
        return matrix
    last = torch.zeros_like(matrix[:, :1])
    last[..., -1] = 1
    return torch.cat([matrix, last], dim=1)


def _divide(homogeneous: Float[Tensor, "b n _"]) -> Float[Tensor, "b n d"]:
    numerator, w = homogeneous[..., :-1], homogeneous[..., -1:]
    # neither 1 / w^2, which the gradient needs, nor the quotient may overflow
    limits = torch.finfo(w.dtype)
    visible = (w > limits.tiny**0.5) & (numerator.abs() < w * w * limits.max)
    return torch.where(visible, numerator / torch.where(visible, w, 1), torch.inf)
