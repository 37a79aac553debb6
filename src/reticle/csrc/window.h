// Which pixels are read? For each point of a segment, per axis, a window of neighbouring pixels inside the image, and their weights.
//
// What lies outside is folded into the weights: a pixel that padding reads twice has the sum, one that is not there has none. So no kernel
// knows a padding. Points whose pixels are no neighbours (wrapped around an edge) are "hard": they are left to the careful way of axis.h.
#pragma once
#include "edges.h"

namespace reticle {
namespace {

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
  merge_all<S>(c, axis, place, count, wanted, w, any_hard, hard);
}

}  // namespace
}  // namespace reticle
