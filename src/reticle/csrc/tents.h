// Where do many points at a time lie along an axis, and what are the windows there? Bilinear and nearest, for every padding but WRAP. V: a
// vector of numbers, of whatever length.
#pragma once
#include "norms.h"
#include "some.h"

namespace reticle {
namespace {

// Numbers of pixels. Doubles stand for themselves: AVX2 makes no integers of their size from them.
template <class V>
struct NumbersOf {
  using type = Whole<V>;
  using one = int32_t;
};
template <>
struct NumbersOf<D4> {
  using type = D4;
  using one = double;
};
template <>
struct NumbersOf<D8> {
  using type = D8;
  using one = double;
};
template <class V>
using Numbers = typename NumbersOf<V>::type;
template <class V>
using Number = typename NumbersOf<V>::one;

// Which are not from 0 to `last`.
RETICLE_INLINE I8 is_beyond(I8 pixel, int32_t last) { return (U8)pixel > uint32_t(last); }
RETICLE_INLINE L4 is_beyond(D4 pixel, double last) { return (pixel < 0) | (pixel > last); }

template <class V>
struct Cells {
  Numbers<V> cell;
  V fraction;
};

template <class V>
RETICLE_INLINE Cells<V> cells_of(V position, Number<V> first) {
  const V whole = floor_of(position);
  return {__builtin_convertvector(whole, Numbers<V>) + first, smaller_of(position - whole, all_of<V>(below_one(Scalar<V>(1))))};
}

// The windows of a vector of points along one axis.
template <int S, class V>
struct Tents {
  Numbers<V> first;
  V weight[S], slope[S];
};

template <int S, class V>
RETICLE_INLINE Tents<S, V> tents_inside(const Cells<V>& at) {
  if constexpr (S == 1)
    return {at.cell, {V{} + 1}, {V{}}};
  else
    return {at.cell, {1 - at.fraction, at.fraction}, {V{} - 1, V{} + 1}};
}

// The pixel `i`, or the one that stands for it, of `last` + 1; mirrored ones no further outside than the image is wide.
template <class I, class N>
RETICLE_INLINE I nearest_pixel(I i, N last, Outside outside) {
  const I zero = {}, most = zero + last;
  if (outside > NEAREST_PIXEL) i = mirror(i, last, N(outside == MIRRORED_AT_EDGE));
  i = i > zero ? i : zero;  // points that are nowhere are read, too, before that is seen
  return i < most ? i : most;
}

// Each tap's pixel by itself; as merge_lanes().
template <int S, class V>
RETICLE_INLINE Tents<S, V> tents_mirrored(const Cells<V>& at, Number<V> last, Outside outside) {
  using I = Numbers<V>;
  const I left = nearest_pixel(at.cell, last + (S - 1), outside);
  if constexpr (S == 1) return {left, {V{} + 1}, {V{}}};
  const I right = nearest_pixel(at.cell + 1, last + (S - 1), outside), low = left < right ? left : right,
          first = low < last ? low : I{} + last;
  Tents<S, V> t = {first, {}, {}};
  for (int k = 0; k < S; k++) {
    const auto by_left = (Whole<V>)(left == first + Number<V>(k)), by_right = (Whole<V>)(right == first + Number<V>(k));
    t.weight[k] = (by_left ? 1 - at.fraction : V{}) + (by_right ? at.fraction : V{});
    t.slope[k] = (by_left ? V{} - 1 : V{}) + (by_right ? V{} + 1 : V{});
  }
  return t;
}

// As nearest_at_edges and bilinear_at_edges; `last`: the last pixel that a window begins at. Without `slopes` those may be left unset.
template <int S, class V>
RETICLE_INLINE Tents<S, V> tents_at_edges(const Cells<V>& at, Number<V> last, Outside outside, bool slopes = true) {
  if (outside > NEAREST_PIXEL) return tents_mirrored<S>(at, last, outside);
  using I = Numbers<V>;
  const bool border = outside == NEAREST_PIXEL;
  Tents<S, V> t;
  t.first = smaller_of(larger_of(at.cell, I{}), I{} + last);
  const V zero = {}, one = zero + 1;
  if constexpr (S == 1) {
    t.weight[0] = border ? one : ((Whole<V>)(t.first == at.cell) ? one : zero);
    t.slope[0] = zero;
  } else {
    const V d = __builtin_convertvector(at.cell - t.first, V) + at.fraction, none = border ? zero : one;
    const V rises = 1 + d, falls = 1 - d, ends = 2 - d;
    if (border) {
      const V low = smaller_of(larger_of(d, zero), one);
      t.weight[0] = 1 - low, t.weight[1] = low;
    } else {
      t.weight[0] = larger_of(smaller_of(rises, falls), zero), t.weight[1] = larger_of(smaller_of(d, ends), zero);
    }
    if (!slopes) return t;
    t.slope[0] = d < 0 ? (rises < 0 ? zero : none) : (falls > 0 ? -one : zero);
    t.slope[1] = falls > 0 ? (d < 0 ? zero : one) : (ends > 0 ? -none : zero);
  }
  return t;
}

// From normalised coordinates to pixels, as in from_norms(); counted from pixel `first`. X: a number of V.
template <class X>
struct NormLine {
  double end;  // from there on all points are alike, as they are before -8
  X half, middle, low, high;
  Outside outside;
  bool nearest;
  int32_t first;

  NormLine() = default;
  NormLine(double half, double middle, int64_t size, Outside outside, bool nearest = false)
      : end(std::min<double>(double(size), BEYOND) + 8), half(X(half)), middle(X(middle)), outside(outside), nearest(nearest) {
    count_from(0);
  }

  void count_from(int32_t pixel) { first = pixel, low = X(-8.0 - pixel), high = X(end - pixel); }
  template <class V>
  RETICLE_INLINE V pixels(V norm) const {
    return rounded_product(norm, all_of<V>(half)) + middle;
  }
  // What is not finite shows in `check`.
  template <class V>
  RETICLE_INLINE Cells<V> cells(V norm, V& check) const {
    const V x = pixels(norm);
    check += x * 0;
    V inside = smaller_of(larger_of(x, all_of<V>(low)), all_of<V>(high));
    if (outside > NEAREST_PIXEL) inside = fold_far(norm, all_of<V>(half), all_of<V>(middle), inside);
    return cells_of(nearest ? inside + X(0.5) : inside, Number<V>(first));
  }
};

}  // namespace
}  // namespace reticle
