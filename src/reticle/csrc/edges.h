// How does a window meet an edge? Pixels that are not there leave it, others count twice: any mode and padding, a vector of points at a time, or
// one by one.
#pragma once
#include "norms.h"

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

// Which of a vector of points are nowhere.
template <class A>
RETICLE_INLINE Cell<A> lost_of(const Place<A>& place, int p) {
  if (!place.any_lost) return Cell<A>{};
  return __builtin_convertvector(read<typename VectorOf<uint8_t, VecOf<A>::lanes>::type>(place.lost + p), Cell<A>) != 0;
}

// Whether one turn back, of a period at most, brings all taps of these points inside.
template <int S, class I>
RETICLE_INLINE bool is_close(const Call& c, const Axis& axis, I first) {
  if (!repeats(c.padding)) return true;
  const int64_t turn = axis.size - (c.padding == REFLECTION && c.align_corners);
  if (turn < 1 || turn > BEYOND) return false;
  const I far = (first < int32_t(-turn)) | (first > int32_t(axis.size + turn - S));
  return !any(far);
}

// As axis.pixel(), for taps that are close.
template <class I>
RETICLE_INLINE I pixels_of(const Call& c, int32_t size, I i) {
  const I zero = {}, below = i < zero, above = i >= size;
  if (fills(c.padding)) return (below | above) ? zero - 1 : i;
  if (c.padding == BORDER) return below ? zero : above ? zero + (size - 1) : i;
  if (c.padding == WRAP) return below ? i + size : above ? i - size : i;
  return mirror(i, size - 1, c.align_corners ? 0 : 1);
}

// The weights of the taps, at pixels `at` from the first of the window on, become the weights of its pixels.
template <int S, class I, class V>
RETICLE_INLINE void move_to_pixels(const I* at, V* weight) {
  V moved[S] = {};
#pragma GCC unroll 4
  for (int t = 0; t < S; t++)
#pragma GCC unroll 4
    for (int k = 0; k < S; k++) moved[k] += __builtin_convertvector(at[t] == k, Whole<V>) ? weight[t] : V{};
#pragma GCC unroll 4
  for (int k = 0; k < S; k++) weight[k] = moved[k];
}

// The windows of a vector of points from `p` on that are close, whose weights are those of the taps. True for those whose pixels fit none.
template <int S, class A>
RETICLE_INLINE Cell<A> merge_lanes(const Call& c, const Axis& axis, const Place<A>& place, int p, Wanted wanted, Window<A>& w) {
  using I = Cell<A>;
  using V = Vec<A>;
  using M = Whole<V>;
  const int32_t size = int32_t(axis.size);
  const I cell = read<I>(place.cell + p), zero = {}, lost = lost_of(place, p);
  I at[S], lowest = zero + std::numeric_limits<int32_t>::max(), highest = zero - 1;
  V weight[S], slope[S], missing = {}, missing_slope = {};
#pragma GCC unroll 4
  for (int t = 0; t < S; t++) {
    const I pixel = lost ? (t > 0 || fills(c.padding) ? zero - 1 : zero) : pixels_of(c, size, cell + (t - (S - 1) / 2));
    const M there = __builtin_convertvector(pixel >= zero, M), nowhere = __builtin_convertvector(lost, M);
    weight[t] = load(w.weight[t] + p), slope[t] = wanted.slopes ? load(w.slope[t] + p) : V{};
    weight[t] = nowhere ? (t == 0 ? V{} + 1 : V{}) : weight[t], slope[t] = nowhere ? V{} : slope[t];
    missing += there ? V{} : weight[t], missing_slope += there ? V{} : slope[t];
    lowest = (pixel >= zero) & (pixel < lowest) ? pixel : lowest, highest = pixel > highest ? pixel : highest;
    at[t] = pixel;
  }
  I first = highest < zero ? cell : lowest;
  first = first > zero ? first : zero, first = first < size - S ? first : zero + (size - S);
  const I hard = highest >= first + S;
  const M nothing = __builtin_convertvector(highest < zero, M), unfit = __builtin_convertvector(hard, M);
#pragma GCC unroll 4
  for (int t = 0; t < S; t++) at[t] = hard ? zero - 1 : at[t] - first;
  put(first, w.first + p);
  move_to_pixels<S>(at, weight);
#pragma GCC unroll 4
  for (int t = 0; t < S; t++) store(weight[t], w.weight[t] + p);
  if (wanted.slopes) {
    move_to_pixels<S>(at, slope);
#pragma GCC unroll 4
    for (int t = 0; t < S; t++) store(slope[t], w.slope[t] + p);
  }
  if (wanted.missing) {
    store(unfit ? V{} : nothing ? V{} + 1 : missing, w.missing + p);  // 1, not only nearly
    store(unfit | nothing ? V{} : missing_slope, w.missing_slope + p);
  }
  return hard;
}

// All points of a segment whose windows are not just those of their taps.
template <int S, class A>
RETICLE_INLINE void merge_all(const Call& c, const Axis& axis, const Place<A>& place, int count, Wanted wanted, Window<A>& w,
                              bool& any_hard, bool* hard) {
  using I = Cell<A>;
  constexpr int lanes = VecOf<A>::lanes, back = (S - 1) / 2;
  const int32_t size = int32_t(axis.size);
  const int width = std::min(S, size);
  for (int p = 0; p < count; p += lanes) {
    const I first = read<I>(place.cell + p) - back, zero = {}, unusual = (first < zero) | (first > size - S) | lost_of(place, p);
    if (!any(unusual)) continue;
    I unfit = zero;
    if (size >= S && is_close<S>(c, axis, first)) {
      unfit = merge_lanes<S>(c, axis, place, p, wanted, w);
    } else {
      for (int q = 0; q < lanes; q++) unfit[q] = unusual[q] && !merge(c, axis, place, p + q, width, w);
    }
    for (int q = 0; q < lanes && any(unfit); q++)
      if (unfit[q]) hard[p + q] = any_hard = true;
  }
}

}  // namespace
}  // namespace reticle
