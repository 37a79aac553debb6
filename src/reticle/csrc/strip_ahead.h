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
  int count = 0;  // 0: too far away, or an image so small that it stays in the caches
  int64_t from[4] = {}, to = 0;
  int64_t other_end = 0;  // of the pixels at from[0], where the last piece of a row is the first to read there, else 0

  // K planes; `writes`: to will be written.
  template <int K, bool writes, class T>
  RETICLE_INLINE void fetch(const Strip& s, const T* from_now, const T* to_now) const {
    if (__builtin_expect(count == 0, 1)) return;
    for (int k = 0; k < K; k++) {
      __builtin_prefetch(from_now + from[0] + k * s.plane);
      if (!s.past) __builtin_prefetch(to_now + to + k * s.plane_to, writes);
    }
    for (int q = 1; q < count; q++)
      for (int k = 0; k < K; k++) __builtin_prefetch(from_now + from[q] + k * s.plane);
  }
  // After the last piece of a row.
  template <int K, class T>
  RETICLE_INLINE void fetch_other_end(const Strip& s, const T* from_now) const {
    if (__builtin_expect(count == 0 || other_end == 0, 1)) return;
    for (int k = 0; k < K; k++) __builtin_prefetch(from_now + from[0] + other_end + k * s.plane);
  }
};

class StripAhead {
 public:
  // A piece of so many points reads so many rows of so many columns.
  struct Piece {
    int points, height, columns;
  };
  // `planes` are at work; if no others follow, all.
  StripAhead(const Strip& s, int64_t planes, Piece piece, Moves along, Moves to_next_row) {
    if (int64_t(s.height) * s.width * s.channels < LEAST) return;
    // The piece that runs ahead, the next one or the one before, has been on a row before: new are the pixels on the other side.
    const bool down = to_next_row.y > 0, next_ahead = (along.y > 0) == down && along.y != 0;
    const bool at_right = to_next_row.y == 0 ? to_next_row.x > 0 : next_ahead != (along.x > 0);
    const int64_t bottom = (piece.height - 1) * s.down, right = piece.columns - 1;
    // by larger steps another row is new, and another line of the caches
    const int64_t other_row = std::fabs(to_next_row.y) < 1.1 ? 0 : down ? -s.down : s.down;
    const int64_t other_line = piece.points * std::fabs(along.x) < 1.1 * LINE ? 0 : at_right ? -LINE : LINE;
    const auto soon = [&](double points, double rows, int64_t next_plane, int64_t to) {
      const double y = points * along.y + rows * to_next_row.y, x = points * along.x + rows * to_next_row.x;
      Soon soon;
      if (!(std::fabs(y) < 2 * PATCH_POINTS && std::fabs(x) < 4 * PATCH_POINTS)) return soon;
      const auto add = [&](int64_t from) { soon.from[soon.count++] = from; };
      soon.to = next_plane * s.plane_to + to;
      const int64_t first = next_plane * s.plane + std::lrint(y) * s.down + std::lrint(x) + (down ? bottom : 0) + (at_right ? right : 0);
      add(first);
      if (next_plane) {  // nothing of them has been read
        add(first + (down ? -bottom : bottom));
        return soon;
      }
      if (other_row) add(first + other_row);
      if (other_line) add(first + other_line);
      if (other_row && other_line) add(first + other_row + other_line);
      if (next_ahead) soon.other_end = at_right ? -right : right;
      return soon;
    };
    const int rows = std::min(ROWS, s.rows);
    last_rows = s.rows - rows;
    below = soon(0, rows, 0, rows * s.down_to);
    if (planes < s.channels)
      next = soon(0, -last_rows, planes, -last_rows * s.down_to);
    else if (s.count < PATCH_POINTS)
      next = below;  // mostly there is no block beside this one, and rows follow
    else
      next = soon(PATCH_POINTS, -last_rows, 0, -last_rows * s.down_to + PATCH_POINTS);
  }
  // What row `i` of a block looks at. The last ones look at the first ones of the planes that follow, or of the block beside theirs.
  RETICLE_INLINE const Soon& from(int i) const { return i < last_rows ? below : next; }

 private:
  static constexpr int32_t ROWS = 6;         // of points, ahead: three took up to a fourteenth longer, eight were alike, measured
  static constexpr int64_t LEAST = 1 << 17;  // numbers of an image: with a third of that, nothing ahead was quicker, measured
  static constexpr int64_t LINE = 16;        // floats of a line of the caches
  int64_t last_rows = 0;
  Soon below, next;
};

// By a block of the output, whose planes from `from` on are at work.
template <int planes, class L, class T>
StripAhead ahead_of(const Strip& s, const Pieces<L>& pieces, const T* from) {
  const bool last = from == (const T*)s.from + (s.channels - planes) * s.plane;
  return {s, last ? s.channels : planes, {L::points, pieces.height, L::columns}, {s.y.along, s.x.along}, {s.y.below, s.x.below}};
}

}  // namespace
}  // namespace reticle
