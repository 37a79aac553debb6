// Which kernels run here? Those of the best instruction set that the processor has, or what RETICLE_ISA in the environment holds it back to.
#include <cstdlib>
#include <cstring>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "sampler.h"

namespace reticle {
namespace {

#if defined(__x86_64__)
bool has_f16c() {  // not every compiler's __builtin_cpu_supports knows it
  unsigned a, b, c = 0, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

const Kernels& choose() {
#if defined(__x86_64__)
  const char* wanted = std::getenv("RETICLE_ISA");
  const bool held_back = wanted != nullptr && std::strcmp(wanted, "baseline") == 0;
  __builtin_cpu_init();
  const bool able = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  if (able && !held_back) return avx2_kernels;
#endif
  return baseline_kernels;
}

const Kernels& chosen = choose();  // once, when the library is loaded

}  // namespace

const Kernels& best_kernels() { return chosen; }

}  // namespace reticle
