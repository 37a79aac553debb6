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
  const auto add = [&](int64_t k, int p, T& to) { narrow(widen(to) + A(c.fill[k]) * missing[p], to); };
  if (c.output.stride[4] == 1) {
    for (int64_t k = 0; k < c.channels; k++)
      for (int p = 0; p < s.count; p++) add(k, p, v[k * c.output.stride[1] + p]);
    return;
  }
  for (int p = 0; p < s.count; p++)
    for (int64_t k = 0; k < c.channels && missing[p] != 0; k++) add(k, p, v[k * c.output.stride[1] + p * c.output.stride[4]]);
}

// Adds the fill to a row that zeros were read for.
template <class T, class P>
void fill_row(const P& plan, const Matrix& m, int64_t b, Segment<P>& s, T* v) {
  if (surely_inside(plan, m, s)) return;
  find_places(plan, m, b, s);
  make_windows(plan, {false, true}, s);
  if (s.edge) add_fill(plan, s, v);
}

// What is missing along one axis changes with the coordinate there, as far as it is not missing along the others.
template <class P>
RETICLE_INLINE typename P::A missing_slope(const P& plan, const Segment<P>& s, int axis, int p) {
  typename P::A slope = s.window[axis].missing_slope[p];
  for (int a = 3 - plan.c.ndim; a < 3; a++)
    if (a != axis) slope *= 1 - s.window[a].missing[p];
  return slope;
}

// How the fill's part in the points of a row, whose gradient is `g`, changes with their coordinates. False: it has none.
template <class T, class P>
bool slopes_of_fill(const P& plan, const double* fill, const Matrix& m, int64_t b, Segment<P>& s, const T* g,
                    Slopes<typename P::A>& slopes) {
  using A = typename P::A;
  const Call& c = plan.c;
  if (surely_inside(plan, m, s)) return false;
  find_places(plan, m, b, s);
  make_windows(plan, {true, true}, s);
  if (!s.edge) return false;
  for (int a = 3 - c.ndim; a < 3; a++) std::fill(slopes.axis[a], slopes.axis[a] + s.padded(), A(0));
  for (int p = 0; p < s.count; p++) {
    A slope[3], any = 0;
    for (int a = 3 - c.ndim; a < 3; a++) slope[a] = missing_slope(plan, s, a, p), any += std::fabs(slope[a]);
    if (any == 0) continue;  // inside, or far away: whatever the gradient is, it does not count
    A total = 0;
    for (int64_t k = 0; k < c.channels; k++) total += A(fill[k]) * widen(g[k * c.output.stride[1] + p * c.output.stride[4]]);
    for (int a = 3 - c.ndim; a < 3; a++)
      if (slope[a] != 0) slopes.axis[a][p] = slope[a] * total;
  }
  return true;
}

}  // namespace
}  // namespace reticle
