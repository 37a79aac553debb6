// For x86 processors of 2017 and later: the kernels that gain by vectors of sixteen numbers. Compiled with -mavx512f and its kin.
#include "strip_kernels.h"

namespace reticle {

constexpr Strips avx512_strips_float32 = strips_of<float>(), avx512_strips_float16 = strips_of<Half>(),
                 avx512_strips_bfloat16 = strips_of<BFloat16>(), avx512_strips_uint8 = strips_of<uint8_t>();

}  // namespace reticle
