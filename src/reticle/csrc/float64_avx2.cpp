#include "instruction_sets.h"
#include "kernels.h"

constexpr reticle::Passes reticle::avx2_float64 = reticle::passes_of<double>();
