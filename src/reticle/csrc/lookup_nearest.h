// The nearest pixels of points that are given one by one: sixteen at a time, of one plane; of a few, where lookups are quick.
#pragma once
#include "lookup_walk.h"
#include "nearest_line.h"

namespace reticle {
namespace {

RETICLE_INLINE __m128 four_at(const float* p, __m128i offset) {
  const uint64_t first = uint64_t(_mm_cvtsi128_si64(offset)), second = uint64_t(_mm_extract_epi64(offset, 1));
  __m128 pixels = _mm_load_ss(p + uint32_t(first));
  pixels = _mm_insert_ps(pixels, _mm_load_ss(p + (first >> 32)), 0x10);
  pixels = _mm_insert_ps(pixels, _mm_load_ss(p + uint32_t(second)), 0x20);
  return _mm_insert_ps(pixels, _mm_load_ss(p + (second >> 32)), 0x30);
}

// The pixels p[offset] that there are, zeros in place of others. By loads where those are quicker than lookups; the offsets do not go through
// memory, where so many small reads of one large write would wait.
template <bool by_loads>
RETICLE_INLINE __m512 sixteen_at(const float* p, __m512i offset, __mmask16 there) {
  if constexpr (!by_loads) return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), there, offset, p, sizeof(float));
  offset = _mm512_maskz_mov_epi32(there, offset);  // those that are not there read the first pixel
  const __m128 first = four_at(p, _mm512_castsi512_si128(offset)), second = four_at(p, _mm512_extracti32x4_epi32(offset, 1));
  const __m128 third = four_at(p, _mm512_extracti32x4_epi32(offset, 2)), fourth = four_at(p, _mm512_extracti32x4_epi32(offset, 3));
  const __m256 low = _mm256_insertf128_ps(_mm256_castps128_ps256(first), second, 1);
  const __m256 high = _mm256_insertf128_ps(_mm256_castps128_ps256(third), fourth, 1);
  return _mm512_maskz_mov_ps(there, (__m512)_mm512_inserti64x4(_mm512_castsi256_si512((__m256i)low), (__m256i)high, 1));
}

// The pixels that sixteen points read, and which points read any.
struct Nearest {
  I16 offset;
  __mmask16 inside;
};

template <Outside outside>
RETICLE_INLINE Nearest find_nearest(const NearestLine<F16>& line_x, const NearestLine<F16>& line_y, const Lookup& s, const Points& norm,
                                    F16& check) {
  constexpr bool mirrored = outside > NEAREST_PIXEL;
  const auto y = line_y.at<mirrored>(norm.y, check), x = line_x.at<mirrored>(norm.x, check);
  if constexpr (outside != NOTHING)
    return {__builtin_convertvector(y.nearest, I16) * int32_t(s.down) + __builtin_convertvector(x.nearest, I16), 0xffff};
  // numbers too large for an integer, and what is not a number, become the least one: as a number without sign, beyond every image
  const I16 row = __builtin_convertvector(y.pixel, I16), column = __builtin_convertvector(x.pixel, I16);
  const __mmask16 in_rows = _mm512_cmplt_epu32_mask((__m512i)row, _mm512_set1_epi32(s.height));
  return {row * int32_t(s.down) + column, _mm512_mask_cmplt_epu32_mask(in_rows, (__m512i)column, _mm512_set1_epi32(s.width))};
}

// `full`: rows of sixteen points and more, whose last sixteen may be some of those before, again.
template <bool by_loads, Outside outside, bool full>
Looked nearest_lookup(const Lookup& given) {
  const Lookup s = given;  // nothing that is written can change it
  const NearestLine<F16> line_y(s.half_y, s.middle_y, s.height, s.outside), line_x(s.half_x, s.middle_x, s.width, s.outside);
  const __mmask16 some = full ? 0xffff : first_of(s.count).there;
  const int last = full ? s.count - AT_ONCE : 0;
  const float *points = s.point<float>(0, 0), *from = (const float*)s.from;
  float* to = (float*)s.to;
  Looked looked = {};
  for (int row = 0; row < s.rows; row++, points += s.down_points, to += s.down_to) {
    F16 check = {};
    __mmask16 edge = 0;
    for (int p = 0;; p = std::min(p + AT_ONCE, last)) {
      for (int k = 0; k < 2; k++) __builtin_prefetch(points + ROWS_AHEAD * s.down_points + 2 * p + 16 * k);
      const Nearest at = find_nearest<outside>(line_x, line_y, s, Points(points + 2 * p, full ? AT_ONCE : s.count), check);
      edge |= some & ~at.inside;
      const auto copy = [&](const float* plane, float* to) __attribute__((always_inline)) {
        __builtin_prefetch(to + ROWS_AHEAD * s.down_to, 1);
        const __m512 seen = sixteen_at<by_loads>(plane, (__m512i)at.offset, at.inside);
        full ? _mm512_storeu_ps(to, seen) : _mm512_mask_storeu_ps(to, some, seen);
      };
      copy(from, to + p);
      for (int64_t k = 1; k < s.channels && !by_loads; k++) copy(from + k * s.plane, to + k * s.plane_to + p);
      if (p == last) break;
    }
    looked.lost |= uint32_t(!is_zero(check)) << row, looked.edge |= uint32_t(edge != 0) << row;
  }
  return looked;
}

}  // namespace
}  // namespace reticle
