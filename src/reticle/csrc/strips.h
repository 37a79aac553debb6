// A block of output pixels of an image under an affine map: what the kernels of strip_kernels.h are asked.
#pragma once
#include "patch.h"

namespace reticle {

struct Strip : Patch {
  Mode mode;  // of forward() and slopes()
  bool past;  // forward() may write past the caches, to advantage
  // The rows of points do not slant, and none lies so near a row of pixels, but for just on it, that rounding would tell which rows it reads.
  bool upright;

  // Along x and y: where the block's first point lies, in pixels; from one point to the next; from one row to the next.
  struct Line {
    double start, along, below;  // nearest: half a pixel more
  } x, y;

  // Sums over the points of what is known of x and of y, times 1 and times the point's number along the row and along the column.
  struct Slopes {
    double x[3], y[3];
  };
};

// The kernels of one type. Of whole numbers forward() alone.
struct Strips {
  int32_t points, columns;  // that many neighbouring points read that many neighbouring pixels of a row at once
  bool narrow;              // images may have fewer columns
  int32_t least_channels;   // for which the gradient of the input is quicker gathered than scattered
  // Bit n of the answer: row n holds what is not finite, perhaps by a weight of 0 that is not its own.
  uint32_t (*forward)(const Strip&);
  // How the output, times its gradient, changes with the place of its points. False: it is not finite, perhaps for the same reason, or the
  // points lie too far apart.
  bool (*slopes)(const Strip&, Strip::Slopes&);
  // The gradient of the input. Here `from` is the gradient of the output, all of it, `to` that of a block of the input's pixels; x and y
  // say where the output's first point lies, counted from the block's first pixel. Not for `border`.
  bool (*can_gather)(const Strip&);
  uint32_t (*gradient)(const Strip&);
};

extern const Strips avx2_strips_float32, avx2_strips_float16, avx2_strips_bfloat16, avx2_strips_uint8;
extern const Strips avx512_strips_float32, avx512_strips_float16, avx512_strips_bfloat16, avx512_strips_uint8;
extern const Strips avx512vbmi_strips_bfloat16;

}  // namespace reticle
