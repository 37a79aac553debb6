"""Which pixels of one axis count at a point, and how much? The sampling kernels and what lies outside, for vectors of points."""

import triton
import triton.language as tl

# in the order of native_rules.MODES and PADDING_MODES
NEAREST, BILINEAR, BICUBIC = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)  # 3: the cubic B-spline
CONSTANT, BORDER, REFLECTION = tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)  # 0: zeros, 4: wrap


@triton.jit
def weight(f, t, MODE: tl.constexpr):
    """phi of tap ``t`` at points that lie ``f``, in [0, 1], beyond their cell. Of cubic kernels ``t`` may be known at run time only."""
    if MODE == NEAREST:
        w = f * 0 + 1
    elif MODE == BILINEAR:
        w = 1 - f if t == 0 else f
    else:
        d, near = tl.abs(f + (1 - t)), (t - 1) * (t - 2) == 0  # the distance; whether it is at most 1
        if MODE == BICUBIC:  # Keys 1981 with a = -0.75
            w = tl.where(near, (1.25 * d - 2.25) * d * d + 1, ((-0.75 * d + 3.75) * d - 6) * d + 3)
        else:
            e = 2 - d
            w = tl.where(near, (4 + d * d * (3 * d - 6)) / 6, e * e * e / 6)
    return w


@triton.jit
def slope(f, t, MODE: tl.constexpr):
    """phi' of tap ``t``; bilinear's on a pixel centre, ``f`` = 0, is the right one."""
    if MODE == NEAREST:
        s = f * 0
    elif MODE == BILINEAR:
        s = f * 0 - 1 if t == 0 else f * 0 + 1
    else:
        d, near = tl.abs(f + (1 - t)), (t - 1) * (t - 2) == 0
        if MODE == BICUBIC:
            s = tl.where(near, (3.75 * d - 4.5) * d, (-2.25 * d + 7.5) * d - 6)
        else:
            e = 2 - d
            s = tl.where(near, d * (1.5 * d - 2), e * e * -0.5)
        s = tl.where(t < 2, s, -s)  # taps to the right see the distance from the other side
    return s


@triton.jit
def period_of(size, PADDING: tl.constexpr, CORNERS: tl.constexpr):
    """After how many pixels the world repeats."""
    if PADDING == REFLECTION:
        period = tl.maximum(2 * (size - 1), 1) if CORNERS else 2 * size
    else:
        period = size + 0
    return period


@triton.jit
def into_period(cell, size, PADDING: tl.constexpr, CORNERS: tl.constexpr):
    """``cell`` by whole periods nearer to the image: in 0 .. period - 1. As it is where the padding does not repeat."""
    if PADDING >= REFLECTION:
        period = period_of(size, PADDING, CORNERS)
        cell = cell % period
        cell = tl.where(cell < 0, cell + period, cell)  # the remainder has the sign of either, by compiler
    return cell


@triton.jit
def tap(cell, dead, size, t, S: tl.constexpr, PADDING: tl.constexpr, CORNERS: tl.constexpr):
    """The pixel, always inside, that tap ``t`` reads, and whether the tap itself is inside."""
    i = cell + (t - (S - 1) // 2)
    present = (i >= 0) & (i < size)
    if PADDING >= REFLECTION:
        period = period_of(size, PADDING, CORNERS)
        i = tl.where(i < 0, i + period, i)
        i = tl.where(i >= period, i - period, i)
        i = tl.where(i >= period, i - period, i)  # two taps beyond, in a period of one
        if PADDING == REFLECTION:  # mirrored about the outer centres, or the outer edges
            i = tl.minimum(i, period - i if CORNERS else period - 1 - i)
        i = tl.where(dead, 0, i)
    return tl.minimum(tl.maximum(i, 0), size - 1), present
