// Of many numbers, does it hold for some, for all?
#pragma once
#include "simd.h"

namespace reticle {
namespace {

RETICLE_INLINE bool any(I8 mask) {
#if defined(__AVX__)
  return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
  const L4 halves = (L4)mask;
  return (halves[0] | halves[1] | halves[2] | halves[3]) != 0;
#endif
}

RETICLE_INLINE bool any(I4 mask) {
#if defined(__AVX__)
  return !_mm_testz_si128((__m128i)mask, (__m128i)mask);
#else
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
#endif
}

RETICLE_INLINE bool all(I8 mask) {
#if defined(__AVX__)
  return _mm256_testc_si256((__m256i)mask, _mm256_set1_epi32(-1));
#else
  return !any(~mask);
#endif
}

RETICLE_INLINE bool any(L4 mask) { return any((I8)mask); }
#if defined(__AVX512F__)
RETICLE_INLINE bool any(Whole<D8> mask) { return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask) != 0; }
RETICLE_INLINE bool any(I16 mask) { return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0; }
#endif

}  // namespace
}  // namespace reticle
