// How does the output change with the coordinates? For each output point, the slopes of its window against the gradient it gets.
#pragma once
#include "gather_fours.h"

namespace reticle {
namespace {

// Products of the left and the right pixels of each point with its gradient, summed over channels. R rows: of an image S, of a volume S * S.
template <int R, class A>
struct PairDots {
  alignas(64) A left[R][SEGMENT], right[R][SEGMENT];
};

// K channels of all points of a row, pixels side by side in memory. The first ones need no sums to start from.
template <int K, int R, class T, class P>
RETICLE_INLINE void dot_pairs(const P& plan, const Rows& rows, const Reading<P>& reading, bool first, const T* u, const T* g,
                              PairDots<R, typename P::A>& dots) {
  using A = typename P::A;
  const int64_t next = plan.c.input.stride[1], next_out = plan.c.output.stride[1];
  for (int p = 0; p < reading.count; p += VecOf<A>::lanes) {
    Vec<A> left[R] = {}, right[R] = {};
    for (int r = 0; r < R && !first; r++) left[r] = load(dots.left[r] + p), right[r] = load(dots.right[r] + p);
    for (int k = 0; k < K && reading.ahead.step; k++) {
      const T* soon = u + k * next + rows.offset[R - 1] + reading.ahead.step;
      for (int q = 0; q < VecOf<A>::lanes; q += 4) __builtin_prefetch(soon + reading.offset[p + q]);
      __builtin_prefetch(g + k * next_out + 2 * plan.c.output.stride[3] + p);
    }
    for (int k = 0; k < K; k++) {
      const Vec<A> gradient = load_some(g + k * next_out + p, reading.count - p);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) {
        Vec<A> l, m;
        load_pairs(u + k * next + rows.offset[r], reading.offset + p, l, m);
        left[r] += l * gradient;
        right[r] += m * gradient;
      }
    }
    for (int r = 0; r < R; r++) store(left[r], dots.left[r] + p), store(right[r], dots.right[r] + p);
  }
}

template <int R, class T, class P>
RETICLE_APART void dot_few(const P& plan, const Rows& rows, const Reading<P>& reading, const T* u, const T* g,
                           PairDots<R, typename P::A>& dots) {
  const int64_t channels = plan.c.channels;
  if (channels == 1) return dot_pairs<1>(plan, rows, reading, true, u, g, dots);
  if (channels == 2) return dot_pairs<2>(plan, rows, reading, true, u, g, dots);
  if (channels == 3) return dot_pairs<3>(plan, rows, reading, true, u, g, dots);
  dot_pairs<4>(plan, rows, reading, true, u, g, dots);
}

template <int R, class T, class P>
void dot_any(const P& plan, const Rows& rows, const Reading<P>& reading, const T* u, const T* g, PairDots<R, typename P::A>& dots) {
  if (plan.c.channels <= 4) return dot_few(plan, rows, reading, u, g, dots);
  const int64_t next = plan.c.input.stride[1], next_out = plan.c.output.stride[1];
  for (int64_t k = 0; k < plan.c.channels; k++) dot_pairs<1>(plan, rows, reading, k == 0, u + k * next, g + k * next_out, dots);
}

// All rows of a block, a few channels at a time: each plane is read in one go.
template <int R, class T, class P>
RETICLE_APART void dot_block(const P& plan, const Rows& rows, const Block<P>& block, const T* u, const T* g,
                             PairDots<R, typename P::A>* dots) {
  const int64_t next = plan.c.input.stride[1], next_out = plan.c.output.stride[1], channels = plan.c.channels;
  int64_t k = 0;
  for (; k + 4 <= channels; k += 4)
    for (int n = 0; n < block.rows; n++)
      dot_pairs<4>(plan, rows, block.reading[n], k == 0, u + k * next, g + k * next_out + block.output[n], dots[n]);
  for (; k < channels; k++)
    for (int n = 0; n < block.rows; n++)
      dot_pairs<1>(plan, rows, block.reading[n], k == 0, u + k * next, g + k * next_out + block.output[n], dots[n]);
}

template <int R, class P>
RETICLE_INLINE void combine_pairs(const Segment<P>& s, const Reading<P>& reading, const PairDots<R, typename P::A>& dots,
                                  Slopes<typename P::A>& slopes) {
  using A = typename P::A;
  const auto& slope = s.window[2].slope;
  for (int p = 0; p < s.count; p += VecOf<A>::lanes) {
    const Vec<A> wl = load(reading.column_weight[0] + p), wr = load(reading.column_weight[1] + p);
    const Vec<A> sl = load(slope[0] + p), sr = load(slope[1] + p);
    Vec<A> along_x = {}, along_y = {}, along_z = {};
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
      const int z = r / P::S, y = r % P::S;
      const Vec<A> left = load(dots.left[r] + p), right = load(dots.right[r] + p);
      const Vec<A> weighted = left * wl + right * wr, slope_y = load(s.window[1].slope[y] + p);
      along_x += (left * sl + right * sr) * load(reading.row_weight[r] + p);
      along_y += weighted * (R == P::S ? slope_y : slope_y * load(s.window[0].weight[z] + p));
      if (R > P::S) along_z += weighted * (load(s.window[0].slope[z] + p) * load(s.window[1].weight[y] + p));
    }
    store(along_x, slopes.axis[2] + p);
    store(along_y, slopes.axis[1] + p);
    if (R > P::S) store(along_z, slopes.axis[0] + p);
  }
}

// The products of one point's pixels with its gradient, summed over channels: dots[row][pixel of the row], vectors yet to be summed. Here
// and below R rows of P::S pixels each, R known or 0: whatever there is.
template <int R, class T, class P>
RETICLE_INLINE void dot_channels(const P& plan, const Rows& rows, const Reading<P>& s, int p, const T* u, const T* g,
                                 Vec<typename P::A> (*dots)[4]) {
  constexpr int lanes = VecOf<typename P::A>::lanes;
  const int height = R ? R : rows.count, width = R ? P::S : plan.width[2];
  const int64_t channels = plan.c.channels, step = plan.c.input.stride[4];
#pragma GCC unroll 4
  for (int r = 0; r < height; r++)
#pragma GCC unroll 2
    for (int t = 0; t < width; t++) dots[r][t] = Vec<typename P::A>{};
  const auto add = [&](int64_t k, const auto& some) {
    const Vec<typename P::A> gradient = some(g + k);
#pragma GCC unroll 4
    for (int r = 0; r < height; r++)
#pragma GCC unroll 2
      for (int t = 0; t < width; t++) dots[r][t] += some(u + s.offset[p] + rows.offset[r] + t * step + k) * gradient;
  };
  int64_t k = 0;
  for (; k + lanes <= channels; k += lanes) add(k, [](const T* from) { return load(from); });
  if (k < channels) add(k, [&](const T* from) { return load_some(from, int(channels - k)); });
}

template <class T, class P>
RETICLE_INLINE void dot_anyhow(const P& plan, const Rows& rows, const Reading<P>& s, int p, const T* u, const T* g,
                               Vec<typename P::A> (*dots)[4]) {
  using A = typename P::A;
  const int64_t *in = plan.c.input.stride, next_out = plan.c.output.stride[1];
  for (int r = 0; r < rows.count; r++)
    for (int t = 0; t < plan.width[2]; t++) {
      const T* pixel = u + s.offset[p] + rows.offset[r] + t * in[4];
      A total = 0;
      for (int64_t k = 0; k < plan.c.channels; k++) total += widen(pixel[k * in[1]]) * widen(g[k * next_out]);
      dots[r][t] = Vec<A>{total};
    }
}

// Slope along another axis than x of the weight of a row of pixels.
template <class P>
RETICLE_INLINE typename P::A row_slope(const P& plan, const Segment<P>& s, int axis, int z, int y, int p) {
  if (plan.c.ndim == 2) return s.window[1].slope[y][p];
  return axis == 1 ? s.window[0].weight[z][p] * s.window[1].slope[y][p] : s.window[0].slope[z][p] * s.window[1].weight[y][p];
}

template <int R, class P>
RETICLE_INLINE void combine(const P& plan, const Rows& rows, const Segment<P>& s, const Reading<P>& reading, int p,
                            const Vec<typename P::A> (*dots)[4], Slopes<typename P::A>& slopes) {
  using A = typename P::A;
  const int height = R ? R : rows.count, width = R ? P::S : plan.width[2], down = R ? P::S : plan.width[1];
  Vec<A> totals[3] = {};
#pragma GCC unroll 4
  for (int r = 0, z = 0, y = 0; r < height; r++) {
    Vec<A> weighted = {}, sloped = {};
#pragma GCC unroll 2
    for (int t = 0; t < width; t++) {
      weighted += dots[r][t] * reading.column_weight[t][p];
      sloped += dots[r][t] * s.window[2].slope[t][p];
    }
    totals[2] += sloped * reading.row_weight[r][p];
    for (int a = 3 - plan.c.ndim; a < 2; a++) totals[a] += weighted * row_slope(plan, s, a, z, y, p);
    if (++y == down) y = 0, z++;
  }
  for (int a = 3 - plan.c.ndim; a < 3; a++) slopes.axis[a][p] = sum(totals[a]);
}

template <class T, class P>
RETICLE_APART void gather_carefully(const P& plan, const Segment<P>& s, int p, const T* u, const T* g, Slopes<typename P::A>& slopes) {
  using A = typename P::A;
  const Call& c = plan.c;
  A totals[3] = {};
  for (int64_t k = 0; k < c.channels; k++) {
    const A gradient = widen(g[k * c.output.stride[1]]);
    each_tap(plan, s, p, c.input.stride, [&](int64_t offset, const int32_t*, A, const A* slope) {
      const A pixel = offset >= 0 ? widen(u[k * c.input.stride[1] + offset]) : A(0);  // for the fill see fill.h
      for (int a = 3 - c.ndim; a < 3; a++) totals[a] += pixel * gradient * slope[a];
    });
  }
  for (int a = 3 - c.ndim; a < 3; a++) slopes.axis[a][p] = totals[a];
}

// One point at a time, channels side by side.
template <int R, class T, class P>
RETICLE_APART void gather_along_channels(const P& plan, const Rows& rows, const Segment<P>& s, const Reading<P>& reading, const T* u,
                                         const T* g, const Next<T>& next, Slopes<typename P::A>& slopes) {
  for (int p = 0; p < s.count; p++) {
    Vec<typename P::A> dots[R ? R : 16][4];
    fetch_soon(plan, rows, reading, p, u, next);
    dot_channels<R>(plan, rows, reading, p, u, g + p * plan.c.output.stride[4], dots);
    combine<R>(plan, rows, s, reading, p, dots, slopes);
  }
}

// Slopes of the points of a row in any layout.
template <class T, class P>
RETICLE_APART void gather_points(const P& plan, const Rows& rows, const Segment<P>& s, const Reading<P>& reading, const T* u, const T* g,
                                 const Next<T>& next, Slopes<typename P::A>& slopes) {
  const int64_t *in = plan.c.input.stride, *out = plan.c.output.stride;
  if (in[1] == 1 && out[1] == 1 && plan.c.channels > 1) {
    if constexpr (P::S == 2) {
      const bool whole = plan.width[2] == 2;
      if (whole && rows.count == 2 && plan.c.ndim == 2) return gather_along_channels<2>(plan, rows, s, reading, u, g, next, slopes);
      if (whole && rows.count == 4) return gather_along_channels<4>(plan, rows, s, reading, u, g, next, slopes);
    }
    return gather_along_channels<0>(plan, rows, s, reading, u, g, next, slopes);
  }
  if constexpr (P::S == 4) {
    const bool whole = in[4] == 1 && out[4] == 1 && plan.width[2] == 4;
    if (whole && rows.count == 4 && plan.c.ndim == 2) return gather_fours<4>(plan, rows, s, reading, u, g, slopes);
    if (whole && rows.count == 16) return gather_fours<16>(plan, rows, s, reading, u, g, slopes);
  }
  for (int p = 0; p < s.count; p++) {
    Vec<typename P::A> dots[16][4];
    dot_anyhow(plan, rows, reading, p, u, g + p * out[4], dots);
    combine<0>(plan, rows, s, reading, p, dots, slopes);
  }
}

// What the quick way leaves: hard points, what is not finite, and coordinates that are not.
template <class T, class P>
void finish_slopes(const P& plan, const Matrix& m, int64_t b, Segment<P>& s, const T* u, const T* g, Slopes<typename P::A>& slopes) {
  const Call& c = plan.c;
  bool whole = false;
  for (int a = 3 - c.ndim; a < 3; a++) {
    std::fill(slopes.axis[a] + s.count, slopes.axis[a] + s.padded(), typename P::A(0));
    whole |= s.edge && !all_finite(slopes.axis[a], s.padded());
  }
  if (whole && !s.placed) find_places(plan, m, b, s);
  for (int p = 0; p < s.count && (whole || s.any_hard); p++)
    if (whole || s.hard[p]) gather_carefully(plan, s, p, u, g + p * c.output.stride[4], slopes);
  for (int a = 3 - c.ndim; a < 3 && s.placed; a++)
    for (int p = 0; p < s.count && s.place[a].any_lost; p++)
      if (s.place[a].lost[p]) slopes.axis[a][p] = 0;
}

// Slopes of a block, row by row: take(segment, slopes). `fill`: null for zeros. R: rows of a window that are read in pairs; 0: they are not.
template <int R, class T, class P, class Take>
void gather_block(const P& plan, const Rows& rows, const Matrix& m, int64_t b, int64_t number, Segment<P>& s, Block<P>& block,
                  const double* fill, Take take) {
  const Call& c = plan.c;
  const T *u = (const T*)c.input.data + b * c.input.stride[0], *g = (const T*)c.output.data + b * c.output.stride[0];
  PairDots<R ? R : 1, typename P::A> dots[BLOCK_ROWS];
  Slopes<typename P::A> slopes;
  const bool apart = R > 0 && c.channels > 4;
  if constexpr (R > 0) {
    if (apart) {
      read_block(plan, m, b, number, 0, BLOCK_ROWS, s, block);
      dot_block(plan, rows, block, u, g, dots);
    }
  }
  for (int row = 0; row < BLOCK_ROWS && at_row(plan, number, row, s); row++) {
    Reading<P>& reading = block.reading[0];  // whose rows have served
    read_segment(plan, m, b, c.input.stride, {true, false}, s, reading);
    const int64_t start = s.k * c.output.stride[2] + s.i * c.output.stride[3] + s.j * c.output.stride[4];
    if constexpr (R > 0) {
      auto& sums = dots[apart ? row : 0];
      if (!apart) dot_few(plan, rows, reading, u, g + start, sums);
      combine_pairs(s, reading, sums, slopes);
    } else {
      gather_points(plan, rows, s, reading, u, g + start, next_sample(plan, b, number, row, u), slopes);
    }
    finish_slopes(plan, m, b, s, u, g + start, slopes);
    if (fill && s.edge) add_slopes_of_fill(plan, m, b, fill, s, g + start, slopes);
    take(s, slopes);
  }
}

}  // namespace
}  // namespace reticle
