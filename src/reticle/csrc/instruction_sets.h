// For which instruction sets are there kernels? Those of AVX2 are in several files, which are compiled at the same time. All are constants:
// nothing of an instruction set that the processor lacks may run when the library is loaded.
#pragma once
#include "sampler.h"

namespace reticle {

extern const Kernels baseline_kernels;

// For x86 processors of 2013 and later.
extern const Passes avx2_float32, avx2_float64, avx2_float16, avx2_bfloat16, avx2_uint8;

}  // namespace reticle
