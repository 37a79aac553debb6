// For which instruction sets are there kernels? Several files, so that several are compiled at a time. All are
// constants: nothing of an instruction set that the processor lacks may run when the library is loaded.
#pragma once
#include "sampler.h"

namespace reticle {

extern const Kernels baseline_kernels;

// For x86 processors of 2013 and later.
extern const Passes avx2_float32, avx2_float64, avx2_float16, avx2_bfloat16, avx2_uint8;

}  // namespace reticle
