// The kernels of one instruction set: which of the templates does a call?
#pragma once
#include "backward.h"
#include "forward_block.h"

#ifndef RETICLE_KERNELS
#error "a kernels_*.cpp names the set"
#endif

namespace reticle {
namespace {

template <class T>
void forward_of(const Call& c, const Threads& threads) {
  const int taps = support_of(c.mode);
  if (taps == 1) return forward<T>(Plan<Wide<T>, 1>(c), threads);
  if (taps == 2) return forward<T>(Plan<Wide<T>, 2>(c), threads);
  return forward<T>(Plan<Wide<T>, 4>(c), threads);
}

void forward_any(const Call& c, const Threads& threads) {
  if (c.dtype == FLOAT32) return forward_of<float>(c, threads);
  if (c.dtype == FLOAT64) return forward_of<double>(c, threads);
  if (c.dtype == FLOAT16) return forward_of<Half>(c, threads);
  if (c.dtype == BFLOAT16) return forward_of<BFloat16>(c, threads);
  return forward_of<uint8_t>(c, threads);
}

template <class T>
void backward_of(const Call& c, const Threads& threads) {
  const int taps = support_of(c.mode);
  if (taps == 1) return backward<T>(Plan<Wide<T>, 1>(c), threads);
  if (taps == 2) return backward<T>(Plan<Wide<T>, 2>(c), threads);
  return backward<T>(Plan<Wide<T>, 4>(c), threads);
}

void backward_any(const Call& c, const Threads& threads) {  // integers have none
  if (c.dtype == FLOAT32) return backward_of<float>(c, threads);
  if (c.dtype == FLOAT64) return backward_of<double>(c, threads);
  if (c.dtype == FLOAT16) return backward_of<Half>(c, threads);
  if (c.dtype == BFLOAT16) return backward_of<BFloat16>(c, threads);
}

}  // namespace

const Kernels RETICLE_KERNELS = {RETICLE_NAME, forward_any, backward_any, RETICLE_STRIPS, nullptr};

}  // namespace reticle
