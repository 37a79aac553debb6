#include "instruction_sets.h"
#include "kernels.h"

constexpr reticle::Passes reticle::avx2_uint8 = reticle::passes_of<uint8_t>();
