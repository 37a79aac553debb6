// Which kernels run here? Those of the best instruction set that the processor has, or what RETICLE_ISA in the environment holds it back to.
#include <cstdlib>
#include <cstring>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "instruction_sets.h"
#include "lookups.h"
#include "strips.h"

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
  const auto held_back_to = [&](const char* name) { return wanted != nullptr && std::strcmp(wanted, name) == 0; };
  __builtin_cpu_init();
  const bool able = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  const bool more = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
  if (!able || held_back_to("baseline")) return baseline_kernels;
  static Kernels kernels = {"avx2",
                            {&avx2_float32, &avx2_float64, &avx2_float16, &avx2_bfloat16, &avx2_uint8},
                            {&avx2_strips_float32, nullptr, &avx2_strips_float16, &avx2_strips_bfloat16, &avx2_strips_uint8},
                            nullptr,
                            nullptr};
  if (!more || held_back_to("avx2")) return kernels;
  // vectors of sixteen numbers pay for strips, and for points that are given, alone
  kernels.name = "avx512", kernels.lookups = quick_lookups(), kernels.loads = &avx512_loads;
  kernels.strips[FLOAT32] = &avx512_strips_float32, kernels.strips[FLOAT16] = &avx512_strips_float16;
  kernels.strips[BFLOAT16] = &avx512_strips_bfloat16, kernels.strips[UINT8] = &avx512_strips_uint8;
  if (!__builtin_cpu_supports("avx512vbmi") || held_back_to("avx512")) return kernels;
  kernels.name = "avx512vbmi", kernels.strips[BFLOAT16] = &avx512vbmi_strips_bfloat16;
  return kernels;
#else
  return baseline_kernels;
#endif
}

const Kernels& chosen = choose();  // once, when the library is loaded

}  // namespace

const Kernels& best_kernels() { return chosen; }

}  // namespace reticle
