// How does the output change with the coordinates, where a point reads four pixels in a row?
#pragma once
#include "forward.h"

namespace reticle {
namespace {

// Slope along another axis than x of the weight of a row of pixels.
template <class P>
RETICLE_INLINE typename P::A row_slope(const P& plan, const Segment<P>& s, int axis, int z, int y, int p) {
  if (plan.c.ndim == 2) return s.window[1].slope[y][p];
  return axis == 1 ? s.window[0].weight[z][p] * s.window[1].slope[y][p] : s.window[0].slope[z][p] * s.window[1].weight[y][p];
}

// Four pixels in a row, R rows of them. Of four points the sums over rows are turned over for those along a row.
template <int R, class T, class P>
RETICLE_APART void gather_fours(const P& plan, const Rows& rows, const Segment<P>& s, const Reading<P>& reading, const T* u, const T* g,
                                Slopes<typename P::A>& slopes) {
  using A = typename P::A;
  constexpr int D = R == 4 ? 2 : 3, S = P::S;
  const int64_t *in = plan.c.input.stride, *out = plan.c.output.stride;
  const bool one = plan.c.channels == 1;
  for (int p = 0; p < s.count; p += 4) {
    Four<A> sums[3][4] = {}, gradients = {};  // along z, y, x of four points, pixel by pixel of a row
    for (int q = 0; q < 4 && p + q < s.count; q++) gradients[q] = widen(g[(p + q) * out[4]]);
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {  // more of them than there are read, too: their windows are inside, and what comes of it is not used
      const T* first = u + reading.offset[p + q];
      Four<A> totals[R] = {};
#pragma GCC unroll 4
      for (int r = 0; r < R && one; r++) totals[r] = load_four(first + rows.offset[r]);
      for (int64_t k = 0; k < plan.c.channels && p + q < s.count && !one; k++, first += in[1]) {
        const A gradient = widen(g[k * out[1] + (p + q) * out[4]]);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) totals[r] += load_four(first + rows.offset[r]) * gradient;
      }
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) {
        for (int a = 3 - D; a < 2; a++) sums[a][q] += totals[r] * row_slope(plan, s, a, r / S, r % S, p + q);
        sums[2][q] += totals[r] * reading.row_weight[r][p + q];
      }
    }
    for (int a = 3 - D; a < 3; a++) {
      const auto& along = a == 2 ? s.window[2].slope : s.window[2].weight;
      transpose(sums[a]);
      Four<A> total = {};
      for (int t = 0; t < 4; t++) total += sums[a][t] * load_four(along[t] + p);
      store_four(one ? total * gradients : total, slopes.axis[a] + p);
    }
  }
}

}  // namespace
}  // namespace reticle
