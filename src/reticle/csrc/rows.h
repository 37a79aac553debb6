// In which rows are the points of a given grid taken? Short ones that follow one another in memory are joined: each by itself begins a vector,
// and fills its last one only in part.
#pragma once
#include "patch.h"

namespace reticle {

// Fewer points than a vector of eight at the end of a row are left to the slow way by some kernels.
inline bool ends_short(int64_t row) { return row % PATCH_POINTS > 0 && row % PATCH_POINTS < 8; }

// Vectors of sixteen that points of a row take, and what is done once for each piece of it, which is about as much as one more.
inline int64_t vectors_of(int64_t row) { return (row + 15) / 16 + (row + PATCH_POINTS - 1) / PATCH_POINTS; }

// For the kernels alone: the tensors stay as they are.
inline void join_rows(Call& c) {
  const int64_t height = c.out[1], width = c.out[2], *where = c.where_stride, *output = c.output.stride;
  if (c.is_matrix || width >= PATCH_POINTS || where[2] != width * where[3] || output[3] != width * output[4]) return;
  int64_t best = 1;
  for (int64_t rows = 2; rows <= height && rows * width <= 2 * PATCH_POINTS; rows++)
    if (height % rows == 0 && !ends_short(rows * width) && vectors_of(rows * width) * best < vectors_of(best * width) * rows) best = rows;
  c.out[1] /= best, c.out[2] *= best;
  c.output.stride[3] *= best, c.where_stride[2] *= best;
}

}  // namespace reticle
