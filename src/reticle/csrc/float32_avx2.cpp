#include "instruction_sets.h"
#include "kernels.h"

constexpr reticle::Passes reticle::avx2_float32 = reticle::passes_of<float>();
