// In which way is a block of the output computed? By strips, by lookups, by loads, directly, or row by row; each leaves to the last what it cannot do.
#pragma once
#include "by_lookups.h"
#include "by_strips.h"
#include "channels_direct.h"
#include "forward.h"
#include "nearest_given.h"

namespace reticle {
namespace {

// For direct.h: the sums of K planes.
template <int K, class T, class P>
struct Sums {
  using A = typename P::A;
  Direct* done;

  RETICLE_INLINE void row(int row, const Direct& answer) { done[row] = answer; }
  RETICLE_INLINE void found(const Planes<T, T>& planes, const FoundPoints<A, 2>& e, int p, int count, Seen<A>& seen) {
#pragma GCC unroll 4
    for (int k = 0; k < K; k++) {
      Vec<A> l, m, left, right;
      load_pairs(planes.from + k * planes.next, e.offset, l, m);
      left = l * e.y.weight[0], right = m * e.y.weight[0];
      load_pairs(planes.from + k * planes.next + planes.down, e.offset, l, m);
      left += l * e.y.weight[1], right += m * e.y.weight[1];
      const Vec<A> answer = left * e.x.weight[0] + right * e.x.weight[1];
      seen.check += answer * 0;
      store_some(answer, planes.to + k * planes.next_to + p, count);
    }
  }
  // Nearest: pixels as they are, and nothing of those outside.
  RETICLE_INLINE void found(const Planes<T, T>& planes, const FoundPoints<A, 1>& e, int p, int count, Seen<A>&) {
    copy_pixels(planes, p, count, e.offset, e.there);
  }
};

template <int K, class Where, class T, class P>
RETICLE_APART void sum_rows(const P& plan, const Matrix& m, int64_t b, const Start& s, Direct* done) {
  Sums<K, T, P> sums = {done};
  walk_rows<Where>(plan, m, b, s, planes_of<T, T>(plan, b), sums);
}

template <class Where, class T, class P>
void sum_rows_of(const P& plan, const Matrix& m, int64_t b, const Start& s, Direct* done) {
  if constexpr (P::S == 1)
    sum_rows<0, Where, T>(plan, m, b, s, done);
  else
    with_channels<T>(plan.c.channels, [&](auto k) { sum_rows<k.value, Where, T>(plan, m, b, s, done); });
}

// A block in one go. False: it cannot be.
template <class T, class P>
bool sum_block(const P& plan, const Matrix& m, int64_t b, int64_t number, const Start& start, Direct* done) {
  if constexpr (has_lookups<T, P>()) {
    if (is_looked_up(plan, m)) {
      Pairs pairs;
      const Looked looked = plan.c.lookups->forward(plan.c.dtype, lookup_of<T>(plan, m, b, start, pairs));
      for (int row = 0; row < BLOCK_ROWS; row++) done[row] = answer_of(looked, row);
      return true;
    }
  }
  if constexpr (has_loads<T, P>()) {
    if (is_load(plan)) {
      PairsOf<typename P::A> pairs;
      const Looked looked = plan.c.loads->forward(plan.c.dtype, lookup_of_grid<T>(plan, b, start, pairs));
      for (int row = 0; row < BLOCK_ROWS; row++) done[row] = answer_of(looked, row);
      return true;
    }
  }
  if constexpr (P::S == 1) {
    if (is_nearest_given(plan, number)) {
      copy_nearest<T>(plan, b, start, done);
      return true;
    }
  }
  if constexpr (P::S <= 2 && WHOLE_VECTORS) {
    if (is_by_pixel(plan, m, number)) {
      sum_pixels<T>(plan, m, b, number, start, done);
      return true;
    }
  }
  if constexpr (has_direct<T, P>()) {
    if (!is_direct<T>(plan, m, number)) return false;
    if (plan.c.is_matrix) {
      if constexpr (by_matrix_too<T, P>()) sum_rows_of<RowsByMatrix<typename P::A>, T>(plan, m, b, start, done);
    } else if constexpr (P::S == 2) {
      sum_rows_of<RowsOfGrid<typename P::A>, T>(plan, m, b, start, done);
    }
    return true;
  }
  return false;
}

// The same, and then the rows that want more.
template <class T, class P>
bool forward_directly(const P& plan, const Matrix& m, int64_t b, int64_t number, const Rows& rows, Segment<P>& s, Block<P>& block) {
  const Call& c = plan.c;
  Direct done[BLOCK_ROWS];
  at_row(plan, number, 0, s);
  if (!sum_block<T>(plan, m, b, number, {s.i, s.j, s.count}, done)) return false;
  const T* u = (const T*)c.input.data + b * c.input.stride[0];
  T* v = (T*)c.output.data + b * c.output.stride[0];
  const int count = int(std::min<int64_t>(BLOCK_ROWS, c.out[1] - s.i));
  for (int row = 0; row < count; row++) {
    if (done[row].valid && !done[row].wants_more(c.padding)) continue;
    at_row(plan, number, row, s);
    if (!done[row].valid) {
      read_block(plan, m, b, number, row, row + 1, s, block);
      forward_rows<T>(plan, m, b, number, row, rows, s, block);
    } else {
      find_places(plan, m, b, s);
      finish(plan, done[row].finite, s, u, v + s.i * c.output.stride[3] + s.j * c.output.stride[4]);
    }
  }
  return true;
}

// False: not a block for strips.h.
template <class T, class P>
bool forward_by_strips(const P& plan, const Matrix& m, int64_t b, int64_t number, const Rows& rows, Segment<P>& s, Block<P>& block) {
  if (!is_strip(plan, m)) return false;
  at_row(plan, number, 0, s);
  Strip strip = strip_of<T>(plan, m, b, {s.i, s.j, s.count});
  strip.past = goes_past<T>(plan, strip);
  const uint32_t strange = plan.c.strips->forward(strip);
  for (int row = 0; strange >> row; row++) {
    if (!(strange >> row & 1)) continue;
    read_block(plan, m, b, number, row, row + 1, s, block);
    forward_rows<T>(plan, m, b, number, row, rows, s, block);
  }
  T* v = (T*)plan.c.output.data + b * plan.c.output.stride[0];
  for (int row = 0; plan.c.padding == CONSTANT && row < BLOCK_ROWS && at_row(plan, number, row, s); row++)
    if (!(strange >> row & 1)) fill_row(plan, m, b, s, v + s.i * plan.c.output.stride[3] + s.j);
  return true;
}

template <class T, class P>
void forward_block(const P& plan, const Matrix& m, int64_t b, int64_t number, const Rows& rows, Segment<P>& s, Block<P>& block) {
  if constexpr (has_strips<T, P>())
    if (forward_by_strips<T>(plan, m, b, number, rows, s, block)) return;
  if constexpr (P::S == 1 || has_lookups<T, P>() || has_loads<T, P>() || has_direct<T, P>())
    if (forward_directly<T>(plan, m, b, number, rows, s, block)) return;
  // what is read once need not wait: it stays in the nearest cache; but several short rows are found together
  const int few = plan.c.out[2] <= SEGMENT / 4 ? int(std::min<int64_t>(SEGMENT / plan.c.out[2], BLOCK_ROWS)) : 1;
  const int together = reads_once(plan) ? few : BLOCK_ROWS;
  for (int first = 0; first < BLOCK_ROWS; first += together) {
    read_block(plan, m, b, number, first, std::min(first + together, BLOCK_ROWS), s, block);
    forward_rows<T>(plan, m, b, number, first, rows, s, block);
  }
}

template <class T, class P>
void forward(const P& plan, const Threads& threads) {
  auto task = [](void* context, int64_t begin, int64_t end) {
    const P& plan = *(const P*)context;
    const Rows rows = make_rows(plan, plan.c.input.stride);
    Segment<P> s;
    Block<P> block;
    Matrix m;
    for (int64_t n = begin; n < end; n++) {
      const int64_t b = n / plan.blocks(), number = n % plan.blocks();
      if (n == begin || number == 0) m = read_matrix(plan.c, b, plan.in, plan.out);
      forward_block<T>(plan, m, b, number, rows, s, block);
    }
#if defined(__AVX__)
    _mm_sfence();  // what was written past the caches is there for other threads, too
#endif
  };
  threads.run(plan.c.batch * plan.blocks(), task, (void*)&plan);
}

}  // namespace
}  // namespace reticle
