// Points that are given one by one: a register of them at a time, each reading its pixels of a row by one load; of few channels.
#pragma once
#include "point_scatter.h"

namespace reticle {
namespace {

// Pieces of 128 bits, side by side.
template <class T>
RETICLE_INLINE __m512i four_quarters(const T* a, const T* b, const T* c, const T* d) {
  __m512i all = _mm512_zextsi128_si512(read<__m128i>(a));
  all = _mm512_inserti32x4(all, read<__m128i>(b), 1);
  all = _mm512_inserti32x4(all, read<__m128i>(c), 2);
  return _mm512_inserti32x4(all, read<__m128i>(d), 3);
}

// The pixels from p[o] on of each point: the first ones, the second ones, and so on.
RETICLE_INLINE void load_row(const double* p, const int32_t* o, D8 (&pixel)[2]) {
  const D8 low = (D8)four_quarters(p + o[0], p + o[1], p + o[2], p + o[3]),
           high = (D8)four_quarters(p + o[4], p + o[5], p + o[6], p + o[7]);
  pixel[0] = evens_of(low, high), pixel[1] = odds_of(low, high);
}
RETICLE_INLINE void load_row(const float* p, const int32_t* o, F16 (&pixel)[4]) {
  __m512 row[4];
#pragma GCC unroll 4
  for (int q = 0; q < 4; q++) row[q] = (__m512)four_quarters(p + o[q], p + o[q + 4], p + o[q + 8], p + o[q + 12]);
  const __m512d a = (__m512d)_mm512_unpacklo_ps(row[0], row[1]), b = (__m512d)_mm512_unpackhi_ps(row[0], row[1]);
  const __m512d c = (__m512d)_mm512_unpacklo_ps(row[2], row[3]), d = (__m512d)_mm512_unpackhi_ps(row[2], row[3]);
  pixel[0] = (F16)_mm512_unpacklo_pd(a, c), pixel[1] = (F16)_mm512_unpackhi_pd(a, c);
  pixel[2] = (F16)_mm512_unpacklo_pd(b, d), pixel[3] = (F16)_mm512_unpackhi_pd(b, d);
}

// Calls act(plane, row of the windows, the points' pixels of it).
template <class F, class Act>
RETICLE_INLINE void each_row_of_pixels(const Lookup& s, const F& at, int64_t ahead, Act act) {
  using A = typename F::A;
  alignas(64) int32_t offset[lanes_of<A>()];
  put(at.offset, offset);
  const A* from = (const A*)s.from;
  for (int64_t k = 0; k < s.channels; k++, from += s.plane) {
    __builtin_prefetch(from + (F::S - 1) * s.down + at.offset[0] + ahead);
#pragma GCC unroll 4
    for (int r = 0; r < F::S; r++) {
      typename F::V pixel[F::S];
      load_row(from + r * s.down, offset, pixel);
      act(k, r, pixel);
    }
  }
}

template <class V, int S>
RETICLE_INLINE V weighted(const V (&pixel)[S], const V (&weight)[S]) {
  V sum = pixel[0] * weight[0];
#pragma GCC unroll 4
  for (int t = 1; t < S; t++) sum += pixel[t] * weight[t];
  return sum;
}

template <class A, int S>
Looked forward_loads(const Lookup& given) {
  const Lookup s = given;  // nothing that is written can change it
  using F = FoundOf<A, S>;
  return walk<F>(s, [&](int row, int p, const F& at, int64_t ahead, auto& seen) {
    const auto reach = reach_of<A>(s, p);
    A* to = (A*)s.to + row * s.down_to + p;
    typename F::V answer = {};
    each_row_of_pixels(s, at, ahead, [&](int64_t, int r, const auto& pixel) __attribute__((always_inline)) {
      answer += weighted(pixel, at.column_weight) * at.row_weight[r];
      if (r < S - 1) return;
      __builtin_prefetch(to + ROWS_AHEAD * s.down_to, 1);
      seen.check += answer * 0;
      store_those(reach, answer, to);
      answer = typename F::V{}, to += s.plane_to;
    });
  });
}

template <class A, int S>
Looked slopes_loads(const Lookup& given, A* to, int64_t down_points) {
  const Lookup s = given;
  using F = SlopedOf<A, S>;
  const FinderOf<A, S> finder(s);
  const A* gradients = (const A*)s.to;
  return walk<F>(s, [&](int row, int p, const F& at, int64_t ahead, auto& seen) {
    const auto reach = reach_of<A>(s, p);
    typename F::V x = {}, y = {}, gradient;
    each_row_of_pixels(s, at, ahead, [&](int64_t k, int r, const auto& pixel) __attribute__((always_inline)) {
      if (r == 0) gradient = reach.read(gradients + k * s.plane_to + row * s.down_to + p);
      x += weighted(pixel, at.column_slope) * (at.row_weight[r] * gradient);
      y += weighted(pixel, at.column_weight) * (at.row_slope[r] * gradient);
    });
    write_slopes(x, y, finder, std::min(s.count - p, lanes_of<A>()), to + row * down_points + 2 * p, seen);
  });
}

template <class T>
void scatter_loads(const Lookup& given, int32_t low, int32_t high, uint32_t but) {
  const Lookup s = given;
  using F = PlacedOf<Wide<T>>;
  walk<F>(s, [&](int row, int p, const F& at, int64_t, auto&) {
    if ((but >> row & 1) == 0) add_one_by_one(at, std::min(s.count - p, lanes_of<Wide<T>>()), target_of<T>(s, {low, high}, row, p, 0));
  });
}

}  // namespace
}  // namespace reticle
