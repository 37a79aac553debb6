// For any processor: what the compiler makes of the kernels without being told more.
#include "instruction_sets.h"
#include "kernels.h"

namespace reticle {
namespace {

constexpr Passes float32 = passes_of<float>(), float64 = passes_of<double>(), float16 = passes_of<Half>(), bfloat16 = passes_of<BFloat16>(),
                 uint8 = passes_of<uint8_t>();

}  // namespace

constexpr Kernels baseline_kernels = {"baseline", {&float32, &float64, &float16, &bfloat16, &uint8}, {}, nullptr, nullptr};

}  // namespace reticle
