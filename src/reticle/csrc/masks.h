// Of many numbers, does it hold for some, for all?
#pragma once
#include "simd.h"

namespace reticle {
namespace {

// Whether a bit is set. By size, for the integers of a comparison are not the same type for every compiler.
template <class Mask>
RETICLE_INLINE bool any(Mask mask) {
#if defined(__AVX__)
  if constexpr (sizeof(Mask) == 16) {
    return !_mm_testz_si128((__m128i)mask, (__m128i)mask);
#if defined(__AVX512F__)
  } else if constexpr (sizeof(Mask) == 64) {
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#endif
  } else {
    return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
  }
#else
  constexpr int count = sizeof(Mask) / sizeof(uint64_t);
  const auto words = (typename VectorOf<uint64_t, count>::type)mask;
  uint64_t some = 0;
  for (int k = 0; k < count; k++) some |= words[k];
  return some != 0;
#endif
}

RETICLE_INLINE bool all(I8 mask) {
#if defined(__AVX__)
  return _mm256_testc_si256((__m256i)mask, _mm256_set1_epi32(-1));
#else
  return !any(~mask);
#endif
}

}  // namespace
}  // namespace reticle
