// For x86 processors of 2013 and later. Compiled with -mavx2 -mfma -mf16c.
#include "strip_kernels.h"

namespace reticle {

constexpr Strips avx2_strips_float32 = strips_of<float>(), avx2_strips_float16 = strips_of<Half>(),
                 avx2_strips_bfloat16 = strips_of<BFloat16>(), avx2_strips_uint8 = strips_of<uint8_t>();

}  // namespace reticle
