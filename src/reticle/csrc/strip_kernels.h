// The kernels of strips.h for one type and one instruction set: which of the templates does a block?
#pragma once
#include "strip_cubic.h"
#include "strip_forward.h"
#include "strip_gradient.h"
#include "strip_nearest.h"
#include "strip_slopes.h"

namespace reticle {
namespace {

template <class T>
uint32_t forward_of(const Strip& s) {
  return with_width(s.width, [&](auto narrow) {
    if constexpr (std::is_same<T, float>::value)
      if (s.mode == NEAREST) return forward_nearest<T, narrow.value>(s);
    return s.mode == BILINEAR ? forward_strip<T, narrow.value>(s) : forward_cubic<T, narrow.value>(s);
  });
}

template <class T>
bool slopes_of(const Strip& s, Strip::Slopes& sums) {
  if (!can_slope(s)) return false;
  return with_width(s.width, [&](auto narrow) {
    return s.mode == BILINEAR ? slopes_of_strip<T, narrow.value>(s, sums) : slopes_of_cubic<T, narrow.value>(s, sums);
  });
}

template <class T>
uint32_t gradient_of(const Strip& s) {
  return with_width(s.width, [&](auto narrow) { return gradient_strip<T, narrow.value>(s); });
}

template <class T>
constexpr Strips strips_of() {
  Strips s = {Lanes::points, Lanes::columns, Lanes::narrow, Lanes::least_channels, forward_of<T>, nullptr, nullptr, nullptr};
  if constexpr (!std::is_same<T, uint8_t>::value) s.slopes = slopes_of<T>, s.can_gather = can_gather, s.gradient = gradient_of<T>;
  return s;
}

}  // namespace
}  // namespace reticle
