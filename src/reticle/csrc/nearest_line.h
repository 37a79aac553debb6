// From normalised coordinates to the nearest pixels, along one axis. V: a vector of numbers, of whatever length.
#pragma once
#include "norms.h"

namespace reticle {
namespace {

constexpr int64_t NEAREST_SIZE = 1 << 23;  // twice as many are still whole numbers in single precision

template <class V>
struct NearestLine {
  using A = Scalar<V>;
  V half, middle, last;
  A edge;  // 1 where it is mirrored at the edge, not at the outer centre

  NearestLine(double half, double middle, int64_t size, Outside outside)
      : half(all_of<V>(A(half))), middle(all_of<V>(A(middle))), last(all_of<V>(A(size - 1))), edge(A(outside == MIRRORED_AT_EDGE)) {}

  // The pixel, and the one that is read in its place. What is not finite shows in `check`, and is some pixel.
  struct Found {
    V pixel, nearest;
  };
  template <bool mirrored>
  RETICLE_INLINE Found at(V norm, V& check) const {
    V x = rounded_product(norm, half) + middle;
    check += x * 0;
    if constexpr (mirrored) x = fold_far(norm, half, middle, x);
    V pixel = floor_of(x + A(0.5));
    if constexpr (mirrored) pixel = mirror(pixel, last, edge);
    return {pixel, smaller_of(larger_of(pixel, V{}), last)};
  }
};

}  // namespace
}  // namespace reticle
