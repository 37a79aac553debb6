// Strips whose points show the nearest pixel, as it is: each row of the rectangle gives its pixels to the points that lie in it.
#pragma once
#include "strip_ahead.h"

namespace reticle {
namespace {

// K planes of piece `n` of row `i`. Where the point has no pixel, 0.
template <int K, bool narrow, class T>
RETICLE_INLINE void copy_piece(const Strip& s, const Lanes::Reach<narrow>& reach, const Pieces<Lanes>& pieces, int i, int n,
                               const Soon& soon, const T* from, T* to) {
  using V = Lanes::V;
  const V one = V{} + 1, zero = {};
  const Points<Lanes> at = pieces.at(s, i, n);
  const Lanes::Picker picker(__builtin_convertvector(Lanes::floor(at.x), Lanes::I));
  from += pieces.first[i][n];
  soon.fetch<K, true>(s, from, to);
  V found[K] = {}, row = Lanes::floor(at.y);
  for (int r = 0; r < pieces.height; r++, from += s.down, row -= one) {
#pragma GCC unroll 8
    for (int k = 0; k < K; k++) found[k] = Lanes::where_equal(row, zero, reach.pick(picker, from + k * s.plane), found[k]);
  }
#pragma GCC unroll 8
  for (int k = 0; k < K; k++) store_piece(Lanes::half(found[k]), to + k * s.plane_to, s.count);
}

template <int K, bool narrow, class T>
RETICLE_APART void copy_planes(const Strip& given, const Pieces<Lanes>& pieces, const T* from, T* to) {
  const Strip s = given;
  const Lanes::Reach<narrow> reach(s.width);
  const StripAhead ahead = ahead_of<K>(s, pieces, from);
  for (int i = 0; i < s.rows; i++, to += s.down_to) {
    for (int n = 0; n < pieces.a_row; n++) copy_piece<K>(s, reach, pieces, i, n, ahead.from(i), from, to + pieces.point[n]);
    ahead.from(i).fetch_other_end<K>(s, from + pieces.first[i][pieces.a_row - 1]);
  }
}

template <class T, bool narrow>
uint32_t forward_nearest(const Strip& s) {
  const Pieces<Lanes> pieces(s, SLACK, 1);
  in_groups(s.channels, [&](auto number, int64_t k) {
    copy_planes<number.value, narrow>(s, pieces, (const T*)s.from + k * s.plane, (T*)s.to + k * s.plane_to);
  });
  return 0;  // nothing is computed with
}

}  // namespace
}  // namespace reticle
