// The nearest pixels of points that are given one by one: sixteen at a time, of one plane.
#pragma once
#include "lookup_walk.h"
#include "nearest_line.h"

namespace reticle {
namespace {

RETICLE_INLINE __mmask16 there(const NearestLine<F16>::Found& at) {
  return _mm512_cmp_ps_mask((__m512)at.pixel, (__m512)at.nearest, _CMP_EQ_OQ);
}

RETICLE_INLINE __m128 four_at(const float* p, __m128i offset) {
  const uint64_t first = uint64_t(_mm_cvtsi128_si64(offset)), second = uint64_t(_mm_extract_epi64(offset, 1));
  __m128 pixels = _mm_load_ss(p + uint32_t(first));
  pixels = _mm_insert_ps(pixels, _mm_load_ss(p + (first >> 32)), 0x10);
  pixels = _mm_insert_ps(pixels, _mm_load_ss(p + uint32_t(second)), 0x20);
  return _mm_insert_ps(pixels, _mm_load_ss(p + (second >> 32)), 0x30);
}

// The pixels p[offset]. By loads where those are quicker than lookups; the offsets do not go through memory, where so many small reads of one
// large write would wait.
template <bool by_loads>
RETICLE_INLINE __m512 sixteen_at(const float* p, __m512i offset, __mmask16 there) {
  if constexpr (!by_loads) return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), there, offset, p, sizeof(float));
  const __m128 first = four_at(p, _mm512_castsi512_si128(offset)), second = four_at(p, _mm512_extracti32x4_epi32(offset, 1));
  const __m128 third = four_at(p, _mm512_extracti32x4_epi32(offset, 2)), fourth = four_at(p, _mm512_extracti32x4_epi32(offset, 3));
  const __m256 low = _mm256_insertf128_ps(_mm256_castps128_ps256(first), second, 1);
  const __m256 high = _mm256_insertf128_ps(_mm256_castps128_ps256(third), fourth, 1);
  return (__m512)_mm512_inserti64x4(_mm512_castsi256_si512((__m256i)low), (__m256i)high, 1);
}

// `full`: rows of sixteen points and more, whose last sixteen may be some of those before, again.
template <bool by_loads, bool mirrored, bool full>
Looked nearest_lookup(const Lookup& given) {
  const Lookup s = given;  // nothing that is written can change it
  const NearestLine<F16> line_y(s.half_y, s.middle_y, s.height, s.outside), line_x(s.half_x, s.middle_x, s.width, s.outside);
  const __mmask16 some = full ? 0xffff : first_of(s.count).there, anywhere = s.outside == NOTHING ? 0 : 0xffff;
  const int last = full ? s.count - AT_ONCE : 0;
  const float *points = s.points, *from = (const float*)s.from;
  float* to = (float*)s.to;
  Looked looked = {};
  for (int row = 0; row < s.rows; row++, points += s.down_points, to += s.down_to) {
    F16 check = {};
    __mmask16 edge = 0;
    for (int p = 0;; p = std::min(p + AT_ONCE, last)) {
      for (int k = 0; k < 2; k++) __builtin_prefetch(points + ROWS_AHEAD * s.down_points + 2 * p + 16 * k);
      const Points norm(points + 2 * p, full ? AT_ONCE : s.count);
      const auto y = line_y.at<mirrored>(norm.y, check), x = line_x.at<mirrored>(norm.x, check);
      const __mmask16 inside = _mm512_kor(anywhere, there(y) & there(x));
      edge |= some & ~inside;
      const I16 nearest = __builtin_convertvector(y.nearest, I16) * int32_t(s.down) + __builtin_convertvector(x.nearest, I16);
      const __m512i offset = _mm512_maskz_mov_epi32(inside, (__m512i)nearest);  // outside: the first, which is near at hand
      __builtin_prefetch(to + ROWS_AHEAD * s.down_to + p, 1);
      const __m512 seen = _mm512_maskz_mov_ps(inside, sixteen_at<by_loads>(from, offset, inside));
      full ? _mm512_storeu_ps(to + p, seen) : _mm512_mask_storeu_ps(to + p, some, seen);
      if (p == last) break;
    }
    looked.lost |= uint32_t(!is_zero(check)) << row, looked.edge |= uint32_t(edge != 0) << row;
  }
  return looked;
}

}  // namespace
}  // namespace reticle
