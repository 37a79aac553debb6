// The kernels of strips.h for one instruction set.
#pragma once
#include "strip_cubic.h"
#include "strip_forward.h"
#include "strip_gradient.h"
#include "strip_nearest.h"
#include "strip_slopes.h"

#ifndef RETICLE_STRIPS
#error "a strips_*.cpp names the set"
#endif

namespace reticle {
namespace {

uint32_t forward_of(DType dtype, const Strip& s) {
  return with_width(s.width, [&](auto narrow) {
    const auto sum = [&](auto number) {
      using T = decltype(number);
      return s.mode == BILINEAR ? forward_strip<T, narrow.value>(s) : forward_cubic<T, narrow.value>(s);
    };
    if (s.mode == NEAREST) return forward_nearest<float, narrow.value>(s);
    if (dtype == FLOAT32) return sum(float{});
    if (dtype == FLOAT16) return sum(Half{});
    if (dtype == UINT8) return sum(uint8_t{});
    return sum(BFloat16{});
  });
}

bool slopes_of(DType dtype, const Strip& s, Strip::Slopes& sums) {
  if (!can_slope(s)) return false;
  return with_width(s.width, [&](auto narrow) {
    const auto sum = [&](auto number) {
      using T = decltype(number);
      return s.mode == BILINEAR ? slopes_of_strip<T, narrow.value>(s, sums) : slopes_of_cubic<T, narrow.value>(s, sums);
    };
    if (dtype == FLOAT32) return sum(float{});
    if (dtype == FLOAT16) return sum(Half{});
    return sum(BFloat16{});
  });
}

uint32_t gradient_of(DType dtype, const Strip& s) {
  return with_width(s.width, [&](auto narrow) {
    if (dtype == FLOAT32) return gradient_strip<float, narrow.value>(s);
    if (dtype == FLOAT16) return gradient_strip<Half, narrow.value>(s);
    return gradient_strip<BFloat16, narrow.value>(s);
  });
}

}  // namespace

const Strips RETICLE_STRIPS = {Lanes::points, Lanes::columns, Lanes::narrow, Lanes::least_channels,
                               forward_of,    slopes_of,      can_gather,    gradient_of};

}  // namespace reticle
