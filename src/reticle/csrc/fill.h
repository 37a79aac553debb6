// What do points show where their kernel reaches outside, and what does that say of where they are? The constant fill, as what is added to
// an image with zeros around it.
#pragma once
#include "segment.h"

namespace reticle {
namespace {

// By axis and point, in pixels.
template <class A>
struct Slopes {
  alignas(64) A axis[3][SEGMENT];
};

// Whether it needs no look at the points of a segment to know that all their windows are inside.
template <class P>
bool surely_inside(const P& plan, const Matrix& m, const Segment<P>& s) {
  if (!plan.c.is_matrix || !m.tame || m.divides) return false;
  const int64_t at[3] = {s.k, s.i, s.j};
  const double up = P::S == 1 ? 0.5 : 0, low = (P::S - 1) / 2 + 0.01;  // more than rounding moves a point
  for (int a = 3 - plan.c.ndim; a < 3; a++) {
    const double first = start_of(plan, m, a, at) + up, last = first + m.pixels.step[a][2] * (s.count - 1);
    const double high = double(plan.in[a].size - P::S / 2) - 0.01;
    if (!(std::min(first, last) >= low && std::max(first, last) < high)) return false;
  }
  return true;
}

// How much of each point's kernel lies outside, where the fill is read.
template <class P>
RETICLE_APART void find_missing(const P& plan, const Segment<P>& s, typename P::A* missing) {
  for (int p = 0; p < s.count; p++) {
    typename P::A total = 0;
    for (int a = 3 - plan.c.ndim; a < 3; a++) {
      auto m = s.window[a].missing[p];
      total = total + m - total * m;
    }
    missing[p] = total;
  }
}

template <class T, class P>
RETICLE_APART void add_fill(const P& plan, const Segment<P>& s, T* v) {
  using A = typename P::A;
  const Call& c = plan.c;
  A missing[SEGMENT];
  find_missing(plan, s, missing);
  const auto add = [&](int64_t k, int p, T& to) {
    const A before = widen(to), after = before + A(c.fill[k]) * missing[p];
    narrow(missing[p] == 0 ? before : after, to);  // even if the fill is not finite
  };
  if (c.output.stride[4] == 1) {
    for (int64_t k = 0; k < c.channels; k++)
      for (int p = 0; p < s.count; p++) add(k, p, v[k * c.output.stride[1] + p]);
    return;
  }
  for (int p = 0; p < s.count; p++)
    for (int64_t k = 0; k < c.channels; k++) add(k, p, v[k * c.output.stride[1] + p * c.output.stride[4]]);
}

// Adds the fill to a row that zeros were read for.
template <class T, class P>
void fill_row(const P& plan, const Matrix& m, int64_t b, Segment<P>& s, T* v) {
  if (surely_inside(plan, m, s)) return;
  find_places(plan, m, b, s);
  make_windows(plan, {false, true}, s);
  if (s.edge) add_fill(plan, s, v);
}

// Whether a point of a block may.
template <class P>
bool may_miss(const P& plan, const Matrix& m, int64_t number, Segment<P>& s) {
  for (int row = 0; row < BLOCK_ROWS && at_row(plan, number, row, s); row++)
    if (!surely_inside(plan, m, s)) return true;
  return false;
}

// What is there of the window of point `p` along an axis, and how that changes with the place. Two weights sum to 1 exactly and their slopes to 0
// where both are inside; sums of four are rounded, and what is missing of them is told apart.
template <class P>
RETICLE_INLINE void present(const P& plan, const Segment<P>& s, int axis, int p, typename P::A& weight, typename P::A& slope) {
  const auto& w = s.window[axis];
  if (P::S == 4) {
    weight = 1 - w.missing[p], slope = -w.missing_slope[p];
  } else {
    weight = slope = 0;
    for (int t = 0; t < plan.width[axis]; t++) weight += w.weight[t][p], slope += w.slope[t][p];
  }
}

// How the fill's part in the points of a segment, whose gradient is `g`, changes with their coordinates: it gains what their windows lose.
// Those are the windows that the other slopes are of: at the centre of the last pixel it is for them to say on which side a point lies.
template <class T, class P>
RETICLE_APART void add_slopes_of_fill(const P& plan, const Matrix& m, int64_t b, const double* fill, Segment<P>& s, const T* g,
                                      Slopes<typename P::A>& slopes) {
  using A = typename P::A;
  const Call& c = plan.c;
  if (P::S == 4) {
    if (!s.placed) find_places(plan, m, b, s);
    make_windows(plan, {true, true}, s);
  }
  for (int p = 0; p < s.count; p++) {
    A weight[3], slope[3], change[3], any = 0;
    for (int a = 3 - c.ndim; a < 3; a++) present(plan, s, a, p, weight[a], slope[a]);
    for (int a = 3 - c.ndim; a < 3; a++) {
      change[a] = -slope[a];
      for (int b = 3 - c.ndim; b < 3; b++)
        if (b != a) change[a] *= weight[b];
      any += std::fabs(change[a]);
    }
    if (any == 0) continue;
    A read = 0;
    for (int64_t k = 0; k < c.channels; k++) read += A(fill[k]) * widen(g[k * c.output.stride[1] + p * c.output.stride[4]]);
    for (int a = 3 - c.ndim; a < 3; a++)
      if (change[a] != 0) slopes.axis[a][p] += change[a] * read;
  }
}

}  // namespace
}  // namespace reticle
