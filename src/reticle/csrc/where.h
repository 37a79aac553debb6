// What do slopes say of the matrix, or of the grid, that the points came from?
#pragma once
#include "gather.h"

namespace reticle {
namespace {

// Normalised coordinates of the first output point of a segment, x first, and from one point to the next.
struct Target {
  double first[3], step;
};

template <class P>
Target target_of(const P& plan, const Segment<P>& s) {
  Target t = {};
  const int64_t at[3] = {s.k, s.i, s.j};
  for (int a = 3 - plan.c.ndim; a < 3; a++)
    t.first[2 - a] = plan.out[a].half > 0 ? (double(at[a]) - plan.out[a].middle) / plan.out[a].half : 0;
  t.step = plan.out[2].half > 0 ? 1 / plan.out[2].half : 0;
  return t;
}

// A row of a matrix gets the sum over points of `slope` times the target point.
template <class A>
RETICLE_INLINE void add_to_row(const Target& t, int ndim, const A* slope, int count, double scale, double* row) {
  Vec<A> sums = {}, moments = {};
  constexpr int lanes = VecOf<A>::lanes;
  alignas(32) A index[lanes];
  for (int k = 0; k < lanes; k++) index[k] = A(k);
  Vec<A> at = load(index);
  for (int p = 0; p < count; p += lanes, at += A(lanes)) {
    const Vec<A> v = load(slope + p);
    sums += v;
    moments += v * at;
  }
  const double total = sum(sums) * scale;
  row[0] += total * t.first[0] + sum(moments) * scale * t.step;
  for (int q = 1; q < ndim; q++) row[q] += total * t.first[q];
  row[ndim] += total;
}

// The same for a matrix that divides: what is known of x = X / w becomes what is known of X and w.
template <class P>
void add_to_projective(const P& plan, const Matrix& m, const Segment<P>& s, const Target& t, const Slopes<typename P::A>& slopes,
                       double* total) {
  const int d = plan.c.ndim;
  Norms<double> norms;
  apply_matrix(plan.c, m, plan.out, s.k, s.i, s.j, s.count, norms);
  double above[SEGMENT] = {}, below[SEGMENT] = {};
  for (int r = 0; r < d; r++) {
    const double half = plan.in[2 - r].half;
    const auto* slope = slopes.axis[2 - r];
    for (int p = 0; p < s.count; p++) {
      const bool none = slope[p] == 0 || !(norms.w[p] > 0);  // behind the viewer there is none
      const double v = slope[p] * half / norms.w[p], moved = v * norms.axis[2 - r][p];
      above[p] = none ? 0 : v;
      below[p] -= none ? 0 : moved;
    }
    add_to_row(t, d, above, s.padded(), 1, total + r * (d + 1));
  }
  add_to_row(t, d, below, s.padded(), 1, total + d * (d + 1));
}

// Adds what a segment contributes to the gradient of a matrix.
template <class P>
void add_to_matrix(const P& plan, const Matrix& m, const Segment<P>& s, const Slopes<typename P::A>& slopes, double* total) {
  const int d = plan.c.ndim;
  const Target t = target_of(plan, s);
  if (plan.c.rows > d) return add_to_projective(plan, m, s, t, slopes, total);
  for (int r = 0; r < d; r++) add_to_row(t, d, slopes.axis[2 - r], s.padded(), plan.in[2 - r].half, total + r * (d + 1));
}

template <class P>
void write_grid(const P& plan, int64_t b, const Segment<P>& s, const Slopes<typename P::A>& slopes) {
  const Call& c = plan.c;
  const int64_t at = (((b * c.out[0] + s.k) * c.out[1] + s.i) * c.out[2] + s.j) * c.ndim;
  for (int a = 3 - c.ndim; a < 3; a++) {
    const double half = plan.in[a].half;
    for (int p = 0; p < s.count; p++) {
      const int64_t to = at + p * c.ndim + 2 - a;
      if (c.where_is_double)
        ((double*)c.grad_where)[to] = slopes.axis[a][p] * half;
      else
        ((float*)c.grad_where)[to] = float(slopes.axis[a][p] * half);
    }
  }
}

}  // namespace
}  // namespace reticle
