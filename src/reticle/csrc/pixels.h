// Pixels as they are: not as numbers to compute with.
#pragma once
#include "finite.h"

namespace reticle {
namespace {

template <class T>
using BitsOf = std::conditional_t<sizeof(T) == 1, uint8_t,
                                  std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;
// As many as a vector of the wide type has lanes.
template <class T>
using Pixels = typename VectorOf<BitsOf<T>, VecOf<Wide<T>>::lanes>::type;

template <class T, class O>
RETICLE_INLINE Pixels<T> pixels_at(const T* p, const O* o) {
  const auto pixel = [&](int k) { return read<BitsOf<T>>(p + o[k]); };
  if constexpr (VecOf<Wide<T>>::lanes == 4)
    return Pixels<T>{pixel(0), pixel(1), pixel(2), pixel(3)};
  else
    return Pixels<T>{pixel(0), pixel(1), pixel(2), pixel(3), pixel(4), pixel(5), pixel(6), pixel(7)};
}

// 0 in place of those where `there` does not hold.
template <class T, class M>
RETICLE_INLINE Pixels<T> only(M there, Pixels<T> pixels) {
  return pixels & __builtin_convertvector(there, Pixels<T>);
}

}  // namespace
}  // namespace reticle
