// A block of output pixels whose points are given one by one: what the kernels of lookup_kernels.h and
// load_kernels.h are asked.
#pragma once
#include "patch.h"

namespace reticle {

struct Lookup : Patch {
  const void* points;                         // x and y of the block's first point, side by side; in double precision where the image is
  int64_t down_points;                        // numbers to the next row of them
  double half_x, middle_x, half_y, middle_y;  // from points to pixels: those are half * point + middle,
  int32_t first_x, first_y;                   // counted from here
  Mode mode;

  template <class A>
  const A* point(int row, int p) const {
    return (const A*)points + row * down_points + 2 * p;
  }
};

// Planes that are treated together: the nearest cache keeps their rows from one row of points to the next.
constexpr int64_t TOGETHER = 4;

// Bit n: of row n.
struct Looked {
  uint32_t lost;     // a coordinate is not finite, and what was written does not count
  uint32_t edge;     // a window is not just pixels that count
  uint32_t strange;  // what was written is not finite, perhaps by a weight of 0 that is not its own
};

struct Extent {
  uint32_t strange;   // rows of points of which something is not finite, a bit each
  int32_t low, high;  // rows of pixels that the others may fall on
};

struct Scatters {
  // The gradient of the input. Here `to` is that of the output, read, and `from` sums in the wide type, which are added to: of rows [low, high)
  // of the image, by all rows of points but those whose bit is set.
  void (*scatter)(DType, const Lookup&, int32_t low, int32_t high, uint32_t but);
  Extent (*extent)(DType, const Lookup&);
};

struct Lookups : Scatters {
  Looked (*forward)(DType, const Lookup&);
  // The gradient of the points, into numbers that lie like them, but with rows `down` apart.
  Looked (*slopes)(DType, const Lookup&, float* to, int64_t down);
  Looked (*nearest)(const Lookup&);  // forward, of float32: of one plane, or of several if `quick_forward`
  int64_t most_channels;             // with more, loads are quicker for all
  bool quick_forward;                // else loads are quicker there
};

// Without lookups: bilinear in double precision, and kernels of four pixels along an axis in single, which do not scatter; of few channels.
struct Loads : Scatters {
  Looked (*forward)(DType, const Lookup&);
  Looked (*slopes)(DType, const Lookup&, void* to, int64_t down);  // as those of Lookups
};

extern const Loads avx512_loads;

// Those for this processor, or null. Some look up several numbers by one instruction in the time of a few loads, some for few channels alone
// to advantage, some have been slowed down for safety, and none says so: they are timed.
const Lookups* quick_lookups();

}  // namespace reticle
