// The common case of segment.h in one go: readings whose pixels are neighbours, of images and volumes; cubic ones of images. Places and
// windows stay in registers; what lies inside the image takes no more than its fractions.
#pragma once
#include "caution.h"
#include "cubics.h"
#include "segment.h"

namespace reticle {
namespace {

// Where the points are, along one axis: by a matrix as in walk(), by normalised coordinates as in from_norms().
template <class A_>
struct Walk {
  using A = A_;
  using V = Vec<A>;
  A from, by;
  Number<V> first;

  RETICLE_INLINE Cells<V> at(int, int p, V&) const { return cells_of(from + by * (count_up<V>() + A(p)), first); }
};

// `paired`: x and y of a point side by side, as grids come; else each axis by itself.
template <class A_, bool paired>
struct FromNorm {
  using A = A_;
  using V = Vec<A>;
  const A* norm;
  NormLine<A> line;

  RETICLE_INLINE V read(int axis, int p) const {
    if constexpr (!paired) return load(norm + p);
    const V a = load(norm + 2 * p), b = load(norm + 2 * p + VecOf<A>::lanes);
    return axis == 2 ? evens_of(a, b) : odds_of(a, b);
  }
  RETICLE_INLINE Cells<V> at(int axis, int p, V& check) const { return line.cells(read(axis, p), check); }
};

// Of D dimensions. The weights of an image's axes are in the reading as they are; of two pixels each the fill wants them here, too.
template <int D, int S, class V, class A>
RETICLE_INLINE void put_tents(const Tents<S, V>& t, int p, Wanted wanted, Window<A>& w) {
  put(__builtin_convertvector(t.first, Cell<A>), w.first + p);
  for (int k = 0; k < S && wanted.slopes; k++) {
    store(t.slope[k], w.slope[k] + p);
    if (D == 3 || S == 2) store(t.weight[k], w.weight[k] + p);
  }
}

RETICLE_INLINE void put_offsets(I8 offset, int64_t* to) { widen_to(offset, to); }
RETICLE_INLINE void put_offsets(D4 offset, int64_t* to) { put((L4)(offset + BIG) - BIG_BITS, to); }

// D dimensions; `from` says where the points of an axis are. False: one of them is nowhere.
template <int D, class From, class P>
RETICLE_INLINE bool read_all(const P& plan, const From* from, const int64_t* stride, Wanted wanted, Segment<P>& s, Reading<P>& r) {
  constexpr int S = P::S, back = (S - 1) / 2;
  using A = typename P::A;
  using V = Vec<A>;
  const Outside outside = outside_of(plan.c);
  Whole<V> edge = {};
  V check = {};
  Caution caution;
  for (int p = 0; p < s.padded(); p += VecOf<A>::lanes) {
    Cells<V> cells[3];
    Whole<V> out = {};
#pragma GCC unroll 3
    for (int a = 3 - D; a < 3; a++) {
      cells[a] = from[a].at(a, p, check);
      out |= is_beyond(cells[a].cell - back, Number<V>(plan.in[a].size - S));
    }
    Tents<S, V> t[3];
    if (!caution.is_due(any(out))) {
#pragma GCC unroll 3
      for (int a = 3 - D; a < 3; a++) t[a] = windows_inside<S>(plan.c.mode, cells[a], wanted.slopes);
    } else {
#pragma GCC unroll 3
      for (int a = 3 - D; a < 3; a++)
        t[a] = windows_at_edges<S>(plan.c.mode, cells[a], Number<V>(plan.in[a].size - S), outside, wanted.slopes);
      edge |= out;
    }
    auto offset = t[2].first * Number<V>(stride[4]);
#pragma GCC unroll 3
    for (int a = 3 - D; a < 2; a++) offset += t[a].first * Number<V>(stride[a + 2]);
    put_offsets(offset, r.offset + p);
#pragma GCC unroll 4
    for (int k = 0; k < S; k++) store(t[2].weight[k], r.column_weight[k] + p);
#pragma GCC unroll 4
    for (int k = 0; k < (D == 2 ? S : S * S); k++)
      store(D == 2 ? t[1].weight[k] : t[0].weight[k / S] * t[1].weight[k % S], r.row_weight[k] + p);
#pragma GCC unroll 3
    for (int a = 3 - D; a < 3; a++) put_tents<D>(t[a], p, wanted, s.window[a]);
  }
  r.count = s.count, r.edge = s.edge = any(edge), r.any_hard = s.any_hard = false;
  return is_zero(check);
}

template <class From, class P>
RETICLE_INLINE bool read_all_of(const P& plan, const From* from, const int64_t* stride, Wanted wanted, Segment<P>& s, Reading<P>& r) {
  if constexpr (P::S < 4)
    if (plan.c.ndim == 3) return read_all<3>(plan, from, stride, wanted, s, r);
  return read_all<2>(plan, from, stride, wanted, s, r);
}

// Whether offsets may be 32-bit integers.
template <class P>
RETICLE_INLINE bool is_near(const P& plan, const int64_t* stride) {
  double span = 0;
  for (int a = 0; a < 3; a++) span += double(plan.c.size[a]) * std::fabs(double(stride[a + 2]));
  return span < BEYOND;
}

template <class P>
RETICLE_INLINE bool is_common(const P& plan, const int64_t* stride) {
  return plan.common && is_near(plan, stride);
}

template <class P, class A>
bool by_matrix(const P& plan, const Matrix& m, const Segment<P>& s, Walk<A>* walk) {
  const int64_t at[3] = {s.k, s.i, s.j};
  if (!m.tame || m.divides || repeats(plan.c.padding)) return false;
  for (int a = 3 - plan.c.ndim; a < 3; a++) {
    const double* step = m.pixels.step[a];
    if (std::fabs(step[2]) > 2) return false;
    const double start = clamp(start_of(plan, m, a, at) + (P::S == 1 ? 0.5 : 0), -BEYOND, BEYOND);
    const double whole = std::floor(start);
    walk[a] = {A(start - whole), A(step[2]), Number<Vec<A>>(whole)};
  }
  return true;
}

template <class A, bool paired, class P>
void by_norms(const P& plan, const A* norm, int64_t next, FromNorm<A, paired>* from) {
  for (int a = 3 - plan.c.ndim; a < 3; a++)
    from[a] = {norm + a * next, NormLine<A>(plan.in[a].half, plan.in[a].middle, plan.in[a].size, outside_of(plan.c), P::S == 1)};
}

template <class P>
bool read_given(const P& plan, int64_t b, const int64_t* stride, Wanted wanted, Segment<P>& s, Reading<P>& r) {
  using A = typename P::A;
  const Call& c = plan.c;
  const bool same = c.where_is_double == (sizeof(A) == sizeof(double));
  if (same && c.ndim == 2 && c.where_stride[4] == 1 && c.where_stride[3] == 2 && s.count % 8 == 0) {
    const int64_t* w = c.where_stride;
    const A* xy = (const A*)c.where + b * w[0] + s.i * w[2] + s.j * w[3];
    for (int p = 0; p < s.count; p += 32 / sizeof(A)) __builtin_prefetch(xy + 2 * (w[2] + p));
    FromNorm<A, true> from[3];
    by_norms(plan, xy, 0, from);
    return read_all<2>(plan, from, stride, wanted, s, r);
  }
  Norms<A> norms;
  read_grid(c, b, s.k, s.i, s.j, s.count, norms);
  for (int a = 3 - c.ndim; a < 3; a++) std::fill(norms.axis[a] + s.count, norms.axis[a] + s.padded(), norms.axis[a][s.count - 1]);
  FromNorm<A, false> from[3];
  by_norms(plan, norms.axis[0], SEGMENT, from);
  return read_all_of(plan, from, stride, wanted, s, r);
}

// False: not such a case, and what is written does not count.
template <class P>
bool read_quickly(const P& plan, const Matrix& m, int64_t b, const int64_t* stride, Wanted wanted, Segment<P>& s, Reading<P>& r) {
  using A = typename P::A;
  if (wanted.missing || !is_common(plan, stride)) return false;
  if (!plan.c.is_matrix) return (sizeof(A) == sizeof(double) || !plan.c.where_is_double) && read_given(plan, b, stride, wanted, s, r);
  Walk<A> walk[3];
  return by_matrix(plan, m, s, walk) && read_all_of(plan, walk, stride, wanted, s, r);
}

// Finds places and windows of a segment, and what it reads of a buffer with these strides.
template <class P>
RETICLE_APART void read_segment(const P& plan, const Matrix& m, int64_t b, const int64_t* stride, Wanted wanted, Segment<P>& s,
                                Reading<P>& r) {
  s.placed = !(WHOLE_VECTORS && read_quickly(plan, m, b, stride, wanted, s, r));
  if (s.placed) {
    find_places(plan, m, b, s);
    make_windows(plan, wanted, s);
    make_reading(plan, stride, s, r);
  }
  r.ahead.look(r.offset[0], stride[3]);
}

}  // namespace
}  // namespace reticle
