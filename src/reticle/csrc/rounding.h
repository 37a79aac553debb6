// How are vectors rounded to whole numbers? Down, towards zero, to the nearest.
#pragma once
#include "masks.h"

namespace reticle {
namespace {

template <class V, class F>
RETICLE_INLINE V each_lane(V v, F f) {
  for (unsigned k = 0; k < sizeof(V) / sizeof(v[0]); k++) v[k] = f(v[k]);
  return v;
}

#if defined(__AVX__)
RETICLE_INLINE F8 floor_of(F8 v) { return (F8)_mm256_floor_ps((__m256)v); }
RETICLE_INLINE D4 floor_of(D4 v) { return (D4)_mm256_floor_pd((__m256d)v); }
RETICLE_INLINE F8 trunc_of(F8 v) { return (F8)_mm256_round_ps((__m256)v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
RETICLE_INLINE D4 trunc_of(D4 v) { return (D4)_mm256_round_pd((__m256d)v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
RETICLE_INLINE F8 nearest_of(F8 v) { return (F8)_mm256_round_ps((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
RETICLE_INLINE D4 nearest_of(D4 v) { return (D4)_mm256_round_pd((__m256d)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
#else
RETICLE_INLINE F8 floor_of(F8 v) {
  const I8 broken = (v < 0x1p23f) & (v > -0x1p23f);  // others are whole, or no numbers
  const F8 small = broken ? v : F8{}, cut = __builtin_convertvector(__builtin_convertvector(small, I8), F8);
  return broken ? cut + __builtin_convertvector(cut > v, F8) : v;  // -1 where what was cut off was below zero
}
RETICLE_INLINE D4 floor_of(D4 v) {
  return each_lane(v, [](double x) { return std::floor(x); });
}
template <class V>
RETICLE_INLINE V trunc_of(V v) {
  return each_lane(v, [](auto x) { return std::trunc(x); });
}
template <class V>
RETICLE_INLINE V nearest_of(V v) {
  return each_lane(v, [](auto x) { return std::nearbyint(x); });
}
#endif

#if defined(__AVX512F__)
RETICLE_INLINE D8 trunc_of(D8 v) { return (D8)_mm512_roundscale_pd((__m512d)v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
RETICLE_INLINE D8 nearest_of(D8 v) { return (D8)_mm512_roundscale_pd((__m512d)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
RETICLE_INLINE D8 floor_of(D8 v) { return (D8)_mm512_roundscale_pd((__m512d)v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
RETICLE_INLINE F16 trunc_of(F16 v) { return (F16)_mm512_roundscale_ps((__m512)v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
RETICLE_INLINE F16 nearest_of(F16 v) { return (F16)_mm512_roundscale_ps((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
RETICLE_INLINE F16 floor_of(F16 v) { return (F16)_mm512_roundscale_ps((__m512)v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
#endif

}  // namespace
}  // namespace reticle
