#include "instruction_sets.h"
#include "kernels.h"

const reticle::Passes reticle::avx2_uint8 = reticle::passes_of<uint8_t>();
