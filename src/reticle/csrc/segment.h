// A piece of one output row, ready to be read: windows along the axes, and the offsets and weights of their rows of pixels.
#pragma once
#include "ahead.h"
#include "window.h"

namespace reticle {
namespace {

constexpr double BIG = 0x1.8p52;  // added to a whole number, it leaves it in the low bits
constexpr int64_t BIG_BITS = 0x4338000000000000;
constexpr int BLOCK_ROWS = 16;  // a block of output: so many rows of one segment each; the unit of work of all threads

// What never changes during a call. A: what sums are made in. S: taps of the kernel along an axis.
template <class A_, int S_>
struct Plan {
  using A = A_;
  static constexpr int S = S_;

  const Call& c;
  Axis in[3], out[3];
  int width[3];                  // of the window along each axis
  int64_t segments, row_blocks;  // of a sample
  int64_t outputs;               // numbers of the output
  bool common;                   // a case for quick.h

  explicit Plan(const Call& call) : c(call) {
    for (int a = 0; a < 3; a++) {
      in[a] = Axis(c.size[a], c.padding, c.align_corners);
      out[a] = Axis(c.out[a], c.padding, c.align_corners);
      width[a] = a < 3 - c.ndim ? 1 : int(std::min<int64_t>(S, c.size[a]));
    }
    common = (S <= 2 ? c.ndim > 1 : c.ndim == 2) && c.padding != WRAP;
    for (int a = 3 - c.ndim; a < 3; a++) common &= c.size[a] >= S;
    segments = (c.out[2] + SEGMENT - 1) / SEGMENT;
    outputs = c.batch * c.channels * c.out[0] * c.out[1] * c.out[2];
    row_blocks = (c.out[0] * c.out[1] + BLOCK_ROWS - 1) / BLOCK_ROWS;
  }
  int64_t blocks() const { return segments * row_blocks; }
  int64_t input_blocks() const {  // of an image
    return ((c.size[2] + SEGMENT - 1) / SEGMENT) * ((c.size[1] + BLOCK_ROWS - 1) / BLOCK_ROWS);
  }
};

template <class P>
struct Segment {
  using A = typename P::A;

  int64_t block = -1, row = -1;  // the row of a block that this is
  int64_t k, i, j;               // output pixel of the first point
  int count;
  bool placed;  // `place` is known, not only the windows
  bool edge;    // some window is not just the pixels that count
  bool any_hard;
  bool hard[SEGMENT];
  Place<A> place[3];
  Window<A> window[3];

  int padded() const { return (count + 7) & ~7; }
};

// What a segment reads, without how it was found.
template <class P>
struct Reading {
  using A = typename P::A;

  int count;
  bool edge, any_hard;
  Ahead ahead;
  alignas(64) int64_t offset[SEGMENT];  // of the first pixel of a window
  alignas(64) A column_weight[P::S][SEGMENT];
  alignas(64) A row_weight[P::S * P::S][SEGMENT];
};

// The rows of pixels of every window, from its first pixel.
struct Rows {
  int count;
  int64_t offset[16];
};

template <class X, class P>
void find_by_norms(const P& plan, const Matrix& m, int64_t sample, Segment<P>& s) {
  Norms<X> norms;
  if (plan.c.is_matrix)
    apply_matrix(plan.c, m, plan.out, s.k, s.i, s.j, s.count, norms);
  else
    read_grid(plan.c, sample, s.k, s.i, s.j, s.count, norms);
  for (int a = 3 - plan.c.ndim; a < 3; a++) {
    X* norm = norms.axis[a];
    for (int p = s.count; p < s.padded(); p++) norm[p] = norm[s.count - 1];  // the lanes that fill the last vector
    from_norms(plan.c, plan.in[a], norm, s.padded(), s.place[a]);
  }
}

// Where the first point of a segment lies along axis `a`, by a tame matrix that does not divide.
template <class P>
double start_of(const P& plan, const Matrix& m, int a, const int64_t* at) {
  const double* step = m.pixels.step[a];
  return m.pixels.origin[a] + (step[0] * double(at[0]) + (step[1] * double(at[1]) + step[2] * double(at[2])));
}

template <class P>
RETICLE_APART void find_places(const P& plan, const Matrix& m, int64_t sample, Segment<P>& s) {
  const Call& c = plan.c;
  const bool wide = c.where_is_double || sizeof(typename P::A) == sizeof(double);
  s.placed = true;
  for (auto& place : s.place) place.any_lost = false;
  if (c.is_matrix && m.tame && !m.divides) {
    const int64_t at[3] = {s.k, s.i, s.j};
    for (int a = 3 - c.ndim; a < 3; a++) {
      const double* step = m.pixels.step[a];
      double start = start_of(plan, m, a, at);
      if (repeats(c.padding) && plan.in[a].half > 0) {  // whole periods away is the same place
        double period = double(plan.in[a].period), middle = start + step[2] * (s.count / 2) - plan.in[a].middle;
        start -= period * std::nearbyint(middle / period);
      }
      if (std::fabs(step[2]) <= 2)
        walk<typename P::A>(start, step[2], s.padded(), c.mode == NEAREST, s.place[a]);
      else
        walk<double>(start, step[2], s.padded(), c.mode == NEAREST, s.place[a]);
    }
  } else if (wide || (c.is_matrix && m.tame)) {
    find_by_norms<double>(plan, m, sample, s);
  } else if constexpr (sizeof(typename P::A) == sizeof(float)) {
    find_by_norms<float>(plan, m, sample, s);
  }
}

template <class P>
RETICLE_APART void make_windows(const P& plan, Wanted wanted, Segment<P>& s) {
  const int n = s.padded();
  s.edge = s.any_hard = false;
  std::memset(s.hard, 0, sizeof s.hard);
  for (int a = 3 - plan.c.ndim; a < 3; a++)
    make_window<P::S>(plan.c, plan.in[a], s.place[a], n, wanted, s.window[a], s.edge, s.any_hard, s.hard);
}

template <class P>
Rows make_rows(const P& plan, const int64_t* stride) {
  Rows rows = {plan.width[0] * plan.width[1], {}};
  for (int r = 0; r < rows.count; r++) rows.offset[r] = r / plan.width[1] * stride[2] + r % plan.width[1] * stride[3];
  return rows;
}

template <class A>
RETICLE_INLINE void copy(const A* from, int n, A* to) {
  for (int p = 0; p < n; p += VecOf<A>::lanes) store(load(from + p), to + p);
}

// The windows of the input, or of a buffer of the same axes with other strides.
template <class P>
RETICLE_APART void make_reading(const P& plan, const int64_t* stride, const Segment<P>& s, Reading<P>& r) {
  using A = typename P::A;
  const int n = s.padded(), ndim = plan.c.ndim;
  r.count = s.count, r.edge = s.edge, r.any_hard = s.any_hard;
  for (int t = 0; t < plan.width[2]; t++) copy(s.window[2].weight[t], n, r.column_weight[t]);
  for (int z = 0; z < plan.width[0]; z++)
    for (int y = 0; y < plan.width[1]; y++) {
      A* to = r.row_weight[z * plan.width[1] + y];
      if (ndim == 1) std::fill(to, to + n, A(1));
      if (ndim == 2) copy(s.window[1].weight[y], n, to);
      for (int p = 0; p < n && ndim == 3; p++) to[p] = s.window[0].weight[z][p] * s.window[1].weight[y][p];
    }
  // products of numbers below 2^31 are exact in double, and far quicker there than as 64-bit integers
  const double sz = double(stride[2]), sy = double(stride[3]), sx = double(stride[4]);
  const int32_t *z = s.window[0].first, *y = s.window[1].first, *x = s.window[2].first;
  for (int p = 0; p < n; p++) {
    double at = x[p] * sx + BIG;
    if (ndim > 1) at += y[p] * sy;
    if (ndim > 2) at += z[p] * sz;
    std::memcpy(&r.offset[p], &at, sizeof at);
    r.offset[p] -= BIG_BITS;
  }
}

// The segment of a block's row, or false: the image ends before it.
template <class P>
bool at_row(const P& plan, int64_t block, int row, Segment<P>& s) {
  if (block == s.block && row == s.row + 1) {  // mostly so: no divisions
    if (++s.i == plan.c.out[1]) s.i = 0, s.k++;
  } else {
    const int64_t line = block / plan.segments * BLOCK_ROWS + row;
    s.k = line / plan.c.out[1], s.i = line % plan.c.out[1], s.j = block % plan.segments * SEGMENT;
    s.count = int(std::min<int64_t>(SEGMENT, plan.c.out[2] - s.j));
  }
  s.block = block, s.row = row;
  return s.k < plan.c.out[0];
}

// One point, the careful way: visit(offset of pixel, or -1: the fill; its weight; its slopes along z, y, x).
template <class P, class Visit>
void each_tap(const P& plan, const Segment<P>& s, int p, const int64_t* stride, Visit visit) {
  using A = typename P::A;
  Taps<A> t[3];
  for (int a = 0; a < 3; a++)
    t[a] = a < 3 - plan.c.ndim
               ? Taps<A>{1, {0}, {1}, {0}}
               : taps(plan.c, plan.in[a], s.place[a].cell[p], s.place[a].fraction[p], s.place[a].any_lost && s.place[a].lost[p]);
  for (int z = 0; z < t[0].count; z++)
    for (int y = 0; y < t[1].count; y++)
      for (int x = 0; x < t[2].count; x++) {
        const int32_t pixel[3] = {t[0].pixel[z], t[1].pixel[y], t[2].pixel[x]};
        const A wz = t[0].weight[z], wy = t[1].weight[y], wx = t[2].weight[x];
        const A slope[3] = {t[0].slope[z] * wy * wx, wz * t[1].slope[y] * wx, wz * wy * t[2].slope[x]};
        const bool outside = pixel[0] < 0 || pixel[1] < 0 || pixel[2] < 0;
        const int64_t offset = outside ? -1 : pixel[0] * stride[2] + pixel[1] * stride[3] + pixel[2] * stride[4];
        visit(offset, pixel, wz * wy * wx, slope);
      }
}

}  // namespace
}  // namespace reticle
