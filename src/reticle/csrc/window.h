// Which pixels are read? For each point of a segment, per axis, a window of neighbouring pixels inside the image, and their weights.
//
// What lies outside is folded into the weights: a pixel that padding reads twice has the sum, one that is not there has none. So no kernel
// knows a padding. Points whose pixels are no neighbours (wrapped around an edge) are "hard": they are left to the careful way of axis.h.
#pragma once
#include "place.h"

namespace reticle {
namespace {

// What of a window is wanted: the weights always.
struct Wanted {
  bool slopes, missing;
};

template <class A>
struct Window {
  alignas(64) int32_t first[SEGMENT];
  alignas(64) A weight[4][SEGMENT];
  alignas(64) A slope[4][SEGMENT];
  // of the taps that are outside
  alignas(64) A missing[SEGMENT];
  alignas(64) A missing_slope[SEGMENT];
};

template <class A>
RETICLE_INLINE A smaller(A a, A b) {
  return a < b ? a : b;
}
template <class A>
RETICLE_INLINE A larger(A a, A b) {
  return a > b ? a : b;
}

template <int S, Mode mode, class A>
RETICLE_INLINE void all_inside(const Place<A>& place, int count, Wanted wanted, Window<A>& w) {
  for (int p = 0; p < count; p++) {
    A weight[S], slope[S];
    kernel<mode>(place.fraction[p], weight, slope);
    for (int t = 0; t < S; t++) w.weight[t][p] = weight[t];
    w.first[p] = place.cell[p] - (S - 1) / 2;
  }
  for (int p = 0; p < count && wanted.slopes; p++) {
    A weight[S], slope[S];
    kernel<mode>(place.fraction[p], weight, slope);
    for (int t = 0; t < S; t++) w.slope[t][p] = slope[t];
  }
  for (int p = 0; p < count && wanted.missing; p++) w.missing[p] = w.missing_slope[p] = 0;
}

// Bilinear weights in closed form: a tent around each of the two pixels of the window, wherever the point lies.
template <bool border, class A>
RETICLE_INLINE void bilinear_at_edges(int32_t last, const Place<A>& place, int count, Wanted wanted, Window<A>& w) {
  alignas(64) A distance[SEGMENT];  // from the first pixel of the window
  for (int p = 0; p < count; p++) {
    const int32_t cell = place.cell[p], first = smaller(larger(cell, 0), last);
    const A d = A(cell - first) + place.fraction[p], low = smaller(larger(d, A(0)), A(1));
    w.first[p] = first;
    distance[p] = d;
    w.weight[0][p] = border ? 1 - low : larger(A(0), 1 - std::fabs(d));
    w.weight[1][p] = border ? low : larger(A(0), 1 - std::fabs(d - 1));
  }
  for (int p = 0; p < count && wanted.slopes; p++) {  // each tent rises before its pixel and falls after it
    const A d = distance[p], out = border ? A(0) : A(1);
    w.slope[0][p] = d < 0 ? (d < -1 ? A(0) : out) : d < 1 ? A(-1) : A(0);
    w.slope[1][p] = d < 1 ? (d < 0 ? A(0) : A(1)) : d < 2 ? -out : A(0);
  }
  for (int p = 0; p < count && wanted.missing; p++) {
    const A d = distance[p];
    w.missing[p] = d < 0 ? smaller(-d, A(1)) : d < 1 ? A(0) : smaller(d - 1, A(1));
    w.missing_slope[p] = d < 0 ? (d < -1 ? A(0) : A(-1)) : d < 1 || d >= 2 ? A(0) : A(1);
  }
}

template <class A>
RETICLE_INLINE void nearest_at_edges(int32_t last, bool border, const Place<A>& place, int count, Window<A>& w) {
  for (int p = 0; p < count; p++) {
    const int32_t cell = place.cell[p], first = smaller(larger(cell, 0), last);
    const A present = border || first == cell ? A(1) : A(0);
    w.first[p] = first;
    w.weight[0][p] = present, w.slope[0][p] = 0;
    w.missing[p] = 1 - present, w.missing_slope[p] = 0;
  }
}

// Any mode and padding, one point. False: its pixels fit no window.
template <class A>
bool merge(const Call& c, const Axis& axis, const Place<A>& place, int p, int width, Window<A>& w) {
  Taps<A> t = taps(c, axis, place.cell[p], place.fraction[p], place.any_lost && place.lost[p]);
  int32_t lowest = -1, highest = -1;
  for (int k = 0; k < t.count; k++) {
    int32_t pixel = t.pixel[k];
    if (pixel >= 0 && (lowest < 0 || pixel < lowest)) lowest = pixel;
    highest = std::max(highest, pixel);
  }
  const int32_t last = int32_t(axis.size - width);
  if (lowest < 0) lowest = place.cell[p];
  const int32_t first = std::min(std::max(lowest, 0), last);
  w.first[p] = first;
  for (int k = 0; k < width; k++) w.weight[k][p] = w.slope[k][p] = 0;
  w.missing[p] = w.missing_slope[p] = 0;
  if (highest >= first + width) return false;
  for (int k = 0; k < t.count; k++) {
    A& weight = t.pixel[k] < 0 ? w.missing[p] : w.weight[t.pixel[k] - first][p];
    A& slope = t.pixel[k] < 0 ? w.missing_slope[p] : w.slope[t.pixel[k] - first][p];
    weight += t.weight[k], slope += t.slope[k];
  }
  if (highest < 0) w.missing[p] = 1, w.missing_slope[p] = 0;  // not only nearly
  return true;
}

template <int S, class A>
void make_window(const Call& c, const Axis& axis, const Place<A>& place, int count, Wanted wanted, Window<A>& w, bool& edge, bool& any_hard,
                 bool* hard) {
  const int32_t back = (S - 1) / 2, size = int32_t(axis.size);
  int32_t lowest = place.cell[0], highest = place.cell[0];
  for (int p = 0; p < count; p++) lowest = smaller(lowest, place.cell[p]), highest = larger(highest, place.cell[p]);
  const bool inside = lowest >= back && highest - back + S <= size && !place.any_lost;
  edge |= !inside;
  if (!inside && !repeats(c.padding)) {
    const bool border = c.padding == BORDER;
    if (S == 1) return nearest_at_edges(size - 1, border, place, count, w);
    if (S == 2 && size >= 2 && border) return bilinear_at_edges<true>(size - 2, place, count, wanted, w);
    if (S == 2 && size >= 2) return bilinear_at_edges<false>(size - 2, place, count, wanted, w);
  }
  if (size >= S) {
    if constexpr (S == 1) all_inside<S, NEAREST>(place, count, wanted, w);
    if constexpr (S == 2) all_inside<S, BILINEAR>(place, count, wanted, w);
    if constexpr (S == 4) {
      if (c.mode == BICUBIC) all_inside<S, BICUBIC>(place, count, wanted, w);
      if (c.mode == BSPLINE3) all_inside<S, BSPLINE3>(place, count, wanted, w);
    }
  }
  if (inside) return;
  const int width = std::min(S, size);
  for (int p = 0; p < count; p++) {
    const int32_t cell = place.cell[p];
    const bool ordinary = cell >= back && cell - back + S <= size && !(place.any_lost && place.lost[p]);
    if (!ordinary && !merge(c, axis, place, p, width, w)) hard[p] = any_hard = true;
  }
}

}  // namespace
}  // namespace reticle
