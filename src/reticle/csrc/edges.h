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

// Of a vector of windows those at an edge slide inside, where outside is nothing or what is at the edge: what slides out goes to the first
// pixel and to the last one, or is missing.
template <int S, class V>
struct Sliding {
  using M = Whole<V>;
  M up, down;  // pixels that the first moves up or down; S: no tap is inside

  RETICLE_INLINE explicit Sliding(M shift) {
    const M zero = {}, most = zero + S;
    up = shift > zero ? (shift < most ? shift : most) : zero, down = shift < zero ? (shift > -most ? -shift : most) : zero;
  }
  // What is out at the front, and behind; `all`: the sum of what there is.
  RETICLE_INLINE V before(const V* v, int all) const {
    V out = {};
#pragma GCC unroll 4
    for (int t = 0; t < S; t++) out += up > t ? v[t] : V{};
    return up == S ? V{} + Scalar<V>(all) : out;
  }
  RETICLE_INLINE V behind(const V* v, int all) const {
    V out = {};
#pragma GCC unroll 4
    for (int t = 0; t < S; t++) out += down >= S - t ? v[t] : V{};
    return down == S ? V{} + Scalar<V>(all) : out;
  }
  RETICLE_INLINE void slide(V* v) const {
    if (any(up)) {
#pragma GCC unroll 4
      for (int step = 1; step <= S; step *= 2)
#pragma GCC unroll 4
        for (int t = 0; t < S; t++) v[t] = (up & step) != 0 ? (t + step < S ? v[t + step] : V{}) : v[t];
    }
    if (any(down)) {
#pragma GCC unroll 4
      for (int step = 1; step <= S; step *= 2)
#pragma GCC unroll 4
        for (int t = S - 1; t >= 0; t--) v[t] = (down & step) != 0 ? (t >= step ? v[t - step] : V{}) : v[t];
    }
  }
};

template <int S, class A>
RETICLE_INLINE void slide_lanes(const Call& c, const Axis& axis, const Place<A>& place, int p, Wanted wanted, Window<A>& w) {
  using I = Cell<A>;
  using V = Vec<A>;
  const I unmoved = read<I>(place.cell + p) - (S - 1) / 2, zero = {}, last = zero + int32_t(axis.size - S);
  const I first = unmoved > zero ? (unmoved < last ? unmoved : last) : zero;
  const Sliding<S, V> sliding(__builtin_convertvector(first - unmoved, Whole<V>));
  const auto slide = [&](A(*taps)[SEGMENT], int all, A* missing) __attribute__((always_inline)) {
    V v[S];
#pragma GCC unroll 4
    for (int t = 0; t < S; t++) v[t] = load(taps[t] + p);
    if (c.padding == BORDER) {
      const V before = sliding.before(v, all), behind = sliding.behind(v, all);
      sliding.slide(v);
      v[0] += before, v[S - 1] += behind;
    } else {
      if (wanted.missing) store(sliding.before(v, all) + sliding.behind(v, all), missing + p);
      sliding.slide(v);
    }
#pragma GCC unroll 4
    for (int t = 0; t < S; t++) store(v[t], taps[t] + p);
  };
  slide(w.weight, 1, w.missing);
  if (wanted.slopes) slide(w.slope, 0, w.missing_slope);
  put(first, w.first + p);
}

// Whether one turn back, of a period at most, brings all taps of these points inside.
template <int S, class I>
RETICLE_INLINE bool is_close(const Call& c, const Axis& axis, I first) {
  const int64_t turn = axis.size - (c.padding == REFLECTION && c.align_corners);
  if (turn < 1 || turn > BEYOND) return false;
  const I far = (first < int32_t(-turn)) | (first > int32_t(axis.size + turn - S));
  return !any(far);
}

// As axis.pixel(), for taps that are close.
template <class I>
RETICLE_INLINE I pixels_of(const Call& c, int32_t size, I i) {
  const I below = i < 0, above = i >= size;
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

// Of a padding that repeats, the windows of a vector of points from `p` on that are close, whose weights are those of the taps. True for those
// whose pixels fit none.
template <int S, class A>
RETICLE_INLINE Cell<A> merge_lanes(const Call& c, const Axis& axis, const Place<A>& place, int p, Wanted wanted, Window<A>& w) {
  using I = Cell<A>;
  using V = Vec<A>;
  const int32_t size = int32_t(axis.size);
  const I cell = read<I>(place.cell + p), zero = {}, lost = lost_of(place, p);
  const Whole<V> nowhere = __builtin_convertvector(lost, Whole<V>);
  I at[S], lowest = zero + std::numeric_limits<int32_t>::max(), highest = zero;
  V weight[S], slope[S];
#pragma GCC unroll 4
  for (int t = 0; t < S; t++) {
    at[t] = lost ? zero : pixels_of(c, size, cell + (t - (S - 1) / 2));
    weight[t] = nowhere ? (t == 0 ? V{} + 1 : V{}) : load(w.weight[t] + p);
    slope[t] = nowhere ? V{} : wanted.slopes ? load(w.slope[t] + p) : V{};
    lowest = at[t] < lowest ? at[t] : lowest, highest = at[t] > highest ? at[t] : highest;
  }
  const I first = lowest < size - S ? lowest : zero + (size - S), hard = highest >= first + S;
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
    if (size >= S && !repeats(c.padding)) {
      slide_lanes<S>(c, axis, place, p, wanted, w);
    } else if (size >= S && is_close<S>(c, axis, first)) {
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
