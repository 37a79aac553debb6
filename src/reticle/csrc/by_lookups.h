// Which blocks do the kernels of lookups.h take, and where are their points? By lookups, images of any number of planes, by a grid or by a matrix
// that divides; by loads, of few planes by a grid.
#pragma once
#include "direct.h"
#include "lookups.h"

namespace reticle {
namespace {

template <class T, class P>
constexpr bool has_lookups() {
#if defined(__AVX__)
  return P::S == 2 && sizeof(typename P::A) == sizeof(float) && sizeof(T) > 1;  // a pair of bytes is not what can be looked up
#else
  return false;
#endif
}

template <class P>
bool is_lookup(const P& plan, const Matrix& m) {
  const Call& c = plan.c;
  if (c.lookups == nullptr || c.channels > c.lookups->most_channels || c.where_is_double || c.ndim != 2 || !is_common(plan, c.input.stride))
    return false;
  return (!c.is_matrix || (m.tame && m.divides && !repeats(c.padding))) && c.input.stride[4] == 1 && c.output.stride[4] == 1;
}

template <class T, class P>
constexpr bool has_loads() {
#if defined(__AVX__)
  return std::is_same<T, typename P::A>::value && (sizeof(T) == sizeof(double) ? P::S == 2 : P::S == 4);
#else
  return false;
#endif
}

template <class P>
bool is_load(const P& plan) {
  const Call& c = plan.c;
  const bool same = c.where_is_double == (sizeof(typename P::A) == sizeof(double));
  return c.loads != nullptr && same && !c.is_matrix && c.ndim == 2 && c.channels <= 4 && is_common(plan, c.input.stride) &&
         c.input.stride[4] == 1 && c.output.stride[4] == 1;
}

// Forward, on processors that some of this is not for.
template <class P>
bool is_looked_up(const P& plan, const Matrix& m) {
  return is_lookup(plan, m) && plan.c.lookups->quick_forward;
}

// The points of a block, where they do not stand in memory as x and y side by side.
template <class A>
struct PairsOf {
  alignas(64) A at[BLOCK_ROWS][2 * SEGMENT];
};

struct Pairs : PairsOf<float> {
  // Of a matrix: 1 / w, and the pixel that the points count from.
  alignas(64) double inverse[BLOCK_ROWS][SEGMENT];
  int32_t first_x, first_y;
};

template <class A, class P>
RETICLE_APART void collect(const P& plan, int64_t b, const Start& start, int rows, PairsOf<A>& pairs) {
  const int64_t* where = plan.c.where_stride;
  const A* first = (const A*)plan.c.where + b * where[0] + start.i * where[2] + start.j * where[3];
  for (int row = 0; row < rows; row++, first += where[2])
    for (int p = 0; p < start.count; p++)
      for (int k = 0; k < 2; k++) pairs.at[row][2 * p + k] = first[p * where[3] + k * where[4]];
}

// Pixels from that of a block's middle which single precision holds well enough.
constexpr double NEAR = 512;

// A row of points by a matrix that divides, as in apply_matrix(); all are linear along it.
struct ProjectedRow {
  double from[3], by[3];  // x, y and what they are divided by

  template <class P>
  ProjectedRow(const P& plan, const Matrix& m, int64_t i) {
    double y;
    targets(plan.out[1], i, plan.c.align_corners, 1, &y);
    for (int r = 0; r < 3; r++) from[r] = m.entry[r][2] + m.entry[r][1] * y, by[r] = m.entry[r][0];
  }
  RETICLE_INLINE double at(int r, double x) const { return from[r] + by[r] * x; }
};

// A pixel along an axis from the normalised coordinate; beyond 8 pixels outside, paddings that do not repeat answer as there.
RETICLE_INLINE double pixel_of(double norm, const Axis& in) { return clamp(norm * in.half + in.middle, -8.0, double(in.size) + 8); }

// The points of a block, in pixels from that of its middle point. Those that are nowhere, or too far away for single precision, lie at infinity,
// which is left to the careful way.
template <class P>
RETICLE_APART void project(const P& plan, const Matrix& m, const Start& start, int rows, Pairs& pairs) {
  const Axis &in_x = plan.in[2], &in_y = plan.in[1];
  constexpr double infinity = std::numeric_limits<double>::infinity();
  alignas(64) double x[SEGMENT];
  targets(plan.out[2], start.j, plan.c.align_corners, start.count, x);
  const ProjectedRow middle(plan, m, start.i + rows / 2);
  const double half_way = x[start.count / 2], inverse = 1 / middle.at(2, half_way);
  const double first_x = std::floor(pixel_of(middle.at(0, half_way) * inverse, in_x));
  const double first_y = std::floor(pixel_of(middle.at(1, half_way) * inverse, in_y));
  pairs.first_x = int32_t(first_x), pairs.first_y = int32_t(first_y);
  for (int row = 0; row < rows; row++) {
    const ProjectedRow line(plan, m, start.i + row);
    for (int p = 0; p < start.count; p++) {
      const double to_x = line.at(0, x[p]), to_y = line.at(1, x[p]), w = line.at(2, x[p]), inverse = 1 / w, most = w * w * LARGEST;
      const double at_x = pixel_of(to_x * inverse, in_x) - first_x, at_y = pixel_of(to_y * inverse, in_y) - first_y;
      const bool known = (w > SMALLEST) & (std::fabs(to_x) < most) & (std::fabs(to_y) < most);
      const bool there = known & (std::fabs(at_x) < NEAR) & (std::fabs(at_y) < NEAR);
      pairs.inverse[row][p] = inverse;
      pairs.at[row][2 * p] = float(there ? at_x : infinity);
      pairs.at[row][2 * p + 1] = float(there ? at_y : infinity);
    }
  }
}

// The rows of a block of a grid whose points stand as pairs.
template <class T, class P>
Lookup lookup_in_place(const P& plan, int64_t b, const Start& start) {
  const int64_t* where = plan.c.where_stride;
  Lookup s = {patch_of<T>(plan, b, start)};
  s.points = (const typename P::A*)plan.c.where + b * where[0] + start.i * where[2] + start.j * where[3], s.down_points = where[2];
  s.half_x = plan.in[2].half, s.middle_x = plan.in[2].middle, s.half_y = plan.in[1].half, s.middle_y = plan.in[1].middle;
  s.mode = plan.c.mode;
  return s;
}

// The rows of a block of any grid; `pairs` may be asked to hold their points.
template <class T, class P>
Lookup lookup_of_grid(const P& plan, int64_t b, const Start& start, PairsOf<typename P::A>& pairs) {
  const int64_t* where = plan.c.where_stride;
  Lookup s = lookup_in_place<T>(plan, b, start);
  if (where[4] == 1 && where[3] == 2) return s;
  collect(plan, b, start, s.rows, pairs);
  s.points = pairs.at[0], s.down_points = 2 * SEGMENT;
  return s;
}

// Of any block.
template <class T, class P>
Lookup lookup_of(const P& plan, const Matrix& m, int64_t b, const Start& start, Pairs& pairs) {
  if (!plan.c.is_matrix) return lookup_of_grid<T>(plan, b, start, pairs);
  Lookup s = lookup_in_place<T>(plan, b, start);
  project(plan, m, start, s.rows, pairs);
  s.half_x = s.half_y = 1, s.middle_x = s.middle_y = 0, s.first_x = pairs.first_x, s.first_y = pairs.first_y;
  s.points = pairs.at[0], s.down_points = 2 * SEGMENT;
  return s;
}

// What became of one of its rows.
inline Direct answer_of(const Looked& looked, int row) {
  const auto is = [&](uint32_t rows) { return (rows >> row & 1) != 0; };
  return {!is(looked.lost), is(looked.edge), !is(looked.strange)};
}

}  // namespace
}  // namespace reticle
