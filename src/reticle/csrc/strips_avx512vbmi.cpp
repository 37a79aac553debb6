// For x86 processors of 2019 and later: the type whose numbers are moved as two bytes each. Compiled with -mavx512vbmi, too.
#include "strip_kernels.h"

namespace reticle {

constexpr Strips avx512vbmi_strips_bfloat16 = strips_of<BFloat16>();

}  // namespace reticle
