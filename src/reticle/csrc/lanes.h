// How do points pick pixels from a register? Vectors whose halves stand for the left and the right pixels of as many points: of four
// points among eight pixels in a row with AVX2, of eight among sixteen with AVX-512. wide_lanes.h has another way.
#pragma once
#include <immintrin.h>

#include "halves.h"
#include "some.h"

namespace reticle {
namespace {

#if defined(__AVX512F__)

struct Lanes {
  using V = F16;
  using I = I16;
  using Pair = V;  // numbers of the points' left and right pixels
  using Half = F8;
  using Answer = Half;  // a number of each point
  using D = D8;
  static constexpr int points = 8, columns = 16, together = 8, least_channels = 1;
  static constexpr bool narrow = true, streams = false;
  static constexpr V counts() { return V{0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7}; }
  static constexpr V right() { return V{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}; }

  // Which pixel of a row each lane picks; 0 in place of those that are not in it.
  struct Picker {
    __m512i index;
    __mmask16 inside;

    RETICLE_INLINE explicit Picker(I i) : index((__m512i)i), inside(_mm512_cmplt_epu32_mask(index, _mm512_set1_epi32(columns))) {}
    RETICLE_INLINE V pick(V row) const { return (V)_mm512_maskz_permutexvar_ps(inside, index, (__m512)row); }
  };
  static RETICLE_INLINE V pick(V row, I index) { return (V)_mm512_permutexvar_ps((__m512i)index, (__m512)row); }
  // The pixels of a row; of narrow images none beyond its end.
  template <bool narrow>
  struct Reach {
    __mmask16 there;

    explicit Reach(int32_t width) : there(__mmask16(narrow ? (1u << width) - 1 : 0xffff)) {}
    RETICLE_INLINE V read(const float* p) const { return narrow ? (V)_mm512_maskz_loadu_ps(there, p) : reticle::read<V>(p); }
    RETICLE_INLINE V read(const BFloat16* p) const { return (V)_mm512_slli_epi32(_mm512_cvtepu16_epi32(words(p)), 16); }
    RETICLE_INLINE V read(const reticle::Half* p) const { return (V)_mm512_cvtph_ps(words(p)); }
    RETICLE_INLINE V read(const uint8_t* p) const {
      const __m128i bytes = narrow ? _mm_maskz_loadu_epi8(there, p) : reticle::read<__m128i>(p);
      return (V)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
    }
    // A mask, even of all, takes longer, measured.
    RETICLE_INLINE __m256i words(const void* p) const { return narrow ? _mm256_maskz_loadu_epi16(there, p) : reticle::read<__m256i>(p); }

    template <class T>
    RETICLE_INLINE V pick(const Picker& picker, const T* p) const {
      return picker.pick(read(p));
    }
    RETICLE_INLINE V pick(const Picker& picker, const BFloat16* p) const {
      return UpperHalves<columns>(picker.index).pick(_mm512_castsi256_si512(words(p)));
    }
    // One of its pixels, where the index is that of none.
    template <class T>
    RETICLE_INLINE V pick(I index, const T* p) const {
      return Lanes::pick(read(p), index);
    }
    RETICLE_INLINE V pick(I index, const BFloat16* p) const { return upper_halves(_mm512_zextsi256_si512(words(p)), (__m512i)index); }
  };
  // Pixel n has the index n * index_unit + index_of_first for a pick().
  template <class T>
  static constexpr int32_t index_unit() {
    return std::is_same<T, BFloat16>::value ? UNIT_OF_HALVES : 1;
  }
  template <class T>
  static constexpr int32_t index_of_first() {
    return std::is_same<T, BFloat16>::value ? FIRST_OF_HALVES : 0;
  }
  // The least of all in place of a number that is too large.
  static RETICLE_INLINE I whole(V v) { return (I)_mm512_cvttps_epi32((__m512)v); }
  static RETICLE_INLINE V floor(V v) { return floor_of(v); }
  static RETICLE_INLINE __mmask16 are_inside(I index, int32_t unit) {
    return _mm512_cmplt_epu32_mask((__m512i)index, _mm512_set1_epi32(columns * unit));
  }
  // 0 in place of what belongs to a pixel that is not in the row.
  static RETICLE_INLINE V inside(I index, int32_t unit, V v) { return (V)_mm512_maskz_mov_ps(are_inside(index, unit), (__m512)v); }
  // The index of the first in place of that of such a pixel, which could stand for bytes of two others: together they may be no number.
  static RETICLE_INLINE I or_first(I index, int32_t unit, int32_t of_first) {
    return unit == 1 ? index : (I)_mm512_mask_mov_epi32(_mm512_set1_epi32(of_first), are_inside(index, unit), (__m512i)index);
  }
  static RETICLE_INLINE V ceil(V v) { return (V)_mm512_roundscale_ps((__m512)v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
  static RETICLE_INLINE D ceil(D v) { return (D)_mm512_roundscale_pd((__m512d)v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
  static RETICLE_INLINE D floor(D v) { return (D)_mm512_roundscale_pd((__m512d)v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  static RETICLE_INLINE D smaller(D a, D b) { return (D)_mm512_min_pd((__m512d)a, (__m512d)b); }
  static RETICLE_INLINE D larger(D a, D b) { return (D)_mm512_max_pd((__m512d)a, (__m512d)b); }
  static RETICLE_INLINE V smaller(V a, V b) { return smaller_of(a, b); }
  static RETICLE_INLINE V larger(V a, V b) { return larger_of(a, b); }
  // A tent of height 1 around 0.
  static RETICLE_INLINE V tent(V v) {
    constexpr int smaller_size = 2 << 2 | 2;
    const __m512 one = _mm512_set1_ps(1);
    return (V)_mm512_sub_ps(one, _mm512_range_ps((__m512)v, one, smaller_size));
  }
  static RETICLE_INLINE V where_equal(V a, V b, V then, V otherwise) {
    return (V)_mm512_mask_mov_ps((__m512)otherwise, _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ), (__m512)then);
  }
  static RETICLE_INLINE V both(Half v) { return (V)_mm512_broadcast_f32x8((__m256)v); }
  // A number for both pixels of each point.
  template <class T>
  static RETICLE_INLINE V load_both(const T* p) {
    return both(load(p));
  }
  static RETICLE_INLINE V load_both(const BFloat16* p) {
    // two bytes to the upper half of each lane: those of the first four numbers, those of the others, and again
    const I upper = {0x0100ffff, 0x0302ffff, 0x0504ffff, 0x0706ffff, 0x0908ffff, 0x0b0affff, 0x0d0cffff, 0x0f0effff,
                     0x0100ffff, 0x0302ffff, 0x0504ffff, 0x0706ffff, 0x0908ffff, 0x0b0affff, 0x0d0cffff, 0x0f0effff};
    return (V)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(reticle::read<__m128i>(p)), (__m512i)upper);
  }
  static RETICLE_INLINE Half half(V v) { return (Half)_mm512_castps512_ps256((__m512)v); }
  static RETICLE_INLINE Half halves(V v) { return (Half)_mm512_castps512_ps256((__m512)v) + (Half)_mm512_extractf32x8_ps((__m512)v, 1); }
  static RETICLE_INLINE V halves(V a, V b) {
    return (V)_mm512_shuffle_f32x4((__m512)a, (__m512)b, 0x44) + (V)_mm512_shuffle_f32x4((__m512)a, (__m512)b, 0xee);
  }
  // Of points that are so far behind their left pixel.
  static RETICLE_INLINE Pair weights(V f) { return f * (right() + right() - 1) + (1 - right()); }
  static RETICLE_INLINE Picker picker(V left_pixel) { return Picker(__builtin_convertvector(left_pixel + right(), I)); }
  static RETICLE_INLINE Answer answer(Pair sum, Pair weight) { return halves(sum * weight); }
};

#else

struct Lanes {
  using V = F8;
  using I = I8;
  using Pair = V;
  using Half = F4;
  using Answer = Half;
  using D = D4;
  static constexpr int points = 4, columns = 8, together = 4, least_channels = 2;
  static constexpr bool narrow = false, streams = false;
  static constexpr V counts() { return V{0, 1, 2, 3, 0, 1, 2, 3}; }
  static constexpr V right() { return V{0, 0, 0, 0, 1, 1, 1, 1}; }

  struct Picker {
    __m256i index;
    V inside;
    bool all_inside;

    RETICLE_INLINE explicit Picker(I i) : index((__m256i)i), inside((V)((U8)i < uint32_t(columns))), all_inside(all((I)inside)) {}
    RETICLE_INLINE V pick(V row) const {
      const V v = (V)_mm256_permutevar8x32_ps((__m256)row, index);
      return all_inside ? v : (V)_mm256_and_ps((__m256)v, (__m256)inside);
    }
  };
  template <bool>
  struct Reach {
    explicit Reach(int32_t) {}
    template <class T>
    RETICLE_INLINE V pick(const Picker& picker, const T* p) const {
      return picker.pick(load(p));
    }
    // One of its pixels, where the index is that of none.
    template <class T>
    RETICLE_INLINE V pick(I index, const T* p) const {
      return (V)_mm256_permutevar8x32_ps((__m256)load(p), (__m256i)index);
    }
  };
  static RETICLE_INLINE V floor(V v) { return floor_of(v); }
  template <class T>
  static constexpr int32_t index_unit() {
    return 1;
  }
  template <class T>
  static constexpr int32_t index_of_first() {
    return 0;
  }
  static RETICLE_INLINE I whole(V v) { return (I)_mm256_cvttps_epi32((__m256)v); }
  static RETICLE_INLINE V inside(I index, int32_t unit, V v) { return (V)((I)((U8)index < uint32_t(columns * unit)) & (I)v); }
  static RETICLE_INLINE I or_first(I index, int32_t, int32_t) { return index; }
  static RETICLE_INLINE V ceil(V v) { return (V)_mm256_ceil_ps((__m256)v); }
  static RETICLE_INLINE D ceil(D v) { return (D)_mm256_ceil_pd((__m256d)v); }
  static RETICLE_INLINE D floor(D v) { return (D)_mm256_floor_pd((__m256d)v); }
  static RETICLE_INLINE D smaller(D a, D b) { return (D)_mm256_min_pd((__m256d)a, (__m256d)b); }
  static RETICLE_INLINE D larger(D a, D b) { return (D)_mm256_max_pd((__m256d)a, (__m256d)b); }
  static RETICLE_INLINE V smaller(V a, V b) { return smaller_of(a, b); }
  static RETICLE_INLINE V larger(V a, V b) { return larger_of(a, b); }
  static RETICLE_INLINE V tent(V v) {
    const __m256 one = _mm256_set1_ps(1), size = _mm256_andnot_ps(_mm256_set1_ps(-0.f), (__m256)v);
    return (V)_mm256_sub_ps(one, _mm256_min_ps(size, one));
  }
  static RETICLE_INLINE V where_equal(V a, V b, V then, V otherwise) { return a == b ? then : otherwise; }
  static RETICLE_INLINE V both(Half v) { return (V)_mm256_broadcast_ps((const __m128*)&v); }
  template <class T>
  static RETICLE_INLINE V load_both(const T* p) {
    return both(load_four(p));
  }
  static RETICLE_INLINE Half half(V v) { return (Half)_mm256_castps256_ps128((__m256)v); }
  static RETICLE_INLINE Half halves(V v) { return (Half)_mm256_castps256_ps128((__m256)v) + (Half)_mm256_extractf128_ps((__m256)v, 1); }
  static RETICLE_INLINE V halves(V a, V b) {
    return (V)_mm256_permute2f128_ps((__m256)a, (__m256)b, 0x20) + (V)_mm256_permute2f128_ps((__m256)a, (__m256)b, 0x31);
  }
  static RETICLE_INLINE Pair weights(V f) { return f * (right() + right() - 1) + (1 - right()); }
  static RETICLE_INLINE Picker picker(V left_pixel) { return Picker(__builtin_convertvector(left_pixel + right(), I)); }
  static RETICLE_INLINE Answer answer(Pair sum, Pair weight) { return halves(sum * weight); }
};

#endif

template <class T>
RETICLE_INLINE void store(F4 v, T* p) {
  store_four(v, p);
}

// Whatever, where a number is NaN: such rows are done again.
template <class T>
RETICLE_INLINE void store_numbers(F4 v, T* p) {
  store(v, p);
}
template <class T>
RETICLE_INLINE void store_numbers(F8 v, T* p) {
  store(v, p);
}
#if defined(__AVX512F__)
RETICLE_INLINE void store_numbers(F16 v, BFloat16* p) {  // ties to even
  const __m512i bits = (__m512i)v, half = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
  const __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
  const __m512i rounded = _mm512_mask_add_epi32(half, odd, half, _mm512_set1_epi32(1));
  const __m256i h = _mm512_castsi512_si256(from_upper_halves(rounded));
  std::memcpy(p, &h, sizeof h);
}
RETICLE_INLINE void store_numbers(F16 v, float* p) { std::memcpy(p, &v, sizeof v); }
RETICLE_INLINE void store_numbers(F16 v, Half* p) {
  const __m256i h = _mm512_cvtps_ph((__m512)v, 0);
  std::memcpy(p, &h, sizeof h);
}
RETICLE_INLINE void store_numbers(F8 v, BFloat16* p) {
  const __m256i bits = (__m256i)v, half = _mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff));
  const __mmask8 odd = _mm256_test_epi32_mask(bits, _mm256_set1_epi32(0x10000));
  const __m256i rounded = _mm256_mask_add_epi32(half, odd, half, _mm256_set1_epi32(1));
  const __m128i h = _mm256_castsi256_si128(_mm512_castsi512_si256(from_upper_halves(_mm512_castsi256_si512(rounded))));
  std::memcpy(p, &h, sizeof h);
}
#endif

template <class T>
RETICLE_APART Lanes::Half load_first(const T* p, int n) {
  Lanes::Half v = {};
  for (int k = 0; k < n; k++) v[k] = widen(p[k]);
  return v;
}

// The first `n` numbers. Apart: a vector that is asked for its lanes one by one lies in memory.
template <class T>
RETICLE_APART void store_first(Lanes::Half v, T* p, int n) {
  for (int k = 0; k < n; k++) narrow(v[k], p[k]);
}

// What a piece's points show, all of them or, of short rows, `count`.
template <class T>
RETICLE_INLINE void store_piece(Lanes::Half v, T* p, int count) {
  if (__builtin_expect(count >= Lanes::points, 1))
    store_numbers(v, p);
  else
    store_first(v, p, count);
}

}  // namespace
}  // namespace reticle
