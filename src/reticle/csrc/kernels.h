// The kernels of one type for one instruction set: which of the templates does a call?
#pragma once
#include "backward.h"
#include "forward_block.h"
#include "turn_pixels.h"

namespace reticle {
namespace {

template <class T>
void forward_of(const Call& c, const Threads& threads) {
  const int taps = support_of(c.mode);
  if (taps == 1) return forward<T>(Plan<Wide<T>, 1>(c), threads);
  if (taps == 2) return forward<T>(Plan<Wide<T>, 2>(c), threads);
  return forward<T>(Plan<Wide<T>, 4>(c), threads);
}

template <class T>
void backward_of(const Call& c, const Threads& threads) {
  const int taps = support_of(c.mode);
  if (taps == 1) return backward<T>(Plan<Wide<T>, 1>(c), threads);
  if (taps == 2) return backward<T>(Plan<Wide<T>, 2>(c), threads);
  return backward<T>(Plan<Wide<T>, 4>(c), threads);
}

template <class T>
constexpr Passes passes_of() {
  if constexpr (std::is_same<T, uint8_t>::value)
    return {forward_of<T>, nullptr, turn_of<T>};
  else
    return {forward_of<T>, backward_of<T>, turn_of<T>};
}

}  // namespace
}  // namespace reticle
