// Nearest pixels of the points of a grid, in one go: where they are stays in registers.
#pragma once
#include <utility>

#include "by_lookups.h"
#include "nearest_line.h"

namespace reticle {
namespace {

template <class P>
bool is_nearest_given(const P& plan, int64_t number) {
  using A = typename P::A;
  const Call& c = plan.c;
  if (P::S != 1 || c.is_matrix || c.ndim != 2 || !is_common(plan, c.input.stride)) return false;
  if (c.where_is_double != (sizeof(A) == sizeof(double)) || c.where_stride[4] != 1 || c.where_stride[3] != 2) return false;
  if (c.input.stride[4] != 1 || c.output.stride[4] != 1 || std::max(c.size[1], c.size[2]) >= NEAREST_SIZE) return false;
  return c.out[2] - number % plan.segments * SEGMENT >= VecOf<A>::lanes;
}

// Whether a plane is followed from row to row rather than fetched as a whole.
template <class P, class T, class Out>
bool has_large_planes(const P& plan, const Planes<T, Out>& planes) {
  return planes.down * plan.c.size[1] * int64_t(sizeof(T)) > 4 * NEAR_BYTES;
}

// All points of a block: act.points(planes from the row's first output point on, first point, offsets, which of them are there), and
// act.row(number of the row, what became of it). The last points of a row may be some of those before, again.
template <bool mirrored, class T, class Out, class P, class Act>
RETICLE_INLINE void walk_nearest(const P& plan, int64_t b, const Start& s, Planes<T, Out> planes, Act& act) {
  using A = typename P::A;
  using V = Vec<A>;
  constexpr int lanes = VecOf<A>::lanes;
  const Call& c = plan.c;
  const Outside outside = outside_of(c);
  const NearestLine<V> line_y(plan.in[1].half, plan.in[1].middle, c.size[1], outside);
  const NearestLine<V> line_x(plan.in[2].half, plan.in[2].middle, c.size[2], outside);
  const Whole<V> anywhere = outside == NOTHING ? Whole<V>{} : ~Whole<V>{};
  const int64_t* stride = c.where_stride;
  const A* xy = (const A*)c.where + b * stride[0] + s.i * stride[2] + s.j * 2;
  const int rows = int(std::min<int64_t>(BLOCK_ROWS, c.out[1] - s.i)), last = s.count - lanes;
  const bool large = has_large_planes(plan, planes), more = !large && b + 1 < c.batch;
  Ahead ahead;
  planes.to += s.i * planes.down_to + s.j;
  for (int row = 0; row < rows; row++, xy += stride[2], planes.to += planes.down_to) {
    if (more) fetch_next(plan, planes, s.i + row);
    V check = {};
    Whole<V> edge = {};
    for (int p = 0;; p = std::min(p + lanes, last)) {
      __builtin_prefetch(xy + 2 * (stride[2] + p));
      const V a = load(xy + 2 * p), b = load(xy + 2 * p + lanes);
      const auto y = line_y.template at<mirrored>(odds_of(a, b), check), x = line_x.template at<mirrored>(evens_of(a, b), check);
      const Whole<V> there = anywhere | ((y.pixel == y.nearest) & (x.pixel == x.nearest));
      edge |= ~there;
      alignas(32) int32_t offset[lanes];
      put(__builtin_convertvector(y.nearest, Cell<A>) * int32_t(planes.down) + __builtin_convertvector(x.nearest, Cell<A>), offset);
      if (p == 0 && large) ahead.look(offset[0], planes.down);
      if (ahead.step) fetch_ahead<lanes>(planes, offset, ahead.step, p);
      act.points(planes, p, offset, there);
      if (p == last) break;
    }
    act.row(row, Direct{is_zero(check), any(edge), true});
  }
}

// A vector of pixels of each channel, of which `count` exist; nothing of those that are not there.
template <class T, class M>
RETICLE_INLINE void copy_pixels(const Planes<T, T>& planes, int p, int count, const int32_t* offset, M there) {
  const T* from = planes.from;
  T* to = planes.to + p;
  for (int k = 0; k < planes.count; k++, from += planes.next, to += planes.next_to)
    put_some(only<T>(there, pixels_at(from, offset)), to, count);
}

// Of all channels.
template <class T>
struct CopiesOfRows {
  Direct* done;

  RETICLE_INLINE void row(int row, const Direct& answer) { done[row] = answer; }
  template <class M>
  RETICLE_INLINE void points(const Planes<T, T>& planes, int p, const int32_t* offset, M there) {
    copy_pixels(planes, p, VecOf<Wide<T>>::lanes, offset, there);
  }
};

constexpr int MANY_PLANES = 4;  // with more, one after the other: a block's part of one stays in the nearest cache

// Keeps where the points are, for all planes.
template <class T>
struct KeepsRows {
  using M = Whole<Vec<Wide<T>>>;
  static constexpr int lanes = VecOf<Wide<T>>::lanes, room = SEGMENT / lanes;

  Direct* done;
  int rows = 0, next = 0;  // so many rows are kept, and of the row after them so many vectors
  alignas(64) int32_t offsets[BLOCK_ROWS][room][lanes];
  alignas(64) M there[BLOCK_ROWS][room];

  explicit KeepsRows(Direct* done) : done(done) {}
  RETICLE_INLINE void row(int row, const Direct& answer) { done[row] = answer, rows = row + 1, next = 0; }
  RETICLE_INLINE void points(const Planes<T, T>&, int, const int32_t* offset, M inside) {
    std::memcpy(offsets[rows][next], offset, sizeof offsets[rows][next]);
    there[rows][next++] = inside;
  }
  // `to`: the block's first point of a plane; `count`: points of a row.
  RETICLE_INLINE void copy(const T* from, T* to, int64_t down, int count) const {
    const int last = count - lanes;
    for (int row = 0; row < rows; row++, to += down)
      for (int n = 0, p = 0;; p = std::min(p + lanes, last), n++) {
        put_some(only<T>(there[row][n], pixels_at(from, offsets[row][n])), to + p, lanes);
        if (p == last) break;
      }
  }
};

template <bool mirrored, class T, class P>
RETICLE_INLINE void copy_planes(const P& plan, int64_t b, const Start& s, Planes<T, T> planes, Direct* done) {
  if (planes.count <= MANY_PLANES || has_large_planes(plan, planes)) {
    CopiesOfRows<T> act = {done};
    return walk_nearest<mirrored>(plan, b, s, planes, act);
  }
  KeepsRows<T> kept(done);
  const int count = std::exchange(planes.count, 0);  // no more is fetched on the way: it took longer
  walk_nearest<mirrored>(plan, b, s, planes, kept);
  planes.to += s.i * planes.down_to + s.j;
  for (int k = 0; k < count; k++, planes.from += planes.next, planes.to += planes.next_to)
    kept.copy(planes.from, planes.to, planes.down_to, s.count);
}

template <class T, class P>
RETICLE_APART void copy_nearest(const P& plan, int64_t b, const Start& s, Direct* done) {
  const Planes<T, T> planes = planes_of<T, T>(plan, b);
  if constexpr (std::is_same<T, float>::value) {
    const Lookups* lookups = plan.c.lookups;
    if (lookups != nullptr && plan.c.channels <= (lookups->quick_forward ? MANY_PLANES : 1)) {
      const Looked looked = lookups->nearest(lookup_in_place<T>(plan, b, s));
      for (int row = 0; row < BLOCK_ROWS; row++) done[row] = answer_of(looked, row);
      return;
    }
  }
  repeats(plan.c.padding) ? copy_planes<true>(plan, b, s, planes, done) : copy_planes<false>(plan, b, s, planes, done);
}

}  // namespace
}  // namespace reticle
