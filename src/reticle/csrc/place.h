// Where does each output point of a segment read? From a matrix or a grid to the pixel at or left of it and the fraction beyond, per axis.
#pragma once
#include <limits>

#include "axis.h"

// Keeps the product from being fused with what follows: a given grid is read with the two roundings that everybody else makes.
#if defined(__has_builtin)
#if __has_builtin(__builtin_assoc_barrier)
#define RETICLE_ROUNDED(x) __builtin_assoc_barrier(x)
#endif
#endif
#ifndef RETICLE_ROUNDED
#define RETICLE_ROUNDED(x) (x)
#endif

namespace reticle {
namespace {

// The same for vectors, which compilers take to pieces for RETICLE_ROUNDED.
template <class V>
RETICLE_INLINE V rounded_product(V a, V b) {
#if defined(__AVX512F__)
  V product = a * b;
  asm("" : "+v"(product));
  return product;
#elif defined(__AVX__)
  V product = a * b;
  asm("" : "+x"(product));
  return product;
#else
  return RETICLE_ROUNDED(a * b);
#endif
}

constexpr int SEGMENT = 64;  // points of an output row that are treated together

// The points of a segment along one axis.
template <class A>
struct Place {
  alignas(64) int32_t cell[SEGMENT];
  alignas(64) A fraction[SEGMENT];
  bool any_lost;
  bool lost[SEGMENT];  // valid where any_lost
};

// A matrix in pixels: position along axis a = origin[a] + sum over axes b of step[a][b] * output pixel b. Axes are (z, y, x).
struct Affine {
  double step[3][3], origin[3];
};

// The matrix of one sample.
struct Matrix {
  double entry[4][4];
  bool tame;     // finite and of ordinary size
  bool divides;  // projective, and not only in form
  Affine pixels;
};

constexpr double ORDINARY = 1000;
constexpr double SMALLEST = 0x1p-63, LARGEST = 3.4028234663852886e38;  // that a matrix in single precision divides by, and numbers of it

inline Matrix read_matrix(const Call& c, int64_t sample, const Axis* in, const Axis* out) {
  Matrix m = {};
  if (!c.is_matrix) return m;
  const int d = c.ndim;
  m.entry[d][d] = 1, m.tame = true;
  for (int r = 0; r < c.rows; r++)
    for (int k = 0; k <= d; k++) {
      const int64_t at = sample * c.where_stride[0] + r * c.where_stride[1] + k * c.where_stride[2];
      double v = c.where_is_double ? ((const double*)c.where)[at] : ((const float*)c.where)[at];
      m.entry[r][k] = v;
      m.tame &= std::fabs(v) <= ORDINARY;
    }
  for (int k = 0; k <= d; k++) m.divides |= m.entry[d][k] != (k == d);
  for (int a = 3 - d; a < 3; a++) {  // the row of axis a, the column of axis b: x is the first of a matrix and the last of a size
    m.pixels.origin[a] = in[a].middle + m.entry[2 - a][d] * in[a].half;
    for (int b = 3 - d; b < 3; b++) {
      // one division, so that the identity is exact
      double step = out[b].half > 0 ? m.entry[2 - a][2 - b] * (in[a].half / out[b].half) : 0;
      m.pixels.step[a][b] = step;
      m.pixels.origin[a] -= step * out[b].middle;
    }
  }
  return m;
}

constexpr double BEYOND = 1 << 28;  // pixels; further out nothing changes, and integers still hold it

template <class V>
RETICLE_INLINE V clamp(V v, V low, V high) {
  return v > low ? (v < high ? v : high) : low;  // NaN becomes low
}

// A fraction that rounding has made 1 would be the next pixel's 0, whose slopes want a pixel more.
template <class A>
RETICLE_INLINE A below_one(A fraction) {
  constexpr A most = 1 - std::numeric_limits<A>::epsilon() / 2;
  return fraction < most ? fraction : most;
}

// Positions start + step * p, counted from a whole pixel, so that float lanes lose nothing on large images.
template <class L, class A>
RETICLE_INLINE void walk(double start, double step, int count, bool nearest, Place<A>& place) {
  start = clamp(start + (nearest ? 0.5 : 0), -BEYOND, BEYOND);
  double whole = std::floor(start);
  L from = L(start - whole), by = L(step);
  int32_t first = int32_t(whole);
  for (int p = 0; p < count; p++) {
    L v = clamp(from + by * L(p), L(-BEYOND), L(BEYOND)), floor = std::floor(v);
    place.cell[p] = first + int32_t(floor);
    place.fraction[p] = below_one(A(v - floor));
  }
}

}  // namespace
}  // namespace reticle
