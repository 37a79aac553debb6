// Which pixels of one axis count at a point, and how much? Sampling kernels and what lies outside, point by point: the careful way.
#pragma once
#include <algorithm>

#include "sampler.h"
#include "turn.h"

namespace reticle {
namespace {

inline int support_of(Mode mode) { return mode == NEAREST ? 1 : mode == BILINEAR ? 2 : 4; }
inline bool fills(Padding padding) { return padding == ZEROS || padding == CONSTANT; }
inline bool repeats(Padding padding) { return padding == REFLECTION || padding == WRAP; }
// But for WRAP, whose pixels may be no neighbours.
inline Outside outside_of(const Call& c) {
  if (c.padding == REFLECTION) return c.align_corners ? MIRRORED_AT_CENTRE : MIRRORED_AT_EDGE;
  return c.padding == BORDER ? NEAREST_PIXEL : NOTHING;
}

// Weights phi and slopes phi' of the taps, `f` = the point's distance from the tap at or left of it, in [0, 1]. Of four taps A may be a vector.
template <Mode mode, class A>
RETICLE_INLINE void kernel(A f, A* weight, A* slope) {
  if constexpr (mode == NEAREST) {
    weight[0] = 1, slope[0] = 0;
  } else if constexpr (mode == BILINEAR) {
    weight[0] = 1 - f, weight[1] = f;
    slope[0] = -1, slope[1] = 1;
  } else if constexpr (mode == BICUBIC) {  // Keys 1981 with a = -0.75
    using N = ScalarOf<A>;
    const A g = 1 - f, d = 1 + f, e = 2 - f;
    weight[0] = ((N(-0.75) * d + N(3.75)) * d - 6) * d + 3, weight[1] = (N(1.25) * f - N(2.25)) * f * f + 1;
    weight[2] = (N(1.25) * g - N(2.25)) * g * g + 1, weight[3] = ((N(-0.75) * e + N(3.75)) * e - 6) * e + 3;
    slope[0] = (N(-2.25) * d + N(7.5)) * d - 6, slope[1] = (N(3.75) * f - N(4.5)) * f;
    slope[2] = -(N(3.75) * g - N(4.5)) * g, slope[3] = -((N(-2.25) * e + N(7.5)) * e - 6);
  } else {
    using N = ScalarOf<A>;
    const A g = 1 - f;
    const N sixth = N(1) / 6;
    weight[0] = g * g * g * sixth, weight[1] = (4 + f * f * (3 * f - 6)) * sixth;
    weight[2] = (4 + g * g * (3 * g - 6)) * sixth, weight[3] = f * f * f * sixth;
    slope[0] = g * g * N(-0.5), slope[1] = f * (N(1.5) * f - 2);
    slope[2] = -g * (N(1.5) * g - 2), slope[3] = f * f * N(0.5);
  }
}

template <class A>
void kernel(Mode mode, A f, A* weight, A* slope) {
  if (mode == NEAREST) return kernel<NEAREST>(f, weight, slope);
  if (mode == BILINEAR) return kernel<BILINEAR>(f, weight, slope);
  if (mode == BICUBIC) return kernel<BICUBIC>(f, weight, slope);
  return kernel<BSPLINE3>(f, weight, slope);
}

inline int64_t modulo(int64_t i, int64_t n) {
  int64_t r = i % n;
  return r < 0 ? r + n : r;
}

// What never changes along one axis of a call.
struct Axis {
  int64_t size;
  double half, middle;  // pixel = norm * half + middle
  int64_t period;       // of a padding that repeats, in pixels

  Axis() = default;
  Axis(int64_t n, Padding padding, bool align_corners) : size(n) {
    int64_t extent = align_corners ? n - 1 : n;
    half = extent / 2.0, middle = (n - 1) / 2.0;
    period = padding == WRAP ? n : std::max<int64_t>(2 * extent, 1);
  }

  // The pixel that tap `i` reads, or -1: the fill.
  int32_t pixel(int64_t i, Padding padding, bool align_corners) const {
    if (i >= 0 && i < size) return int32_t(i);
    if (fills(padding)) return -1;
    if (padding == BORDER) return int32_t(i < 0 ? 0 : size - 1);
    if (padding == WRAP) return int32_t(modulo(i, size));
    i = modulo(i, period);  // mirrored about the outer centres, or the outer edges
    return int32_t(std::min(i, align_corners ? period - i : period - 1 - i));
  }

  // The same place of the image, at most half a period from the middle.
  double fold(double norm) const {
    if (half == 0) return 0;
    double whole = period / half, wide = std::fmod(norm, whole);
    return wide - whole * std::nearbyint(wide / whole);
  }
};

template <class A>
struct Taps {
  int count;
  int32_t pixel[4];
  A weight[4], slope[4];
};

// `cell`: the pixel at or left of the point (nearest: the pixel itself). `lost`: the coordinate was not finite.
template <class A>
Taps<A> taps(const Call& c, const Axis& axis, int32_t cell, A fraction, bool lost) {
  if (lost) return {1, {fills(c.padding) ? -1 : 0}, {1}, {0}};
  Taps<A> t;
  t.count = support_of(c.mode);
  kernel(c.mode, fraction, t.weight, t.slope);
  int64_t first = int64_t(cell) - (t.count - 1) / 2;
  for (int k = 0; k < t.count; k++) t.pixel[k] = axis.pixel(first + k, c.padding, c.align_corners);
  return t;
}

}  // namespace
}  // namespace reticle
