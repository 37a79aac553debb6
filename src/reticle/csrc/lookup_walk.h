// Where do points lie that are given one by one? Sixteen at a time, or eight in double precision, with AVX-512.
#pragma once
#include "ahead.h"
#include "caution.h"
#include "cubics.h"
#include "lanes.h"
#include "lookups.h"

namespace reticle {
namespace {

constexpr int AT_ONCE = 16, IN_A_ROW = PATCH_POINTS / AT_ONCE;
constexpr int64_t ROWS_AHEAD = 4;  // of points: two took a twentieth longer where images come from afar, six were no better, measured

// A: what sums are made in. As many points at a time as a register holds numbers.
template <class A>
struct Register;

template <>
struct Register<float> {
  using V = F16;
  using I = I16;  // as many offsets
  using Reach = Lanes::Reach<true>;
};

// The first numbers of eight in a row.
struct ReachOfDoubles {
  __mmask8 there;

  explicit ReachOfDoubles(int count) : there(__mmask8((1u << count) - 1)) {}
  RETICLE_INLINE D8 read(const double* p) const { return (D8)_mm512_maskz_loadu_pd(there, p); }
};

template <>
struct Register<double> {
  using V = D8;
  using I = I8;
  using Reach = ReachOfDoubles;
};

template <class A>
constexpr int lanes_of() {
  return sizeof(typename Register<A>::V) / sizeof(A);
}

// Some of sixteen numbers in a row.
using Reach = Register<float>::Reach;

// The first `n` of as many as there are lanes: none, or all, where it is too few or too many.
template <class A = float>
RETICLE_INLINE typename Register<A>::Reach first_of(int n) {
  return typename Register<A>::Reach(std::max(std::min(n, lanes_of<A>()), 0));
}
// Which of the points from `p` on there are.
template <class A = float>
RETICLE_INLINE typename Register<A>::Reach reach_of(const Lookup& s, int p) {
  return first_of<A>(s.count - p);
}

// Of a register of points, x and y side by side.
template <class A>
struct PointsOf {
  typename Register<A>::V x, y;

  RETICLE_INLINE PointsOf(const A* from, int count) {
    constexpr int lanes = lanes_of<A>();
    const auto a = first_of<A>(2 * count).read(from), b = first_of<A>(2 * count - lanes).read(from + lanes);
    x = evens_of(a, b);
    y = odds_of(a, b);
  }
};
using Points = PointsOf<float>;

// S: pixels that a point reads along an axis.
template <class A, int S>
struct FinderOf {
  using N = Number<typename Register<A>::V>;

  NormLine<A> x, y;
  N last_x, last_y, down;
  Outside outside;
  Mode mode;

  explicit FinderOf(const Lookup& s)
      : x(s.half_x, s.middle_x, s.width, s.outside),
        y(s.half_y, s.middle_y, s.height, s.outside),
        last_x(N(s.width - S)),
        last_y(N(s.height - S)),
        down(N(s.down)),
        outside(s.outside),
        mode(s.mode) {
    x.count_from(s.first_x), y.count_from(s.first_y);
  }
};
using Finder = FinderOf<float, 2>;

// Where a register of points reads, and how much each pixel counts.
template <class A_, int S_>
struct FoundOf {
  using A = A_;
  using V = typename Register<A>::V;
  static constexpr int S = S_;

  typename Register<A>::I offset;
  V column_weight[S], row_weight[S];
  bool lost, edge;  // some of them: not at a number; a window is not just pixels that count
};
template <class A, int S>
struct SlopedOf : FoundOf<A, S> {
  typename Register<A>::V column_slope[S], row_slope[S];
};
using Sixteen = FoundOf<float, 2>;
using Sloped = SlopedOf<float, 2>;
// And where its window begins.
template <class A>
struct PlacedOf : FoundOf<A, 2> {
  typename Register<A>::I column, row;
};
using Placed = PlacedOf<float>;

template <class V, class A, int S>
RETICLE_INLINE void keep(const Tents<S, V>& x, const Tents<S, V>& y, SlopedOf<A, S>& s) {
  for (int k = 0; k < S; k++) s.column_slope[k] = x.slope[k], s.row_slope[k] = y.slope[k];
}
template <class V, class A>
RETICLE_INLINE void keep(const Tents<2, V>& x, const Tents<2, V>& y, PlacedOf<A>& s) {
  using I = typename Register<A>::I;
  s.column = __builtin_convertvector(x.first, I), s.row = __builtin_convertvector(y.first, I);
}
template <class V, class A, int S>
RETICLE_INLINE void keep(const Tents<S, V>&, const Tents<S, V>&, FoundOf<A, S>&) {}

template <class A, int S>
constexpr bool wants_slopes(const SlopedOf<A, S>*) {
  return true;
}
constexpr bool wants_slopes(const void*) { return false; }

// Which of the first pixels of windows are not from 0 to `last`, a bit each.
RETICLE_INLINE uint32_t beyond(I16 first, int32_t last) { return _mm512_cmpgt_epu32_mask((__m512i)first, _mm512_set1_epi32(last)); }
RETICLE_INLINE uint32_t beyond(D8 first, double last) {
  const __mmask8 before = _mm512_cmp_pd_mask((__m512d)first, _mm512_setzero_pd(), _CMP_LT_OQ);
  return before | _mm512_cmp_pd_mask((__m512d)first, _mm512_set1_pd(last), _CMP_GT_OQ);
}

template <class F, class A, int S>
RETICLE_INLINE void find(const FinderOf<A, S>& f, const A* from, int count, Caution& caution, F& s) {
  using V = typename Register<A>::V;
  using I = typename Register<A>::I;
  constexpr int back = (S - 1) / 2;
  constexpr bool slopes = wants_slopes((const F*)nullptr);
  const PointsOf<A> norm(from, count);
  V unknown = {};
  const Cells<V> cell_x = f.x.cells(norm.x, unknown), cell_y = f.y.cells(norm.y, unknown);
  Tents<S, V> x, y;
  s.lost = !is_zero(unknown);
  s.edge = (beyond(cell_x.cell - back, f.last_x) | beyond(cell_y.cell - back, f.last_y)) != 0;
  // of sixteen points all over the image one mostly lies at an edge; of eight not so often that it could be foreseen
  const bool careful = lanes_of<A>() < 16 ? caution.is_due(s.edge) : s.edge;
  if (__builtin_expect(!careful, 1)) {
    x = windows_inside<S>(f.mode, cell_x, slopes), y = windows_inside<S>(f.mode, cell_y, slopes);
  } else {
    x = windows_at_edges<S>(f.mode, cell_x, f.last_x, f.outside, slopes);
    y = windows_at_edges<S>(f.mode, cell_y, f.last_y, f.outside, slopes);
  }
  s.offset = __builtin_convertvector(y.first * f.down + x.first, I);
  for (int k = 0; k < S; k++) s.column_weight[k] = x.weight[k], s.row_weight[k] = y.weight[k];
  keep(x, y, s);
}

// What is seen of the points of a row on the way.
template <class V>
struct SeenOf {
  V check = {};
  bool lost = false, edge = false;

  void tell(int row, Looked& looked) const {
    looked.lost |= uint32_t(lost) << row, looked.edge |= uint32_t(edge) << row;
    looked.strange |= uint32_t(!is_zero(check)) << row;
  }
};
using Seen = SeenOf<F16>;

// The rows of a block, a register of points at a time: act(row, first point, points, from their pixels to those that will be wanted soon, seen).
// The next ones are found while those before are used: past as much work as that is, the processor does not see.
template <class F, class Act>
RETICLE_INLINE Looked walk(const Lookup& s, Act act) {
  using A = typename F::A;
  constexpr int lanes = lanes_of<A>(), line = 64 / sizeof(A);
  const FinderOf<A, F::S> finder(s);
  Looked looked = {};
  Ahead ahead = {ROWS_AHEAD};
  SeenOf<typename F::V> seen;
  F found[2];
  Caution caution;
  int next_row = 0, next_p = 0;
  const auto find_next = [&](F& to) __attribute__((always_inline)) {
    const A* points = s.point<A>(next_row, next_p);
    for (int k = 0; k < 2; k++) __builtin_prefetch(points + ROWS_AHEAD * s.down_points + line * k);
    find(finder, points, std::min(s.count - next_p, lanes), caution, to);
  };
  for (int n = 0, row = -1, p = 0; row < s.rows; n ^= 1) {
    const F& now = found[n ^ 1];
    if (next_row < s.rows) find_next(found[n]);
    if (row >= 0) {
      if (p == 0) ahead.look(now.offset[0], s.down);
      seen.lost |= now.lost, seen.edge |= now.edge;
      act(row, p, now, ahead.step, seen);
      if (next_row != row) seen.tell(row, looked), seen = {};
    }
    row = next_row, p = next_p;
    next_p += lanes;
    if (next_p >= s.count) next_row++, next_p = 0;
  }
  return looked;
}

}  // namespace
}  // namespace reticle
