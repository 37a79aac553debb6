// A block of output pixels of an image whose points are given one by one, bilinear: what the kernels of lookup_kernels.h are asked.
#pragma once
#include "sampler.h"

namespace reticle {

constexpr int LOOKUP_ROWS = 16, LOOKUP_POINTS = 64;  // at most, of a block

struct Lookup {
  // The input: the first pixel of its first plane, numbers to the next plane and to the next row, whose pixels lie side by side.
  const void* from;
  int64_t plane, down;
  // The output: the block's first pixel in the first plane. Written forward; backward the gradient that is read.
  void* to;
  int64_t plane_to, down_to;
  int64_t channels;
  const float* points;  // x and y of the block's first point, side by side
  int64_t down_points;  // numbers to the next row of them
  int64_t height, width;
  double half_x, middle_x, half_y, middle_y;  // from points to pixels: those are half * point + middle,
  int32_t first_x, first_y;                   // counted from here
  int32_t rows, count;                        // of points, up to LOOKUP_ROWS and LOOKUP_POINTS, at least 1
  bool border;                                // what lies outside is the nearest pixel, else 0
};

// Bit n: of row n.
struct Looked {
  uint32_t lost;     // a coordinate is not finite, and what was written does not count
  uint32_t edge;     // a window is not just pixels that count
  uint32_t strange;  // what was written is not finite, perhaps by a weight of 0 that is not its own
};

struct Lookups {
  Looked (*forward)(DType, const Lookup&);
  // The gradient of the points, into numbers that lie like them, but with rows `down` apart.
  Looked (*slopes)(DType, const Lookup&, float* to, int64_t down);
};

extern const Lookups avx512_lookups;

// Whether this processor looks up several numbers by one instruction in the time of a few loads: some have been slowed down for safety,
// and none says so.
bool lookups_are_quick();

}  // namespace reticle
