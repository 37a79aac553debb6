// Strips under kernels of four pixels along an axis: values and slopes. As in strip_forward.h and strip_slopes.h, but each point picks two pairs
// of pixels from a row.
#pragma once
#include "strip_slopes.h"

namespace reticle {
namespace {

// Both kernels are k(d) = a u^3 + b u^2 + c s^3 of u = max(2 - |d|, 0) and s = max(1 - |d|, 0): where the cubics for |d| below and above 1 meet
// they agree in value, slope and curvature. Bicubic is that of Keys 1981 with -0.75.
struct Cubic {
  float a, b, c;

  explicit Cubic(Mode mode) : a(mode == BICUBIC ? 0.75f : 1.f / 6), b(mode == BICUBIC ? -0.75f : 0), c(mode == BICUBIC ? -2 : -2.f / 3) {}
  RETICLE_INLINE Lanes::V weight(Lanes::V d) const {
    const auto [u, s] = sides(d);
    return (a * u + b) * (u * u) + s * s * (s * c);
  }
  RETICLE_INLINE Lanes::V slope(Lanes::V d) const {
    const auto [u, s] = sides(d);
    const Lanes::V falls = (3 * a * u + 2 * b) * u + 3 * c * s * s;
    return (Lanes::V)((Lanes::I)falls ^ (~(Lanes::I)d & SIGN));
  }

 private:
  static constexpr int32_t SIGN = INT32_MIN;
  struct Sides {
    Lanes::V u, s;
  };
  static RETICLE_INLINE Sides sides(Lanes::V d) {
    const Lanes::V zero = {}, size = (Lanes::V)((Lanes::I)d & ~SIGN);
    return {Lanes::larger(2 - size, zero), Lanes::larger(1 - size, zero)};
  }
};

// The pixels that points at `x` pick from a row: the two up to them, and the two behind.
struct FourColumns {
  Lanes::V up_to, behind;  // distances
  Lanes::Picker first, second;

  RETICLE_INLINE explicit FourColumns(Lanes::V x) : FourColumns(x, Lanes::floor(x) + Lanes::right()) {}

 private:
  RETICLE_INLINE FourColumns(Lanes::V x, Lanes::V at)
      : up_to(x - (at - 1)),
        behind(x - (at + 1)),
        first(__builtin_convertvector(at - 1, Lanes::I)),
        second(__builtin_convertvector(at + 1, Lanes::I)) {}
};

// K planes of piece `n` of row `i`.
template <int K, bool narrow, class T>
RETICLE_INLINE void sum_cubic_piece(const Strip& s, const Cubic& kernel, const Lanes::Reach<narrow>& reach, const Pieces<Lanes>& pieces,
                                    int i, int n, const Soon& soon, const T* from, T* to, Lanes::Half& check) {
  using V = Lanes::V;
  const V one = V{} + 1;
  Points<Lanes> at = pieces.free(i, n);
  const FourColumns columns(at.x);
  from += pieces.first[i][n];
  soon.fetch<K, true>(s, from, to);
  V first[K] = {}, second[K] = {};
  for (int r = 0; r < pieces.height; r++, from += s.down, at.y -= one) {
    const V row_weight = kernel.weight(at.y);
#pragma GCC unroll 8
    for (int k = 0; k < K; k++) {
      first[k] += reach.pick(columns.first, from + k * s.plane) * row_weight;
      second[k] += reach.pick(columns.second, from + k * s.plane) * row_weight;
    }
  }
  const V up_to = kernel.weight(columns.up_to), behind = kernel.weight(columns.behind);
#pragma GCC unroll 8
  for (int k = 0; k < K; k++) {
    const Lanes::Half answer = Lanes::halves(first[k] * up_to + second[k] * behind);
    check += answer * 0;
    store_piece(answer, to + k * s.plane_to, s.count);
  }
}

template <int K, bool narrow, class T>
RETICLE_APART uint32_t sum_cubic_planes(const Strip& given, const Pieces<Lanes>& pieces, const T* from, T* to) {
  const Strip s = given;
  const Cubic kernel(s.mode);
  const Lanes::Reach<narrow> reach(s.width);
  const StripAhead ahead = ahead_of<K>(s, pieces, from);
  uint32_t strange = 0;
  for (int i = 0; i < s.rows; i++, to += s.down_to) {
    Lanes::Half check = {};
    for (int n = 0; n < pieces.a_row; n++)
      sum_cubic_piece<K>(s, kernel, reach, pieces, i, n, ahead.from(i), from, to + pieces.point[n], check);
    ahead.from(i).fetch_other_end<K>(s, from + pieces.first[i][pieces.a_row - 1]);
    strange |= uint32_t(!is_zero(check)) << i;
  }
  return strange;
}

// Groups of channels, fewer at a time: each takes twice the registers.
template <class F>
RETICLE_INLINE void in_small_groups(int64_t channels, F f) {
  in_groups<Lanes::together / 2>(channels, f);
}

template <class T, bool narrow>
uint32_t forward_cubic(const Strip& s) {
  const Pieces<Lanes> pieces(s, 1, 4);
  uint32_t strange = 0;
  in_small_groups(s.channels, [&](auto number, int64_t k) {
    strange |= sum_cubic_planes<number.value, narrow>(s, pieces, (const T*)s.from + k * s.plane, (T*)s.to + k * s.plane_to);
  });
  return strange;
}

// --- slopes ---

// What is known of the place of the points of a piece: sums over K planes and all pixels of slope of the weight times pixel times gradient.
template <int K, bool narrow, class T>
RETICLE_INLINE void slopes_of_cubic_piece(const Strip& s, const Cubic& kernel, const Lanes::Reach<narrow>& reach,
                                          const Pieces<Lanes>& pieces, int i, int n, const T* from, const Lanes::V* g, Lanes::V& along_x,
                                          Lanes::V& along_y) {
  using V = Lanes::V;
  const V one = V{} + 1;
  Points<Lanes> at = pieces.free(i, n);
  const FourColumns columns(at.x);
  from += pieces.first[i][n];
  V first = {}, second = {}, first_y = {}, second_y = {};
  for (int r = 0; r < pieces.height; r++, from += s.down, at.y -= one) {
    V a = reach.pick(columns.first, from) * g[0], b = reach.pick(columns.second, from) * g[0];
#pragma GCC unroll 8
    for (int k = 1; k < K; k++) {
      a += reach.pick(columns.first, from + k * s.plane) * g[k];
      b += reach.pick(columns.second, from + k * s.plane) * g[k];
    }
    const V weight = kernel.weight(at.y), slope = kernel.slope(at.y);
    first += a * weight, second += b * weight;
    first_y += a * slope, second_y += b * slope;
  }
  along_x = first * kernel.slope(columns.up_to) + second * kernel.slope(columns.behind);
  along_y = first_y * kernel.weight(columns.up_to) + second_y * kernel.weight(columns.behind);
}

template <int K, bool narrow, class T>
RETICLE_APART void slopes_of_cubic_planes(const Strip& given, const Pieces<Lanes>& pieces, const T* from, const T* gradient, LaneSums& x,
                                          LaneSums& y) {
  const Strip s = given;
  const Cubic kernel(s.mode);
  const Lanes::Reach<narrow> reach(s.width);
  each_row_of_slopes<K>(s, pieces, from, gradient, x, y, [&](int i, int n, const Lanes::V* g, Lanes::V& along_x, Lanes::V& along_y) {
    slopes_of_cubic_piece<K>(s, kernel, reach, pieces, i, n, from, g, along_x, along_y);
  });
}

template <class T, bool narrow>
bool slopes_of_cubic(const Strip& s, Strip::Slopes& sums) {
  const Pieces<Lanes> pieces(s, 1, 4);  // a pixel lost to rounding has no slope to speak of
  LaneSums x, y;
  in_small_groups(s.channels, [&](auto number, int64_t k) {
    slopes_of_cubic_planes<number.value, narrow>(s, pieces, (const T*)s.from + k * s.plane, (const T*)s.to + k * s.plane_to, x, y);
  });
  x.write(1, sums.x), y.write(1, sums.y);
  return is_finite(sums);
}

}  // namespace
}  // namespace reticle
