// For any processor: what the compiler makes of the kernels without being told more.
#define RETICLE_KERNELS baseline_kernels
#define RETICLE_NAME "baseline"
#define RETICLE_STRIPS nullptr
#include "kernels.h"
