#include "load_kernels.h"

namespace reticle {
namespace {

Looked forward_of(DType dtype, const Lookup& s) { return dtype == FLOAT64 ? forward_loads<double, 2>(s) : forward_loads<float, 4>(s); }

Looked slopes_of(DType dtype, const Lookup& s, void* to, int64_t down) {
  return dtype == FLOAT64 ? slopes_loads<double, 2>(s, (double*)to, down) : slopes_loads<float, 4>(s, (float*)to, down);
}

}  // namespace

const Loads avx512_loads = {forward_of, slopes_of};

}  // namespace reticle
