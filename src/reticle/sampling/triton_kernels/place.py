"""Where does each output point read? From a matrix or a grid to the pixel at or left of it and the fraction beyond, axis by axis.

Two ways. An ordinary affine matrix is applied in pixels: the first point of a tile in twice the working precision, the others counted from
there, so that the identity is exact and large images lose nothing. Everything else goes through normalised coordinates, with the roundings
of ``grid.py``, so that even absurd entries mean what they mean elsewhere.
"""

import triton
import triton.language as tl

from .axis import NEAREST, REFLECTION, into_period

GRID, AFFINE = tl.constexpr(0), tl.constexpr(1)  # 2: a matrix with a last row
ORDINARY = tl.constexpr(1000.0)
BEYOND = tl.constexpr(268435456.0)  # pixels; further out nothing changes, and integers still hold it
OUTSIDE = tl.constexpr(8.0)  # pixels from the image; so far out the paddings that do not repeat answer as further out


@triton.jit
def extent(size, A: tl.constexpr, CORNERS: tl.constexpr):
    """Length in pixels of [-1, 1]."""
    n = tl.cast(size, A)
    return n - 1 if CORNERS else n


@triton.jit
def middle(size, A: tl.constexpr):
    """The pixel coordinate of 0."""
    return (tl.cast(size, A) - 1) * 0.5


@triton.jit
def rounded(x, zero):
    """``x``, kept from being fused with the addition that follows; ``zero`` is 0, which the compiler does not know."""
    if x.dtype == tl.float64:
        y = (x.to(tl.int64, bitcast=True) ^ tl.cast(zero, tl.int64)).to(tl.float64, bitcast=True)
    else:
        y = (x.to(tl.int32, bitcast=True) ^ tl.cast(zero, tl.int32)).to(tl.float32, bitcast=True)
    return y


@triton.jit
def divide(a, b):
    """The correctly rounded quotient."""
    return a / b if a.dtype == tl.float64 else tl.div_rn(a, b)


@triton.jit
def two_sum(a, b):
    """The rounded sum and its error. Knuth."""
    s = a + b
    v = s - a
    return s, (a - (s - v)) + (b - v)


@triton.jit
def two_product(a, b):
    """The rounded product and its error."""
    p = a * b
    return p, tl.fma(a, b, -p)


@triton.jit
def step_of(entry, here, there):
    """``entry * here / there``: pixels of the input to a pixel of the output, as two numbers; 0 for an output of no extent."""
    some = there > 0
    there, here = tl.where(some, there, 1), tl.where(some, here, 0)
    ratio = divide(here, there)
    rest = tl.fma(-ratio, there, here) / there
    step, error = two_product(entry, ratio)
    return step, error + entry * rest


@triton.jit
def advance(high, low, step, step_low, offset):
    """``high + low + (step + step_low) * offset``."""
    product, error = two_product(step, offset)
    high, lost = two_sum(high, product)
    return high, low + (lost + (error + step_low * offset))


@triton.jit
def is_ordinary(matrix, NDIM: tl.constexpr, KIND: tl.constexpr):
    """Whether the matrix is affine, be it by its entries, and these are finite and of ordinary size."""
    ordinary = tl.abs(tl.load(matrix)) <= ORDINARY
    for k in tl.static_range(1, NDIM * (NDIM + 1)):
        ordinary = ordinary & (tl.abs(tl.load(matrix + k)) <= ORDINARY)
    if KIND > AFFINE:
        for k in tl.static_range(NDIM):
            ordinary = ordinary & (tl.load(matrix + NDIM * (NDIM + 1) + k) == 0)
        ordinary = ordinary & (tl.load(matrix + NDIM * (NDIM + 1) + NDIM) == 1)
    return ordinary


@triton.jit
def place_ordinary(row, size, x0, y0, z, dx, dy, ox, oy, oz,
                   A: tl.constexpr, NDIM: tl.constexpr, MODE: tl.constexpr, PADDING: tl.constexpr, CORNERS: tl.constexpr):  # fmt: skip
    """One axis under an ordinary affine matrix, of which ``row`` is this axis's: cell and fraction."""
    here = extent(size, A, CORNERS)
    product, low = two_product(tl.load(row + NDIM).to(A), here * 0.5)
    high, lost = two_sum(middle(size, A), product)
    low += lost
    step_x, more = step_of(tl.load(row).to(A), here, extent(ox, A, CORNERS))
    high, low = advance(high, low, step_x, more, tl.cast(x0, A) - middle(ox, A))
    away = step_x * dx.to(A)
    if NDIM > 1:
        step_y, more = step_of(tl.load(row + 1).to(A), here, extent(oy, A, CORNERS))
        high, low = advance(high, low, step_y, more, tl.cast(y0, A) - middle(oy, A))
        away += step_y * dy.to(A)
    if NDIM > 2:
        step_z, more = step_of(tl.load(row + 2).to(A), here, extent(oz, A, CORNERS))
        high, low = advance(high, low, step_z, more, tl.cast(z, A) - middle(oz, A))
    if MODE == NEAREST:
        high, lost = two_sum(high, 0.5)
        low += lost
    high = tl.minimum(tl.maximum(high, -BEYOND), BEYOND)
    whole = tl.floor(high)
    v = tl.minimum(tl.maximum(((high - whole) + low) + away, -BEYOND), BEYOND)
    floor = tl.floor(v)
    return into_period(whole.to(tl.int32) + floor.to(tl.int32), size, PADDING, CORNERS), v - floor


@triton.jit
def target(o, size, A: tl.constexpr, CORNERS: tl.constexpr):
    """The normalised centre of output pixels ``o``, with the roundings of ``base_grid``."""
    length = extent(size, A, CORNERS)
    n = tl.cast(size, A)
    centre = divide(2 * o.to(A) + ((length - n) + 1), tl.maximum(length, 1) + o.to(A) * 0) - 1
    return tl.where(length > 0, centre, 0)


@triton.jit
def moved(row, tx, ty, tz, zero, A: tl.constexpr, NDIM: tl.constexpr):
    """A row of a matrix times target points, with the roundings and in the order of ``apply_matrix``."""
    total = tl.load(row + NDIM).to(A) + rounded(tl.load(row).to(A) * tx, zero)
    if NDIM > 1:
        total += rounded(tl.load(row + 1).to(A) * ty, zero)
    if NDIM > 2:
        total += rounded(tl.load(row + 2).to(A) * tz, zero)
    return total


@triton.jit
def is_visible(above, w):
    """Whether neither ``above / w`` nor ``1 / w^2``, which the gradient needs, overflow, and ``w`` is in front."""
    if w.dtype == tl.float64:
        smallest, largest = 1.4916681462400413e-154, 1.7976931348623157e308
    else:
        smallest, largest = 1.0842021724855044e-19, 3.4028234663852886e38
    return (w > smallest) & (tl.abs(above) < w * w * largest)


@triton.jit
def norm_of(matrix, a: tl.constexpr, tx, ty, tz, zero, A: tl.constexpr, NDIM: tl.constexpr, KIND: tl.constexpr):
    """Normalised coordinates along axis ``a`` (0: x) of target points under any matrix; infinite where behind the viewer."""
    norm = moved(matrix + a * (NDIM + 1), tx, ty, tz, zero, A, NDIM)
    if KIND > AFFINE:
        w = moved(matrix + NDIM * (NDIM + 1), tx, ty, tz, zero, A, NDIM)
        visible = is_visible(norm, w)
        norm = tl.where(visible, divide(norm, tl.where(visible, w, 1)), float("inf"))
    return norm


@triton.jit
def remainder(x, whole, STEPS: tl.constexpr):
    """``x`` in double minus a whole multiple of ``whole``, exactly, at most about half of it; no fused operation is needed. Dekker."""
    big = whole * 134217729.0
    whole_high = big - (big - whole)
    whole_low = whole - whole_high
    for _ in tl.static_range(STEPS):  # each takes 52 bits off
        q = x / whole
        q = tl.where(tl.abs(q) < 4503599627370496.0, tl.floor(q + 0.5), q)
        big = q * 134217729.0
        q_high = big - (big - q)
        q_low = q - q_high
        product = q * whole
        error = ((q_high * whole_high - product) + q_high * whole_low + q_low * whole_high) + q_low * whole_low
        x = (x - product) - error
    return tl.where(tl.abs(x) <= whole, x, 0)  # what even doubles cannot count


@triton.jit
def fold(norm, size, PADDING: tl.constexpr, CORNERS: tl.constexpr):
    """The same place of the image, at most about half a period from the middle."""
    if PADDING == REFLECTION:  # whole periods are 4 or 2: every step is exact, however large the number
        folded = norm - 4 * tl.floor(norm * 0.25 + 0.5)
    elif not CORNERS:
        folded = norm - 2 * tl.floor(norm * 0.5 + 0.5)
    else:
        n = tl.cast(size, tl.float64)
        whole = 2 * n / tl.maximum(n - 1, 1)
        folded = norm
        if tl.max((tl.abs(norm) * 2 > whole.to(norm.dtype)).to(tl.int32), axis=0) > 0:  # doubles are slow on many GPUs
            folded = remainder(norm.to(tl.float64), whole, 18 if norm.dtype == tl.float64 else 4).to(norm.dtype)
    return folded


@triton.jit
def place_norm(norm, size, zero, MODE: tl.constexpr, PADDING: tl.constexpr, CORNERS: tl.constexpr):
    """Normalised coordinates of one axis: cell, fraction, and whether the coordinate does not count: not finite, or far outside."""
    A: tl.constexpr = norm.dtype
    dead = ~(tl.abs(norm) < float("inf"))
    safe = tl.where(dead, 0, norm)
    if PADDING >= REFLECTION:
        safe = fold(safe, size, PADDING, CORNERS)
    x = rounded(safe * (extent(size, A, CORNERS) * 0.5), zero) + middle(size, A)
    if PADDING < REFLECTION:
        outside = tl.cast(size, A) + OUTSIDE
        dead = dead | ~((x >= -OUTSIDE) & (x <= outside))
        x = tl.minimum(tl.maximum(x, -OUTSIDE), outside)
        x = tl.where(tl.abs(norm) < float("inf"), x, -OUTSIDE)
    if MODE == NEAREST:
        x = x + 0.5
    floor = tl.floor(x)
    return into_period(floor.to(tl.int32), size, PADDING, CORNERS), x - floor, dead
