#include "instruction_sets.h"
#include "kernels.h"

constexpr reticle::Passes reticle::avx2_float16 = reticle::passes_of<Half>();
