// What does each of a register of points add to an image, one point after the other? And which rows do they fall on?
#pragma once
#include "lookup_stores.h"

namespace reticle {
namespace {

// Which numbers are from 0 to below n, a bit each.
RETICLE_INLINE uint32_t below(I16 v, int32_t n) { return _mm512_cmplt_epu32_mask((__m512i)v, _mm512_set1_epi32(n)); }
RETICLE_INLINE uint32_t below(I8 v, int32_t n) { return _mm256_cmplt_epu32_mask((__m256i)v, _mm256_set1_epi32(n)); }

// The number before each; before the first, the last.
RETICLE_INLINE I16 before(I16 v) { return (I16)_mm512_alignr_epi32((__m512i)v, (__m512i)v, 15); }
RETICLE_INLINE I8 before(I8 v) { return (I8)_mm256_alignr_epi32((__m256i)v, (__m256i)v, 7); }

// Rows of the image that may be added to.
struct RowRange {
  int32_t low, high;
};

// The planes of one image, `count` of them, and the gradients of a register of points of each.
template <class T>
struct Target {
  using A = Wide<T>;
  A* to;
  int64_t plane, down;
  int32_t height, width;
  RowRange rows;
  const T* gradient;
  int64_t next;  // plane of gradients
  int64_t count;
  typename Register<A>::Reach reach;

  RETICLE_INLINE typename Register<A>::V read(int64_t k) const { return reach.read(gradient + k * next); }
};

// Of the planes from the `first` on, by the points from `p` on of a row.
template <class T>
RETICLE_INLINE Target<T> target_of(const Lookup& s, RowRange rows, int row, int p, int64_t first) {
  using A = Wide<T>;
  return {(A*)s.from + first * s.plane,
          s.plane,
          s.down,
          s.height,
          s.width,
          rows,
          (const T*)s.to + first * s.plane_to + row * s.down_to + p,
          s.plane_to,
          std::min(s.channels - first, TOGETHER),
          reach_of<A>(s, p)};
}

// Of the first `count` points, whether one touches a pixel that the one before does.
template <class A>
RETICLE_INLINE bool overlap(const PlacedOf<A>& at, int count) {
  const auto near = [](auto v) { return below(v - before(v) + 1, 3); };
  return (near(at.column) & near(at.row) & first_of<A>(count).there & ~1u) != 0;
}

// K planes, one point after the other. `whole`: a pair of pixels is added to at once; not where the one before has been a moment ago, for what
// was written is soonest read as it was written.
template <int K, bool whole, class T, class A = Wide<T>>
RETICLE_APART void add_points(const PlacedOf<A>& at, int count, const Target<T>& target) {
  using V = typename Register<A>::V;
  constexpr int lanes = lanes_of<A>();
  alignas(64) A value[2][K][2 * lanes];
  alignas(64) int32_t offset[lanes];
  for (int k = 0; k < K; k++) {
    const V g = target.read(k), left = g * at.column_weight[0], right = g * at.column_weight[1];
    for (int r = 0; r < 2; r++) {
      const V a = left * at.row_weight[r], b = right * at.row_weight[r];
      put(lower_in_turn(a, b), value[r][k]);
      put(upper_in_turn(a, b), value[r][k] + lanes);
    }
  }
  put(at.offset, offset);
  const auto add_pair = [](A* to, const A* pair) __attribute__((always_inline)) {
    if (whole)
      put(read<Two<A>>(to) + read<Two<A>>(pair), to);
    else
      to[0] += pair[0], to[1] += pair[1];
  };
  const auto add_point = [&](int q, uint32_t rows) __attribute__((always_inline)) {
    A* to = target.to + offset[q];
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++, to += target.down)
      if (rows >> r & 1)
#pragma GCC unroll 4
        for (int k = 0; k < K; k++) add_pair(to + k * target.plane, value[r][k] + 2 * q);
  };
  // points whose upper, and whose lower pixels are in rows that may be added to
  const int32_t low = target.rows.low, span = target.rows.high - low;
  const uint32_t there = first_of<A>(count).there, upper = below(at.row - low, span) & there,
                 lower = below(at.row + (1 - low), span) & there;
  if ((upper & lower) == there) {
    for (int q = 0; q < count; q++) add_point(q, 3);
    return;
  }
  // of points all over the image, those whose rows are of different owners are few: all others can be foreseen
  for (uint32_t left = upper | lower; left != 0; left &= left - 1) {
    const int q = __builtin_ctz(left);
    if (__builtin_expect(upper >> q & lower >> q & 1, 1))
      add_point(q, 3);
    else
      add_point(q, (upper >> q & 1) | (lower >> q & 1) << 1);
  }
}

template <bool whole, class T, class A = Wide<T>>
RETICLE_INLINE void add_planes(const PlacedOf<A>& at, int count, const Target<T>& target) {
  static_assert(TOGETHER == 4);
  if (target.count == 1) return add_points<1, whole>(at, count, target);
  if (target.count == 2) return add_points<2, whole>(at, count, target);
  if (target.count == 3) return add_points<3, whole>(at, count, target);
  add_points<4, whole>(at, count, target);
}

template <class T, class A = Wide<T>>
RETICLE_INLINE void add_one_by_one(const PlacedOf<A>& at, int count, const Target<T>& target) {
  overlap(at, count) ? add_planes<false>(at, count, target) : add_planes<true>(at, count, target);
}

// The least and the most so far, and of the numbers that there are; of what is not a number the former stay.
RETICLE_INLINE F16 least_with(F16 v, __mmask16 there, F16 least) {
  return (F16)_mm512_mask_min_ps((__m512)least, there, (__m512)v, (__m512)least);
}
RETICLE_INLINE F16 most_with(F16 v, __mmask16 there, F16 most) {
  return (F16)_mm512_mask_max_ps((__m512)most, there, (__m512)v, (__m512)most);
}
RETICLE_INLINE D8 least_with(D8 v, __mmask8 there, D8 least) {
  return (D8)_mm512_mask_min_pd((__m512d)least, there, (__m512d)v, (__m512d)least);
}
RETICLE_INLINE D8 most_with(D8 v, __mmask8 there, D8 most) {
  return (D8)_mm512_mask_max_pd((__m512d)most, there, (__m512d)v, (__m512d)most);
}
RETICLE_INLINE float least_of(F16 v) { return _mm512_reduce_min_ps((__m512)v); }
RETICLE_INLINE float most_of(F16 v) { return _mm512_reduce_max_ps((__m512)v); }
RETICLE_INLINE double least_of(D8 v) { return _mm512_reduce_min_pd((__m512d)v); }
RETICLE_INLINE double most_of(D8 v) { return _mm512_reduce_max_pd((__m512d)v); }

// Which rows of points have what is not finite, and which rows of pixels the others fall on.
template <class T>
Extent extent_of_points(const Lookup& given) {
  using A = Wide<T>;
  using V = typename Register<A>::V;
  constexpr int lanes = lanes_of<A>();
  const Lookup s = given;
  const FinderOf<A, 2> f(s);
  V least = V{} + std::numeric_limits<A>::infinity(), most = -least;
  Extent extent = {};
  for (int row = 0; row < s.rows; row++) {
    V check = {};
    for (int p = 0; p < s.count; p += lanes) {
      const auto reach = reach_of<A>(s, p);
      const PointsOf<A> norm(s.point<A>(row, p), std::min(s.count - p, lanes));
      const V x = f.x.pixels(norm.x), y = f.y.pixels(norm.y);
      check += x * 0 + y * 0;
      least = least_with(y, reach.there, least);
      most = most_with(y, reach.there, most);
      const T* gradient = (const T*)s.to + row * s.down_to + p;
      for (int64_t k = 0; k < s.channels; k++) check += reach.read(gradient + k * s.plane_to) * 0;
    }
    extent.strange |= uint32_t(!is_zero(check)) << row;
  }
  const auto row_of = [&](A y) { return int32_t(std::min(std::max(std::floor(double(y)) + f.y.first, 0.0), double(s.height - 2))); };
  // a row more on either side: rounding may place a point there
  const A low = least_of(least) - 1, high = most_of(most) + 1;
  const bool mirrored = s.outside > NEAREST_PIXEL && (low < 0 || high > A(s.height - 1));  // then anywhere
  extent.low = mirrored ? 0 : row_of(low), extent.high = mirrored ? s.height : row_of(high) + 2;
  return extent;
}

}  // namespace
}  // namespace reticle
