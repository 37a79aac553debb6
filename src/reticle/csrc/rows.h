// In which rows are the points of a given grid taken? Those that follow one another in memory are joined, or cut anew.
#pragma once
#include "patch.h"

namespace reticle {

// Fewer points than a vector of eight at the end of a row are left to the slow way by some kernels.
inline bool ends_short(int64_t row) { return row % PATCH_POINTS > 0 && row % PATCH_POINTS < 8; }

// Vectors of sixteen that points of a row take, and what is done once for each piece of it, which is about as much as one more.
inline int64_t vectors_of(int64_t row) { return (row + 15) / 16 + (row + PATCH_POINTS - 1) / PATCH_POINTS; }

// Short rows: each by itself begins a vector, and fills its last one only in part.
inline int64_t width_of_joined(int64_t height, int64_t width) {
  int64_t best = 1;
  for (int64_t rows = 2; rows <= height && rows * width <= 2 * PATCH_POINTS; rows++)
    if (height % rows == 0 && !ends_short(rows * width) && vectors_of(rows * width) * best < vectors_of(best * width) * rows) best = rows;
  return best * width;
}

// A block whose rows are as long as it is wide reads points, and writes pixels, in one piece of memory. Of longer rows than these it would read
// so narrow a strip of the image that its rows of pixels serve no other row of points. Of several planes in single precision that matters more
// even of short rows, measured.
constexpr int64_t LONGEST_CUT = 256;

inline bool is_cut(const Call& c) {
  const int64_t width = c.out[2];
  const bool most_is_points = c.channels == 1 || c.mode == NEAREST || c.dtype == FLOAT64;
  return most_is_points && width > PATCH_POINTS && width <= LONGEST_CUT && c.out[1] * width % PATCH_POINTS == 0;
}

// For the kernels alone: the tensors stay as they are.
inline void choose_rows(Call& c) {
  const int64_t height = c.out[1], width = c.out[2], *where = c.where_stride, *output = c.output.stride;
  if (c.is_matrix || where[2] != width * where[3] || output[3] != width * output[4]) return;
  c.out[2] = is_cut(c) ? PATCH_POINTS : width < PATCH_POINTS ? width_of_joined(height, width) : width;
  c.out[1] = height * width / c.out[2];
  c.output.stride[3] = c.out[2] * output[4], c.where_stride[2] = c.out[2] * where[3];
}

}  // namespace reticle
