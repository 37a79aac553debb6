// Neighbouring points of an output row read one small rectangle of the image. Each of its rows is loaded once, and every point picks its two
// pixels from the register: no point is addressed by itself, and all channels share where to look and how much.
//
//   output = sum over rows r of the rectangle of tent(y - r) * ((1 - f) * pixel[r][floor x] + f * pixel[r][floor x + 1])
#pragma once
#include "strip_pieces.h"

namespace reticle {
namespace {

// K planes of piece `n` of row `i`; R rows of its rectangle, 0: as many as there are.
template <int K, int R, bool narrow, class T>
RETICLE_INLINE void sum_piece(const Strip& s, const Lanes::Reach<narrow>& reach, const Pieces& pieces, int i, int n, const T* from, T* to,
                              Lanes::Half& check) {
  using V = Lanes::V;
  const V one = V{} + 1;
  Points at = pieces.at(s, i, n);
  const Columns columns(at.x);
  from += pieces.first[i][n];
  V sums[K] = {};
  const int height = R ? R : pieces.height;
#pragma GCC unroll 8
  for (int r = 0; r < height; r++, from += s.down, at.y -= one) {
    const V row_weight = Lanes::tent(at.y);
#pragma GCC unroll 8
    for (int k = 0; k < K; k++) sums[k] += reach.pick(columns.picker, from + k * s.plane) * row_weight;
  }
#pragma GCC unroll 8
  for (int k = 0; k < K; k++) {
    const Lanes::Half answer = Lanes::halves(sums[k] * columns.weight);
    check += answer * 0;
    store_piece(answer, to + k * s.plane_to, s.count);
  }
}

template <int K, int R, bool narrow, class T>
RETICLE_APART uint32_t sum_planes(const Strip& given, const Pieces& pieces, const T* from, T* to) {
  const Strip s = given;  // nothing that is written can change it
  const Lanes::Reach<narrow> reach(s.width);
  uint32_t strange = 0;
  for (int i = 0; i < s.rows; i++, to += s.down_to) {
    Lanes::Half check = {};
    for (int n = 0; n < pieces.a_row; n++) sum_piece<K, R>(s, reach, pieces, i, n, from, to + pieces.point[n], check);
    strange |= uint32_t(!is_zero(check)) << i;
  }
  return strange;
}

template <int R, bool narrow, class T>
uint32_t sum_strip(const Strip& s, const Pieces& pieces) {
  uint32_t strange = 0;
  in_groups(s.channels, [&](auto number, int64_t k) {
    const T* from = (const T*)s.from + k * s.plane;
    strange |= sum_planes<number.value, R, narrow>(s, pieces, from, (T*)s.to + k * s.plane_to);
  });
  return strange;
}

template <class T, bool narrow>
uint32_t forward_strip(const Strip& s) {
  const Pieces pieces(s, 0, 2);  // a pixel lost to rounding had no weight to speak of
  if constexpr (has_heights<T>()) {
    if (pieces.height == 2 && !narrow) return sum_strip<2, narrow, T>(s, pieces);
    if (pieces.height == 3) return sum_strip<3, narrow, T>(s, pieces);
    if (pieces.height == 4) return sum_strip<4, narrow, T>(s, pieces);
    if (pieces.height == 5) return sum_strip<5, narrow, T>(s, pieces);
  }
  return sum_strip<0, narrow, T>(s, pieces);
}

}  // namespace
}  // namespace reticle
