// Where do the neighbouring points of a strip read? Pieces of its rows, and for each the rectangle of the image that holds all their pixels.
#pragma once
#include <algorithm>
#include <cmath>

#include "strips.h"
#include "wide_lanes.h"

namespace reticle {
namespace {

constexpr int FAR = 64;  // pixels from a rectangle, and farther than any point of a piece is from another
#if defined(__AVX512F__)
static_assert(FAR + WideLanes<32>::columns - 1 <= FARTHEST_HALF, "the right pixel of a point of a piece that begins that far away");
#endif
// Single precision moves a point by less, in pixels. A pixel that is lost to it has no weight, but a slope of 1, or is the nearest one.
constexpr double SLACK = 1e-5;

// Where the points of a piece lie in its rectangle.
template <class L>
struct Points {
  typename L::V x, y;
};

// Rows of a rectangle that begins `margin` before its first point at least; a point reads `taps` pixels along an axis.
template <class L>
int32_t pieces_height(const Strip& s, double margin, int taps) {
  // by rounding, or by SLACK, a point may read the row behind
  const bool exact = s.upright && margin != SLACK;
  return std::min(s.height, (exact ? 0 : int32_t(std::ceil((L::points - 1) * std::fabs(s.y.along) + 0.001))) + taps);
}

// The rectangles of a block: a piece is as many points as a vector has.
template <class L>
struct Pieces {
  using V = typename L::V;
  using D = typename L::D;
  static constexpr int lanes = sizeof(D) / sizeof(double), room = std::max(PATCH_POINTS / L::points, lanes);

  int32_t a_row, height;                        // pieces of a row of points, rows of a rectangle
  int32_t point[room];                          // the first of each piece of a row; the last may hold some of the piece before, again
  alignas(64) int32_t first[PATCH_ROWS][room];  // pixel of each rectangle
  // Pixels of the image on these sides of it.
  alignas(64) float left[PATCH_ROWS][room], above[PATCH_ROWS][room];
  V step_x, step_y;                                            // of the points of a piece, from its first
  alignas(64) float x[PATCH_ROWS][room], y[PATCH_ROWS][room];  // of that one, in the rectangle

  // `margin`: pixels that a rectangle begins before its first point at least; `taps`: pixels that a point reads along an axis.
  Pieces(const Strip& s, double margin, int taps) : step_x(L::counts() * float(s.x.along)), step_y(L::counts() * float(s.y.along)) {
    a_row = (s.count + L::points - 1) / L::points;
    height = pieces_height<L>(s, margin, taps);
    alignas(64) double points[room];
    for (int k = 0; k < room; k++) points[k] = point[k] = std::max(std::min(k * L::points, s.count - L::points), 0);
    for (int i = 0; i < s.rows; i++)
      for (int k = 0; k < a_row; k += lanes) {
        const D j = read<D>(points + k);
        const D column = place(s.x, i, j, std::max(0, s.width - L::columns), margin, &x[i][k], &left[i][k]);
        const D row = place(s.y, i, j, s.height - height, margin, &y[i][k], &above[i][k]);
        const auto offset = __builtin_convertvector(row * double(s.down) + column, Whole);
        std::memcpy(&first[i][k], &offset, sizeof offset);
      }
  }
  // Where they would be if nothing held them back at the borders.
  RETICLE_INLINE Points<L> free(int i, int n) const { return {step_x + x[i][n], step_y + y[i][n]}; }
  RETICLE_INLINE Points<L> at(const Strip& s, int i, int n) const {
    const Points<L> p = free(i, n);
    if (s.outside == NOTHING) return p;
    return {within(p.x, left[i][n], s.width), within(p.y, above[i][n], s.height)};
  }

 private:
  using Whole = typename VectorOf<int32_t, lanes>::type;
  using Single = typename VectorOf<float, lanes>::type;

  static RETICLE_INLINE V within(V v, float before, int32_t size) {
    return L::smaller(L::larger(v, V{} - before), V{} + (float(size - 1) - before));
  }
  // Along one axis, of the pieces that begin at points `j` of row `i`: where their rectangles begin, at `most`.
  static RETICLE_INLINE D place(const Strip::Line& line, int i, D j, double most, double margin, float* to, float* before) {
    constexpr int last = L::points - 1;
    const D zero = {}, at = j * line.along + (line.start + line.below * i);
    const D first = L::larger(L::smaller(L::floor(at + (std::min(0.0, last * line.along) - margin)), zero + most), zero);
    const D inside = L::larger(L::smaller(at - first, zero + FAR), zero - FAR);
    const Single point = __builtin_convertvector(inside, Single), side = __builtin_convertvector(first, Single);
    std::memcpy(to, &point, sizeof point);
    std::memcpy(before, &side, sizeof side);
    return first;
  }
};

// The pixels of a rectangle's columns that the points at `x` pick, and their weights.
template <class L>
struct Columns {
  typename L::Picker picker;
  typename L::Pair weight;

  RETICLE_INLINE explicit Columns(typename L::V x) : Columns(x, L::floor(x)) {}

 private:
  RETICLE_INLINE Columns(typename L::V x, typename L::V whole) : picker(L::picker(whole)), weight(L::weights(x - whole)) {}
};

// Calls f with whether the rows of an image are shorter than a vector, as a constant.
template <class F>
RETICLE_INLINE auto with_width(int32_t width, F f) {
  if constexpr (Lanes::narrow)
    if (width < Lanes::columns) return f(std::true_type());
  return f(std::false_type());
}

// Calls f with so many channels as a constant, group by group, and the number of those before.
template <int together = Lanes::together, class F>
RETICLE_INLINE void in_groups(int64_t channels, F f) {
  int64_t done = 0;
  const auto some = [&](auto number) {
    for (; channels - done >= number.value; done += number.value) f(number, done);
  };
  some(std::integral_constant<int, together>());
  if constexpr (together > 4) some(std::integral_constant<int, 4>());
  if constexpr (together > 3) some(std::integral_constant<int, 3>());
  some(std::integral_constant<int, 2>());
  some(std::integral_constant<int, 1>());
}

}  // namespace
}  // namespace reticle
