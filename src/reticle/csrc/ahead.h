// Which pixels will be wanted soon? Two rows on, a point reads about twice as far away as from the row before to this one. Caches that are told
// so in time hide the way to memory, which the processor cannot foresee along a slanted row of several planes.
#pragma once
#include <cstdint>
#include <cstdlib>

#include "numbers.h"

namespace reticle {
namespace {

struct Ahead {
  int64_t rows = 2;             // how far ahead: so many rows of points
  int64_t first = 0, step = 0;  // pixel of the first point of a row; from a row's pixels to those that will be wanted soon

  // `down`: numbers from a row of pixels to the next.
  RETICLE_INLINE void look(int64_t pixel, int64_t down) {
    const int64_t far = 8 * std::abs(down), moved = pixel - first;
    step = moved < far && moved > -far ? rows * moved : 0;
    first = pixel;
  }
};

}  // namespace
}  // namespace reticle
