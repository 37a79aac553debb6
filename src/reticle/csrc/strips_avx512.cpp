// For x86 processors of 2017 and later: the kernels that gain by vectors of sixteen numbers. Compiled with -mavx512f and its kin.
#define RETICLE_STRIPS avx512_strips
#include "strip_kernels.h"
