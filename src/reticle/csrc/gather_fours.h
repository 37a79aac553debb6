// How does the output change with the coordinates, where a point reads four pixels in a row?
#pragma once
#include "forward.h"

namespace reticle {
namespace {

// Slope along another axis than x of the weight of a row of pixels, of a vector of points.
template <int R, class P>
RETICLE_INLINE Vec<typename P::A> row_slopes(const Segment<P>& s, int axis, int r, int p) {
  const int z = r / P::S, y = r % P::S;
  if (R == P::S) return load(s.window[1].slope[y] + p);
  const auto &along_z = axis == 0 ? s.window[0].slope : s.window[0].weight, &along_y = axis == 1 ? s.window[1].slope : s.window[1].weight;
  return load(along_z[z] + p) * load(along_y[y] + p);
}

// Four pixels in a row, R rows of them.
template <int R, class T, class P>
RETICLE_APART void gather_fours(const P& plan, const Rows& rows, const Segment<P>& s, const Reading<P>& reading, const T* u, const T* g,
                                Slopes<typename P::A>& slopes) {
  using V = Vec<typename P::A>;
  constexpr int first = R == P::S ? 1 : 0;  // of the axes
  const int64_t next = plan.c.input.stride[1], next_out = plan.c.output.stride[1];
  for (int p = 0; p < s.count; p += VecOf<typename P::A>::lanes) {
    V totals[3] = {};
    for (int64_t k = 0; k < plan.c.channels; k++) {
      const V gradient = load_some(g + k * next_out + p, s.count - p);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) {
        V pixel[4], weighted = {}, sloped = {};
        load_fours(u + k * next + rows.offset[r], reading.offset + p, pixel);
#pragma GCC unroll 4
        for (int t = 0; t < 4; t++)
          weighted += pixel[t] * load(reading.column_weight[t] + p), sloped += pixel[t] * load(s.window[2].slope[t] + p);
        weighted *= gradient, sloped *= gradient;
        for (int a = first; a < 2; a++) totals[a] += weighted * row_slopes<R>(s, a, r, p);
        totals[2] += sloped * load(reading.row_weight[r] + p);
      }
    }
    for (int a = first; a < 3; a++) store(totals[a], slopes.axis[a] + p);
  }
}

}  // namespace
}  // namespace reticle
