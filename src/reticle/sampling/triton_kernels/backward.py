"""The kernel of the gradients: what each output point says of the pixels that it read, and of the place where it read them."""

import triton
import triton.language as tl

from .axis import BILINEAR, CONSTANT, NEAREST, slope, tap, weight
from .place import AFFINE, GRID, divide, extent, is_visible, moved, target
from .tile import over_channels, over_points, points_of, read, tile_of


@triton.jit
def sums(to, v, tx, ty, tz, NDIM: tl.constexpr):
    """What a row of a matrix gets from the slopes ``v`` of a tile."""
    dtype: tl.constexpr = to.dtype.element_ty
    tl.store(to, tl.sum(v * tx, axis=0).to(dtype))
    if NDIM > 1:
        tl.store(to + 1, tl.sum(v * ty, axis=0).to(dtype))
    if NDIM > 2:
        tl.store(to + 2, tl.sum(v * tz, axis=0).to(dtype))
    tl.store(to + NDIM, tl.sum(v, axis=0).to(dtype))


@triton.jit
def above_and_below(matrix, v, a: tl.constexpr, tx, ty, tz, zero, A: tl.constexpr, NDIM: tl.constexpr):
    """From the slope ``v`` of a quotient to those of what is divided and what divides; 0 behind the viewer."""
    above = moved(matrix + a * (NDIM + 1), tx, ty, tz, zero, A, NDIM)
    w = moved(matrix + NDIM * (NDIM + 1), tx, ty, tz, zero, A, NDIM)
    visible = is_visible(above, w) & (v != 0)
    w = tl.where(visible, w, 1)
    v = divide(tl.where(visible, v, 0), w)
    return v, -v * divide(tl.where(visible, above, 0), w)


@triton.jit
def to_matrix(partial, matrix, gx, gy, gz, x, y, z, ox, oy, oz, zero, A: tl.constexpr, NDIM: tl.constexpr, CORNERS: tl.constexpr,
              KIND: tl.constexpr):  # fmt: skip
    """The share of a tile in the gradient of its matrix, from the slopes by normalised coordinates."""
    tx, ty, tz = target(x, ox, A, CORNERS), target(y, oy, A, CORNERS), target(z + x * 0, oz, A, CORNERS)
    below = gx * 0
    if KIND > AFFINE:
        gx, below = above_and_below(matrix, gx, 0, tx, ty, tz, zero, A, NDIM)
    sums(partial, gx, tx, ty, tz, NDIM)
    if NDIM > 1:
        if KIND > AFFINE:
            gy, more = above_and_below(matrix, gy, 1, tx, ty, tz, zero, A, NDIM)
            below += more
        sums(partial + (NDIM + 1), gy, tx, ty, tz, NDIM)
    if NDIM > 2:
        if KIND > AFFINE:
            gz, more = above_and_below(matrix, gz, 2, tx, ty, tz, zero, A, NDIM)
            below += more
        sums(partial + 2 * (NDIM + 1), gz, tx, ty, tz, NDIM)
    if KIND > AFFINE:
        sums(partial + NDIM * (NDIM + 1), below, tx, ty, tz, NDIM)


@triton.jit
def add_plane(gx, gy, gz, g, scaled, pixels, adds_to, wanted, lost,
              cz, fz, uz, iz, tz, i_z, t_z, cy, fy, uy, iy, i_y, t_y, cx, fx, ux, ix, i_x, t_x,
              A: tl.constexpr, W: tl.constexpr, S: tl.constexpr, NDIM: tl.constexpr, MODE: tl.constexpr, PADDING: tl.constexpr,
              CORNERS: tl.constexpr, LAST: tl.constexpr, TO_INPUT: tl.constexpr, TO_WHERE: tl.constexpr, FIXED: tl.constexpr):  # fmt: skip
    """What the taps of plane ``tz`` say of the place; what is said of their pixels is added to memory."""
    plane, in_plane = tap(cz, uz, iz, tz, S, PADDING, CORNERS) if NDIM > 2 else (cx, ux)
    for ty in tl.static_range(S if NDIM > 1 else 1):
        row, in_row = tap(cy, uy, iy, ty, S, PADDING, CORNERS) if NDIM > 1 else (cx, ux)
        from_row, to_row, w_row, y_row, z_row = row.to(W) * i_y, row.to(W) * t_y, weight(fy, ty, MODE), slope(fy, ty, MODE), fx
        if NDIM > 2:
            from_row, to_row, in_row = from_row + plane.to(W) * i_z, to_row + plane.to(W) * t_z, in_row & in_plane
            wz, z_row = weight(fz, tz, MODE), w_row * slope(fz, tz, MODE)
            w_row, y_row = w_row * wz, y_row * wz
        for tx in tl.static_range(S):
            pixel, present = tap(cx, ux, ix, tx, S, PADDING, CORNERS)
            at, to, wx = pixel.to(W) * i_x, pixel.to(W) * t_x, weight(fx, tx, MODE)
            w, x_row = wx, slope(fx, tx, MODE)
            if NDIM > 1:
                at, to, present, w, x_row = at + from_row, to + to_row, present & in_row, wx * w_row, x_row * w_row
            if TO_INPUT:
                more = scaled * over_channels(w, LAST)
                more = tl.floor(more + 0.5).to(tl.int64) if FIXED else more
                adds = wanted & over_channels(present, LAST) if PADDING <= CONSTANT else wanted
                tl.atomic_add(adds_to + over_channels(to, LAST), more, mask=adds, sem="relaxed")
            if TO_WHERE and MODE != NEAREST:
                value = read(pixels + over_channels(at, LAST), wanted, over_channels(present, LAST), lost, A, PADDING)
                v = tl.sum(g * value, axis=1 if LAST else 0)
                gx += v * x_row
                if NDIM > 1:
                    gy += v * (wx * y_row)
                if NDIM > 2:
                    gz += v * (wx * z_row)
    return gx, gy, gz


@triton.jit
def add_planes(gx, gy, gz, g, scaled, pixels, adds_to, wanted, lost,
               cz, fz, uz, iz, i_z, t_z, cy, fy, uy, iy, i_y, t_y, cx, fx, ux, ix, i_x, t_x,
               A: tl.constexpr, W: tl.constexpr, S: tl.constexpr, NDIM: tl.constexpr, MODE: tl.constexpr, PADDING: tl.constexpr,
               CORNERS: tl.constexpr, LAST: tl.constexpr, TO_INPUT: tl.constexpr, TO_WHERE: tl.constexpr, FIXED: tl.constexpr):  # fmt: skip
    """What all taps say."""
    if NDIM > 2 and S > 2:  # 64 taps in a row would take a minute to compile
        for tz in range(S):
            gx, gy, gz = add_plane(gx, gy, gz, g, scaled, pixels, adds_to, wanted, lost, cz, fz, uz, iz, tz, i_z, t_z, cy, fy, uy,
                                   iy, i_y, t_y, cx, fx, ux, ix, i_x, t_x, A, W, S, NDIM, MODE, PADDING, CORNERS, LAST, TO_INPUT,
                                   TO_WHERE, FIXED)  # fmt: skip
    else:
        for tz in tl.static_range(S if NDIM > 2 else 1):
            gx, gy, gz = add_plane(gx, gy, gz, g, scaled, pixels, adds_to, wanted, lost, cz, fz, uz, iz, tz, i_z, t_z, cy, fy, uy,
                                   iy, i_y, t_y, cx, fx, ux, ix, i_x, t_x, A, W, S, NDIM, MODE, PADDING, CORNERS, LAST, TO_INPUT,
                                   TO_WHERE, FIXED)  # fmt: skip
    return gx, gy, gz


@triton.jit
def write_slopes(grad_where, where, gx, gy, gz, ux, uy, uz, mask, b, group, groups, tiles_x, tiles_y, tile, x, y, z,
                 iz, iy, ix, oz, oy, ox, zero, A: tl.constexpr, NDIM: tl.constexpr, CORNERS: tl.constexpr, KIND: tl.constexpr):  # fmt: skip
    """From slopes by pixels to the gradient of a grid's points, or to a tile's share in that of its matrix."""
    gx = tl.where(ux | ~mask, 0, gx) * (extent(ix, A, CORNERS) * 0.5)
    if NDIM > 1:
        gy = tl.where(uy | ~mask, 0, gy) * (extent(iy, A, CORNERS) * 0.5)
    if NDIM > 2:
        gz = tl.where(uz | ~mask, 0, gz) * (extent(iz, A, CORNERS) * 0.5)
    dtype: tl.constexpr = grad_where.dtype.element_ty
    if KIND == GRID:
        batches = tl.num_programs(0) // (tiles_x * tiles_y * oz * groups)
        to = grad_where + ((((group * batches + b).to(tl.int64) * oz + z) * oy + y) * ox + x) * NDIM
        tl.store(to, gx.to(dtype), mask)
        if NDIM > 1:
            tl.store(to + 1, gy.to(dtype), mask)
        if NDIM > 2:
            tl.store(to + 2, gz.to(dtype), mask)
    else:
        tiles = tiles_x * tiles_y * oz
        entries: tl.constexpr = (NDIM + 1) * (NDIM if KIND == AFFINE else NDIM + 1)
        partial = grad_where + ((b.to(tl.int64) * groups + group) * tiles + tile) * entries
        to_matrix(partial, where, gx, gy, gz, x, y, z, ox, oy, oz, zero, A, NDIM, CORNERS, KIND)


@triton.jit(do_not_specialize=["zero", "channels", "chunk", "groups", "tiles_x", "tiles_y", "iz", "iy", "ix", "oz", "oy", "ox"])
def backward(grad, input, where, fill, scale, grad_input, grad_where,
             zero, channels, chunk, groups, tiles_x, tiles_y, iz, iy, ix, oz, oy, ox,
             g_b, g_c, g_z, g_y, g_x, i_b, i_c, i_z, i_y, i_x, t_b, t_c, t_z, t_y, t_x, w_b, w_z, w_y, w_x, w_d, s_b,
             NDIM: tl.constexpr, MODE: tl.constexpr, PADDING: tl.constexpr, CORNERS: tl.constexpr, KIND: tl.constexpr,
             A: tl.constexpr, W: tl.constexpr, TX: tl.constexpr, N: tl.constexpr, CB: tl.constexpr, LAST: tl.constexpr,
             TO_INPUT: tl.constexpr, TO_WHERE: tl.constexpr, FIXED: tl.constexpr):  # fmt: skip
    """Adds to ``grad_input``, in floating or fixed point; writes the slopes of each point, or what they say of the matrix of a tile."""
    b, group, x0, y0, z, tile = tile_of(oz, tiles_x, tiles_y, groups, TX, N // TX)
    where += b.to(tl.int64) * w_b
    x, y, mask, cx, fx, ux, cy, fy, uy, cz, fz, uz = points_of(
        where, x0, y0, z, iz, iy, ix, oz, oy, ox, w_z, w_y, w_x, w_d, zero,
        A, W, NDIM, MODE, PADDING, CORNERS, KIND, TX, N)  # fmt: skip
    S: tl.constexpr = 1 if MODE == NEAREST else (2 if MODE == BILINEAR else 4)
    lanes = tl.arange(0, CB)
    grad_at = over_channels(y.to(W) * g_y + x.to(W) * g_x, LAST)
    input += b.to(tl.int64) * i_b
    grad += b.to(tl.int64) * g_b + z.to(tl.int64) * g_z
    grad_input += b.to(tl.int64) * t_b
    gx, gy, gz = tl.zeros([N], A), tl.zeros([N], A), tl.zeros([N], A)
    first = group * chunk
    for c in range(first, tl.minimum(first + chunk, channels), CB):
        there = c + lanes < channels
        wanted = over_channels(mask, LAST) & over_points(there, LAST)
        pixels = input + tl.cast(c, tl.int64) * i_c + over_points(lanes.to(W) * i_c, LAST)
        adds_to = grad_input + tl.cast(c, tl.int64) * t_c + over_points(lanes.to(W) * t_c, LAST)
        g = tl.load(grad + tl.cast(c, tl.int64) * g_c + over_points(lanes.to(W) * g_c, LAST) + grad_at, wanted, other=0).to(A)
        lost = over_points(tl.load(fill + c + lanes, there, other=0).to(A), LAST) if PADDING == CONSTANT else 0.0
        scaled = g
        if FIXED:
            by = over_points(tl.load(scale + b.to(tl.int64) * s_b + c + lanes, there, other=0), LAST)
            scaled = tl.where(by > 0, g, 0) * by
        gx, gy, gz = add_planes(gx, gy, gz, g, scaled, pixels, adds_to, wanted, lost, cz, fz, uz, iz, i_z, t_z, cy, fy, uy, iy, i_y, t_y,
                                cx, fx, ux, ix, i_x, t_x, A, W, S, NDIM, MODE, PADDING, CORNERS, LAST, TO_INPUT, TO_WHERE,
                                FIXED)  # fmt: skip
    if TO_WHERE:
        write_slopes(grad_where, where, gx, gy, gz, ux, uy, uz, mask, b, group, groups, tiles_x, tiles_y, tile, x, y, z, iz, iy, ix,
                     oz, oy, ox, zero, A, NDIM, CORNERS, KIND)  # fmt: skip
