// Where do many points at a time lie along an axis, and what are the windows there? Bilinear and nearest, in single precision, for padding
// that does not repeat. V: a vector of float, of whatever length.
#pragma once
#include "place.h"
#include "some.h"

namespace reticle {
namespace {

template <class V>
struct Cells {
  Whole<V> cell;
  V fraction;
};

template <class V>
RETICLE_INLINE Cells<V> cells_of(V position, int32_t first) {
  const V whole = floor_of(position);
  return {__builtin_convertvector(whole, Whole<V>) + first, smaller_of(position - whole, all_of<V>(below_one(1.f)))};
}

// The windows of a vector of points along one axis.
template <int S, class V>
struct Tents {
  Whole<V> first;
  V weight[S], slope[S];
};

template <int S, class V>
RETICLE_INLINE Tents<S, V> tents_inside(const Cells<V>& at) {
  if constexpr (S == 1)
    return {at.cell, {all_of<V>(1.f)}, {V{}}};
  else
    return {at.cell, {1 - at.fraction, at.fraction}, {all_of<V>(-1.f), all_of<V>(1.f)}};
}

// As nearest_at_edges and bilinear_at_edges.
template <int S, class V>
RETICLE_INLINE Tents<S, V> tents_at_edges(const Cells<V>& at, int32_t last, bool border) {
  using I = Whole<V>;
  Tents<S, V> t;
  t.first = at.cell > 0 ? at.cell : I{};
  t.first = t.first < last ? t.first : I{} + last;
  const V zero = {}, one = zero + 1;
  if constexpr (S == 1) {
    t.weight[0] = border ? one : (t.first == at.cell ? one : zero);
    t.slope[0] = zero;
  } else {
    const V d = __builtin_convertvector(at.cell - t.first, V) + at.fraction, none = border ? zero : one;
    const V rises = 1 + d, falls = 1 - d, ends = 2 - d;
    if (border) {
      const V low = d > 0 ? (d < 1 ? d : one) : zero;
      t.weight[0] = 1 - low, t.weight[1] = low;
    } else {
      const V left = rises < falls ? rises : falls, right = d < ends ? d : ends;
      t.weight[0] = left > 0 ? left : zero, t.weight[1] = right > 0 ? right : zero;
    }
    t.slope[0] = d < 0 ? (rises < 0 ? zero : none) : (falls > 0 ? -one : zero);
    t.slope[1] = falls > 0 ? (d < 0 ? zero : one) : (ends > 0 ? -none : zero);
  }
  return t;
}

// From normalised coordinates to pixels, as in from_norms(); counted from pixel `first`.
struct NormLine {
  double end;  // from there on all points are alike, as they are before -8
  float half, middle, low, high;
  bool nearest;
  int32_t first;

  NormLine() = default;
  NormLine(double half, double middle, int64_t size, bool nearest = false)
      : end(std::min<double>(double(size), BEYOND) + 8), half(float(half)), middle(float(middle)), nearest(nearest) {
    count_from(0);
  }

  void count_from(int32_t pixel) { first = pixel, low = float(-8.0 - pixel), high = float(end - pixel); }
  template <class V>
  RETICLE_INLINE V pixels(V norm) const {
    return rounded_product(norm, all_of<V>(half)) + middle;
  }
  // What is not finite shows in `check`.
  template <class V>
  RETICLE_INLINE Cells<V> cells(V norm, V& check) const {
    const V x = pixels(norm);
    check += x * 0;
    const V inside = smaller_of(larger_of(x, all_of<V>(low)), all_of<V>(high));
    return cells_of(nearest ? inside + 0.5f : inside, first);
  }
};

}  // namespace
}  // namespace reticle
