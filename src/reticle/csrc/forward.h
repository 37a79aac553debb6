// What does the output show? Weighted sums of windows: along the points of a row where pixels are neighbours in memory, along the
// channels where those are.
#pragma once
#include "direct.h"
#include "fill.h"
#include "neighbours.h"

namespace reticle {
namespace {

template <class T, class P>
RETICLE_APART void forward_carefully(const P& plan, const Segment<P>& s, int p, const T* u, T* v) {
  using A = typename P::A;
  const Call& c = plan.c;
  for (int64_t channel = 0; channel < c.channels; channel++) {
    A total = 0;
    each_tap(plan, s, p, c.input.stride, [&](int64_t offset, const int32_t*, A weight, const A*) {
      A pixel = offset >= 0 ? widen(u[channel * c.input.stride[1] + offset]) : c.fill ? A(c.fill[channel]) : A(0);
      total += pixel * weight;
    });
    narrow(total, v[channel * c.output.stride[1] + p * c.output.stride[4]]);
  }
}

// K channels of one vector of points, of which `count` exist. What is not finite shows in `check`.
template <int K, class T, class P>
RETICLE_INLINE void pairs(const P& plan, const Rows& rows, const Reading<P>& s, int p, int count, const T* u, T* v,
                          Vec<typename P::A>& check) {
  using A = typename P::A;
  const int64_t next = plan.c.input.stride[1], next_out = plan.c.output.stride[1];
  const int64_t* offset = s.offset + p;
  Vec<A> left[K] = {}, right[K] = {};
  for (int k = 0; k < K && s.ahead.step; k++) {
    for (int q = 0; q < VecOf<A>::lanes; q += 4) __builtin_prefetch(u + rows.offset[rows.count - 1] + k * next + offset[q] + s.ahead.step);
    __builtin_prefetch(v + k * next_out + 2 * plan.c.output.stride[3] + p, 1);
  }
  for (int r = 0; r < rows.count; r++) {
    const Vec<A> weight = load(s.row_weight[r] + p);
    const T* row = u + rows.offset[r];
#pragma GCC unroll 4
    for (int k = 0; k < K; k++) {
      Vec<A> l, m;
      load_pairs(row + k * next, offset, l, m);
      left[k] += l * weight;
      right[k] += m * weight;
    }
  }
  const Vec<A> wl = load(s.column_weight[0] + p), wr = load(s.column_weight[1] + p);
#pragma GCC unroll 4
  for (int k = 0; k < K; k++) {
    const Vec<A> answer = left[k] * wl + right[k] * wr;
    check += answer * 0;
    store_some(answer, v + k * next_out + p, count);
  }
}

// Four pixels in a row.
template <class T, class P>
RETICLE_INLINE void fours(const Rows& rows, const Reading<P>& s, int p, const T* u, T* v, Vec<typename P::A>& check) {
  using V = Vec<typename P::A>;
  V answer = {};
  for (int r = 0; r < rows.count; r++) {
    V pixel[4], sum = {};
    load_fours(u + rows.offset[r], s.offset + p, pixel);
#pragma GCC unroll 4
    for (int t = 0; t < 4; t++) sum += pixel[t] * load(s.column_weight[t] + p);
    answer += sum * load(s.row_weight[r] + p);
  }
  check += answer * 0;
  store_some(answer, v + p, s.count - p);
}

template <class T, class P>
RETICLE_INLINE void singles(const Reading<P>& s, const T* u, T* v) {
  for (int p = 0; p < s.count; p += VecOf<typename P::A>::lanes) {
    Pixels<T> pixels = pixels_at(u, s.offset + p);
    if (s.edge) pixels = only<T>(load(s.row_weight[0] + p) * load(s.column_weight[0] + p) != 0, pixels);
    put_some(pixels, v + p, s.count - p);
  }
}

// K channels, pixels side by side in memory, output too. False: something is not finite.
template <int K, class T, class P>
RETICLE_INLINE bool along_points(const P& plan, const Rows& rows, const Reading<P>& s, const T* u, T* v) {
  using A = typename P::A;
  constexpr int lanes = VecOf<A>::lanes;
  Vec<A> check = {};
  if constexpr (P::S == 2) {
    int p = 0;
    for (; p + lanes <= s.count; p += lanes) pairs<K>(plan, rows, s, p, lanes, u, v, check);
    if (p < s.count) pairs<K>(plan, rows, s, p, s.count - p, u, v, check);
  } else {
    for (int k = 0; k < K; k++, u += plan.c.input.stride[1], v += plan.c.output.stride[1]) {
      if constexpr (P::S == 1) singles(s, u, v);
      for (int p = 0; p < s.count && P::S == 4; p += lanes) fours(rows, s, p, u, v, check);
    }
  }
  return is_zero(check);
}

// The rows of a block, found.
template <class P>
struct Block {
  int rows;
  int64_t output[BLOCK_ROWS];  // offset of the first point of each
  Reading<P> reading[BLOCK_ROWS];
  bool finite[BLOCK_ROWS];
};

// All rows of K channels before the next ones: their pixels stay near.
template <int K, class T, class P>
RETICLE_APART void planes(const P& plan, const Rows& rows, Block<P>& block, const T* u, T* v) {
  for (int n = 0; n < block.rows; n++) block.finite[n] &= along_points<K>(plan, rows, block.reading[n], u, v + block.output[n]);
}

// Whether a row's reading serves only once.
template <class P>
bool reads_once(const P& plan) {
  return plan.c.channels <= 4 || (plan.c.input.stride[1] == 1 && plan.c.output.stride[1] == 1);
}

template <class T, class P>
void all_channels(const P& plan, const Rows& rows, Block<P>& block, const T* u, T* v, const Next<T>& next) {
  const int64_t *in = plan.c.input.stride, *out = plan.c.output.stride, channels = plan.c.channels;
  if (in[1] == 1 && out[1] == 1 && channels > 1) {
    for (int n = 0; n < block.rows; n++) {
      const Next<T> of_row = {next.first + n * plan.c.out[2] * next.share, next.share};
      block.finite[n] = along_channels(plan, rows, block.reading[n], u, v + block.output[n], of_row);
    }
  } else if (in[4] == 1 && out[4] == 1 && plan.width[2] == P::S) {
    int64_t k = 0;
    if constexpr (P::S == 2) {
      for (; k + 4 <= channels; k += 4) planes<4>(plan, rows, block, u + k * in[1], v + k * out[1]);
      if (channels - k == 3) planes<3>(plan, rows, block, u + k * in[1], v + k * out[1]), k += 3;
      if (channels - k == 2) planes<2>(plan, rows, block, u + k * in[1], v + k * out[1]), k += 2;
    }
    for (; k < channels; k++) planes<1>(plan, rows, block, u + k * in[1], v + k * out[1]);
  } else {
    for (int n = 0; n < block.rows; n++) block.finite[n] = anyhow(plan, rows, block.reading[n], u, v + block.output[n]);
  }
}

// What the quick way leaves: the fill, hard points, and what is not finite, which may have met a weight of 0 that is not its own.
template <class T, class P>
RETICLE_APART void finish(const P& plan, bool finite, Segment<P>& s, const T* u, T* v) {
  const bool constant = plan.c.padding == CONSTANT;
  make_windows(plan, {false, constant}, s);
  const bool whole = !finite || (constant && sizeof(T) < 4);  // in 16 bits and fewer, rounding twice would show
  if (constant && !whole) add_fill(plan, s, v);
  for (int p = 0; p < s.count; p++)
    if (whole || s.hard[p]) forward_carefully(plan, s, p, u, v);
}

// Rows from `first` to `last` of it, as far as there are.
template <class P>
void read_block(const P& plan, const Matrix& m, int64_t b, int64_t number, int first, int last, Segment<P>& s, Block<P>& block) {
  const int64_t* out = plan.c.output.stride;
  for (block.rows = 0; first + block.rows < last && at_row(plan, number, first + block.rows, s); block.rows++) {
    read_segment(plan, m, b, plan.c.input.stride, {false, false}, s, block.reading[block.rows]);
    block.output[block.rows] = s.k * out[2] + s.i * out[3] + s.j * out[4];
    block.finite[block.rows] = true;
  }
}

template <class T, class P>
void forward_rows(const P& plan, const Matrix& m, int64_t b, int64_t number, int first, const Rows& rows, Segment<P>& s, Block<P>& block) {
  const Call& c = plan.c;
  const T* u = (const T*)c.input.data + b * c.input.stride[0];
  T* v = (T*)c.output.data + b * c.output.stride[0];
  all_channels(plan, rows, block, u, v, next_sample(plan, b, number, first, u));
  for (int n = 0; n < block.rows; n++) {
    const Reading<P>& r = block.reading[n];
    if (!r.any_hard && !(r.edge && (!block.finite[n] || c.padding == CONSTANT))) continue;
    at_row(plan, number, first + n, s);
    find_places(plan, m, b, s);
    finish(plan, block.finite[n] || !r.edge, s, u, v + block.output[n]);
  }
}

}  // namespace
}  // namespace reticle
