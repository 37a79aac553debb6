// For x86 processors of 2013 and later. Compiled with -mavx2 -mfma -mf16c.
#include "strips.h"
#define RETICLE_KERNELS avx2_kernels
#define RETICLE_NAME "avx2"
#define RETICLE_STRIPS &avx2_strips
#include "kernels.h"
