#include <x86intrin.h>

#include "lookup_kernels.h"
#include "lookup_nearest.h"
#include "lookup_scatter.h"
#include "neighbours.h"

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
  if (dtype == FLOAT32) return extent_of_points<float>(s);
  if (dtype == FLOAT16) return extent_of_points<Half>(s);
  return extent_of_points<BFloat16>(s);
}

template <bool by_loads, Outside outside>
Looked nearest_in(const Lookup& s) {
  return s.count < AT_ONCE ? nearest_lookup<by_loads, outside, false>(s) : nearest_lookup<by_loads, outside, true>(s);
}

template <bool by_loads>
Looked nearest_of(const Lookup& s) {
  if (s.outside == NOTHING) return nearest_in<by_loads, NOTHING>(s);
  // which way it is mirrored, the numbers of a line know
  return s.outside == NEAREST_PIXEL ? nearest_in<by_loads, NEAREST_PIXEL>(s) : nearest_in<by_loads, MIRRORED_AT_EDGE>(s);
}

const Lookups all_lookups = {{scatter_of, extent_of}, forward_of, slopes_of, nearest_of<false>, INT64_MAX, true};
const Lookups lookups_of_few = {{scatter_of, extent_of}, forward_of, slopes_of, nearest_of<true>, 4, false};

constexpr int TIMES = 64, MOST_TICKS = 25;  // where lookups are quick, eight of them take 5 to 15 ticks; where they are not, 50 and more

// Ticks of the clock, not cycles, but of that order, that `act` takes with sixteen pixels from `table` on; the least of many trials, of which
// some are interrupted and the first are slow.
template <class Act>
uint64_t ticks_of(const float* table, Act act) {
  constexpr int tries = 128;
  uint64_t least = ~uint64_t(0);
  for (int n = 0; n < tries; n++) {
    const uint64_t start = __rdtsc();
    for (int t = 0; t < TIMES; t++) {
      const float* from = table + (t & 7);
      asm("" : "+r"(from));  // not known beforehand
      act(from);
    }
    least = std::min(least, uint64_t(__rdtsc() - start));
  }
  return least;
}

}  // namespace

const Lookups* quick_lookups() {
  alignas(64) const float table[32] = {};
  alignas(64) int64_t offsets[16] = {0, 5, 3, 9, 12, 7, 1, 20, 4, 2, 6, 11, 15, 8, 17, 10};
  asm("" : "+m"(offsets));  // they stay in memory, for loads to be taken from there
  const I16 offset = {0, 5, 3, 9, 12, 7, 1, 20, 4, 2, 6, 11, 15, 8, 17, 10};
  F16 sum = {};
  F8 sums = {};
  const uint64_t alone = ticks_of(table, [&](const float* from) { sum += pieces(from, _mm512_castsi512_si256((__m512i)offset)); });
  const uint64_t lookups = ticks_of(table, [&](const float* from) {
    F16 left, right;
    look_up(from, offset, left, right);
    sum += left + right;
  });
  const uint64_t loads = ticks_of(table, [&](const float* from) {
    for (int half = 0; half < 16; half += 8) {
      F8 left, right;
      load_pairs(from, offsets + half, left, right);
      sums += left + right;
    }
  });
  volatile float keep = sum[0] + sums[0];
  (void)keep;
  if (alone >= uint64_t(MOST_TICKS) * TIMES) return nullptr;
  // between the 2.0 of an AMD EPYC (Zen 4), whose kernels are quicker with loads, and what processors with quick lookups are expected to take
  return 5 * lookups <= 8 * loads ? &all_lookups : &lookups_of_few;
}

}  // namespace reticle
