// How are numbers held? Storage types, the wide type that all sums are made in, and the ways between them.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__F16C__)
#include <immintrin.h>
#endif

#define RETICLE_INLINE inline __attribute__((always_inline))
#define RETICLE_APART __attribute__((noinline))  // compiled once, however many call it

namespace reticle {
namespace {

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

// Sums are made in float, of float64 images in double.
template <class T>
struct WideOf {
  using type = float;
};
template <>
struct WideOf<double> {
  using type = double;
};
template <class T>
using Wide = typename WideOf<T>::type;

template <class To, class From>
RETICLE_INLINE To read(const From* p) {
  To value;
  std::memcpy(&value, p, sizeof(To));
  return value;
}

RETICLE_INLINE float bits_to_float(uint32_t u) { return read<float>(&u); }
RETICLE_INLINE uint32_t float_to_bits(float f) { return read<uint32_t>(&f); }

// --- one number ---

RETICLE_INLINE float widen(float v) { return v; }
RETICLE_INLINE double widen(double v) { return v; }
RETICLE_INLINE float widen(uint8_t v) { return v; }
RETICLE_INLINE float widen(BFloat16 v) { return bits_to_float(uint32_t(v.bits) << 16); }
RETICLE_INLINE float widen(Half v) {
#if defined(__F16C__)
  return _cvtsh_ss(v.bits);
#else
  uint32_t sign = uint32_t(v.bits & 0x8000) << 16, rest = v.bits & 0x7fff;
  if (rest >= 0x7c00) return bits_to_float(sign | 0x7f800000 | (rest & 0x3ff) << 13);
  float magnitude = bits_to_float(rest << 13) * 0x1p112f;  // moves the exponent, subnormal numbers included
  return bits_to_float(sign | float_to_bits(magnitude));
#endif
}

RETICLE_INLINE void narrow(float v, float& to) { to = v; }
RETICLE_INLINE void narrow(double v, double& to) { to = v; }
RETICLE_INLINE void narrow(float v, uint8_t& to) {  // ties to even; NaN becomes 0
  float clamped = v > 0 ? (v < 255 ? v : 255) : 0;
  to = uint8_t(std::nearbyint(clamped));
}
RETICLE_INLINE void narrow(float v, BFloat16& to) {
  uint32_t u = float_to_bits(v);
  to.bits = v == v ? uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16) : uint16_t(0x7fc0);
}
RETICLE_INLINE void narrow(float v, Half& to) {
#if defined(__F16C__)
  to.bits = uint16_t(_cvtss_sh(v, 0));
#else
  uint32_t u = float_to_bits(v), sign = u >> 16 & 0x8000, rest = u & 0x7fffffff;
  if (rest > 0x7f800000) {
    to.bits = uint16_t(sign | 0x7e00);
  } else if (rest >= 0x477ff000) {  // rounds to 65536 or more
    to.bits = uint16_t(sign | 0x7c00);
  } else if (rest < 0x38800000) {  // subnormal: let the addition round
    to.bits = uint16_t(sign | (float_to_bits(bits_to_float(rest) + 0.5f) - 0x3f000000));
  } else {
    to.bits = uint16_t(sign | (rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13);
  }
#endif
}

}  // namespace
}  // namespace reticle
