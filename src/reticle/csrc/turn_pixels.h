// Images whose channels lie side by side become planes, and back: for few channels, which the general copy takes number by number.
#pragma once
#include <algorithm>

#include "pixels.h"
#include "sampler.h"

namespace reticle {
namespace {

// Number k of pixel p: of planes, else of pixels whose channels lie side by side.
template <bool planes, int C>
RETICLE_INLINE int64_t place_of(int64_t p, int k, int64_t plane) {
  return planes ? k * plane + p : p * C + k;
}

template <bool to_planes, int C, class B>
RETICLE_APART void turn_piece(const B* __restrict from, B* __restrict to, int64_t plane, int64_t count) {
#pragma GCC ivdep
  for (int64_t p = 0; p < count; p++)
#pragma GCC unroll 4
    for (int k = 0; k < C; k++) to[place_of<to_planes, C>(p, k, plane)] = from[place_of<!to_planes, C>(p, k, plane)];
}

template <int C, class B>
void turn_pixels(const Turn& turn, const Threads& threads) {
  auto task = [](void* context, int64_t begin, int64_t end) {
    const Turn& t = *(const Turn*)context;
    for (int64_t n = begin; n < end; n++) {
      const int64_t b = n / t.pieces(), first = n % t.pieces() * Turn::PIECE, count = std::min<int64_t>(t.pixels - first, Turn::PIECE);
      const B* from = (const B*)t.from + b * t.from_batch;
      B* to = (B*)t.to + b * t.to_batch;
      if (t.to_planes)
        turn_piece<true, C>(from + first * C, to + first, t.plane, count);
      else
        turn_piece<false, C>(from + first, to + first * C, t.plane, count);
    }
  };
  threads.run(turn.batch * turn.pieces(), task, (void*)&turn);
}

// Of numbers as large as T.
template <class T>
void turn_of(const Turn& t, const Threads& threads) {
  using B = BitsOf<T>;
  if (t.channels == 2) return turn_pixels<2, B>(t, threads);
  if (t.channels == 3) return turn_pixels<3, B>(t, threads);
  turn_pixels<4, B>(t, threads);
}

}  // namespace
}  // namespace reticle
