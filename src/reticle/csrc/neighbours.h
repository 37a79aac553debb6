// How are pixels read that stand side by side, a few of them for each of a vector of points?
#pragma once
#include "turn.h"

namespace reticle {
namespace {

// --- the pixels p[offset] and p[offset + 1] of each point: left ones, right ones ---

// Pieces of 64 bits side by side. Loads that fill all lanes, and blends, keep away from the one port of many processors that moves lanes.
RETICLE_INLINE D4 four_pieces(const void* a, const void* b, const void* c, const void* d) {
#if defined(__AVX__)
  auto all = [](const void* p) { return _mm256_broadcast_sd((const double*)p); };
  return (D4)_mm256_blend_pd(_mm256_blend_pd(all(a), all(b), 2), _mm256_blend_pd(all(c), all(d), 8), 12);
#else
  return D4{read<double>(a), read<double>(b), read<double>(c), read<double>(d)};
#endif
}

RETICLE_INLINE D4 two_pairs(const double* a, const double* b) {
#if defined(__AVX__)
  return (D4)_mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(a)), _mm_loadu_pd(b), 1);
#else
  return D4{a[0], a[1], b[0], b[1]};
#endif
}

template <class O>
RETICLE_INLINE void load_pairs(const float* p, const O* o, F8& left, F8& right) {
  // in this order the shuffles, which do not cross the middle, leave the points in theirs
  F8 a = (F8)four_pieces(p + o[0], p + o[1], p + o[4], p + o[5]), b = (F8)four_pieces(p + o[2], p + o[3], p + o[6], p + o[7]);
  left = pick<0, 2, 8, 10, 4, 6, 12, 14>(a, b);
  right = pick<1, 3, 9, 11, 5, 7, 13, 15>(a, b);
}
template <class O>
RETICLE_INLINE void load_pairs(const double* p, const O* o, D4& left, D4& right) {
  const D4 a = two_pairs(p + o[0], p + o[2]), b = two_pairs(p + o[1], p + o[3]);
  left = pick<0, 4, 2, 6>(a, b);
  right = pick<1, 5, 3, 7>(a, b);
}
template <class T, class O>
RETICLE_INLINE U8 load_words(const T* p, const O* o) {
  auto two = [&](int k) { return read<uint32_t>(p + o[k]); };
  return U8{two(0), two(1), two(2), two(3), two(4), two(5), two(6), two(7)};
}
template <class O>
RETICLE_INLINE void load_pairs(const BFloat16* p, const O* o, F8& left, F8& right) {
  U8 words = load_words(p, o);  // the first of a pair is the lower half
  left = (F8)(words << 16);
  right = (F8)(words & 0xffff0000);
}
template <class O>
RETICLE_INLINE void load_pairs(const Half* p, const O* o, F8& left, F8& right) {
  U8 words = load_words(p, o);
  const H8 low = low_halves(words & 0xffff), high = low_halves(words >> 16);
  left = load((const Half*)&low);
  right = load((const Half*)&high);
}
template <class O>
RETICLE_INLINE void load_pairs(const uint8_t* p, const O* o, F8& left, F8& right) {
  auto two = [&](int k) { return int32_t(read<uint16_t>(p + o[k])); };
  I8 words = {two(0), two(1), two(2), two(3), two(4), two(5), two(6), two(7)};
  left = __builtin_convertvector(words & 0xff, F8);
  right = __builtin_convertvector(words >> 8, F8);
}

// --- the pixels from p[offset] on, four of each point: the first ones, the second ones, and so on ---

template <class T, class O>
RETICLE_INLINE void load_fours(const T* p, const O* o, F8* r) {
#pragma GCC unroll 4
  for (int q = 0; q < 4; q++) r[q] = side_by_side(load_four(p + o[q]), load_four(p + o[q + 4]));
  transpose_halves(r);
}
template <class O>
RETICLE_INLINE void load_fours(const double* p, const O* o, D4* r) {
#pragma GCC unroll 4
  for (int q = 0; q < 4; q++) r[q] = load_four(p + o[q]);
  transpose(r);
}

}  // namespace
}  // namespace reticle
