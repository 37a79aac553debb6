// Which blocks do the kernels of lookups.h take, and where are their points? Images of any number of planes, by a grid or by a matrix that
// divides.
#pragma once
#include "direct.h"
#include "lookups.h"

namespace reticle {
namespace {

static_assert(BLOCK_ROWS <= LOOKUP_ROWS && SEGMENT <= LOOKUP_POINTS, "a block is a lookup");

template <class T, class P>
constexpr bool has_lookups() {
  return P::S == 2 && sizeof(typename P::A) == sizeof(float) && sizeof(T) > 1;  // a pair of bytes is not what can be looked up
}

template <class P>
bool is_lookup(const P& plan, const Matrix& m) {
  const Call& c = plan.c;
  if (c.lookups == nullptr || c.where_is_double || c.ndim != 2 || !is_common(plan, c.input.stride)) return false;
  return (!c.is_matrix || (m.tame && m.divides)) && c.input.stride[4] == 1 && c.output.stride[4] == 1;
}

// The points of a block, where they do not stand in memory as x and y side by side.
struct Pairs {
  alignas(64) float at[BLOCK_ROWS][2 * SEGMENT];
  // Of a matrix: 1 / w, and the pixel that the points count from.
  alignas(64) double inverse[BLOCK_ROWS][SEGMENT];
  int32_t first_x, first_y;
};

template <class P>
RETICLE_APART void collect(const P& plan, int64_t b, const Start& start, int rows, Pairs& pairs) {
  const int64_t* where = plan.c.where_stride;
  const float* first = (const float*)plan.c.where + b * where[0] + start.i * where[2] + start.j * where[3];
  for (int row = 0; row < rows; row++, first += where[2])
    for (int p = 0; p < start.count; p++)
      for (int k = 0; k < 2; k++) pairs.at[row][2 * p + k] = first[p * where[3] + k * where[4]];
}

// Pixels from that of a block's middle which single precision holds well enough.
constexpr double NEAR = 512;

// By a matrix that divides, as in apply_matrix(), in pixels from that of the middle point; points that are nowhere, or too far away for single
// precision, lie at infinity, which is left to the careful way.
template <class P>
RETICLE_APART void project(const P& plan, const Matrix& m, const Start& start, int rows, Pairs& pairs) {
  const Call& c = plan.c;
  const Axis &in_x = plan.in[2], &in_y = plan.in[1];
  constexpr double infinity = std::numeric_limits<double>::infinity();
  alignas(64) double x[SEGMENT], y;
  targets(plan.out[2], start.j, c.align_corners, start.count, x);
  const auto row_of = [&](int row, int r) {
    targets(plan.out[1], start.i + row, c.align_corners, 1, &y);
    return m.entry[r][2] + m.entry[r][1] * y;
  };
  // beyond these, paddings that do not repeat answer as at them
  const auto within = [](double v, const Axis& in) { return clamp(v, -8.0, double(in.size) + 8); };
  const double middle = x[start.count / 2], w = row_of(rows / 2, 2) + m.entry[2][0] * middle;
  const auto first = [&](int r, const Axis& in) {
    return std::floor(within((row_of(rows / 2, r) + m.entry[r][0] * middle) / w * in.half + in.middle, in));
  };
  const double first_x = first(0, in_x), first_y = first(1, in_y);
  pairs.first_x = int32_t(first_x), pairs.first_y = int32_t(first_y);
  for (int row = 0; row < rows; row++) {
    const double from_x = row_of(row, 0), from_y = row_of(row, 1), from_w = row_of(row, 2);
    for (int p = 0; p < start.count; p++) {
      const double to_x = from_x + m.entry[0][0] * x[p], to_y = from_y + m.entry[1][0] * x[p], w = from_w + m.entry[2][0] * x[p];
      const double inverse = 1 / w, most = w * w * LARGEST;
      const double at_x = within(to_x * inverse * in_x.half + in_x.middle, in_x) - first_x;
      const double at_y = within(to_y * inverse * in_y.half + in_y.middle, in_y) - first_y;
      const bool known = (w > SMALLEST) & (std::fabs(to_x) < most) & (std::fabs(to_y) < most);
      const bool there = known & (std::fabs(at_x) < NEAR) & (std::fabs(at_y) < NEAR);
      pairs.inverse[row][p] = inverse;
      pairs.at[row][2 * p] = float(there ? at_x : infinity);
      pairs.at[row][2 * p + 1] = float(there ? at_y : infinity);
    }
  }
}

// The rows of a block; `pairs` may be asked to hold their points.
template <class T, class P>
Lookup lookup_of(const P& plan, const Matrix& m, int64_t b, const Start& start, Pairs& pairs) {
  const Call& c = plan.c;
  const int64_t *in = c.input.stride, *out = c.output.stride, *where = c.where_stride;
  Lookup s = {};
  s.from = (const T*)c.input.data + b * in[0], s.plane = in[1], s.down = in[3];
  s.to = (T*)c.output.data + b * out[0] + start.i * out[3] + start.j, s.plane_to = out[1], s.down_to = out[3];
  s.channels = c.channels;
  s.height = c.size[1], s.width = c.size[2];
  s.rows = int32_t(std::min<int64_t>(BLOCK_ROWS, c.out[1] - start.i)), s.count = start.count;
  s.border = c.padding == BORDER;
  s.points = pairs.at[0], s.down_points = 2 * SEGMENT;
  if (c.is_matrix) {
    project(plan, m, start, s.rows, pairs);
    s.half_x = s.half_y = 1, s.first_x = pairs.first_x, s.first_y = pairs.first_y;
    return s;
  }
  s.half_x = plan.in[2].half, s.middle_x = plan.in[2].middle, s.half_y = plan.in[1].half, s.middle_y = plan.in[1].middle;
  if (where[4] == 1 && where[3] == 2)
    s.points = (const float*)c.where + b * where[0] + start.i * where[2] + start.j * 2, s.down_points = where[2];
  else
    collect(plan, b, start, s.rows, pairs);
  return s;
}

// What became of one of its rows.
inline Direct answer_of(const Looked& looked, int row) {
  const auto is = [&](uint32_t rows) { return (rows >> row & 1) != 0; };
  return {!is(looked.lost), is(looked.edge), !is(looked.strange)};
}

}  // namespace
}  // namespace reticle
