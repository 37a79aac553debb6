// What will be read soon of a large image? It lies where the matrix says, which the processor cannot foresee along slanted rows.
#pragma once
#include <cmath>

#include "numbers.h"
#include "strips.h"

namespace reticle {
namespace {

// What is read moves by so many pixels from a point, or a row of points, to the next.
struct Moves {
  double y, x;
};

struct StripAhead {
  static constexpr int rows = 3;             // so many rows of points ahead: two or four were no better, measured
  static constexpr int64_t large = 1 << 18;  // numbers of an image: smaller ones stay in the caches
  int64_t below = 0, beside = 0;             // numbers from what is read to what will be; 0: unknown

  // `down`: numbers from a row to the next of the image, which has `numbers`; `height`: rows that are read at a time.
  StripAhead(int64_t numbers, int64_t down, int height, Moves along, Moves to_next_row) {
    if (numbers < large) return;
    const int64_t new_row = to_next_row.y > 0 ? height - 1 : 0;  // of those that will be read at a time: the others have been before
    const auto pixels = [&](double points, double rows) {
      const double y = points * along.y + rows * to_next_row.y, x = points * along.x + rows * to_next_row.x;
      const bool near = std::fabs(y) < 2 * PATCH_POINTS && std::fabs(x) < 4 * PATCH_POINTS;
      return near ? (std::lrint(y) + new_row) * down + std::lrint(x) : 0;
    };
    below = pixels(0, rows), beside = pixels(PATCH_POINTS, rows - PATCH_ROWS);
  }
  // From row `i` of a block. The last ones look at the first ones of the block beside theirs.
  RETICLE_INLINE int64_t from(int i) const { return i < PATCH_ROWS - rows ? below : beside; }
};

// Forward: of the input, by a block of the output whose rectangles are so high.
StripAhead ahead_of(const Strip& s, int height) {
  return {s.plane * s.channels, s.down, height, {s.y.along, s.x.along}, {s.y.below, s.x.below}};
}

}  // namespace
}  // namespace reticle
