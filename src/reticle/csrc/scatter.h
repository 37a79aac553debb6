// How does the output change with the input? Each tile of the input's gradient has one owner, who adds up all that falls into it in
// the order of the output: no two threads write to one place, and the sums do not depend on how many there are.
#pragma once
#include "owner.h"

namespace reticle {
namespace {

// A vector of channels of as many points, turned over; rows and columns that are not there read as 0.
template <class T, class A>
RETICLE_INLINE void turn_in(const T* from, int64_t next, int64_t channels, int points, A* to, int64_t width) {
  constexpr int lanes = VecOf<A>::lanes;
  Vec<A> r[lanes];
  for (int k = 0; k < lanes; k++) r[k] = k < channels ? load_some(from + k * next, points) : Vec<A>{};
  transpose(r);
  for (int k = 0; k < lanes; k++) store(r[k], to + k * width);
}

template <class T, class A>
RETICLE_INLINE void turn_four_in(const T* from, int64_t next, int64_t channels, int points, A* to) {
  Four<A> r[4];
  for (int k = 0; k < 4; k++) r[k] = k < channels ? load_four(from + k * next, points) : Four<A>{};
  transpose(r);
  for (int k = 0; k < 4; k++) store_four(r[k], to + 4 * k);
}

// The gradient of a segment's points, channels innermost: gradient[point * channels of a group + channel].
template <class T, class P>
void turn_over(const P& plan, const Tiling<P>& tiling, const Tile<P>& tile, const Segment<P>& s, const T* g, typename P::A* gradient) {
  using A = typename P::A;
  constexpr int lanes = VecOf<A>::lanes;
  const int64_t *out = plan.c.output.stride, width = tiling.channels;
  g += tile.first_channel * out[1];
  if (out[1] == 1 && width >= lanes) {
    for (int p = 0; p < s.count; p++)
      for (int64_t k = 0; k < width; k += lanes) store(load_some(g + p * out[4] + k, int(tile.channels - k)), gradient + p * width + k);
  } else if (out[4] == 1 && width == 1) {
    for (int p = 0; p < s.count; p++) gradient[p] = widen(g[p]);
  } else if (out[4] == 1 && width == 4) {
    for (int p = 0; p < s.count; p += 4) turn_four_in(g + p, out[1], tile.channels, s.count - p, gradient + p * width);
  } else if (out[4] == 1) {
    for (int64_t k = 0; k < width; k += lanes)
      for (int p = 0; p < s.count; p += lanes)
        turn_in(g + k * out[1] + p, out[1], tile.channels - k, s.count - p, gradient + p * width + k, width);
  } else {
    for (int p = 0; p < s.count; p++)
      for (int64_t k = 0; k < width; k++) gradient[p * width + k] = k < tile.channels ? widen(g[p * out[4] + k * out[1]]) : A(0);
  }
}

// The same, in `buffer` unless it already stands like that.
template <class T, class P>
const typename P::A* gradient_of(const P& plan, const Tiling<P>& tiling, const Tile<P>& tile, const Segment<P>& s, const T* g,
                                 typename P::A* buffer) {
  if constexpr (std::is_same<T, typename P::A>::value)
    if (tiling.in_place && tiling.channels > 1 && plan.c.output.stride[1] == 1 && plan.c.output.stride[4] == tiling.channels) return g;
  turn_over(plan, tiling, tile, s, g, buffer);
  return buffer;
}

// V: a vector of channels, of which a group has N.
template <class V, class P>
RETICLE_INLINE void add_vectors(const P& plan, const Rows& rows, const Reading<P>& r, const int* points, int count, int64_t n,
                                const typename P::A* gradient, typename P::A* sums) {
  using A = typename P::A;
  constexpr int lanes = sizeof(V) / sizeof(A);
  const int64_t width = n * lanes;
  for (int q = 0; q < count; q++) {
    const int p = points ? points[q] : q;
    const A* from = gradient + p * width;
    for (int row = 0; row < rows.count; row++) {
      A* to = sums + r.offset[p] + rows.offset[row];
      for (int t = 0; t < plan.width[2]; t++) {
        const A weight = r.row_weight[row][p] * r.column_weight[t][p];
        for (int64_t k = 0; k < n; k++, to += lanes) {
          V sum = read<V>(to) + read<V>(from + k * lanes) * weight;
          std::memcpy(to, &sum, sizeof sum);
        }
      }
    }
  }
}

// The same of R rows of two pixels: each vector of the gradient is read once for all of them.
template <int R, class P>
RETICLE_INLINE void add_windows_of_two(const P& plan, const Rows& rows, const Reading<P>& r, const int* points, int count,
                                       const Tiling<P>& tiling, const typename P::A* gradient, typename P::A* sums) {
  using A = typename P::A;
  constexpr int lanes = VecOf<A>::lanes;
  const int64_t width = tiling.channels;
  for (int q = 0; q < count; q++) {
    const int p = points ? points[q] : q;
    const A* from = gradient + p * width;
    A* to[R];
    Vec<A> weight[2 * R];
#pragma GCC unroll 4
    for (int row = 0; row < R; row++) {
      to[row] = sums + r.offset[p] + rows.offset[row];
      for (int t = 0; t < 2; t++) weight[2 * row + t] = Vec<A>{} + r.row_weight[row][p] * r.column_weight[t][p];
    }
    for (int64_t k = 0; k < width; k += lanes) {
      const Vec<A> g = load(from + k);
#pragma GCC unroll 4
      for (int row = 0; row < R; row++) {
        A *left = to[row] + k, *right = left + width;
        store(load(left) + g * weight[2 * row], left);
        store(load(right) + g * weight[2 * row + 1], right);
      }
    }
  }
}

// Four channels of two pixels, in the buffer where they are one vector.
template <int R, class P>
RETICLE_INLINE void add_pairs(const Rows& rows, const Reading<P>& r, const int* points, int count, const typename P::A* gradient,
                              typename P::A* sums, int64_t aside) {
  using A = typename P::A;
  for (int q = 0; q < count; q++) {
    const int p = points ? points[q] : q;
    const int64_t at = r.offset[p];
    A* to = sums + at + (at >> 2 & 1) * aside;
    const Four<A> g = read<Four<A>>(gradient + 4 * p), left = g * r.column_weight[0][p], right = g * r.column_weight[P::S - 1][p];
    const TwoFours<A> both = side_by_side(left, right);
#pragma GCC unroll 4
    for (int row = 0; row < R; row++) {
      const TwoFours<A> sum = read<TwoFours<A>>(to + rows.offset[row]) + both * r.row_weight[row][p];
      std::memcpy(to + rows.offset[row], &sum, sizeof sum);
    }
  }
}

// One channel of two pixels, likewise: what each point adds is computed for all of them first.
template <int R, class P>
RETICLE_INLINE void add_twos(const Rows& rows, const Reading<P>& r, const int* points, int count, const typename P::A* gradient,
                             typename P::A* sums, int64_t aside) {
  using A = typename P::A;
  alignas(64) A value[R][2 * SEGMENT];
  for (int p = 0; p < r.count; p += VecOf<A>::lanes) {
    const Vec<A> g = load(gradient + p), left = g * load(r.column_weight[0] + p), right = g * load(r.column_weight[P::S - 1] + p);
    for (int row = 0; row < R; row++) {
      const Vec<A> weight = load(r.row_weight[row] + p);
      store_in_turn(left * weight, right * weight, value[row] + 2 * p);
    }
  }
  for (int q = 0; q < count; q++) {
    const int p = points ? points[q] : q;
    const int64_t at = r.offset[p];
    A* to = sums + at + (at & 1) * aside;
#pragma GCC unroll 4
    for (int row = 0; row < R; row++) {
      const Two<A> sum = read<Two<A>>(to + rows.offset[row]) + read<Two<A>>(value[row] + 2 * p);
      std::memcpy(to + rows.offset[row], &sum, sizeof sum);
    }
  }
}

// One channel, R rows of S pixels: what each point adds is computed for all of them first.
template <int R, class P>
RETICLE_INLINE void add_numbers(const Rows& rows, const Reading<P>& r, const int* points, int count, const typename P::A* gradient,
                                typename P::A* sums) {
  using A = typename P::A;
  alignas(64) A value[R * P::S][SEGMENT];
  const int n = (r.count + 7) & ~7;
  for (int row = 0; row < R; row++)
    for (int t = 0; t < P::S; t++)
      for (int p = 0; p < n; p++) value[row * P::S + t][p] = gradient[p] * r.row_weight[row][p] * r.column_weight[t][p];
  for (int q = 0; q < count; q++) {
    const int p = points ? points[q] : q;
    A* to = sums + r.offset[p];
#pragma GCC unroll 4
    for (int row = 0; row < R; row++)
#pragma GCC unroll 4
      for (int t = 0; t < P::S; t++) to[rows.offset[row] + t] += value[row * P::S + t][p];
  }
}

template <class P>
RETICLE_APART void add_carefully(const P& plan, const Tiling<P>& tiling, const Tile<P>& tile, const Segment<P>& s, int p,
                                 const typename P::A* gradient) {
  using A = typename P::A;
  each_tap(plan, s, p, tiling.stride, [&](int64_t offset, const int32_t* pixel, A weight, const A*) {
    if (offset < 0) return;
    int64_t at = 0;
    for (int a = 0; a < 3; a++) {
      if (pixel[a] < tile.low[a] || pixel[a] >= tile.high[a]) return;
      at += (pixel[a] - tile.origin[a]) * tiling.stride[a + 2];
    }
    for (int64_t k = 0; k < tile.channels; k++) tile.sums[at + k] += gradient[k] * weight;
  });
}

// Which points have a window in the tile or its halo.
template <class P>
int choose_points(const P& plan, const Tiling<P>& tiling, const Tile<P>& tile, const Segment<P>& s, int* points) {
  alignas(64) int32_t in[SEGMENT];
  const int n = s.padded();
  for (int p = 0; p < n; p++) in[p] = !(s.any_hard && s.hard[p]);
  for (int a = 3 - plan.c.ndim; a < 3; a++) {
    const int32_t low = int32_t(tile.low[a] - tiling.halo[a]), span = int32_t(tile.high[a]) - low;
    const int32_t* first = s.window[a].first;
    for (int p = 0; p < n; p++) in[p] &= uint32_t(first[p] - low) < uint32_t(span);
  }
  int count = 0;
  for (int p = 0; p < s.count; p++) {
    points[count] = p;
    count += in[p];
  }
  return count;
}

template <class P>
RETICLE_INLINE void add_paired(const Tiling<P>& tiling, const Rows& rows, const Reading<P>& r, const int* points, int count,
                               const typename P::A* gradient, typename P::A* sums) {
  auto add = [&](auto number) {
    constexpr int R = number.value;
    if (tiling.channels == 1)
      add_twos<R>(rows, r, points, count, gradient, sums, tiling.aside());
    else
      add_pairs<R>(rows, r, points, count, gradient, sums, tiling.aside());
  };
  if (rows.count == 1) return add(std::integral_constant<int, 1>());
  if (rows.count == P::S) return add(std::integral_constant<int, P::S>());
  add(std::integral_constant<int, P::S * P::S>());
}

// More channels than a vector.
template <class P>
RETICLE_INLINE void add_many(const P& plan, const Rows& rows, const Reading<P>& r, const int* points, int count, const Tiling<P>& tiling,
                             const typename P::A* gradient, typename P::A* sums) {
  using A = typename P::A;
  if constexpr (P::S == 2) {
    const bool full = plan.width[2] == 2;
    if (full && rows.count == 2) return add_windows_of_two<2>(plan, rows, r, points, count, tiling, gradient, sums);
    if (full && rows.count == 4) return add_windows_of_two<4>(plan, rows, r, points, count, tiling, gradient, sums);
  }
  add_vectors<Vec<A>>(plan, rows, r, points, count, tiling.channels / VecOf<A>::lanes, gradient, sums);
}

template <class P>
RETICLE_INLINE void add_windows(const P& plan, const Tiling<P>& tiling, const Tile<P>& tile, const Rows& rows, const Reading<P>& r,
                                const int* points, int count, const typename P::A* gradient) {
  using A = typename P::A;
  constexpr int lanes = VecOf<A>::lanes;
  const int64_t width = tiling.channels;
  A* sums = tile.sums;
  for (int a = 0; a < 3; a++) sums -= tile.origin[a] * tiling.stride[a + 2];
  const bool full = plan.width[2] == P::S;
  if (tiling.paired)
    add_paired(tiling, rows, r, points, count, gradient, sums);
  else if (width == 1 && full && rows.count == 1)
    add_numbers<1>(rows, r, points, count, gradient, sums);
  else if (width == 1 && full && rows.count == P::S)
    add_numbers<P::S>(rows, r, points, count, gradient, sums);
  else if (width == 1 && full && rows.count == P::S * P::S)
    add_numbers<P::S * P::S>(rows, r, points, count, gradient, sums);
  else if (width == 1)
    add_vectors<A>(plan, rows, r, points, count, 1, gradient, sums);
  else if (width == 4)
    add_vectors<Four<A>>(plan, rows, r, points, count, 1, gradient, sums);
  else if (width == lanes)
    add_vectors<Vec<A>>(plan, rows, r, points, count, 1, gradient, sums);
  else
    add_many(plan, rows, r, points, count, tiling, gradient, sums);
}

template <class P>
RETICLE_APART void scatter_segment(const P& plan, const Tiling<P>& tiling, Tile<P>& tile, const Rows& rows, const Matrix& m, int64_t b,
                                   Segment<P>& s, const Reading<P>& r, const typename P::A* gradient) {
  int points[SEGMENT];
  constexpr int64_t lanes = VecOf<typename P::A>::lanes;
  const int64_t width = tiling.channels, numbers = (s.count * width + lanes - 1) / lanes * lanes;
  // a gradient that is not finite must not meet a weight of 0 that is not its own
  const bool careful = s.edge && !all_finite(gradient, numbers);
  if (!careful) {
    const bool all = !tiling.cut && !s.any_hard;
    const int count = all ? s.count : choose_points(plan, tiling, tile, s, points);
    if (count > 0) {
      Box box = EMPTY;
      find_box(plan, s, box);
      touch(plan, tiling, box, tile);
      add_windows(plan, tiling, tile, rows, r, all ? nullptr : points, count, gradient);
    }
  }
  if (!careful && !s.any_hard) return;
  if (!s.placed) find_places(plan, m, b, s);
  touch(plan, tiling, everywhere(plan), tile);
  for (int p = 0; p < s.count; p++)
    if (careful || s.hard[p]) add_carefully(plan, tiling, tile, s, p, gradient + p * width);
}

}  // namespace
}  // namespace reticle
