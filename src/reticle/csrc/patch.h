// A block of output pixels of an image whose pixels lie side by side along a row: what kernels for a few instruction sets are asked.
// strips.h and lookups.h add where its points are.
#pragma once
#include "sampler.h"

namespace reticle {

constexpr int PATCH_ROWS = 16, PATCH_POINTS = 64;  // at most

struct Patch {
  // The input: the first pixel of its first plane, numbers to the next plane and to the next row.
  const void* from;
  int64_t plane, down;
  int32_t height, width;
  // The output: the block's first pixel in the first plane. Written forward; backward the gradient that is read.
  void* to;
  int64_t plane_to, down_to;
  int64_t channels;
  int32_t rows, count;  // of points, at least 1
  Outside outside;
};

}  // namespace reticle
