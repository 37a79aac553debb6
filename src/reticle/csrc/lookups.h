// A block of output pixels whose points are given one by one: what the kernels of lookup_kernels.h are asked.
#pragma once
#include "patch.h"

namespace reticle {

struct Lookup : Patch {
  const float* points;                        // x and y of the block's first point, side by side
  int64_t down_points;                        // numbers to the next row of them
  double half_x, middle_x, half_y, middle_y;  // from points to pixels: those are half * point + middle,
  int32_t first_x, first_y;                   // counted from here
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
