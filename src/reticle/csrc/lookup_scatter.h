// What the points of lookup_kernels.h add to an image.
#pragma once
#include "landing.h"
#include "point_scatter.h"

namespace reticle {
namespace {

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

template <class T>
RETICLE_INLINE void add_sixteen(const Placed& at, int count, Landing& l, const Target<T>& target) {
  // to find out what falls where is much to do for one plane
  if (target.count == 1 || !land(at, count, target.height, l)) return add_one_by_one(at, count, target);
  l.rows == FEW_ROWS ? add_landing<FEW_ROWS>(l, target) : add_landing<LANDING_ROWS>(l, target);
}

template <class T>
void scatter_lookup(const Lookup& given, int32_t low, int32_t high, uint32_t but) {
  const Lookup s = given;
  Landing l;
  if (s.channels <= TOGETHER) {
    walk<Placed>(s, [&](int row, int p, const Placed& at, int64_t, Seen&) {
      if ((but >> row & 1) == 0) add_sixteen(at, std::min(s.count - p, AT_ONCE), l, target_of<T>(s, {low, high}, row, p, 0));
    });
    return;
  }
  Placed all[PATCH_ROWS][IN_A_ROW];
  walk<Placed>(s, [&](int row, int p, const Placed& at, int64_t, Seen&) { all[row][p / AT_ONCE] = at; });
  for (int64_t k = 0; k < s.channels; k += TOGETHER)
    for (int row = 0; row < s.rows; row++)
      for (int p = 0; p < s.count && (but >> row & 1) == 0; p += AT_ONCE)
        add_sixteen(all[row][p / AT_ONCE], std::min(s.count - p, AT_ONCE), l, target_of<T>(s, {low, high}, row, p, k));
}

}  // namespace
}  // namespace reticle
