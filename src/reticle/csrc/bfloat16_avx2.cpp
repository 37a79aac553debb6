#include "instruction_sets.h"
#include "kernels.h"

constexpr reticle::Passes reticle::avx2_bfloat16 = reticle::passes_of<BFloat16>();
