// What is asked of a kernel? One call of the sampler, in plain C: no torch here, so that any program can call it.
#pragma once
#include <cstdint>

namespace reticle {

enum DType : int32_t { FLOAT32, FLOAT64, FLOAT16, BFLOAT16, UINT8 };
enum Mode : int32_t { NEAREST, BILINEAR, BICUBIC, BSPLINE3 };
enum Padding : int32_t { ZEROS, CONSTANT, BORDER, REFLECTION, WRAP };

// What stands for the pixels outside an image, for kernels that ask no more.
enum Outside : int32_t { NOTHING, NEAREST_PIXEL, MIRRORED_AT_EDGE, MIRRORED_AT_CENTRE };

// A tensor (B, C, Z, Y, X); strides in elements, 0 along a broadcast axis. Signals and images have sizes of 1 in front.
struct Tensor5 {
  void* data;
  int64_t stride[5];
};

struct Strips;   // of strips.h
struct Lookups;  // of lookups.h
struct Loads;

struct Call {
  int32_t ndim;  // 1, 2 or 3
  Mode mode;
  Padding padding;
  bool align_corners;
  DType dtype;  // of input, output, their gradients
  int64_t batch, channels;
  int64_t size[3], out[3];  // (Z, Y, X) of the input, of the output; the axes that ndim lacks are 1
  Tensor5 input;
  Tensor5 output;      // forward: written. Backward: the gradient of the output, read.
  const double* fill;  // one value per channel; null but for CONSTANT

  // Where the output is read from: a matrix (B, rows, ndim + 1), rows = ndim or ndim + 1, or a grid (B, Z, Y, X, ndim).
  bool is_matrix;
  int32_t rows;
  bool where_is_double;  // else float
  const void* where;
  int64_t where_stride[5];  // of a grid: B, Z, Y, X, axis; of a matrix: B, row, column

  // Backward: what is wanted, else null. Dense in memory, planes or pixels one after the other; overwritten.
  Tensor5 grad_input;
  // Contiguous, of the dtype of `where`, batch as in `batch`; overwritten.
  void* grad_where;

  // What the processor has for some calls, or null.
  const Strips* strips;
  const Lookups* lookups;
  const Loads* loads;
};

// Runs task(context, begin, end) over pieces of [0, count), in any order, on so many threads or fewer.
struct Threads {
  void (*run)(int64_t count, void (*task)(void* context, int64_t begin, int64_t end), void* context);
  int64_t most;

  // Parts that the work on a sample alone is cut into: two for each thread, but at most eight. For one thread they would only be more to do.
  int64_t parts() const { return most <= 1 ? 1 : most < 4 ? 2 * most : 8; }
};

// Images whose channels, 2 to 4 of them, lie side by side become planes, or back.
struct Turn {
  const void* from;
  void* to;
  int64_t batch, channels, pixels;
  int64_t from_batch, to_batch;  // numbers to the next image
  int64_t plane;                 // to the next plane
  bool to_planes;

  static constexpr int64_t PIECE = 4096;  // pixels
  int64_t pieces() const { return (pixels + PIECE - 1) / PIECE; }
};

// The kernels of one type.
struct Passes {
  void (*forward)(const Call&, const Threads&);
  void (*backward)(const Call&, const Threads&);  // null for whole numbers, which have none
  void (*turn)(const Turn&, const Threads&);
};

struct Kernels {
  const char* name;         // of the instruction set
  const Passes* passes[5];  // by DType
  const Strips* strips[5];  // likewise, some null
  // For Call.
  const Lookups* lookups;
  const Loads* loads;
};

const Kernels& best_kernels();  // for the processor at hand; RETICLE_ISA in the environment holds it back to another set

}  // namespace reticle
