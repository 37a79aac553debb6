// How is what points have found written? As many numbers as there are points.
#pragma once
#include "lookup_walk.h"

namespace reticle {
namespace {

RETICLE_INLINE void store_those(Reach r, F16 v, float* p) { _mm512_mask_storeu_ps(p, r.there, (__m512)v); }
RETICLE_INLINE void store_those(ReachOfDoubles r, D8 v, double* p) { _mm512_mask_storeu_pd(p, r.there, (__m512d)v); }
RETICLE_INLINE void store_those(Reach r, F16 v, BFloat16* p) {
  typedef uint32_t U16 __attribute__((vector_size(64)));
  _mm256_mask_storeu_epi16(p, r.there, _mm512_cvtepi32_epi16((__m512i)rounded<U16>(v)));
}
RETICLE_INLINE void store_those(Reach r, F16 v, Half* p) { _mm256_mask_storeu_epi16(p, r.there, _mm512_cvtps_ph((__m512)v, 0)); }

// The first of `a`, the first of `b`, the second of `a`, and so on: the lower half of all, the upper half.
RETICLE_INLINE F16 lower_in_turn(F16 a, F16 b) { return pick<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b); }
RETICLE_INLINE F16 upper_in_turn(F16 a, F16 b) { return pick<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(a, b); }
RETICLE_INLINE D8 lower_in_turn(D8 a, D8 b) { return pick<0, 8, 1, 9, 2, 10, 3, 11>(a, b); }
RETICLE_INLINE D8 upper_in_turn(D8 a, D8 b) { return pick<4, 12, 5, 13, 6, 14, 7, 15>(a, b); }

// Gradients in pixels of `count` points, x and y side by side, in the units that those are in.
template <class A, class V, int S>
RETICLE_INLINE void write_slopes(V x, V y, const FinderOf<A, S>& f, int count, A* to, SeenOf<V>& seen) {
  constexpr int lanes = lanes_of<A>();
  seen.check += x * 0 + y * 0;
  x *= f.x.half, y *= f.y.half;  // halves of sizes are exact
  store_those(first_of<A>(2 * count), lower_in_turn(x, y), to);
  store_those(first_of<A>(2 * count - lanes), upper_in_turn(x, y), to + lanes);
}

}  // namespace
}  // namespace reticle
