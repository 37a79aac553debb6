// Where do normalised coordinates lie, as a grid or a matrix that divides gives them?
#pragma once
#include "place.h"

namespace reticle {
namespace {

// Normalised coordinates of a segment, of X: float or double as the caller has it.
template <class X>
struct Norms {
  alignas(64) X axis[3][SEGMENT];
  alignas(64) X w[SEGMENT];  // what a projective matrix divides by
};

// By whole periods to at most half a period from 0. Exact, by powers of two.
template <int period, class V>
RETICLE_INLINE V fold_by(V norm) {
  const V rest = norm - period * trunc_of(norm / period);
  return rest - period * nearest_of(rest / period);
}

// The pixel that stands for number `i`, no further outside than the image is wide; `edge`: 1 if it is mirrored at its edges, 0 at the outer centres.
template <class I, class N, class E>
RETICLE_INLINE I mirror(I i, N last, E edge) {
  return i < 0 ? -edge - i : i > last ? 2 * last + edge - i : i;
}

// Pixels of a mirrored axis: of points beyond the image, where they are by whole periods; `inside` of the others.
template <class V>
RETICLE_INLINE V fold_far(V norm, V half, V middle, V inside) {
  const auto far = (norm * norm > 1) & (norm - norm == 0);
  if (!any(far)) return inside;
  return far ? rounded_product(fold_by<4>(norm), half) + middle : inside;
}

// As axis.fold().
template <class V>
RETICLE_INLINE V fold(const Axis& axis, V norm) {
  if (axis.half == 0) return V{};
  const double period = double(axis.period) / axis.half;
  if (period == 4) return fold_by<4>(norm);
  if (period == 2) return fold_by<2>(norm);
  return each_lane(norm, [&](auto x) { return decltype(x)(axis.fold(x)); });
}

// Pixels from normalised coordinates, with the two roundings of everybody else.
template <class X, class A>
RETICLE_APART void from_norms(const Call& c, const Axis& axis, const X* norm, int count, Place<A>& place) {
  using V = Vec<X>;
  constexpr int lanes = VecOf<X>::lanes;
  using Fractions = typename VectorOf<A, lanes>::type;
  const X up = c.mode == NEAREST ? X(0.5) : X(0);
  const V half = all_of<V>(X(axis.half)), middle = all_of<V>(X(axis.middle));
  // beyond these every padding that does not repeat answers as at them; infinity and NaN are on the left
  const V low = all_of<V>(X(-8)), high = all_of<V>(X(std::min<double>(double(axis.size), BEYOND)) + 8);
  V check = {};
  for (int p = 0; p < count; p += lanes) {
    const V v = load(norm + p);
    const auto known = v - v == 0;
    const V inside = smaller_of(larger_of(rounded_product(v, half) + middle, low), high) + up;
    V x = known ? inside : low;
    if (repeats(c.padding)) {
      const auto outside = known & ((floor_of(x) < 0) | (floor_of(x) >= X(axis.size)));
      if (any((I8)outside)) x = outside ? rounded_product(fold(axis, v), half) + middle + up : x;
    }
    const V whole = floor_of(x);
    put(__builtin_convertvector(whole, Cell<X>), place.cell + p);
    put(smaller_of(__builtin_convertvector(x - whole, Fractions), all_of<Fractions>(below_one(A(1)))), place.fraction + p);
    watch(v, check);
  }
  place.any_lost = !is_zero(check);
  for (int p = 0; p < count && place.any_lost; p++) place.lost[p] = norm[p] - norm[p] != 0;
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
