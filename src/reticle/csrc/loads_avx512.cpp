#include "load_kernels.h"

namespace reticle {
namespace {

Looked forward_of(DType dtype, const Lookup& s) { return dtype == FLOAT64 ? forward_loads<double, 2>(s) : forward_loads<float, 4>(s); }

Looked slopes_of(DType dtype, const Lookup& s, void* to, int64_t down) {
  return dtype == FLOAT64 ? slopes_loads<double, 2>(s, (double*)to, down) : slopes_loads<float, 4>(s, (float*)to, down);
}

void scatter_of(DType, const Lookup& s, int32_t low, int32_t high, uint32_t but) { scatter_loads<double>(s, low, high, but); }

Extent extent_of(DType, const Lookup& s) { return extent_of_points<double>(s); }

}  // namespace

const Loads avx512_loads = {{scatter_of, extent_of}, forward_of, slopes_of};

}  // namespace reticle
