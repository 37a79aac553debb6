// Where do results lie? New tensors, in the order of the input's memory, on few pages.
#pragma once
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "arguments.h"

namespace reticle {
namespace {

// Large results lie in memory that the system has yet to provide, page by page as it is touched: on large pages this is several times
// quicker. The system may decline, and nothing is lost.
inline void ask_for_large_pages(const Tensor& t) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t page = 1 << 21;
  const uintptr_t start = reinterpret_cast<uintptr_t>(t.data_ptr()), end = start + t.numel() * t.element_size();
  const uintptr_t first = (start + page - 1) / page * page, last = end / page * page;
  if (last > first + page) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

inline Tensor make(const View& like, const Sizes& size, const Sizes& stride) {
  AtenTensorHandle made;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(static_cast<int64_t>(size.size()), size.data(), stride.data(), like.dtype,
                                                         aoti_torch_device_type_cpu(), 0, &made));
  Tensor t(made);
  ask_for_large_pages(t);
  return t;
}

// The channels of a pixel side by side where those of `like` are, else row by row.
inline Tensor make_tensor(const View& like, const Sizes& size) {
  const int64_t dim = static_cast<int64_t>(size.size());
  bool channels_last = like.dim > 3 && like.size[1] > 1 && like.stride[1] == 1;
  for (int64_t a = 2; a < like.dim; ++a) channels_last = channels_last && like.stride[a] >= like.size[1];
  Sizes stride(dim);
  int64_t step = 1;
  const auto place = [&](int64_t axis) {
    stride[axis] = step;
    STD_TORCH_CHECK(!__builtin_mul_overflow(step, std::max<int64_t>(size[axis], 1), &step), "reticle: the output is too large");
  };
  if (channels_last) place(1);
  for (int64_t a = dim - 1; a > 1; --a) place(a);
  if (!channels_last) place(1);
  place(0);
  return make(like, size, stride);
}

// Row by row.
inline Tensor make_dense(const View& like, Sizes size) {
  Sizes stride(size.size(), 1);
  for (int64_t a = static_cast<int64_t>(size.size()) - 2; a >= 0; --a) stride[a] = stride[a + 1] * std::max<int64_t>(size[a + 1], 1);
  return make(like, size, stride);
}

}  // namespace
}  // namespace reticle
