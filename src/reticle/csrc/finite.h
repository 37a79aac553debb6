// Was all that was computed finite? What is not shows in a `check`, at first 0, that is asked once for many numbers.
#pragma once
#include "rounding.h"

namespace reticle {
namespace {

// As `check += v * 0`, which is shorter, but where each waits for the one before: that matters where little else is done.
template <class V>
RETICLE_INLINE void watch(V v, V& check) {
  using I = decltype(v < v);
  check = (V)((I)check | (I)(v - v));
}

// It is NaN if one of the numbers is not finite.
RETICLE_INLINE bool is_zero(F8 check) { return all((I8)(check == 0)); }
#if defined(__AVX512F__)
RETICLE_INLINE bool is_zero(D8 check) { return _mm512_cmp_pd_mask((__m512d)check, _mm512_setzero_pd(), _CMP_NEQ_UQ) == 0; }
RETICLE_INLINE bool is_zero(F16 check) { return _mm512_cmp_ps_mask((__m512)check, _mm512_setzero_ps(), _CMP_NEQ_UQ) == 0; }
#endif
template <class V>
RETICLE_INLINE bool is_zero(V check) {
  return sum(check) == 0;
}

// `n` a multiple of the lanes.
template <class A>
RETICLE_INLINE bool all_finite(const A* p, int64_t n) {
  Vec<A> check = {};
  for (int64_t k = 0; k < n; k += VecOf<A>::lanes) watch(load(p + k), check);
  return is_zero(check);
}

}  // namespace
}  // namespace reticle
