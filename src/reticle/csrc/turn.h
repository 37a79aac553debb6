// How are vectors turned over? Rows that become columns, halves that become one, lanes in turn.
#pragma once
#include "some.h"

namespace reticle {
namespace {

RETICLE_INLINE F8 side_by_side(F4 left, F4 right) {
#if defined(__AVX__)
  return (F8)_mm256_set_m128((__m128)right, (__m128)left);  // by way of memory, the load would wait for both stores
#else
  return F8{left[0], left[1], left[2], left[3], right[0], right[1], right[2], right[3]};
#endif
}
RETICLE_INLINE D8 side_by_side(D4 left, D4 right) { return D8{left[0], left[1], left[2], left[3], right[0], right[1], right[2], right[3]}; }

template <class A>
using TwoFours = decltype(side_by_side(Four<A>{}, Four<A>{}));

// The lanes of two vectors in turn.
RETICLE_INLINE void store_in_turn(F8 a, F8 b, float* p) {
  store(pick<0, 8, 1, 9, 2, 10, 3, 11>(a, b), p);
  store(pick<4, 12, 5, 13, 6, 14, 7, 15>(a, b), p + 8);
}
RETICLE_INLINE void store_in_turn(D4 a, D4 b, double* p) {
  store(pick<0, 4, 1, 5>(a, b), p);
  store(pick<2, 6, 3, 7>(a, b), p + 4);
}

// Rows become columns.
RETICLE_INLINE void transpose(F4* r) {
  const F4 a = pick<0, 4, 1, 5>(r[0], r[1]), b = pick<2, 6, 3, 7>(r[0], r[1]);
  const F4 c = pick<0, 4, 1, 5>(r[2], r[3]), d = pick<2, 6, 3, 7>(r[2], r[3]);
  r[0] = pick<0, 1, 4, 5>(a, c), r[1] = pick<2, 3, 6, 7>(a, c);
  r[2] = pick<0, 1, 4, 5>(b, d), r[3] = pick<2, 3, 6, 7>(b, d);
}
RETICLE_INLINE void transpose(D4* r) {
  const D4 a = pick<0, 4, 2, 6>(r[0], r[1]), b = pick<1, 5, 3, 7>(r[0], r[1]);
  const D4 c = pick<0, 4, 2, 6>(r[2], r[3]), d = pick<1, 5, 3, 7>(r[2], r[3]);
  r[0] = pick<0, 1, 4, 5>(a, c), r[1] = pick<0, 1, 4, 5>(b, d);
  r[2] = pick<2, 3, 6, 7>(a, c), r[3] = pick<2, 3, 6, 7>(b, d);
}
// The same of four rows, in each half.
RETICLE_INLINE void transpose_halves(F8* r) {
  const F8 a = pick<0, 8, 1, 9, 4, 12, 5, 13>(r[0], r[1]), b = pick<2, 10, 3, 11, 6, 14, 7, 15>(r[0], r[1]);
  const F8 c = pick<0, 8, 1, 9, 4, 12, 5, 13>(r[2], r[3]), d = pick<2, 10, 3, 11, 6, 14, 7, 15>(r[2], r[3]);
  r[0] = pick<0, 1, 8, 9, 4, 5, 12, 13>(a, c), r[1] = pick<2, 3, 10, 11, 6, 7, 14, 15>(a, c);
  r[2] = pick<0, 1, 8, 9, 4, 5, 12, 13>(b, d), r[3] = pick<2, 3, 10, 11, 6, 7, 14, 15>(b, d);
}
RETICLE_INLINE void transpose(F8* r) {
  transpose_halves(r), transpose_halves(r + 4);
  for (int k = 0; k < 4; k++) {
    const F8 low = pick<0, 1, 2, 3, 8, 9, 10, 11>(r[k], r[k + 4]), high = pick<4, 5, 6, 7, 12, 13, 14, 15>(r[k], r[k + 4]);
    r[k] = low, r[k + 4] = high;
  }
}

}  // namespace
}  // namespace reticle
