// The nearest pixels of points that are given one by one: sixteen at a time.
#pragma once
#include "lookup_walk.h"
#include "nearest_line.h"

namespace reticle {
namespace {

RETICLE_INLINE __mmask16 there(const NearestLine<F16>::Found& at) {
  return _mm512_cmp_ps_mask((__m512)at.pixel, (__m512)at.nearest, _CMP_EQ_OQ);
}

// `full`: rows of sixteen points and more, whose last sixteen may be some of those before, again.
template <bool mirrored, bool full>
Looked nearest_lookup(const Lookup& given) {
  const Lookup s = given;  // nothing that is written can change it
  const NearestLine<F16> line_y(s.half_y, s.middle_y, s.height, s.outside), line_x(s.half_x, s.middle_x, s.width, s.outside);
  const __mmask16 some = full ? 0xffff : first_of(s.count).there, anywhere = s.outside == NOTHING ? 0 : 0xffff;
  const int last = full ? s.count - AT_ONCE : 0;
  const float* points = s.points;
  float* to = (float*)s.to;
  Looked looked = {};
  for (int row = 0; row < s.rows; row++, points += s.down_points, to += s.down_to) {
    F16 check = {};
    __mmask16 edge = 0;
    for (int p = 0;; p = std::min(p + AT_ONCE, last)) {
      for (int k = 0; k < 2; k++) __builtin_prefetch(points + ROWS_AHEAD * s.down_points + 2 * p + 16 * k);
      const Points norm(points + 2 * p, full ? AT_ONCE : s.count);
      const auto y = line_y.at<mirrored>(norm.y, check), x = line_x.at<mirrored>(norm.x, check);
      const __mmask16 inside = anywhere | (there(y) & there(x));
      edge |= some & ~inside;
      const I16 offset = __builtin_convertvector(y.nearest, I16) * int32_t(s.down) + __builtin_convertvector(x.nearest, I16);
      const float* from = (const float*)s.from;
      float* pixel = to + p;
      for (int64_t k = 0; k < s.channels; k++, from += s.plane, pixel += s.plane_to) {
        __builtin_prefetch(pixel + ROWS_AHEAD * s.down_to, 1);
        const __m512 pixels = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), some, (__m512i)offset, from, sizeof(float));
        const __m512 seen = _mm512_maskz_mov_ps(inside, pixels);
        full ? _mm512_storeu_ps(pixel, seen) : _mm512_mask_storeu_ps(pixel, some, seen);
      }
      if (p == last) break;
    }
    looked.lost |= uint32_t(!is_zero(check)) << row, looked.edge |= uint32_t(edge != 0) << row;
  }
  return looked;
}

}  // namespace
}  // namespace reticle
