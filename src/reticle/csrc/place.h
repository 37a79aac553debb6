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

// Normalised coordinates of a segment, of X: float or double as the caller has it.
template <class X>
struct Norms {
  alignas(64) X axis[3][SEGMENT];
  alignas(64) X w[SEGMENT];  // what a projective matrix divides by
};

template <class X, class A>
void from_norms(const Call& c, const Axis& axis, const X* norm, int count, Place<A>& place) {
  const X half = X(axis.half), middle = X(axis.middle), up = c.mode == NEAREST ? X(0.5) : X(0),
          infinity = std::numeric_limits<X>::infinity();
  // beyond these every padding that does not repeat answers as at them; infinity and NaN are on the left
  const X low = X(-8), high = X(std::min<double>(axis.size, BEYOND)) + 8;
  for (int p = 0; p < count; p++) {
    X product = RETICLE_ROUNDED(norm[p] * half);
    X x = std::fabs(norm[p]) < infinity ? clamp(product + middle, low, high) + up : low;
    X floor = std::floor(x);
    place.cell[p] = int32_t(floor);
    place.fraction[p] = below_one(A(x - floor));
  }
  int lost = 0;
  for (int p = 0; p < count; p++) lost |= !(std::fabs(norm[p]) < infinity);
  place.any_lost = lost;
  for (int p = 0; p < count && place.any_lost; p++) place.lost[p] = !(std::fabs(norm[p]) < infinity);
  for (int p = 0; p < count && repeats(c.padding); p++) {
    if ((place.any_lost && place.lost[p]) || (place.cell[p] >= 0 && place.cell[p] < axis.size)) continue;
    X product = RETICLE_ROUNDED(X(axis.fold(norm[p])) * half), x = product + middle + up, floor = std::floor(x);
    place.cell[p] = int32_t(floor);
    place.fraction[p] = below_one(A(x - floor));
  }
}

template <class X>
X read_norm(const Call& c, int64_t at) {
  return c.where_is_double ? X(((const double*)c.where)[at]) : X(((const float*)c.where)[at]);
}

template <class X>
void read_grid(const Call& c, int64_t b, int64_t k, int64_t i, int64_t j, int count, Norms<X>& norms) {
  const int64_t* s = c.where_stride;
  int64_t start = b * s[0] + k * s[1] + i * s[2] + j * s[3];
  const bool same = c.where_is_double == (sizeof(X) == sizeof(double));
  if (same && c.ndim == 2 && s[4] == 1 && s[3] == 2) {  // as grids come
    const X* xy = (const X*)c.where + start;
    for (int p = 0; p < count; p++) norms.axis[2][p] = xy[2 * p], norms.axis[1][p] = xy[2 * p + 1];
    return;
  }
  for (int a = 3 - c.ndim; a < 3; a++)
    for (int p = 0; p < count; p++) norms.axis[a][p] = read_norm<X>(c, start + p * s[3] + (2 - a) * s[4]);
}

// The normalised centres of output pixels from `first` on, with the roundings of base_grid.
template <class X>
RETICLE_INLINE void targets(const Axis& out, int64_t first, bool align_corners, int count, X* to) {
  const int64_t length = align_corners ? out.size - 1 : out.size;
  const double start = double(2 * first + (length - out.size + 1));
  const X whole = X(std::max<int64_t>(length, 1)), one = length > 0 ? 1 : 0;
  for (int p = 0; p < count; p++) to[p] = X(start + 2 * p) / whole - one;
  for (int p = 0; p < count && length == 0; p++) to[p] = 0;
}

// Any matrix, with the roundings and in the order of apply_matrix in grid.py. With X = float it overflows where single precision does, as
// it must for entries that are not tame.
template <class X>
void apply_matrix(const Call& c, const Matrix& m, const Axis* out, int64_t k, int64_t i, int64_t j, int count, Norms<X>& norms) {
  const int d = c.ndim;
  X x[SEGMENT], y, z;
  targets(out[2], j, c.align_corners, count, x);
  targets(out[1], i, c.align_corners, 1, &y);
  targets(out[0], k, c.align_corners, 1, &z);
  for (int r = 0; r <= d; r++) {
    const double* e = m.entry[r];
    const X by = X(e[0]), from = X(e[d]), over_y = d > 1 ? RETICLE_ROUNDED(X(e[1]) * y) : X(0),
            over_z = d > 2 ? RETICLE_ROUNDED(X(e[2]) * z) : X(0);
    X* to = r < d ? norms.axis[2 - r] : norms.w;
    for (int p = 0; p < count; p++) {
      const X product = RETICLE_ROUNDED(by * x[p]);
      to[p] = ((from + product) + over_y) + over_z;
    }
  }
  if (!m.divides) return;
  const X smallest = X(c.where_is_double ? 0x1p-511 : SMALLEST), infinity = std::numeric_limits<X>::infinity();
  const X largest = X(c.where_is_double ? 1.7976931348623157e308 : LARGEST);
  for (int r = 0; r < d; r++) {
    X* norm = norms.axis[2 - r];
    for (int p = 0; p < count; p++) {  // neither 1 / w^2, which the gradient needs, nor the quotient may overflow
      const X w = norms.w[p], quotient = norm[p] / w;
      norm[p] = w > smallest && std::fabs(norm[p]) < w * w * largest ? quotient : infinity;
    }
  }
}

}  // namespace
}  // namespace reticle
