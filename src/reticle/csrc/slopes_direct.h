// For direct.h: the slopes of K planes, where an image has few channels; see gather.h.
#pragma once
#include "by_lookups.h"
#include "gather.h"

namespace reticle {
namespace {

// finish(number of the row, what became of it) gets them row by row.
template <int K, class T, class P, class Finish>
struct SlopesOfRows {
  using A = typename P::A;
  Slopes<A>& slopes;
  Finish finish;

  RETICLE_INLINE void row(int row, const Direct& answer) { finish(row, answer); }
  RETICLE_INLINE void found(const Planes<T, const T>& planes, const FoundPoints<A, 2>& e, int p, int count, Seen<A>&) {
    Vec<A> left[2] = {}, right[2] = {};
#pragma GCC unroll 4
    for (int k = 0; k < K; k++) {
      const Vec<A> gradient = load_some(planes.to + k * planes.next_to + p, count);
      for (int r = 0; r < 2; r++) {
        Vec<A> l, m;
        load_pairs(planes.from + k * planes.next + r * planes.down, e.offset, l, m);
        left[r] += l * gradient, right[r] += m * gradient;
      }
    }
    Vec<A> along_x = {}, along_y = {};
    for (int r = 0; r < 2; r++) {
      along_x += (left[r] * e.x.slope[0] + right[r] * e.x.slope[1]) * e.y.weight[r];
      along_y += (left[r] * e.x.weight[0] + right[r] * e.x.weight[1]) * e.y.slope[r];
    }
    store(along_x, slopes.axis[2] + p);
    store(along_y, slopes.axis[1] + p);
  }
};

template <int K, class Where, class T, class P, class Finish>
RETICLE_APART void slopes_of_rows(const P& plan, const Matrix& m, int64_t b, const Start& s, Slopes<typename P::A>& slopes, Finish finish) {
  SlopesOfRows<K, T, P, Finish> act = {slopes, finish};
  walk_rows<Where>(plan, m, b, s, planes_of<const T, T>(plan, b), act);
}

// Slopes of a row of a block that could not be done in one go.
template <class T, class P>
void slopes_of_row(const P& plan, const Rows& rows, const Matrix& m, int64_t b, Segment<P>& s, Reading<P>& reading,
                   Slopes<typename P::A>& slopes) {
  const Call& c = plan.c;
  const int64_t* out = c.output.stride;
  const T *u = (const T*)c.input.data + b * c.input.stride[0], *g = (const T*)c.output.data + b * out[0] + s.i * out[3] + s.j;
  read_segment(plan, m, b, c.input.stride, {true, false}, s, reading);
  if constexpr (P::S == 2) {
    PairDots<2, typename P::A> dots;
    dot_any(plan, rows, reading, u, g, dots);
    combine_pairs(s, reading, dots, slopes);
  } else {
    gather_points(plan, rows, s, reading, u, g, Next<T>(), slopes);
  }
}

// A row of a block as above, and the points of it that want more.
template <class T, class P, class Take>
void gather_row(const P& plan, const Rows& rows, const Matrix& m, int64_t b, Segment<P>& s, Reading<P>& reading, Take take) {
  const Call& c = plan.c;
  const int64_t *in = c.input.stride, *out = c.output.stride;
  Slopes<typename P::A> slopes;
  slopes_of_row<T>(plan, rows, m, b, s, reading, slopes);
  finish_slopes(plan, m, b, s, (const T*)c.input.data + b * in[0], (const T*)c.output.data + b * out[0] + s.i * out[3] + s.j, slopes);
  take(s, slopes);
}

// As gather_block(), for a call for which is_direct().
template <class T, class P, class Take>
void gather_directly(const P& plan, const Rows& rows, const Matrix& m, int64_t b, int64_t number, Segment<P>& s, Reading<P>& reading,
                     Take take) {
  const Call& c = plan.c;
  const T *u = (const T*)c.input.data + b * c.input.stride[0], *g = (const T*)c.output.data + b * c.output.stride[0];
  Slopes<typename P::A> slopes;
  at_row(plan, number, 0, s);
  const Start first = {s.i, s.j, s.count};
  auto finish = [&](int row, const Direct& answer) {
    at_row(plan, number, row, s);
    if (answer.valid)
      s.placed = s.any_hard = false, s.edge = answer.edge;
    else
      slopes_of_row<T>(plan, rows, m, b, s, reading, slopes);
    finish_slopes(plan, m, b, s, u, g + s.i * c.output.stride[3] + s.j, slopes);
    take(s, slopes);
  };
  if (!c.is_matrix) return slopes_of_rows<1, RowsOfGrid<typename P::A>, T>(plan, m, b, first, slopes, finish);
  if constexpr (by_matrix_too<T, P>())
    with_channels<T>(c.channels,
                     [&](auto k) { slopes_of_rows<k.value, RowsByMatrix<typename P::A>, T>(plan, m, b, first, slopes, finish); });
}

// The rows of a block that `looked` has told of: sure(row) where that is all, else they are done again.
template <class T, class P, class Take, class Sure>
void finish_looked(const P& plan, const Rows& rows, const Matrix& m, int64_t b, int64_t number, const Looked& looked, Segment<P>& s,
                   Reading<P>& reading, Take take, Sure sure) {
  for (int row = 0; row < BLOCK_ROWS && at_row(plan, number, row, s); row++) {
    const Direct answer = answer_of(looked, row);
    if (answer.valid && !answer.wants_more(plan.c.padding))
      sure(row);
    else
      gather_row<T>(plan, rows, m, b, s, reading, take);
  }
}

// For a call for which is_lookup(). What is known of a grid is written where it belongs; of points that a matrix placed,
// take_projected(segment, points of the block, row, gradients in pixels). Only what is left is for take().
template <class T, class P, class Take, class TakeProjected>
void gather_by_lookups(const P& plan, const Rows& rows, const Matrix& m, int64_t b, int64_t number, Segment<P>& s, Reading<P>& reading,
                       Take take, TakeProjected take_projected) {
  const Call& c = plan.c;
  Pairs pairs;
  alignas(64) float gradients[BLOCK_ROWS][2 * SEGMENT];
  at_row(plan, number, 0, s);
  const Lookup lookup = lookup_of<T>(plan, m, b, {s.i, s.j, s.count}, pairs);
  float* to = c.is_matrix ? gradients[0] : (float*)c.grad_where + ((b * c.out[1] + s.i) * c.out[2] + s.j) * 2;
  const Looked looked = c.lookups->slopes(c.dtype, lookup, to, 2 * (c.is_matrix ? SEGMENT : c.out[2]));
  finish_looked<T>(plan, rows, m, b, number, looked, s, reading, take, [&](int row) {
    if (c.is_matrix) take_projected(s, pairs, row, gradients[row]);
  });
}

// The same, for a call for which is_load().
template <class T, class P, class Take>
void gather_by_loads(const P& plan, const Rows& rows, const Matrix& m, int64_t b, int64_t number, Segment<P>& s, Reading<P>& reading,
                     Take take) {
  using A = typename P::A;
  const Call& c = plan.c;
  at_row(plan, number, 0, s);
  A* to = (A*)c.grad_where + ((b * c.out[1] + s.i) * c.out[2] + s.j) * 2;
  PairsOf<A> pairs;
  const Looked looked = c.loads->slopes(c.dtype, lookup_of_grid<T>(plan, b, {s.i, s.j, s.count}, pairs), to, 2 * c.out[2]);
  finish_looked<T>(plan, rows, m, b, number, looked, s, reading, take, [](int) {});
}

// Slopes of a block in whichever way is quickest: with several channels of a given grid, registers run out.
template <int R, class T, class P, class Take, class TakeProjected>
void gather_any(const P& plan, const Rows& rows, const Matrix& m, int64_t b, int64_t number, Segment<P>& s, Block<P>& block, Take take,
                TakeProjected take_projected) {
  if constexpr (R == 2 && has_lookups<T, P>())
    if (is_lookup(plan, m)) return gather_by_lookups<T>(plan, rows, m, b, number, s, block.reading[0], take, take_projected);
  if constexpr (has_loads<T, P>() && R == (P::S == 2 ? 2 : 0))
    if (is_load(plan)) return gather_by_loads<T>(plan, rows, m, b, number, s, block.reading[0], take);
  if constexpr (R == 2 && has_direct<T, P>())
    if (is_direct<T>(plan, m, number) && (plan.c.is_matrix || plan.c.channels == 1))
      return gather_directly<T>(plan, rows, m, b, number, s, block.reading[0], take);
  gather_block<R, T>(plan, rows, m, b, number, s, block, nullptr, take);
}

}  // namespace
}  // namespace reticle
