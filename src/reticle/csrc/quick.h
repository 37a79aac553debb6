// The common case of segment.h in one go: bilinear and nearest readings in single precision whose padding does not repeat. Places and
// windows stay in registers; what lies inside the image takes no more than its fractions.
#pragma once
#include "segment.h"
#include "tents.h"

namespace reticle {
namespace {

// Where the points are, along one axis: by a matrix as in walk(), by normalised coordinates as in from_norms().
struct Walk {
  float from, by;
  int32_t first;

  RETICLE_INLINE Cells<F8> at(int, int p, F8&) const {
    const F8 index = {0, 1, 2, 3, 4, 5, 6, 7};
    return cells_of(from + by * (index + float(p)), first);
  }
};

// `paired`: x and y of a point side by side, as grids come; else each axis by itself.
template <bool paired>
struct FromNorm {
  const float* norm;
  NormLine line;

  RETICLE_INLINE F8 read(int axis, int p) const {
    if constexpr (!paired) return load(norm + p);
    const F8 a = load(norm + 2 * p), b = load(norm + 2 * p + 8);
    return axis == 2 ? pick<0, 2, 4, 6, 8, 10, 12, 14>(a, b) : pick<1, 3, 5, 7, 9, 11, 13, 15>(a, b);
  }
  RETICLE_INLINE Cells<F8> at(int axis, int p, F8& check) const { return line.cells(read(axis, p), check); }
};

template <int S>
RETICLE_INLINE void put(const Tents<S, F8>& t, int p, Wanted wanted, Window<float>& w) {
  std::memcpy(w.first + p, &t.first, sizeof t.first);
  for (int k = 0; k < S && wanted.slopes; k++) store(t.slope[k], w.slope[k] + p), store(t.weight[k], w.weight[k] + p);
}

// D dimensions; `from` says where the points of an axis are. False: one of them is nowhere.
template <int D, class From, class P>
RETICLE_INLINE bool read_all(const P& plan, const From* from, const int64_t* stride, Wanted wanted, Segment<P>& s, Reading<P>& r) {
  constexpr int S = P::S;
  const bool border = plan.c.padding == BORDER;
  I8 edge = {};
  F8 check = {};
  for (int p = 0; p < s.count; p += 8) {
    Cells<F8> cells[3];
    I8 out = {};
    for (int a = 3 - D; a < 3; a++) {
      cells[a] = from[a].at(a, p, check);
      out |= (cells[a].cell < 0) | (cells[a].cell > int32_t(plan.in[a].size - S));
    }
    Tents<S, F8> t[3];
    if (!any(out)) {
      for (int a = 3 - D; a < 3; a++) t[a] = tents_inside<S>(cells[a]);
    } else {
      for (int a = 3 - D; a < 3; a++) t[a] = tents_at_edges<S>(cells[a], int32_t(plan.in[a].size - S), border);
      edge |= out;
    }
    I8 offset = t[2].first * int32_t(stride[4]);
    for (int a = 3 - D; a < 2; a++) offset += t[a].first * int32_t(stride[a + 2]);
    widen_to(offset, r.offset + p);
    for (int k = 0; k < S; k++) store(t[2].weight[k], r.column_weight[k] + p);
    for (int k = 0; k < (D == 2 ? S : S * S); k++)
      store(D == 2 ? t[1].weight[k] : t[0].weight[k / S] * t[1].weight[k % S], r.row_weight[k] + p);
    for (int a = 3 - D; a < 3; a++) put(t[a], p, wanted, s.window[a]);
  }
  r.count = s.count, r.edge = s.edge = any(edge), r.any_hard = s.any_hard = false;
  return is_zero(check);
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

template <class P>
bool by_matrix(const P& plan, const Matrix& m, const Segment<P>& s, Walk* walk) {
  const int64_t at[3] = {s.k, s.i, s.j};
  if (!m.tame || m.divides) return false;
  for (int a = 3 - plan.c.ndim; a < 3; a++) {
    const double* step = m.pixels.step[a];
    if (std::fabs(step[2]) > 2) return false;
    const double start = clamp(start_of(plan, m, a, at) + (P::S == 1 ? 0.5 : 0), -BEYOND, BEYOND);
    const double whole = std::floor(start);
    walk[a] = {float(start - whole), float(step[2]), int32_t(whole)};
  }
  return true;
}

template <bool paired, class P>
void by_norms(const P& plan, const float* norm, int64_t next, FromNorm<paired>* from) {
  for (int a = 3 - plan.c.ndim; a < 3; a++)
    from[a] = {norm + a * next, NormLine(plan.in[a].half, plan.in[a].middle, plan.in[a].size, plan.c.mode == NEAREST)};
}

template <class P>
bool read_given(const P& plan, int64_t b, const int64_t* stride, Wanted wanted, Segment<P>& s, Reading<P>& r) {
  const Call& c = plan.c;
  if (c.ndim == 2 && c.where_stride[4] == 1 && c.where_stride[3] == 2 && s.count % 8 == 0) {
    const int64_t* w = c.where_stride;
    const float* xy = (const float*)c.where + b * w[0] + s.i * w[2] + s.j * w[3];
    for (int p = 0; p < s.count; p += 8) __builtin_prefetch(xy + 2 * (w[2] + p));
    FromNorm<true> from[3];
    by_norms(plan, xy, 0, from);
    return read_all<2>(plan, from, stride, wanted, s, r);
  }
  Norms<float> norms;
  read_grid(c, b, s.k, s.i, s.j, s.count, norms);
  for (int a = 3 - c.ndim; a < 3; a++) std::fill(norms.axis[a] + s.count, norms.axis[a] + s.padded(), norms.axis[a][s.count - 1]);
  FromNorm<false> from[3];
  by_norms(plan, norms.axis[0], SEGMENT, from);
  return c.ndim == 2 ? read_all<2>(plan, from, stride, wanted, s, r) : read_all<3>(plan, from, stride, wanted, s, r);
}

// False: not such a case, and what is written does not count.
template <class P>
bool read_quickly(const P& plan, const Matrix& m, int64_t b, const int64_t* stride, Wanted wanted, Segment<P>& s, Reading<P>& r) {
  if constexpr (P::S <= 2 && sizeof(typename P::A) == sizeof(float)) {
    if (wanted.missing || !is_common(plan, stride)) return false;
    if (!plan.c.is_matrix) return !plan.c.where_is_double && read_given(plan, b, stride, wanted, s, r);
    Walk walk[3];
    if (!by_matrix(plan, m, s, walk)) return false;
    return plan.c.ndim == 2 ? read_all<2>(plan, walk, stride, wanted, s, r) : read_all<3>(plan, walk, stride, wanted, s, r);
  }
  return false;
}

// Finds places and windows of a segment, and what it reads of a buffer with these strides.
template <class P>
RETICLE_APART void read_segment(const P& plan, const Matrix& m, int64_t b, const int64_t* stride, Wanted wanted, Segment<P>& s,
                                Reading<P>& r) {
  s.placed = !read_quickly(plan, m, b, stride, wanted, s, r);
  if (s.placed) {
    find_places(plan, m, b, s);
    make_windows(plan, wanted, s);
    make_reading(plan, stride, s, r);
  }
  r.ahead.look(r.offset[0], stride[3]);
}

}  // namespace
}  // namespace reticle
