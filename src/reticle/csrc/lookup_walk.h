// Where do points lie that are given one by one? Sixteen at a time, with AVX-512.
#pragma once
#include "ahead.h"
#include "lanes.h"
#include "lookups.h"
#include "tents.h"

namespace reticle {
namespace {

constexpr int AT_ONCE = 16, IN_A_ROW = PATCH_POINTS / AT_ONCE;
constexpr int64_t ROWS_AHEAD = 4;  // of points: two took a twentieth longer where images come from afar, six were no better, measured

// Some of sixteen numbers in a row.
using Reach = Lanes::Reach<true>;

// The first `n` of them: none, or all, where it is too few or too many.
RETICLE_INLINE Reach first_of(int n) { return Reach(std::max(std::min(n, 16), 0)); }
// Which of the points from `p` on there are.
RETICLE_INLINE Reach reach_of(const Lookup& s, int p) { return first_of(s.count - p); }

// Of sixteen points, x and y side by side.
struct Points {
  F16 x, y;

  RETICLE_INLINE Points(const float* from, int count) {
    const F16 a = first_of(2 * count).read(from), b = first_of(2 * count - 16).read(from + 16);
    x = evens_of(a, b);
    y = odds_of(a, b);
  }
};

struct Finder {
  NormLine<float> x, y;
  int32_t last_x, last_y, down;
  Outside outside;

  explicit Finder(const Lookup& s)
      : x(s.half_x, s.middle_x, s.width, s.outside),
        y(s.half_y, s.middle_y, s.height, s.outside),
        last_x(int32_t(s.width - 2)),
        last_y(int32_t(s.height - 2)),
        down(int32_t(s.down)),
        outside(s.outside) {
    x.count_from(s.first_x), y.count_from(s.first_y);
  }
};

// Where sixteen points read, and how much each pixel counts.
struct Sixteen {
  I16 offset;
  F16 column_weight[2], row_weight[2];
  bool lost, edge;  // some of them: not at a number; a window is not just pixels that count
};
struct Sloped : Sixteen {
  F16 column_slope[2], row_slope[2];
};
struct Placed : Sixteen {
  I16 column, row;
};

RETICLE_INLINE void keep(const Tents<2, F16>& x, const Tents<2, F16>& y, Sloped& s) {
  for (int k = 0; k < 2; k++) s.column_slope[k] = x.slope[k], s.row_slope[k] = y.slope[k];
}
RETICLE_INLINE void keep(const Tents<2, F16>& x, const Tents<2, F16>& y, Placed& s) { s.column = x.first, s.row = y.first; }
RETICLE_INLINE void keep(const Tents<2, F16>&, const Tents<2, F16>&, Sixteen&) {}

template <class S>
RETICLE_INLINE void find(const Finder& f, const float* from, int count, S& s) {
  const Points norm(from, count);
  F16 unknown = {};
  const Cells<F16> cell_x = f.x.cells(norm.x, unknown), cell_y = f.y.cells(norm.y, unknown);
  const auto outside = [](I16 cell, int32_t last) { return _mm512_cmpgt_epu32_mask((__m512i)cell, _mm512_set1_epi32(last)); };
  Tents<2, F16> x, y;
  s.lost = !is_zero(unknown);
  s.edge = (outside(cell_x.cell, f.last_x) | outside(cell_y.cell, f.last_y)) != 0;
  if (__builtin_expect(!s.edge, 1))
    x = tents_inside<2>(cell_x), y = tents_inside<2>(cell_y);
  else
    x = tents_at_edges<2>(cell_x, f.last_x, f.outside), y = tents_at_edges<2>(cell_y, f.last_y, f.outside);
  s.offset = y.first * f.down + x.first;
  for (int k = 0; k < 2; k++) s.column_weight[k] = x.weight[k], s.row_weight[k] = y.weight[k];
  keep(x, y, s);
}

// What is seen of the points of a row on the way.
struct Seen {
  F16 check = {};
  bool lost = false, edge = false;

  void tell(int row, Looked& looked) const {
    looked.lost |= uint32_t(lost) << row, looked.edge |= uint32_t(edge) << row;
    looked.strange |= uint32_t(!is_zero(check)) << row;
  }
};

// The rows of a block, sixteen points at a time: act(row, first point, points, from their pixels to those that will be wanted soon, seen). The
// next sixteen are found while those before are used: past as much work as that is, the processor does not see.
template <class S, class Act>
RETICLE_INLINE Looked walk(const Lookup& s, Act act) {
  const Finder finder(s);
  Looked looked = {};
  Ahead ahead = {ROWS_AHEAD};
  Seen seen;
  S found[2];
  int next_row = 0, next_p = 0;
  const auto find_next = [&](S& to) __attribute__((always_inline)) {
    const float* points = s.points + next_row * s.down_points + 2 * next_p;
    for (int k = 0; k < 2; k++) __builtin_prefetch(points + ROWS_AHEAD * s.down_points + 16 * k);
    find(finder, points, std::min(s.count - next_p, AT_ONCE), to);
  };
  for (int n = 0, row = -1, p = 0; row < s.rows; n ^= 1) {
    const S& now = found[n ^ 1];
    if (next_row < s.rows) find_next(found[n]);
    if (row >= 0) {
      if (p == 0) ahead.look(now.offset[0], finder.down);
      seen.lost |= now.lost, seen.edge |= now.edge;
      act(row, p, now, ahead.step, seen);
      if (next_row != row) seen.tell(row, looked), seen = Seen();
    }
    row = next_row, p = next_p;
    next_p += AT_ONCE;
    if (next_p >= s.count) next_row++, next_p = 0;
  }
  return looked;
}

}  // namespace
}  // namespace reticle
