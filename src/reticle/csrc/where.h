// What do slopes say of the matrix, or of the grid, that the points came from?
#pragma once
#include "slopes_direct.h"

namespace reticle {
namespace {

RETICLE_INLINE D4 widened(D4 v) { return v; }
RETICLE_INLINE D4 widened(F8 v) {
  const F4 low = {v[0], v[1], v[2], v[3]}, high = {v[4], v[5], v[6], v[7]};
  return __builtin_convertvector(low, D4) + __builtin_convertvector(high, D4);
}

// Sums over the points of a block of what is known of one coordinate, times 1 and times the output pixel along z, y, x.
struct Moments {
  D4 total = {}, along[3] = {};

  // x counts from the first of the segment.
  template <class A>
  RETICLE_INLINE void add(int64_t k, int64_t i, const A* v, int count) {
    constexpr int lanes = VecOf<A>::lanes;
    alignas(32) A index[lanes];
    for (int n = 0; n < lanes; n++) index[n] = A(n);
    Vec<A> sums = {}, moments = {}, at = load(index);
    for (int p = 0; p < count; p += lanes, at += A(lanes)) {
      sums += load(v + p);
      moments += load(v + p) * at;
    }
    const D4 sum = widened(sums);
    total += sum, along[0] += sum * double(k), along[1] += sum * double(i), along[2] += widened(moments);
  }

  // Adds to a row of a matrix, whose columns are x, y, z, 1 in normalised coordinates. `j`: the first x.
  template <class P>
  void add_to(const P& plan, int64_t j, double scale, double* row) const {
    const int d = plan.c.ndim;
    const double all = sum(total) * scale;
    for (int a = 3 - d; a < 3; a++) {
      const Axis& out = plan.out[a];
      const double moment = sum(along[a]) * scale + (a == 2 ? double(j) * all : 0);
      if (out.half > 0) row[2 - a] += (moment - out.middle * all) / out.half;
    }
    row[d] += all;
  }
};

// What the points of a block say of its sample's matrix.
template <class P>
struct MatrixSums {
  using A = typename P::A;
  Moments of[4];  // of x, y, z, and of what a matrix divides by

  void add(const P& plan, const Matrix& m, const Segment<P>& s, const Slopes<A>& slopes) {
    if (plan.c.rows > plan.c.ndim) return add_projective(plan, m, s, slopes);
    for (int r = 0; r < plan.c.ndim; r++) of[r].add(s.k, s.i, slopes.axis[2 - r], s.padded());
  }

  // What is known of x = X / w becomes what is known of X and w.
  void add_projective(const P& plan, const Matrix& m, const Segment<P>& s, const Slopes<A>& slopes) {
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
      of[r].add(s.k, s.i, above, s.padded());
    }
    of[d].add(s.k, s.i, below, s.padded());
  }

  // The same of points before the viewer, as project() in by_lookups.h leaves them: gradients in pixels, all x and y side by side.
  void add_projected(const P& plan, const Segment<P>& s, const Pairs& pairs, int row, const float* gradients) {
    const Axis &in_x = plan.in[2], &in_y = plan.in[1];
    const double from_x = pairs.first_x - in_x.middle, from_y = pairs.first_y - in_y.middle;  // from the image's middle
    double along[2][SEGMENT] = {}, below[SEGMENT] = {};
    for (int p = 0; p < s.count; p++) {
      const double x = gradients[2 * p] * pairs.inverse[row][p], y = gradients[2 * p + 1] * pairs.inverse[row][p];
      along[0][p] = x * in_x.half, along[1][p] = y * in_y.half;
      below[p] = -(x * (pairs.at[row][2 * p] + from_x) + y * (pairs.at[row][2 * p + 1] + from_y));
    }
    const double* parts[] = {along[0], along[1], below};
    for (int r = 0; r < 3; r++) of[r].add(s.k, s.i, parts[r], s.count);
  }

  // Of a block that strips.h has summed, whose first row is `i`.
  void add(const Strip::Slopes& sums, int64_t i) {
    const double* axis[] = {sums.x, sums.y};
    for (int r = 0; r < 2; r++)
      of[r].total[0] = axis[r][0], of[r].along[2][0] = axis[r][1], of[r].along[1][0] = axis[r][2] + axis[r][0] * double(i);
  }

  void write(const P& plan, int64_t j, double* matrix) const {
    const int d = plan.c.ndim;
    for (int r = 0; r < plan.c.rows; r++) of[r].add_to(plan, j, plan.c.rows > d ? 1 : plan.in[2 - r].half, matrix + r * (d + 1));
  }
};

// x and y of a point side by side; halves of sizes are exact, so that a product in single precision is as good as in double.
template <class P, class A>
RETICLE_INLINE void write_pairs(const P& plan, const Segment<P>& s, const Slopes<A>& slopes, A* to) {
  constexpr int lanes = VecOf<A>::lanes;
  const A x = A(plan.in[2].half), y = A(plan.in[1].half);
  alignas(32) A both[2 * SEGMENT];
  for (int p = 0; p < s.count; p += lanes) store_in_turn(load(slopes.axis[2] + p) * x, load(slopes.axis[1] + p) * y, both + 2 * p);
  std::memcpy(to, both, 2 * s.count * sizeof(A));
}

template <class P>
void write_grid(const P& plan, int64_t b, const Segment<P>& s, const Slopes<typename P::A>& slopes) {
  using A = typename P::A;
  const Call& c = plan.c;
  const int64_t at = (((b * c.out[0] + s.k) * c.out[1] + s.i) * c.out[2] + s.j) * c.ndim;
  if (c.ndim == 2 && c.where_is_double == (sizeof(A) == sizeof(double))) return write_pairs(plan, s, slopes, (A*)c.grad_where + at);
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
