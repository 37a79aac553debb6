"""Which part of the work is a program's? A tile of output points of one sample, and some of its channels.

Values of a tile are matrices: channels by points, or, where the channels of a pixel lie side by side (``LAST``), points by channels: the
last axis is the one along which memory is contiguous.
"""

import triton
import triton.language as tl

from .axis import BORDER, CONSTANT
from .place import GRID, is_ordinary, norm_of, place_norm, place_ordinary, target


@triton.jit
def tile_of(oz, tiles_x, tiles_y, groups, TX: tl.constexpr, TY: tl.constexpr):
    """Sample, group of channels, first column and row, plane, and number of the tile within its sample."""
    tile = tl.program_id(0)
    x0 = tile % tiles_x * TX
    rest = tile // tiles_x
    y0 = rest % tiles_y * TY
    rest = rest // tiles_y
    z = rest % oz
    rest = rest // oz
    return rest // groups, rest % groups, x0, y0, z, tile % (tiles_x * tiles_y * oz)


@triton.jit
def over_channels(v, LAST: tl.constexpr):
    """Points as a tile that is the same for all channels."""
    return v[:, None] if LAST else v[None, :]


@triton.jit
def over_points(v, LAST: tl.constexpr):
    """Channels as a tile that is the same for all points."""
    return v[None, :] if LAST else v[:, None]


@triton.jit
def place(where, at, mask, ordinary, a: tl.constexpr, size, s_d, x0, y0, z, dx, dy, ox, oy, oz, zero,
          A: tl.constexpr, NDIM: tl.constexpr, MODE: tl.constexpr, PADDING: tl.constexpr, CORNERS: tl.constexpr,
          KIND: tl.constexpr):  # fmt: skip
    """Cell, fraction and whether the coordinate does not count, along axis ``a`` of the input."""
    if KIND == GRID:
        norm = tl.load(where + at + a * s_d, mask, other=0).to(A)
        cell, fraction, dead = place_norm(norm, size, zero, MODE, PADDING, CORNERS)
    else:
        if ordinary:
            row = where + a * (NDIM + 1)
            cell, fraction = place_ordinary(row, size, x0, y0, z, dx, dy, ox, oy, oz, A, NDIM, MODE, PADDING, CORNERS)
            dead = dx < 0
        else:
            tx = target(x0 + dx, ox, A, CORNERS)
            ty = target(y0 + dy, oy, A, CORNERS)
            tz = target(z + dx * 0, oz, A, CORNERS)
            norm = norm_of(where, a, tx, ty, tz, zero, A, NDIM, KIND)
            cell, fraction, dead = place_norm(norm, size, zero, MODE, PADDING, CORNERS)
    return cell, fraction, dead


@triton.jit
def points_of(where, x0, y0, z, iz, iy, ix, oz, oy, ox, w_z, w_y, w_x, w_d, zero,
              A: tl.constexpr, W: tl.constexpr, NDIM: tl.constexpr, MODE: tl.constexpr, PADDING: tl.constexpr, CORNERS: tl.constexpr,
              KIND: tl.constexpr, TX: tl.constexpr, N: tl.constexpr):  # fmt: skip
    """Columns and rows of a tile's points, which of them there are, and what ``place`` says along x, y, z; an axis that is lacking is x."""
    n = tl.arange(0, N)
    dx, dy = n % TX, n // TX
    x, y = x0 + dx, y0 + dy
    mask = (x < ox) & (y < oy)
    at = z.to(tl.int64) * w_z + (y.to(W) * w_y + x.to(W) * w_x) if KIND == GRID else x
    easy = ordinary_of(where, NDIM, KIND)
    cx, fx, ux = place(where, at, mask, easy, 0, ix, w_d, x0, y0, z, dx, dy, ox, oy, oz, zero,
                       A, NDIM, MODE, PADDING, CORNERS, KIND)  # fmt: skip
    cy, fy, uy, cz, fz, uz = cx, fx, ux, cx, fx, ux
    if NDIM > 1:
        cy, fy, uy = place(where, at, mask, easy, 1, iy, w_d, x0, y0, z, dx, dy, ox, oy, oz, zero,
                           A, NDIM, MODE, PADDING, CORNERS, KIND)  # fmt: skip
    if NDIM > 2:
        cz, fz, uz = place(where, at, mask, easy, 2, iz, w_d, x0, y0, z, dx, dy, ox, oy, oz, zero,
                           A, NDIM, MODE, PADDING, CORNERS, KIND)  # fmt: skip
    return x, y, mask, cx, fx, ux, cy, fy, uy, cz, fz, uz


@triton.jit
def ordinary_of(where, NDIM: tl.constexpr, KIND: tl.constexpr):
    """Whether the short way may be taken; for a grid it is never asked."""
    return is_ordinary(where, NDIM, KIND) if KIND != GRID else False


@triton.jit
def read(pointers, mask, present, fill, A: tl.constexpr, PADDING: tl.constexpr):
    """The values of a tap: of the image where it is inside, else the fill; 0 for points and channels that are not there."""
    if PADDING >= BORDER:
        values = tl.load(pointers, mask, other=0).to(A)
    else:
        values = tl.load(pointers, mask & present, other=0).to(A)
        if PADDING == CONSTANT:
            values = tl.where(present, values, fill)
    return values
