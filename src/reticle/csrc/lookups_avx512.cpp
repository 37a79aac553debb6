#include <x86intrin.h>

#include "lookup_nearest.h"
#include "lookup_scatter.h"

namespace reticle {
namespace {

Looked forward_of(DType dtype, const Lookup& s) {
  if (dtype == FLOAT32) return forward_lookup<float>(s);
  if (dtype == FLOAT16) return forward_lookup<Half>(s);
  return forward_lookup<BFloat16>(s);
}

Looked slopes_of(DType dtype, const Lookup& s, float* to, int64_t down) {
  if (dtype == FLOAT32) return slopes_lookup<float>(s, to, down);
  if (dtype == FLOAT16) return slopes_lookup<Half>(s, to, down);
  return slopes_lookup<BFloat16>(s, to, down);
}

void scatter_of(DType dtype, const Lookup& s, int32_t low, int32_t high, uint32_t but) {
  if (dtype == FLOAT32) return scatter_lookup<float>(s, low, high, but);
  if (dtype == FLOAT16) return scatter_lookup<Half>(s, low, high, but);
  scatter_lookup<BFloat16>(s, low, high, but);
}

Extent extent_of(DType dtype, const Lookup& s) {
  if (dtype == FLOAT32) return extent_lookup<float>(s);
  if (dtype == FLOAT16) return extent_lookup<Half>(s);
  return extent_lookup<BFloat16>(s);
}

Looked nearest_of(const Lookup& s) {
  if (s.count < AT_ONCE) return s.outside > NEAREST_PIXEL ? nearest_lookup<true, false>(s) : nearest_lookup<false, false>(s);
  return s.outside > NEAREST_PIXEL ? nearest_lookup<true, true>(s) : nearest_lookup<false, true>(s);
}

}  // namespace

const Lookups avx512_lookups = {forward_of, slopes_of, scatter_of, extent_of, nearest_of};

// Ticks of the clock, not cycles, but of that order. Where lookups are quick, eight of them take 5 to 15; where they are not, 50 and more.
bool lookups_are_quick() {
  constexpr int tries = 128, times = 64, most = 25;
  alignas(64) float table[32] = {};
  uint64_t least = ~uint64_t(0);
  for (int n = 0; n < tries; n++) {  // some are interrupted, and the first are slow
    F16 sum = {};
    const uint64_t start = __rdtsc();
    for (int t = 0; t < times; t++) {
      const I16 offset = I16{0, 5, 3, 9, 12, 7, 1, 20, 4, 2, 6, 11, 15, 8, 17, 10} + (t & 7);
      sum += pieces(table, _mm512_castsi512_si256((__m512i)offset));
    }
    volatile float keep = sum[0];
    (void)keep;
    least = std::min(least, uint64_t(__rdtsc() - start));
  }
  return least < uint64_t(most) * times;
}

}  // namespace reticle
