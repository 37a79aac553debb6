// What will be read and written soon of a large image? It lies where the matrix says, which the processor cannot foresee along slanted rows.
#pragma once
#include <cmath>

#include "strip_pieces.h"

namespace reticle {
namespace {

// What is read moves by so many pixels from a point, or a row of points, to the next.
struct Moves {
  double y, x;
};

// Numbers from what a piece has at work to what will be, of Strip::from and of Strip::to.
struct Soon {
  int64_t from = 0, to = 0;  // `from` 0: unknown, or an image so small that it stays in the caches
  int64_t other_end = 0;     // of the pixels at `from`, if the last piece of a row is the first to read there

  // K planes; `writes`: to will be written.
  template <int K, bool writes, class T>
  RETICLE_INLINE void fetch(const Strip& s, const T* from_now, const T* to_now) const {
    for (int k = 0; k < K && from; k++) {
      __builtin_prefetch(from_now + from + k * s.plane);
      if (!s.past) __builtin_prefetch(to_now + to + k * s.plane_to, writes);
    }
  }
  // After the last piece of a row.
  template <int K, class T>
  RETICLE_INLINE void fetch_other_end(const Strip& s, const T* from_now) const {
    for (int k = 0; k < K && other_end; k++) __builtin_prefetch(from_now + from + other_end + k * s.plane);
  }
};

class StripAhead {
 public:
  // A piece reads so many rows of so many columns.
  StripAhead(const Strip& s, int height, int columns, Moves along, Moves to_next_row) {
    if (int64_t(s.height) * s.width * s.channels < LEAST) return;
    const int64_t new_row = to_next_row.y > 0 ? height - 1 : 0;  // of them: by steps up to 1, the others have been read before
    // The piece that runs ahead, the next one or the one before, has been on this row: new are the pixels on the other side.
    const bool next_ahead = along.y * to_next_row.y > 0, at_right = next_ahead != (along.x > 0);
    const int64_t new_column = at_right ? columns - 1 : 0;
    const auto pixels = [&](double points, double rows) {
      const double y = points * along.y + rows * to_next_row.y, x = points * along.x + rows * to_next_row.x;
      const bool near = std::fabs(y) < 2 * PATCH_POINTS && std::fabs(x) < 4 * PATCH_POINTS;
      return near ? (std::lrint(y) + new_row) * s.down + std::lrint(x) + new_column : 0;
    };
    const int64_t other_end = !next_ahead ? 0 : at_right ? 1 - columns : columns - 1;
    last_rows = s.rows - ROWS;
    below = {pixels(0, ROWS), ROWS * s.down_to, other_end};
    beside = {pixels(PATCH_POINTS, -last_rows), -last_rows * s.down_to + PATCH_POINTS, other_end};
  }
  // What row `i` of a block looks at. The last ones look at the first ones of the block beside theirs.
  RETICLE_INLINE const Soon& from(int i) const { return i < last_rows ? below : beside; }

 private:
  static constexpr int ROWS = 6;             // so many rows of points ahead
  static constexpr int64_t LEAST = 1 << 18;  // numbers of an image
  int64_t last_rows = 0;
  Soon below, beside;
};

// By a block of the output.
template <class L>
StripAhead ahead_of(const Strip& s, const Pieces<L>& pieces) {
  return {s, pieces.height, L::columns, {s.y.along, s.x.along}, {s.y.below, s.x.below}};
}

}  // namespace
}  // namespace reticle
