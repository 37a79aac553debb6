// Where does what sixteen points add to an image fall? Points in a row mostly read few rows of few columns, from left to right or from right to
// left: pixels then pick the points that count for them, where points would have to add to them one after the other.
#pragma once
#include "lookup_walk.h"

namespace reticle {
namespace {

// Pixels that sixteen points may fall on: columns, as the halves of two vectors, rows; and of the points that start in one column, how many.
constexpr int LANDING_COLUMNS = 32, LANDING_ROWS = 8, FEW_ROWS = 4, LANDING_SETS = 4;

using Mask = __mmask16;

// The points that the sixteen columns of a half pick.
struct Choice {
  I16 who;
  Mask there;

  RETICLE_INLINE F16 pick(F16 v) const { return (F16)_mm512_maskz_permutexvar_ps(there, (__m512i)who, (__m512)v); }
};

// Two for each set of points no two of which start in one column: as their left pixel, as their right one.
constexpr int LANDING_CHOICES = 2 * LANDING_SETS;

struct Landing {
  int32_t column, row;  // the first
  int rows, halves, choices;
  Choice choice[2][LANDING_CHOICES];
  F16 weight[2][LANDING_CHOICES][LANDING_ROWS];
};

RETICLE_INLINE I16 iota() { return I16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }
RETICLE_INLINE int32_t lane(I16 v, int n) {
  return _mm_cvtsi128_si32(_mm512_castsi512_si128(_mm512_permutexvar_epi32(_mm512_set1_epi32(n), (__m512i)v)));
}

// Points by columns, from left to right.
struct Order {
  I16 who, column;  // the points, and where they start, from the first column on
  Mask same;        // as the point before

  // False: they go back and forth, or too far.
  RETICLE_INLINE bool sort(I16 x, int32_t first, bool falling, int count) {
    who = falling ? count - 1 - iota() : iota();
    column = (I16)_mm512_permutexvar_epi32((__m512i)who, (__m512i)(x - first));
    const __m512i here = (__m512i)column, before = _mm512_alignr_epi32(here, here, 15);
    const Mask there = first_of(count).there, later = there & Mask(~1u);
    same = _mm512_mask_cmpeq_epi32_mask(later, here, before);
    const Mask back = _mm512_mask_cmplt_epi32_mask(later, here, before);
    const Mask far = _mm512_mask_cmpgt_epu32_mask(there, here, _mm512_set1_epi32(LANDING_COLUMNS - 2));
    return (back | far) == 0;
  }
  // The columns of a set of points, one bit each.
  RETICLE_INLINE uint32_t columns(Mask set) const {
    return uint32_t(_mm512_mask_reduce_or_epi32(set, _mm512_sllv_epi32(_mm512_set1_epi32(1), (__m512i)column)));
  }
  RETICLE_INLINE I16 list(Mask set) const { return (I16)_mm512_maskz_compress_epi32(set, (__m512i)who); }
};

// `columns`: those that the points of `list` fall on, one after the other.
RETICLE_INLINE Choice choice_of(I16 list, uint32_t columns, int half) {
  if (half) list = (I16)_mm512_permutexvar_epi32((__m512i)(iota() + __builtin_popcount(columns & 0xffff)), (__m512i)list);
  const Mask there = Mask(columns >> 16 * half);
  return {(I16)_mm512_maskz_expand_epi32(there, (__m512i)list), there};
}

// How much each of R rows counts for the points' left pixels, and for their right ones.
template <int R>
RETICLE_INLINE void weigh(const Placed& at, int count, Landing& l) {
  F16 weight[2][R];
  Mask above = 0;
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    const Mask in = _mm512_mask_cmpeq_epi32_mask(first_of(count).there, (__m512i)at.row, _mm512_set1_epi32(l.row + r));
    const __m512 upper = _mm512_maskz_mov_ps(in, (__m512)at.row_weight[0]);
    const F16 w = (F16)_mm512_mask_mov_ps(upper, above, (__m512)at.row_weight[1]);
    weight[0][r] = w * at.column_weight[0], weight[1][r] = w * at.column_weight[1];
    above = in;
  }
  for (int half = 0; half < l.halves; half++)
    for (int t = 0; t < l.choices; t++)
#pragma GCC unroll 8
      for (int r = 0; r < R; r++) l.weight[half][t][r] = l.choice[half][t].pick(weight[t & 1][r]);
  l.rows = R;
}

// Of `count` points in an image so high. False: they lie too far apart, or too close together.
RETICLE_INLINE bool land(const Placed& at, int count, int32_t height, Landing& l) {
  const int32_t x[2] = {lane(at.column, 0), lane(at.column, count - 1)}, y[2] = {lane(at.row, 0), lane(at.row, count - 1)};
  const Mask there = first_of(count).there;
  const auto fit = [&](int rows) {
    l.row = std::min(std::min(y[0], y[1]), height - rows);
    return l.row >= 0 && _mm512_mask_cmpgt_epu32_mask(there, (__m512i)(at.row - l.row), _mm512_set1_epi32(rows - 2)) == 0;
  };
  const bool few = fit(FEW_ROWS);
  if (!few && !fit(LANDING_ROWS)) return false;
  l.column = std::min(x[0], x[1]);
  Order order;
  if (!order.sort(at.column, l.column, x[1] < x[0], count)) return false;
  uint32_t columns[LANDING_SETS], any = 0;
  I16 list[LANDING_SETS];
  int sets = 0;
  for (Mask set = there & Mask(~order.same); set != 0; set = order.same & Mask(set << 1), sets++) {
    if (sets == LANDING_SETS) return false;
    columns[sets] = order.columns(set), any |= columns[sets];
    list[sets] = order.list(set);
  }
  l.halves = any >> 15 ? 2 : 1, l.choices = 2 * sets;
  for (int half = 0; half < l.halves; half++)
    for (int t = 0; t < l.choices; t++) l.choice[half][t] = choice_of(list[t / 2], columns[t / 2] << t % 2, half);
  few ? weigh<FEW_ROWS>(at, count, l) : weigh<LANDING_ROWS>(at, count, l);
  return true;
}

}  // namespace
}  // namespace reticle
