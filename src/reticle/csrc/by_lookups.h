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
  alignas(64) double inverse[BLOCK_ROWS][SEGMENT];  // 1 / w, of a matrix
};

template <class P>
RETICLE_APART void collect(const P& plan, int64_t b, const Start& start, int rows, Pairs& pairs) {
  const int64_t* where = plan.c.where_stride;
  const float* first = (const float*)plan.c.where + b * where[0] + start.i * where[2] + start.j * where[3];
  for (int row = 0; row < rows; row++, first += where[2])
    for (int p = 0; p < start.count; p++)
      for (int k = 0; k < 2; k++) pairs.at[row][2 * p + k] = first[p * where[3] + k * where[4]];
}

// By a matrix that divides, as in apply_matrix(); points that are nowhere lie at infinity.
template <class P>
RETICLE_APART void project(const P& plan, const Matrix& m, const Start& start, int rows, Pairs& pairs) {
  const Call& c = plan.c;
  constexpr double smallest = 0x1p-63, largest = 3.4028234663852886e38, infinity = std::numeric_limits<double>::infinity();
  alignas(64) double x[SEGMENT], y;
  targets(plan.out[2], start.j, c.align_corners, start.count, x);
  for (int row = 0; row < rows; row++) {
    targets(plan.out[1], start.i + row, c.align_corners, 1, &y);
    const auto along = [&](int r) { return m.entry[r][2] + m.entry[r][1] * y; };
    const double from_x = along(0), from_y = along(1), from_w = along(2);
    for (int p = 0; p < start.count; p++) {
      const double to_x = from_x + m.entry[0][0] * x[p], to_y = from_y + m.entry[1][0] * x[p], w = from_w + m.entry[2][0] * x[p];
      const double inverse = 1 / w, most = w * w * largest;
      const bool there = (w > smallest) & (std::fabs(to_x) < most) & (std::fabs(to_y) < most);
      pairs.inverse[row][p] = inverse;
      pairs.at[row][2 * p] = float(there ? to_x * inverse : infinity);
      pairs.at[row][2 * p + 1] = float(there ? to_y * inverse : infinity);
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
  s.half_x = plan.in[2].half, s.middle_x = plan.in[2].middle, s.half_y = plan.in[1].half, s.middle_y = plan.in[1].middle;
  s.rows = int32_t(std::min<int64_t>(BLOCK_ROWS, c.out[1] - start.i)), s.count = start.count;
  s.border = c.padding == BORDER;
  s.points = pairs.at[0], s.down_points = 2 * SEGMENT;
  if (c.is_matrix)
    project(plan, m, start, s.rows, pairs);
  else if (where[4] == 1 && where[3] == 2)
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
