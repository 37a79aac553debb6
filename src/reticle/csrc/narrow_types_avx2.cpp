#include "instruction_sets.h"
#include "kernels.h"

namespace reticle {

// In one file: what is computed from their numbers, in single precision, is compiled once.
constexpr Passes avx2_float16 = passes_of<Half>(), avx2_bfloat16 = passes_of<BFloat16>(), avx2_uint8 = passes_of<uint8_t>();

}  // namespace reticle
