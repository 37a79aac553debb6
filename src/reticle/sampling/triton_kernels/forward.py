"""The kernel that samples: coordinates of a tile once, then channel after channel, one store each."""

import triton
import triton.language as tl

from .axis import BILINEAR, CONSTANT, NEAREST, tap, weight
from .tile import over_channels, over_points, points_of, read, tile_of


@triton.jit
def narrow(values, T: tl.constexpr, SOFT: tl.constexpr):
    """Round once, to the dtype ``T`` of the output: to nearest, of two the even one; bytes within their range."""
    if T == tl.uint8:
        v = tl.minimum(tl.maximum(values, 0), 255).to(tl.float32)
        values = (v + 12582912.0) - 12582912.0  # whole numbers are all that single precision has there
    elif T == tl.bfloat16 and SOFT:  # the interpreter would cut off
        bits = values.to(tl.float32).to(tl.int32, bitcast=True)
        up = ((bits + 32767 + ((bits >> 16) & 1)) & -65536).to(tl.float32, bitcast=True)
        values = tl.where(values == values, up, values)
    return values.to(T)


@triton.jit
def add_plane(total, pixels, wanted, lost, cz, fz, uz, iz, tz, i_z, cy, fy, uy, iy, i_y, cx, fx, ux, ix, i_x,
              A: tl.constexpr, W: tl.constexpr, S: tl.constexpr, NDIM: tl.constexpr, MODE: tl.constexpr, PADDING: tl.constexpr,
              CORNERS: tl.constexpr, LAST: tl.constexpr):  # fmt: skip
    """``total`` and the taps of plane ``tz``."""
    plane, in_plane = tap(cz, uz, iz, tz, S, PADDING, CORNERS) if NDIM > 2 else (cx, ux)
    for ty in tl.static_range(S if NDIM > 1 else 1):
        row, in_row = tap(cy, uy, iy, ty, S, PADDING, CORNERS) if NDIM > 1 else (cx, ux)
        row, w_row = row.to(W) * i_y, weight(fy, ty, MODE)
        if NDIM > 2:
            row, in_row, w_row = row + plane.to(W) * i_z, in_row & in_plane, w_row * weight(fz, tz, MODE)
        for tx in tl.static_range(S):
            pixel, present = tap(cx, ux, ix, tx, S, PADDING, CORNERS)
            offset, w = pixel.to(W) * i_x, weight(fx, tx, MODE)
            if NDIM > 1:
                offset, present, w = offset + row, present & in_row, w * w_row
            value = read(pixels + over_channels(offset, LAST), wanted, over_channels(present, LAST), lost, A, PADDING)
            total += value * over_channels(w, LAST)
    return total


@triton.jit
def add_planes(total, pixels, wanted, lost, cz, fz, uz, iz, i_z, cy, fy, uy, iy, i_y, cx, fx, ux, ix, i_x,
               A: tl.constexpr, W: tl.constexpr, S: tl.constexpr, NDIM: tl.constexpr, MODE: tl.constexpr, PADDING: tl.constexpr,
               CORNERS: tl.constexpr, LAST: tl.constexpr):  # fmt: skip
    """``total`` and all taps."""
    if NDIM > 2 and S > 2:  # 64 taps in a row would take a minute to compile
        for tz in range(S):
            total = add_plane(total, pixels, wanted, lost, cz, fz, uz, iz, tz, i_z, cy, fy, uy, iy, i_y, cx, fx, ux, ix, i_x,
                              A, W, S, NDIM, MODE, PADDING, CORNERS, LAST)  # fmt: skip
    else:
        for tz in tl.static_range(S if NDIM > 2 else 1):
            total = add_plane(total, pixels, wanted, lost, cz, fz, uz, iz, tz, i_z, cy, fy, uy, iy, i_y, cx, fx, ux, ix, i_x,
                              A, W, S, NDIM, MODE, PADDING, CORNERS, LAST)  # fmt: skip
    return total


@triton.jit(do_not_specialize=["zero", "channels", "chunk", "groups", "tiles_x", "tiles_y", "iz", "iy", "ix", "oz", "oy", "ox"])
def forward(input, where, fill, output, zero, channels, chunk, groups, tiles_x, tiles_y, iz, iy, ix, oz, oy, ox,
            i_b, i_c, i_z, i_y, i_x, o_b, o_c, o_z, o_y, o_x, w_b, w_z, w_y, w_x, w_d,
            NDIM: tl.constexpr, MODE: tl.constexpr, PADDING: tl.constexpr, CORNERS: tl.constexpr, KIND: tl.constexpr,
            A: tl.constexpr, W: tl.constexpr, TX: tl.constexpr, N: tl.constexpr, CB: tl.constexpr, LAST: tl.constexpr,
            SOFT: tl.constexpr):  # fmt: skip
    """``output[b, c, z, y, x]`` = the sample at the place of that point. ``A``: the dtype of the arithmetic, ``W``: of offsets."""
    b, group, x0, y0, z, _ = tile_of(oz, tiles_x, tiles_y, groups, TX, N // TX)
    where += b.to(tl.int64) * w_b
    x, y, mask, cx, fx, ux, cy, fy, uy, cz, fz, uz = points_of(
        where, x0, y0, z, iz, iy, ix, oz, oy, ox, w_z, w_y, w_x, w_d, zero,
        A, W, NDIM, MODE, PADDING, CORNERS, KIND, TX, N)  # fmt: skip
    S: tl.constexpr = 1 if MODE == NEAREST else (2 if MODE == BILINEAR else 4)
    lanes = tl.arange(0, CB)
    out_at = over_channels(y.to(W) * o_y + x.to(W) * o_x, LAST)
    input += b.to(tl.int64) * i_b
    output += b.to(tl.int64) * o_b + z.to(tl.int64) * o_z
    first = group * chunk
    for c in range(first, tl.minimum(first + chunk, channels), CB):
        there = c + lanes < channels
        wanted = over_channels(mask, LAST) & over_points(there, LAST)
        pixels = input + tl.cast(c, tl.int64) * i_c + over_points(lanes.to(W) * i_c, LAST)
        lost = over_points(tl.load(fill + c + lanes, there, other=0).to(A), LAST) if PADDING == CONSTANT else 0.0
        total = tl.zeros([N, CB] if LAST else [CB, N], A)
        total = add_planes(total, pixels, wanted, lost, cz, fz, uz, iz, i_z, cy, fy, uy, iy, i_y, cx, fx, ux, ix, i_x,
                           A, W, S, NDIM, MODE, PADDING, CORNERS, LAST)  # fmt: skip
        to = output + tl.cast(c, tl.int64) * o_c + over_points(lanes.to(W) * o_c, LAST) + out_at
        tl.store(to, narrow(total, output.dtype.element_ty, SOFT), wanted)
