// What do the tensors of a call say, and may the kernels believe it? Every fact that the kernels rest on is checked here.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "sampler.h"

namespace reticle {

using torch::stable::Tensor;
using Sizes = std::vector<int64_t>;

constexpr int64_t LONGEST = int64_t(1) << 30;       // points of an axis: the kernels count those in 32 bits, offsets in 64
constexpr int64_t LARGEST_AXIS = int64_t(1) << 28;  // pixels that are read: BEYOND of place.h

// The facts of a tensor, read once: each question crosses into torch.
struct View {
  void* data;
  int64_t dim;
  const int64_t *size, *stride;
  int32_t dtype;
};

inline View view(const char* name, const Tensor& t) {
  View v;
  int32_t layout, device;
  int64_t *size, *stride;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_layout(t.get(), &layout));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(t.get(), &device));
  STD_TORCH_CHECK(layout == aoti_torch_layout_strided(), "reticle: `", name, "` must be dense");
  STD_TORCH_CHECK(device == aoti_torch_device_type_cpu(), "reticle: `", name, "` must be on the CPU");
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dim(t.get(), &v.dim));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_sizes(t.get(), &size));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_strides(t.get(), &stride));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(t.get(), &v.dtype));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_data_ptr(t.get(), &v.data));
  v.size = size, v.stride = stride;
  return v;
}

inline DType dtype_of(const char* name, int32_t dtype) {
  if (dtype == aoti_torch_dtype_float32()) return FLOAT32;
  if (dtype == aoti_torch_dtype_float64()) return FLOAT64;
  if (dtype == aoti_torch_dtype_float16()) return FLOAT16;
  if (dtype == aoti_torch_dtype_bfloat16()) return BFLOAT16;
  STD_TORCH_CHECK(dtype == aoti_torch_dtype_uint8(), "reticle: `", name, "` must be float32, float64, float16, bfloat16 or uint8");
  return UINT8;
}

inline int64_t itemsize(DType dtype) { return std::array<int64_t, 5>{4, 8, 2, 2, 1}[dtype]; }

// Strides of a (B, C, *S); 0 along B where one sample serves many, and along axes that it lacks.
inline Tensor5 tensor5(const View& v, int64_t batch) {
  Tensor5 t{v.data, {0, v.stride[1], 0, 0, 0}};
  if (v.size[0] == batch) t.stride[0] = v.stride[0];
  for (int64_t a = 2; a < v.dim; ++a) t.stride[5 - v.dim + a] = v.stride[a];
  return t;
}

inline std::vector<double> fill_of(const std::optional<Tensor>& fill, int64_t channels, int64_t padding) {
  std::vector<double> values;
  if (padding != CONSTANT) return values;
  values.resize(std::max<int64_t>(channels, 1));  // never null
  if (!fill) return values;
  const View v = view("fill", *fill);
  const DType dtype = dtype_of("fill", v.dtype);
  STD_TORCH_CHECK(v.dim == 1 && v.size[0] == channels && dtype != UINT8, "reticle: `fill` must hold one floating value per channel");
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t at = c * v.stride[0];
    if (dtype == FLOAT64) values[c] = static_cast<const double*>(v.data)[at];
    if (dtype == FLOAT32) values[c] = static_cast<const float*>(v.data)[at];
    if (dtype == FLOAT16) values[c] = static_cast<float>(static_cast<const c10::Half*>(v.data)[at]);
    if (dtype == BFLOAT16) values[c] = static_cast<float>(static_cast<const c10::BFloat16*>(v.data)[at]);
  }
  return values;
}

// The input, the mode and the padding of a call; sizes of 1 stand in front of those of signals and images.
inline Call begin_call(const View& input, int64_t mode, int64_t padding, bool align_corners) {
  STD_TORCH_CHECK(input.dim >= 3 && input.dim <= 5, "reticle: `input` must have shape (B, C, *size) with one to three sizes");
  STD_TORCH_CHECK(mode >= NEAREST && mode <= BSPLINE3, "reticle: there is no mode ", mode);
  STD_TORCH_CHECK(padding >= ZEROS && padding <= WRAP, "reticle: there is no padding ", padding);
  Call c{};
  c.ndim = static_cast<int32_t>(input.dim - 2);
  c.mode = static_cast<Mode>(mode), c.padding = static_cast<Padding>(padding), c.align_corners = align_corners;
  c.dtype = dtype_of("input", input.dtype);
  c.strips = best_kernels().strips[c.dtype], c.lookups = best_kernels().lookups, c.loads = best_kernels().loads;
  c.channels = input.size[1];
  for (int a = 0; a < 3; ++a) c.size[a] = c.out[a] = 1;
  for (int a = 0; a < c.ndim; ++a) {
    c.size[3 - c.ndim + a] = input.size[2 + a];
    STD_TORCH_CHECK(input.size[2 + a] > 0, "reticle: `input` must have at least one pixel along every axis");
    STD_TORCH_CHECK(input.size[2 + a] <= LARGEST_AXIS, "reticle: `input` must have at most 2^28 pixels along every axis");
  }
  return c;
}

// The larger of two batches of which one is 1; of 0 and 1 it is 0.
inline int64_t common_batch(const View& input, const View& where) {
  const int64_t m = input.size[0], n = where.size[0];
  STD_TORCH_CHECK(m == n || m == 1 || n == 1, "reticle: batches must be equal or 1; got ", m, " and ", n);
  return m == 1 ? n : m;
}

inline void set_where(Call& c, const View& input, const View& where) {
  const bool single = where.dtype == aoti_torch_dtype_float32();
  STD_TORCH_CHECK(single || where.dtype == aoti_torch_dtype_float64(), "reticle: coordinates must be float32 or float64");
  c.where_is_double = !single, c.where = where.data;
  c.batch = common_batch(input, where);
  c.input = tensor5(input, c.batch);
  c.where_stride[0] = where.size[0] == c.batch ? where.stride[0] : 0;
}

inline void set_matrix(Call& c, const View& input, const View& matrix) {
  STD_TORCH_CHECK(matrix.dim == 3 && (matrix.size[1] == c.ndim || matrix.size[1] == c.ndim + 1) && matrix.size[2] == c.ndim + 1,
                  "reticle: `matrix` must have shape (B, D, D+1) or (B, D+1, D+1), D = ", c.ndim);
  c.is_matrix = true, c.rows = static_cast<int32_t>(matrix.size[1]);
  set_where(c, input, matrix);
  c.where_stride[1] = matrix.stride[1], c.where_stride[2] = matrix.stride[2];
}

inline void set_grid(Call& c, const View& input, const View& grid) {
  STD_TORCH_CHECK(grid.dim == c.ndim + 2 && grid.size[c.ndim + 1] == c.ndim, "reticle: `grid` must have shape (B, *out, D), D = ", c.ndim);
  set_where(c, input, grid);
  for (int a = 0; a < c.ndim; ++a) {
    STD_TORCH_CHECK(grid.size[1 + a] <= LONGEST, "reticle: `grid` must have at most 2^30 points along every axis");
    c.out[3 - c.ndim + a] = grid.size[1 + a];
    c.where_stride[4 - c.ndim + a] = grid.stride[1 + a];
  }
  c.where_stride[4] = grid.stride[c.ndim + 1];
}

// A written tensor of which two elements share memory would depend on the order of the threads.
inline bool overlaps_itself(const View& v) {
  int64_t reach = 0;
  std::array<bool, 5> passed{};
  for (int64_t round = 0; round < v.dim; ++round) {
    int64_t next = -1;  // the shortest step of those left
    for (int64_t a = 0; a < v.dim; ++a)
      if (!passed[a] && (next < 0 || v.stride[a] < v.stride[next])) next = a;
    passed[next] = true;
    if (v.size[next] <= 1) continue;
    if (v.stride[next] <= reach) return true;
    reach += v.stride[next] * (v.size[next] - 1);
  }
  return false;
}

// The output of a forward call, to be written, or the gradient of it, to be read.
inline void set_output(Call& c, const char* name, const View& v) {
  STD_TORCH_CHECK(v.dim == c.ndim + 2 && v.size[0] == c.batch && v.size[1] == c.channels, "reticle: `", name,
                  "` must have shape (B, C, *out)");
  for (int a = 0; a < c.ndim; ++a)
    STD_TORCH_CHECK(v.size[2 + a] == c.out[3 - c.ndim + a], "reticle: `", name, "` must have the sizes of the output");
  STD_TORCH_CHECK(dtype_of(name, v.dtype) == c.dtype, "reticle: `", name, "` must have the dtype of `input`");
  c.output = tensor5(v, c.batch);
}

}  // namespace reticle
