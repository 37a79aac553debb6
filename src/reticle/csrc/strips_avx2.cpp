// For x86 processors of 2013 and later. Compiled with -mavx2 -mfma -mf16c.
#define RETICLE_STRIPS avx2_strips
#include "strip_kernels.h"
