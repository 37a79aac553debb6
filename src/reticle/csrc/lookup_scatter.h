// What the points of lookup_kernels.h add to an image.
#pragma once
#include "landing.h"
#include "lookup_kernels.h"

namespace reticle {
namespace {

// Rows of the image that may be added to.
struct RowRange {
  int32_t low, high;
};

// The planes of one image, `count` of them, and the gradients of sixteen points of each.
template <class T>
struct Target {
  float* to;
  int64_t plane, down;
  int32_t height, width;
  RowRange rows;
  const T* gradient;
  int64_t next;  // plane of gradients
  int64_t count;
  Reach reach;

  RETICLE_INLINE F16 read(int64_t k) const { return reach.read(gradient + k * next); }
};

// E choices, R rows.
template <int E, int R, class T>
RETICLE_INLINE void add_choices(const Landing& l, const Target<T>& target) {
  for (int64_t k = 0; k < target.count; k++) {
    const F16 g = target.read(k);
    for (int half = 0; half < l.halves; half++) {
      F16 picked[E];
#pragma GCC unroll 8
      for (int e = 0; e < E; e++) picked[e] = l.choice[half][e].pick(g);
      const int32_t column = l.column + 16 * half;
      const Mask there = first_of(target.width - column).there;
      float* to = target.to + k * target.plane + l.row * target.down + column;
#pragma GCC unroll 8
      for (int r = 0; r < R; r++, to += target.down) {
        if (l.row + r < target.rows.low || l.row + r >= target.rows.high) continue;
        F16 sum = (F16)_mm512_maskz_loadu_ps(there, to);
#pragma GCC unroll 8
        for (int e = 0; e < E; e++) sum += picked[e] * l.weight[half][e][r];
        _mm512_mask_storeu_ps(to, there, (__m512)sum);
      }
    }
  }
}

template <int R, class T>
RETICLE_INLINE void add_landing(const Landing& l, const Target<T>& target) {
  if (l.choices == 2) return add_choices<2, R>(l, target);
  if (l.choices == 4) return add_choices<4, R>(l, target);
  if (l.choices == 6) return add_choices<6, R>(l, target);
  add_choices<8, R>(l, target);
}

// Whether a point touches a pixel that the one before does.
RETICLE_INLINE bool overlap(const Placed& at, int count) {
  const auto near = [&](I16 v) {
    const __m512i moved = _mm512_sub_epi32((__m512i)v, _mm512_alignr_epi32((__m512i)v, (__m512i)v, 15));
    return _mm512_cmple_epu32_mask(_mm512_add_epi32(moved, _mm512_set1_epi32(1)), _mm512_set1_epi32(2));
  };
  return (near(at.column) & near(at.row) & first_of(count).there & Mask(~1u)) != 0;
}

// Points whose upper, and whose lower pixels are in rows that may be added to.
struct Within {
  Mask row[2];

  RETICLE_INLINE Within(const Placed& at, RowRange rows) {
    for (int r = 0; r < 2; r++)
      row[r] = _mm512_cmplt_epu32_mask((__m512i)(at.row + (r - rows.low)), _mm512_set1_epi32(rows.high - rows.low));
  }
};

// K planes, one point after the other. `whole`: a pair of pixels is added to at once; not where the one before has been a moment ago, for what
// was written is soonest read as it was written.
template <int K, bool whole, class T>
RETICLE_APART void add_points(const Placed& at, int count, const Target<T>& target) {
  alignas(64) float value[2][K][2 * AT_ONCE];
  alignas(64) int32_t offset[AT_ONCE];
  for (int k = 0; k < K; k++) {
    const F16 g = target.read(k), left = g * at.column_weight[0], right = g * at.column_weight[1];
    for (int r = 0; r < 2; r++) {
      const F16 a = left * at.row_weight[r], b = right * at.row_weight[r];
      _mm512_store_ps(value[r][k], (__m512)pick<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b));
      _mm512_store_ps(value[r][k] + 16, (__m512)pick<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(a, b));
    }
  }
  _mm512_store_si512(offset, (__m512i)at.offset);
  const Within within(at, target.rows);
  const auto add_pair = [](float* to, const float* pair) __attribute__((always_inline)) {
    if (whole) {
      const F2 sum = read<F2>(to) + read<F2>(pair);
      std::memcpy(to, &sum, sizeof sum);
    } else {
      to[0] += pair[0], to[1] += pair[1];
    }
  };
  const auto add_point = [&](int q, uint32_t rows) __attribute__((always_inline)) {
    float* to = target.to + offset[q];
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++, to += target.down)
      if (rows >> r & 1)
#pragma GCC unroll 4
        for (int k = 0; k < K; k++) add_pair(to + k * target.plane, value[r][k] + 2 * q);
  };
  const uint32_t there = first_of(count).there, upper = within.row[0] & there, lower = within.row[1] & there;
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

template <bool whole, class T>
RETICLE_INLINE void add_one_by_one(const Placed& at, int count, const Target<T>& target) {
  static_assert(TOGETHER == 4);
  if (target.count == 1) return add_points<1, whole>(at, count, target);
  if (target.count == 2) return add_points<2, whole>(at, count, target);
  if (target.count == 3) return add_points<3, whole>(at, count, target);
  add_points<4, whole>(at, count, target);
}

template <class T>
RETICLE_INLINE void add_sixteen(const Placed& at, int count, Landing& l, const Target<T>& target) {
  // to find out what falls where is much to do for one plane
  if (target.count == 1 || !land(at, count, target.height, l))
    return overlap(at, count) ? add_one_by_one<false>(at, count, target) : add_one_by_one<true>(at, count, target);
  l.rows == FEW_ROWS ? add_landing<FEW_ROWS>(l, target) : add_landing<LANDING_ROWS>(l, target);
}

template <class T>
void scatter_lookup(const Lookup& given, int32_t low, int32_t high, uint32_t but) {
  const Lookup s = given;
  const auto target_of = [&](int row, int p, int64_t first) {
    return Target<T>{(float*)s.from + first * s.plane,
                     s.plane,
                     s.down,
                     s.height,
                     s.width,
                     {low, high},
                     (const T*)s.to + first * s.plane_to + row * s.down_to + p,
                     s.plane_to,
                     std::min(s.channels - first, TOGETHER),
                     reach_of(s, p)};
  };
  Landing l;
  if (s.channels <= TOGETHER) {
    walk<Placed>(s, [&](int row, int p, const Placed& at, int64_t, Seen&) {
      if ((but >> row & 1) == 0) add_sixteen(at, std::min(s.count - p, AT_ONCE), l, target_of(row, p, 0));
    });
    return;
  }
  Placed all[PATCH_ROWS][IN_A_ROW];
  walk<Placed>(s, [&](int row, int p, const Placed& at, int64_t, Seen&) { all[row][p / AT_ONCE] = at; });
  for (int64_t k = 0; k < s.channels; k += TOGETHER)
    for (int row = 0; row < s.rows; row++)
      for (int p = 0; p < s.count && (but >> row & 1) == 0; p += AT_ONCE)
        add_sixteen(all[row][p / AT_ONCE], std::min(s.count - p, AT_ONCE), l, target_of(row, p, k));
}

// Before that: which rows of points have what is not finite, and which rows of pixels the others fall on.
template <class T>
Extent extent_lookup(const Lookup& given) {
  const Lookup s = given;
  const Finder f(s);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  F16 least = F16{} + infinity, most = -least;
  Extent extent = {};
  for (int row = 0; row < s.rows; row++) {
    F16 check = {};
    for (int p = 0; p < s.count; p += AT_ONCE) {
      const int count = std::min(s.count - p, AT_ONCE);
      const Points norm(s.point<float>(row, p), count);
      const F16 x = f.x.pixels(norm.x), y = f.y.pixels(norm.y);
      check += x * 0 + y * 0;
      // of what is not a number the second is taken
      least = (F16)_mm512_mask_min_ps((__m512)least, first_of(count).there, (__m512)y, (__m512)least);
      most = (F16)_mm512_mask_max_ps((__m512)most, first_of(count).there, (__m512)y, (__m512)most);
      const T* gradient = (const T*)s.to + row * s.down_to + p;
      for (int64_t k = 0; k < s.channels; k++) check += reach_of(s, p).read(gradient + k * s.plane_to) * 0;
    }
    extent.strange |= uint32_t(!is_zero(check)) << row;
  }
  const auto row_of = [&](float y) { return int32_t(std::min(std::max(std::floor(double(y)) + f.y.first, 0.0), double(s.height - 2))); };
  // a row more on either side: rounding may place a point there
  const float low = _mm512_reduce_min_ps((__m512)least) - 1, high = _mm512_reduce_max_ps((__m512)most) + 1;
  const bool mirrored = s.outside > NEAREST_PIXEL && (low < 0 || high > float(s.height - 1));  // then anywhere
  extent.low = mirrored ? 0 : row_of(low), extent.high = mirrored ? s.height : row_of(high) + 2;
  return extent;
}

}  // namespace
}  // namespace reticle
