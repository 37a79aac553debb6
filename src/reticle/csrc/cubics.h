// As tents.h, of kernels of four pixels along an axis: what are the windows of many points at a time?
#pragma once
#include "tents.h"

namespace reticle {
namespace {

// Weights of the taps themselves, and slopes if those are wanted.
template <Mode mode, class V>
RETICLE_INLINE void cubic_taps(V fraction, bool slopes, V* weight, V* slope) {
  V unused[4];
  kernel<mode>(fraction, weight, unused);
  if (slopes) kernel<mode>(fraction, unused, slope);
}
template <class V>
RETICLE_INLINE void cubic_taps(Mode mode, V fraction, bool slopes, V* weight, V* slope) {
  mode == BICUBIC ? cubic_taps<BICUBIC>(fraction, slopes, weight, slope) : cubic_taps<BSPLINE3>(fraction, slopes, weight, slope);
}

template <class V>
RETICLE_INLINE Tents<4, V> cubics_inside(Mode mode, const Cells<V>& at, bool slopes) {
  Tents<4, V> t = {};
  t.first = at.cell - 1;
  cubic_taps(mode, at.fraction, slopes, t.weight, t.slope);
  return t;
}

// What each tap counts goes to the pixel that it reads.
template <class V>
RETICLE_INLINE Tents<4, V> cubics_mirrored(Mode mode, const Cells<V>& at, Number<V> last, Outside outside, bool slopes) {
  using I = Numbers<V>;
  V weight[4], slope[4] = {};
  I pixel[4], low = I{} + last;
  cubic_taps(mode, at.fraction, slopes, weight, slope);
#pragma GCC unroll 4
  for (int t = 0; t < 4; t++) {
    pixel[t] = nearest_pixel(at.cell + Number<V>(t - 1), last + 3, outside);
    low = pixel[t] < low ? pixel[t] : low;
  }
  Tents<4, V> found = {low, {}, {}};
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++)
#pragma GCC unroll 4
    for (int t = 0; t < 4; t++) {
      const auto here = (Whole<V>)(pixel[t] == low + Number<V>(k));
      found.weight[k] += here ? weight[t] : V{};
      if (slopes) found.slope[k] += here ? slope[t] : V{};
    }
  return found;
}

// How a vector of windows slides inside: to a first pixel so many further on, or back. No branch tells one from the other, or from none: of
// points all over the image it could not be foreseen.
template <class V>
struct Slide {
  Numbers<V> shift;
  Whole<V> by[7];  // whether it is just that, from -3 to 3

  RETICLE_INLINE explicit Slide(Numbers<V> shift) : shift(shift) {
    for (int n = 0; n < 7; n++) by[n] = (Whole<V>)(shift == Number<V>(n - 3));
  }
  // What the taps count becomes what the pixels do.
  RETICLE_INLINE void move(V* v) const {
    Whole<V> moved[4] = {};
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
#pragma GCC unroll 4
      for (int t = 0; t < 4; t++) moved[k] |= by[t - k + 3] & (Whole<V>)v[t];
    for (int k = 0; k < 4; k++) v[k] = (V)moved[k];
  }
  // The same, but what slides out at an end is counted there. `all`: the sum of what there is.
  RETICLE_INLINE void move_to_ends(V* v, Scalar<V> all) const {
    V before = {}, behind = {};
#pragma GCC unroll 4
    for (int t = 0; t < 4; t++) before += shift > Number<V>(t) ? v[t] : V{}, behind += shift < Number<V>(t - 3) ? v[t] : V{};
    before = shift > 3 ? all_of<V>(all) : before, behind = shift < -3 ? all_of<V>(all) : behind;
    move(v);
    v[0] += before, v[3] += behind;
  }
};

// As tents_at_edges(); an image is at least as wide as a window.
template <class V>
RETICLE_INLINE Tents<4, V> cubics_at_edges(Mode mode, const Cells<V>& at, Number<V> last, Outside outside, bool slopes) {
  if (outside > NEAREST_PIXEL) return cubics_mirrored(mode, at, last, outside, slopes);
  Tents<4, V> t = cubics_inside(mode, at, slopes);
  const Numbers<V> first = smaller_of(larger_of(t.first, Numbers<V>{}), Numbers<V>{} + last);
  const Slide<V> slide(first - t.first);
  const auto move = [&](V* v, Scalar<V> all)
                        __attribute__((always_inline)) { outside == NEAREST_PIXEL ? slide.move_to_ends(v, all) : slide.move(v); };
  t.first = first;
  move(t.weight, 1);
  if (slopes) move(t.slope, 0);
  return t;
}

// The windows of any kernel.
template <int S, class V>
RETICLE_INLINE Tents<S, V> windows_inside(Mode mode, const Cells<V>& at, bool slopes) {
  if constexpr (S == 4)
    return cubics_inside(mode, at, slopes);
  else
    return tents_inside<S>(at);
}
template <int S, class V>
RETICLE_INLINE Tents<S, V> windows_at_edges(Mode mode, const Cells<V>& at, Number<V> last, Outside outside, bool slopes) {
  if constexpr (S == 4)
    return cubics_at_edges(mode, at, last, outside, slopes);
  else
    return tents_at_edges<S>(at, last, outside, slopes);
}

}  // namespace
}  // namespace reticle
