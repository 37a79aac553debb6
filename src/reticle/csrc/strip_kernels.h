// The kernels of strips.h for one instruction set.
#pragma once
#include "strip_forward.h"
#include "strip_gradient.h"
#include "strip_slopes.h"

#ifndef RETICLE_STRIPS
#error "a strips_*.cpp names the set"
#endif

namespace reticle {
namespace {

uint32_t forward_of(DType dtype, const Strip& s) {
  if (dtype == FLOAT32) return forward_strip<float>(s);
  if (dtype == FLOAT16) return forward_strip<Half>(s);
  if (dtype == UINT8) return forward_strip<uint8_t>(s);
  return forward_strip<BFloat16>(s);
}

bool slopes_of(DType dtype, const Strip& s, Strip::Slopes& sums) {
  if (!can_slope(s)) return false;
  if (dtype == FLOAT32) return slopes_of_strip<float>(s, sums);
  if (dtype == FLOAT16) return slopes_of_strip<Half>(s, sums);
  return slopes_of_strip<BFloat16>(s, sums);
}

uint32_t gradient_of(DType dtype, const Strip& s) {
  if (dtype == FLOAT32) return gradient_strip<float>(s);
  if (dtype == FLOAT16) return gradient_strip<Half>(s);
  return gradient_strip<BFloat16>(s);
}

}  // namespace

const Strips RETICLE_STRIPS = {Lanes::points, Lanes::columns, Lanes::narrow, Lanes::least_channels,
                               forward_of,    slopes_of,      can_gather,    gradient_of};

}  // namespace reticle
