// How does the output change with the matrix? As in strip_forward.h, but with the slopes of the weights, against the gradient of the output;
// what is known of the points is summed at once.
#pragma once
#include "strip_ahead.h"

namespace reticle {
namespace {

// Sums over points of what is known of one coordinate, times 1 and times the point's number along x and y; lane by lane, each pixel of a
// point for itself. In double: they are long, and their terms cancel.
struct LaneSums {
  typedef double Wide __attribute__((vector_size(2 * sizeof(Lanes::V))));
  Wide all = {}, along_x = {}, along_y = {};

  RETICLE_INLINE void add(Lanes::V row, Lanes::V row_along_x, double i) {
    const Wide sum = __builtin_convertvector(row, Wide);
    all += sum, along_y += sum * i;
    along_x += __builtin_convertvector(row_along_x, Wide);
  }
  // The sums of all lanes, those of left pixels times `sign`.
  void write(double sign, double* to) const {
    const Wide* parts[] = {&all, &along_x, &along_y};
    for (int m = 0; m < 3; m++) {
      to[m] = 0;
      for (int k = 0; k < Lanes::points; k++) to[m] += (*parts[m])[k] * sign + (*parts[m])[Lanes::points + k];
    }
  }
};

// A rectangle may begin a pixel before the first.
bool can_slope(const Strip& s) { return (Lanes::points - 1) * std::fabs(s.x.along) + (s.mode == BILINEAR ? 2.01 : 5.01) <= Lanes::columns; }

// The gradients of a piece's points, for both of their pixels; 0 for the `again` first ones, which the piece before has had.
template <class T>
RETICLE_INLINE Lanes::V gradients(const T* p, int count, Lanes::V lane, float again) {
  const Lanes::V g = __builtin_expect(count >= Lanes::points, 1) ? Lanes::load_both(p) : Lanes::both(load_first(p, count));
  return again > 0 ? (lane >= again ? g : Lanes::V{}) : g;
}

// K planes of piece `n` of row `i`: sums over planes and pixels of slope of the weight times pixel times gradient, for x without its sign.
template <int K, bool narrow, class T>
RETICLE_INLINE void slopes_of_piece(const Strip& s, const Lanes::Reach<narrow>& reach, const Pieces<Lanes>& pieces, int i, int n,
                                    const T* from, const Lanes::V* g, Lanes::V& along_x, Lanes::V& along_y) {
  using V = Lanes::V;
  const V one = V{} + 1, zero = {};
  const Points<Lanes> at = pieces.at(s, i, n), free = pieces.free(i, n);
  const Columns<Lanes> columns(at.x);
  from += pieces.first[i][n];
  V y = at.y, row = Lanes::floor(at.y);
  along_x = along_y = zero;
  for (int r = 0; r < pieces.height; r++, from += s.down, y -= one, row -= one) {
    V pixel = reach.pick(columns.picker, from) * g[0];
#pragma GCC unroll 8
    for (int k = 1; k < K; k++) pixel += reach.pick(columns.picker, from + k * s.plane) * g[k];
    along_x += pixel * Lanes::tent(y);
    along_y += pixel * Lanes::where_equal(row, zero, -one, Lanes::where_equal(row, -one, one, zero));
  }
  along_y *= columns.weight;
  if (s.outside == NOTHING) return;
  // the nearest pixel does not change with the place outside
  const auto within = [&](V at, float before, int32_t end, V v) {
    return v * (at >= -before ? (at < float(end) - before ? one : zero) : zero);  // a product, so that NaN stays
  };
  along_x = within(free.x, pieces.left[i][n], s.width - 1, along_x);
  along_y = within(free.y, pieces.above[i][n], s.height - 1, along_y);
}

// slopes(row, piece, gradients of its points) of all pieces, summed.
template <int K, class T, class Slopes>
RETICLE_INLINE void each_row_of_slopes(const Strip& s, const Pieces<Lanes>& pieces, const T* from, const T* gradient, LaneSums& x,
                                       LaneSums& y, Slopes slopes) {
  using V = Lanes::V;
  const StripAhead ahead = ahead_of<K>(s, pieces, from);
  for (int i = 0; i < s.rows; i++, gradient += s.down_to) {
    V row_x = {}, row_x_moved = {}, row_y = {}, row_y_moved = {};
    const Soon& soon = ahead.from(i);
    for (int n = 0; n < pieces.a_row; n++) {
      const int p = pieces.point[n];
      const float again = float(n * Lanes::points - p);
      V g[K], along_x, along_y;
      soon.fetch<K, false>(s, from + pieces.first[i][n], gradient + p);
#pragma GCC unroll 8
      for (int k = 0; k < K; k++) g[k] = gradients(gradient + k * s.plane_to + p, s.count, Lanes::counts(), again);
      slopes(i, n, g, along_x, along_y);
      const V j = Lanes::counts() + float(p);
      row_x += along_x, row_x_moved += along_x * j;
      row_y += along_y, row_y_moved += along_y * j;
    }
    soon.fetch_other_end<K>(s, from + pieces.first[i][pieces.a_row - 1]);
    x.add(row_x, row_x_moved, i);
    y.add(row_y, row_y_moved, i);
  }
}

template <int K, bool narrow, class T>
RETICLE_APART void slopes_of_planes(const Strip& given, const Pieces<Lanes>& pieces, const T* from, const T* gradient, LaneSums& x,
                                    LaneSums& y) {
  const Strip s = given;
  const Lanes::Reach<narrow> reach(s.width);
  each_row_of_slopes<K>(s, pieces, from, gradient, x, y, [&](int i, int n, const Lanes::V* g, Lanes::V& along_x, Lanes::V& along_y) {
    slopes_of_piece<K>(s, reach, pieces, i, n, from, g, along_x, along_y);
  });
}

bool is_finite(const Strip::Slopes& sums) {
  double check = 0;
  for (int m = 0; m < 3; m++) check += (sums.x[m] + sums.y[m]) * 0;
  return check == 0;
}

// False: something is not finite, and what was written does not count.
template <class T, bool narrow>
bool slopes_of_strip(const Strip& s, Strip::Slopes& sums) {
  const Pieces<Lanes> pieces(s, SLACK, 2);
  LaneSums x, y;
  in_groups(s.channels, [&](auto number, int64_t k) {
    slopes_of_planes<number.value, narrow>(s, pieces, (const T*)s.from + k * s.plane, (const T*)s.to + k * s.plane_to, x, y);
  });
  x.write(-1, sums.x), y.write(1, sums.y);
  return is_finite(sums);
}

}  // namespace
}  // namespace reticle
