// What will be read soon of a large image? The next blocks' pixels, too, lie where the matrix says; the processor cannot foresee it.
#pragma once
#include <cmath>

#include "strips.h"

namespace reticle {
namespace {

struct StripAhead {
  static constexpr int rows = 3;             // so many rows of points ahead: two or four were no better, measured
  static constexpr int64_t large = 1 << 18;  // numbers: smaller images stay in the caches
  int64_t below = 0, beside = 0;

  // `numbers`: of the image that is read, `down`: from a row to the next. What is read moves by (y, x) pixels `along` a row of points, and from a
  // row to the one `below`.
  StripAhead(int64_t numbers, int64_t down, const double (&along)[2], const double (&below)[2]) {
    const auto pixels = [&](double points, double rows) {
      const double y = points * along[0] + rows * below[0], x = points * along[1] + rows * below[1];
      const bool near = std::fabs(y) < 2 * PATCH_POINTS && std::fabs(x) < 4 * PATCH_POINTS;
      return near ? std::lrint(y) * down + std::lrint(x) : 0;
    };
    if (numbers < large) return;
    this->below = pixels(0, rows), beside = pixels(PATCH_POINTS, rows - PATCH_ROWS);
  }
  // From what row `i` of a block reads; 0: unknown. The last rows look at the first ones of the block beside theirs.
  RETICLE_INLINE int64_t from(int i) const { return i < PATCH_ROWS - rows ? below : beside; }
};

}  // namespace
}  // namespace reticle
