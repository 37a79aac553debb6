// Neighbouring points of an output row read one small rectangle of the image. Each of its rows is loaded once, and every point picks its two
// pixels from the register: no point is addressed by itself, and all channels share where to look and how much.
//
//   output = sum over rows r of the rectangle of tent(y - r) * ((1 - f) * pixel[r][floor x] + f * pixel[r][floor x + 1])
#pragma once
#include "strip_ahead.h"

namespace reticle {
namespace {

// Can results be written past the caches?
template <class L, class T>
constexpr bool streams() {
  return L::streams && std::is_same<T, float>::value;
}
template <class L, class T>
RETICLE_INLINE void show(const Strip& s, typename L::Answer v, T* p) {
  if constexpr (streams<L, T>())
    if (s.past) return L::stream(v, p);
  if constexpr (L::points > 8)
    store_numbers(v, p);
  else
    store_piece(v, p, s.count);
}

// K planes of piece `n` of row `i`; R rows of its rectangle, 0: as many as there are.
template <class L, int K, int R, bool narrow, class T>
RETICLE_INLINE void sum_piece(const Strip& s, const typename L::template Reach<narrow>& reach, const Pieces<L>& pieces, int i, int n,
                              const Soon& soon, const T* from, T* to, typename L::Answer& check) {
  using V = typename L::V;
  const V one = V{} + 1;
  Points<L> at = pieces.at(s, i, n);
  const Columns<L> columns(at.x);
  from += pieces.first[i][n];
  soon.fetch<K, true>(s, from, to);
  typename L::Pair sums[K] = {};
  const int height = R ? R : pieces.height;
#pragma GCC unroll 8
  for (int r = 0; r < height; r++, from += s.down, at.y -= one) {
    const V row_weight = L::tent(at.y);
#pragma GCC unroll 8
    for (int k = 0; k < K; k++) sums[k] += reach.pick(columns.picker, from + k * s.plane) * row_weight;
  }
#pragma GCC unroll 8
  for (int k = 0; k < K; k++) {
    const typename L::Answer answer = L::answer(sums[k], columns.weight);
    check += answer * 0;
    show<L>(s, answer, to + k * s.plane_to);
  }
}

template <class L, int K, int R, bool narrow, class T>
RETICLE_APART uint32_t sum_planes(const Strip& given, const Pieces<L>& pieces, const T* from, T* to) {
  Strip s = given;  // nothing that is written can change it
  s.past = s.past && streams<L, T>();
  const typename L::template Reach<narrow> reach(s.width);
  const StripAhead ahead = ahead_of<K>(s, pieces, from);
  uint32_t strange = 0;
  for (int i = 0; i < s.rows; i++, to += s.down_to) {
    typename L::Answer check = {};
    for (int n = 0; n < pieces.a_row; n++)
      sum_piece<L, K, R, narrow>(s, reach, pieces, i, n, ahead.from(i), from, to + pieces.point[n], check);
    ahead.from(i).fetch_other_end<K>(s, from + pieces.first[i][pieces.a_row - 1]);
    strange |= uint32_t(!is_zero(check)) << i;
  }
  return strange;
}

// Whether rectangles of few rows, those of upright and slightly turned images, have code of their own for K planes: where that was quicker,
// measured, for it is much to compile.
template <class L, int K, class T>
constexpr bool has_heights() {
  return std::is_same<T, float>::value && (L::points == 4 || (L::points == 16 && K == 1));
}

// Calls f with the number of a rectangle's rows as a constant, 0: as many as there are.
template <class L, int K, class T, class F>
RETICLE_INLINE uint32_t with_height(int height, F f) {
  if constexpr (has_heights<L, K, T>()) {
    if (height == 2) return f(std::integral_constant<int, 2>());
    if (height == 3) return f(std::integral_constant<int, 3>());
    if (height == 4) return f(std::integral_constant<int, 4>());
    if (height == 5) return f(std::integral_constant<int, 5>());
    if constexpr (L::points == 16)
      if (height == 6) return f(std::integral_constant<int, 6>());
  }
  return f(std::integral_constant<int, 0>());
}

template <class T, bool narrow, class L>
uint32_t sum_strip(const Strip& s) {
  const Pieces<L> pieces(s, 0, 2);  // a pixel lost to rounding had no weight to speak of
  uint32_t strange = 0;
  in_groups(s.channels, [&](auto number, int64_t k) {
    const T* from = (const T*)s.from + k * s.plane;
    strange |= with_height<L, number.value, T>(pieces.height, [&](auto rows) {
      return sum_planes<L, number.value, rows.value, narrow>(s, pieces, from, (T*)s.to + k * s.plane_to);
    });
  });
  return strange;
}

#if defined(__AVX512F__)
// Whether the pixels of sixteen points fit, and these are quicker summed together than eight and eight: what is worked out for each point alone
// is then done half as often, but their pixels lie on more rows. Two rows more were as quick, measured.
template <class Wide>
bool is_wide(const Strip& s) {
  if (s.count < Wide::points || s.width < Wide::columns || std::fabs(s.x.along) > Wide::most_step()) return false;
  return pieces_height<Wide>(s, 0, 2) <= pieces_height<Lanes>(s, 0, 2) + 2;
}
#endif

template <class T, bool narrow>
uint32_t forward_strip(const Strip& s) {
#if defined(__AVX512F__)
  if constexpr ((std::is_same<T, float>::value || std::is_same<T, BFloat16>::value) && !narrow) {
    using Wide = WideLanes<std::is_same<T, float>::value ? 24 : 32>;
    if (is_wide<Wide>(s)) return sum_strip<T, narrow, Wide>(s);
  }
#endif
  return sum_strip<T, narrow, Lanes>(s);
}

}  // namespace
}  // namespace reticle
