// How are numbers of 16 bits picked from a register? Into the upper halves of lanes, which makes floats of bfloat16, and back from there. Where
// bytes can be picked (VBMI), that takes one step, and words take two.
#pragma once
#include <immintrin.h>

#include "simd.h"

#if defined(__AVX512F__)
namespace reticle {
namespace {

// Numbers farther from 0 may not be asked for: bytes count no farther than 256, and 64 are there.
constexpr int FARTHEST_HALF = 95;

#if defined(__AVX512VBMI__)

// Number n is picked by n * unit + first: the numbers of its bytes in the upper half of a lane, for picks that ask no more than that.
constexpr int32_t UNIT_OF_HALVES = 0x02020000, FIRST_OF_HALVES = 0x01000000;

// Of the numbers `i` of so many; 0 in place of those that are not there.
template <int columns>
struct UpperHalves {
  __m512i index;
  __mmask64 inside;

  RETICLE_INLINE explicit UpperHalves(__m512i i) {
    constexpr int any_of_three = 0xfe;
    const __m512i low = _mm512_slli_epi32(i, 17), high = _mm512_slli_epi32(i, 25);
    index = _mm512_ternarylogic_epi32(low, high, _mm512_set1_epi32(FIRST_OF_HALVES), any_of_three);
    inside = _mm512_mask_cmplt_epu8_mask(0xcccccccccccccccc, index, _mm512_set1_epi8(2 * columns));
  }
  RETICLE_INLINE F16 pick(__m512i row) const { return (F16)_mm512_maskz_permutexvar_epi8(inside, index, row); }
};
RETICLE_INLINE F16 upper_halves(__m512i row, __m512i index) { return (F16)_mm512_maskz_permutexvar_epi8(0xcccccccccccccccc, index, row); }
RETICLE_INLINE __m512i from_upper_halves(__m512i v) {
  typedef uint8_t B64 __attribute__((vector_size(64)));
  const B64 upper = {2,  3,  6,  7,  10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31,
                     34, 35, 38, 39, 42, 43, 46, 47, 50, 51, 54, 55, 58, 59, 62, 63};
  return _mm512_permutexvar_epi8((__m512i)upper, v);
}

#else

constexpr int32_t UNIT_OF_HALVES = 1 << 16, FIRST_OF_HALVES = 0;

template <int columns>
struct UpperHalves {
  __m512i index;
  __mmask32 inside;

  RETICLE_INLINE explicit UpperHalves(__m512i i)
      : index(_mm512_slli_epi32(i, 16)), inside(_mm512_mask_cmplt_epu16_mask(0xaaaaaaaa, index, _mm512_set1_epi16(columns))) {}
  RETICLE_INLINE F16 pick(__m512i row) const { return (F16)_mm512_maskz_permutexvar_epi16(inside, index, row); }
};
RETICLE_INLINE F16 upper_halves(__m512i row, __m512i index) { return (F16)_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, index, row); }
RETICLE_INLINE __m512i from_upper_halves(__m512i v) {
  typedef uint16_t H32 __attribute__((vector_size(64)));
  const H32 upper = {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31};
  return _mm512_permutexvar_epi16((__m512i)upper, v);
}

#endif

}  // namespace
}  // namespace reticle
#endif
