// Sixteen points at once, among up to thirty-two pixels of a row, with AVX-512: their left and their right pixels in a vector each. Unlike in
// lanes.h nothing that is known of a point is there twice, but so many neighbouring points must lie on few rows of pixels.
#pragma once
#include "lanes.h"

#if defined(__AVX512F__)
namespace reticle {
namespace {

// `reach`: columns, 32 of 16 bits. Of floats 24, which are loaded sooner than 32: they lie on fewer lines of the caches.
template <int reach>
struct WideLanes {
  using V = F16;
  using D = D8;
  using Answer = F16;
  static constexpr int points = 16, columns = reach;
  static constexpr bool streams = true;  // fills lines of the caches, see store_past()
  // Between neighbouring points, so that they and their right pixels are in reach; a point on the last column wants no right pixel.
  static constexpr double most_step() { return double(columns - 2) / (points - 1); }
  static constexpr V counts() { return V{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }

  struct Pair {
    V left, right;

    RETICLE_INLINE Pair operator*(V v) const { return {left * v, right * v}; }
    RETICLE_INLINE Pair& operator+=(Pair p) { return left += p.left, right += p.right, *this; }
  };
  static RETICLE_INLINE Pair weights(V f) { return {1 - f, f}; }
  static RETICLE_INLINE Answer answer(Pair sum, Pair weight) { return sum.left * weight.left + sum.right * weight.right; }

  static RETICLE_INLINE void stream(Answer v, float* p) { _mm512_stream_ps(p, (__m512)v); }

  // The pixels of one side; 0 in place of those that are not in the row.
  struct Side {
    __m512i index;

    RETICLE_INLINE V pick(V first, V second) const {
      const __mmask16 inside = _mm512_cmplt_epu32_mask(index, _mm512_set1_epi32(columns));
      return (V)_mm512_maskz_permutex2var_ps(inside, (__m512)first, index, (__m512)second);
    }
    RETICLE_INLINE V pick(__m512i halves) const { return UpperHalves<columns>(index).pick(halves); }
  };
  struct Picker {
    Side left, right;
  };
  static RETICLE_INLINE Picker picker(V left_pixel) {
    const I16 index = __builtin_convertvector(left_pixel, I16);
    return {{(__m512i)index}, {(__m512i)(index + 1)}};
  }
  template <bool narrow>
  struct Reach {
    static_assert(!narrow, "rows are no shorter than what is loaded at once");

    explicit Reach(int32_t) {}
    RETICLE_INLINE Pair pick(const Picker& picker, const float* p) const {
      static_assert(columns == 24, "what is loaded here");
      const V first = read<V>(p), second = (V)_mm512_zextps256_ps512(_mm256_loadu_ps(p + 16));
      return {picker.left.pick(first, second), picker.right.pick(first, second)};
    }
    RETICLE_INLINE Pair pick(const Picker& picker, const BFloat16* p) const {
      const __m512i row = read<__m512i>(p);
      return {picker.left.pick(row), picker.right.pick(row)};
    }
  };
  static RETICLE_INLINE V floor(V v) { return floor_of(v); }
  static RETICLE_INLINE V smaller(V a, V b) { return smaller_of(a, b); }
  static RETICLE_INLINE V larger(V a, V b) { return larger_of(a, b); }
  static RETICLE_INLINE V tent(V v) { return Lanes::tent(v); }
  static RETICLE_INLINE D floor(D v) { return Lanes::floor(v); }
  static RETICLE_INLINE D smaller(D a, D b) { return Lanes::smaller(a, b); }
  static RETICLE_INLINE D larger(D a, D b) { return Lanes::larger(a, b); }
};

}  // namespace
}  // namespace reticle
#endif
