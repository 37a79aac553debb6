// How are numbers computed with, many at a time? Vectors of the wide type: in and out of memory, summed.
#pragma once
#include <type_traits>

#include "numbers.h"

namespace reticle {
namespace {

typedef float F8 __attribute__((vector_size(32)));
typedef int32_t I8 __attribute__((vector_size(32)));
typedef uint32_t U8 __attribute__((vector_size(32)));
typedef uint16_t H8 __attribute__((vector_size(16)));
typedef uint32_t U4 __attribute__((vector_size(16)));
typedef uint16_t H4 __attribute__((vector_size(8)));
typedef uint8_t B8 __attribute__((vector_size(8)));
typedef uint8_t B4 __attribute__((vector_size(4)));
typedef float F4 __attribute__((vector_size(16)));
typedef double D4 __attribute__((vector_size(32)));
typedef int32_t I4 __attribute__((vector_size(16)));
typedef int64_t L4 __attribute__((vector_size(32)));

template <class A>
struct VecOf;
template <>
struct VecOf<float> {
  using type = F8;
  using four = F4;
  static constexpr int lanes = 8;
};
template <>
struct VecOf<double> {
  using type = D4;
  using four = D4;
  static constexpr int lanes = 4;
};
template <class A>
using Vec = typename VecOf<A>::type;
template <class A>
using Four = typename VecOf<A>::four;

template <class V>
using Scalar = std::decay_t<decltype(V{}[0])>;
RETICLE_INLINE float one_of(float x) { return x; }
RETICLE_INLINE double one_of(double x) { return x; }
template <class V>
RETICLE_INLINE Scalar<V> one_of(V v) {
  return v[0];
}
template <class X>
using ScalarOf = decltype(one_of(X{}));  // of a number, itself
template <class V>
using Whole = decltype(V{} < V{});  // as many integers of the same size: masks, too

template <class A, int lanes>
struct VectorOf {
  typedef A type __attribute__((vector_size(sizeof(A) * lanes)));
};
template <class A>
using Cell = typename VectorOf<int32_t, VecOf<A>::lanes>::type;  // as many numbers of pixels

// Whether a vector is one or two of the processor's own. On x86 before AVX it comes apart: what keeps places in vectors is no quicker there than
// loops over places in memory, measured, and much to compile.
#if defined(__x86_64__) && !defined(__AVX__)
constexpr bool WHOLE_VECTORS = false;
#else
constexpr bool WHOLE_VECTORS = true;
#endif

// Lanes of two vectors, counted through both.
template <int... lane, class V>
RETICLE_INLINE V pick(V a, V b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, lane...);
#else
  return __builtin_shuffle(a, b, decltype(a == b){lane...});  // GCC has the other only since version 12
#endif
}

// All lanes alike; `x + V{}` would be computed, for the sake of a zero's sign.
template <class V, class A>
RETICLE_INLINE V all_of(A x) {
  return x - V{};
}

template <class V>
RETICLE_INLINE V count_up() {
  V v = {};
  for (unsigned k = 0; k < sizeof(V) / sizeof(v[0]); k++) v[k] = Scalar<V>(k);
  return v;
}

// Every other one of the lanes of both.
RETICLE_INLINE F8 evens_of(F8 a, F8 b) { return pick<0, 2, 4, 6, 8, 10, 12, 14>(a, b); }
RETICLE_INLINE F8 odds_of(F8 a, F8 b) { return pick<1, 3, 5, 7, 9, 11, 13, 15>(a, b); }
RETICLE_INLINE D4 evens_of(D4 a, D4 b) { return pick<0, 2, 4, 6>(a, b); }
RETICLE_INLINE D4 odds_of(D4 a, D4 b) { return pick<1, 3, 5, 7>(a, b); }

// The second where one is not a number.
template <class V>
RETICLE_INLINE V larger_of(V a, V b) {
  return a > b ? a : b;
}
template <class V>
RETICLE_INLINE V smaller_of(V a, V b) {
  return a < b ? a : b;
}
#if defined(__AVX__)
RETICLE_INLINE F8 larger_of(F8 a, F8 b) { return (F8)_mm256_max_ps((__m256)a, (__m256)b); }
RETICLE_INLINE F8 smaller_of(F8 a, F8 b) { return (F8)_mm256_min_ps((__m256)a, (__m256)b); }
RETICLE_INLINE D4 larger_of(D4 a, D4 b) { return (D4)_mm256_max_pd((__m256d)a, (__m256d)b); }
RETICLE_INLINE D4 smaller_of(D4 a, D4 b) { return (D4)_mm256_min_pd((__m256d)a, (__m256d)b); }
#endif

// --- a vector of them ---

RETICLE_INLINE F8 load(const float* p) { return read<F8>(p); }
RETICLE_INLINE D4 load(const double* p) { return read<D4>(p); }
// GCC takes conversions from and to vectors of 64 bits and fewer to pieces, which costs five times as much.
RETICLE_INLINE F8 widen_all(uint8_t, B8 v) {
#if defined(__AVX2__)
  const I8 whole = (I8)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)v));
#else
  const I8 whole = __builtin_convertvector(v, I8);
#endif
  return __builtin_convertvector(whole, F8);
}
RETICLE_INLINE F8 widen_all(BFloat16, H8 v) { return (F8)(__builtin_convertvector(v, U8) << 16); }
RETICLE_INLINE F8 widen_all(Half, H8 v) {
#if defined(__F16C__)
  return (F8)_mm256_cvtph_ps((__m128i)v);
#else
  F8 wide;
  for (int k = 0; k < 8; k++) wide[k] = widen(Half{v[k]});
  return wide;
#endif
}
template <class T>
using Stored = std::conditional_t<sizeof(T) == 1, B8, H8>;  // as many narrow numbers as F8 has
template <class T>
RETICLE_INLINE F8 load(const T* p) {
  return widen_all(T{}, read<Stored<T>>(p));
}

template <class V, class A>
RETICLE_INLINE void put(V v, A* p) {
  std::memcpy(p, &v, sizeof v);
}
RETICLE_INLINE void store(F8 v, float* p) { std::memcpy(p, &v, sizeof v); }
RETICLE_INLINE void store(D4 v, double* p) { std::memcpy(p, &v, sizeof v); }
// Numbers as bfloat16, ties to even; one NaN for all.
template <class U, class V>
RETICLE_INLINE U rounded(V v) {
  const U bits = (U)v;
  return v == v ? (bits + 0x7fff + (bits >> 16 & 1)) >> 16 : U{} + 0x7fc0;
}
RETICLE_INLINE H8 low_halves(U8 v) {
#if defined(__AVX2__)
  return (H8)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));  // none is above 2^16
#else
  return __builtin_convertvector(v, H8);
#endif
}
RETICLE_INLINE void store(F8 v, BFloat16* p) {
  const H8 h = low_halves(rounded<U8>(v));
  std::memcpy(p, &h, sizeof h);
}
RETICLE_INLINE void store(F8 v, Half* p) {
#if defined(__F16C__)
  __m128i h = _mm256_cvtps_ph((__m256)v, 0);
  std::memcpy(p, &h, sizeof h);
#else
  for (int k = 0; k < 8; k++) narrow(v[k], p[k]);
#endif
}
RETICLE_INLINE void store(F8 v, uint8_t* p) {  // as narrow(): ties to even; NaN becomes 0
  const F8 zero = {}, most = zero + 255, positive = v > 0 ? v : zero;
  const U8 rounded = (U8)((positive < 255 ? positive : most) + 0x1p23f);  // whole numbers stand in the lowest bits of such sums
#if defined(__AVX2__)
  const __m128i halves = (__m128i)low_halves(rounded & 0xff), b = _mm_packus_epi16(halves, halves);
  std::memcpy(p, &b, 8);
#else
  const B8 b = __builtin_convertvector(rounded, B8);
  std::memcpy(p, &b, sizeof b);
#endif
}

// --- four pixels in a row ---

RETICLE_INLINE F4 load_four(const float* p) { return read<F4>(p); }
RETICLE_INLINE D4 load_four(const double* p) { return read<D4>(p); }
#if defined(__AVX2__)
RETICLE_INLINE U4 widen_four(B4 v) { return (U4)_mm_cvtepu8_epi32(_mm_cvtsi32_si128((int32_t)v)); }
RETICLE_INLINE U4 widen_four(H4 v) { return (U4)_mm_cvtepu16_epi32(_mm_cvtsi64_si128((int64_t)v)); }
#else
RETICLE_INLINE U4 widen_four(B4 v) { return __builtin_convertvector(v, U4); }
RETICLE_INLINE U4 widen_four(H4 v) { return __builtin_convertvector(v, U4); }
#endif
RETICLE_INLINE F4 load_four(const uint8_t* p) { return __builtin_convertvector((I4)widen_four(read<B4>(p)), F4); }
RETICLE_INLINE F4 load_four(const BFloat16* p) { return (F4)(widen_four(read<H4>(p)) << 16); }
#if defined(__F16C__)
RETICLE_INLINE F4 load_four(const Half* p) { return (F4)_mm_cvtph_ps(_mm_cvtsi64_si128(read<int64_t>(p))); }
#endif
template <class T>
RETICLE_INLINE F4 load_four(const T* p) {
  return F4{widen(p[0]), widen(p[1]), widen(p[2]), widen(p[3])};
}

typedef float F2 __attribute__((vector_size(8)));
typedef double D8 __attribute__((vector_size(64)));
template <class A>
using Two = typename VectorOf<A, 2>::type;

template <class V>
RETICLE_INLINE auto sum(V v) {
  auto total = v[0];
  for (unsigned k = 1; k < sizeof(V) / sizeof(v[0]); k++) total += v[k];
  return total;
}
// Halves first: a sum of eight, one after the other, takes longer than most of what is summed here.
RETICLE_INLINE float sum(F4 v) { return (v[0] + v[2]) + (v[1] + v[3]); }
RETICLE_INLINE float sum(F8 v) {
  F4 halves[2];
  std::memcpy(halves, &v, sizeof v);
  return sum(halves[0] + halves[1]);
}

#if defined(__AVX512F__)
typedef float F16 __attribute__((vector_size(64)));
typedef int32_t I16 __attribute__((vector_size(64)));

RETICLE_INLINE F16 evens_of(F16 a, F16 b) { return pick<0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30>(a, b); }
RETICLE_INLINE F16 odds_of(F16 a, F16 b) { return pick<1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31>(a, b); }

RETICLE_INLINE D8 evens_of(D8 a, D8 b) { return pick<0, 2, 4, 6, 8, 10, 12, 14>(a, b); }
RETICLE_INLINE D8 odds_of(D8 a, D8 b) { return pick<1, 3, 5, 7, 9, 11, 13, 15>(a, b); }

RETICLE_INLINE D8 larger_of(D8 a, D8 b) { return (D8)_mm512_max_pd((__m512d)a, (__m512d)b); }
RETICLE_INLINE D8 smaller_of(D8 a, D8 b) { return (D8)_mm512_min_pd((__m512d)a, (__m512d)b); }
RETICLE_INLINE F16 larger_of(F16 a, F16 b) { return (F16)_mm512_max_ps((__m512)a, (__m512)b); }
RETICLE_INLINE F16 smaller_of(F16 a, F16 b) { return (F16)_mm512_min_ps((__m512)a, (__m512)b); }
#endif

RETICLE_INLINE void widen_to(I8 v, int64_t* to) {
  const I4 low = {v[0], v[1], v[2], v[3]}, high = {v[4], v[5], v[6], v[7]};
  const L4 a = __builtin_convertvector(low, L4), b = __builtin_convertvector(high, L4);
  std::memcpy(to, &a, sizeof a);
  std::memcpy(to + 4, &b, sizeof b);
}

template <class T>
RETICLE_INLINE Four<Wide<T>> load_four(const T* p, int n) {
  if (n >= 4) return load_four(p);
  T some[4] = {};
  for (int k = 0; k < n; k++) some[k] = p[k];
  return load_four(some);
}

RETICLE_INLINE void store_four(F4 v, float* p) { std::memcpy(p, &v, sizeof v); }
RETICLE_INLINE void store_four(D4 v, double* p) { std::memcpy(p, &v, sizeof v); }
RETICLE_INLINE void store_four(F4 v, BFloat16* p) {
#if defined(__AVX2__)
  const U4 bits = rounded<U4>(v);
  const __m128i h = _mm_packus_epi32((__m128i)bits, (__m128i)bits);
  std::memcpy(p, &h, 8);
#else
  const H4 h = __builtin_convertvector(rounded<U4>(v), H4);
  std::memcpy(p, &h, sizeof h);
#endif
}
#if defined(__F16C__)
RETICLE_INLINE void store_four(F4 v, Half* p) {
  const int64_t h = _mm_cvtsi128_si64(_mm_cvtps_ph((__m128)v, 0));
  std::memcpy(p, &h, sizeof h);
}
#endif
template <class T>
RETICLE_INLINE void store_four(F4 v, T* p) {
  for (int k = 0; k < 4; k++) narrow(v[k], p[k]);
}
template <class T>
RETICLE_INLINE void store_four(Four<Wide<T>> v, T* p, int n) {
  if (n >= 4) return store_four(v, p);
  for (int k = 0; k < n; k++) narrow(v[k], p[k]);
}

}  // namespace
}  // namespace reticle
