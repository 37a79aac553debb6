// The gradient of the input, gathered: every pixel sums what the output points around it have read of it. No two points add to one number,
// so that nothing is cleared, joined or shared.
//
//   gradient[m][n] = sum over output points (i, j) with |x - n| < 1 and |y - m| < 1 of tent(x - n) * tent(y - m) * gradient of (i, j)
//
// In a row i of the output these points follow one another: from where the steeper of x and y along the row comes nearer than 1, to where it
// has gone by. Neighbouring pixels pick theirs from one load of the row, two at a time: one half of a vector has the first of each pixel's
// points, the other the second.
#pragma once
#include "strip_ahead.h"

namespace reticle {
namespace {

constexpr int ROWS_AROUND = 12, POINTS_AROUND = 4;  // at most: rows around a piece, points of a row around one pixel

// An affine map and its inverse, as far as the points around a pixel want them.
struct Around {
  double inverse, rows_along_x, rows_along_y, columns_along_x, columns_along_y;  // of the inverse map: output pixels by input pixels
  double reach_rows, reach_columns;                                              // a pixel's points lie no farther from its own place
  bool by_x;                                                                     // the steeper coordinate along an output row
  double steep;                                                                  // its slope
  int height, pairs;  // rows around the pixels of a piece; pairs of points of a row around one pixel
  bool few;           // so few that this way pays
  bool rises;         // the steeper coordinate, along a row

  explicit Around(const Strip& s) {
    const double ax = s.x.along, bx = s.x.below, ay = s.y.along, by = s.y.below;
    inverse = 1 / (ax * by - bx * ay);
    rows_along_x = -ay * inverse, rows_along_y = ax * inverse, columns_along_x = by * inverse, columns_along_y = -bx * inverse;
    reach_rows = std::fabs(rows_along_x) + std::fabs(rows_along_y), reach_columns = std::fabs(columns_along_x) + std::fabs(columns_along_y);
    by_x = std::fabs(ax) >= std::fabs(ay);
    steep = by_x ? ax : ay, rises = steep > 0;
    constexpr int last = Lanes::points - 1;
    const double rows = std::ceil(2 * reach_rows + last * std::fabs(rows_along_x) + 0.001), points = 2 / std::fabs(steep);
    const double columns = std::ceil(points) + (by_x ? last / std::fabs(steep) : 0);
    // and not of a matrix without an inverse, either; steeper ones would want more than single precision
    few = rows <= ROWS_AROUND && points <= POINTS_AROUND && columns <= Lanes::columns && std::fabs(steep) <= 4;
    if (!few) return;
    height = int(std::min<double>(rows, s.height)), pairs = int(std::ceil(points / 2));
  }
};

// The first column whose point has the pixel in its window: a point at a distance of just 1 before the pixel has, with a weight of 0, one
// behind it has not.
template <class V>
RETICLE_INLINE V first_after(V place, bool rises) {
  return rises ? Lanes::ceil(place) : Lanes::floor(place) + 1;
}

// What is the same for all pieces of a block.
struct Places {
  Lanes::V first, steep_at, other_at;
  float steep, other;

  Places(const Strip& s, const Around& a) : steep(float(a.steep)), other(float(a.by_x ? s.y.along : s.x.along)) {
    const Lanes::V count = Lanes::counts(), right = Lanes::right(), zero = {};
    first = a.by_x ? count * float(1 / a.steep) : zero;
    steep_at = right * steep - (a.rises ? 1.f : -1.f);
    other_at = right * other - (a.by_x ? zero : count);
  }
};

// The rows of the output around each piece of one row of pixels.
struct RowsAround {
  static constexpr int room = PATCH_POINTS / Lanes::points;
  using D = Lanes::D;

  alignas(64) int32_t none[room];               // no point is near
  alignas(64) int32_t from[ROWS_AROUND][room];  // what is loaded of a row
  // From there to just before the first point of the first pixel; the other coordinate there.
  alignas(64) float first[ROWS_AROUND][room], other[ROWS_AROUND][room];

  RETICLE_INLINE void find(const Strip& s, const Around& a, int m, const double* pixels, int count) {
    constexpr int last = Lanes::points - 1, lanes = sizeof(D) / sizeof(double);
    const double more_rows = a.rows_along_x * last, more_columns = a.columns_along_x * last;
    const double above = std::min(0.0, more_rows) - a.reach_rows, below = std::max(0.0, more_rows) + a.reach_rows;
    const double before = std::min(0.0, more_columns) - a.reach_columns, behind = std::max(0.0, more_columns) + a.reach_columns;
    const double slope = 1 / a.steep, least = a.by_x ? std::min(0.0, last * slope) : 0;
    const Strip::Line &steep = a.by_x ? s.x : s.y, &other = a.by_x ? s.y : s.x;
    const D zero = {}, lowest = zero + double(s.height - a.height), most = zero + std::max(0, s.width - Lanes::columns);
    const double y = m - s.y.start;
    for (int n = 0; n < count; n += lanes) {
      const D x = read<D>(pixels + n) - s.x.start;
      const D row = x * a.rows_along_x + a.rows_along_y * y, column = x * a.columns_along_x + a.columns_along_y * y;
      const auto outside = (row + below < 0) | (row + above >= s.height) | (column + behind < 0) | (column + before >= s.width);
      put(__builtin_convertvector(outside, Whole), none + n);
      const D top = Lanes::larger(Lanes::smaller(Lanes::ceil(row + above), lowest), zero);
      // of the steeper coordinate, and of the other: where the first pixel is, less where the output's first column is in row `top`
      const D steep_from = (a.by_x ? x : zero + y) - top * steep.below, other_from = (a.by_x ? zero + y : x) - top * other.below;
      for (int r = 0; r < a.height; r++) {
        const D at = (steep_from - r * steep.below) * slope - std::fabs(slope);
        const D column = Lanes::larger(Lanes::smaller(first_after(at + least, a.rises), most), zero);
        put(__builtin_convertvector(Lanes::larger(Lanes::smaller(at - column, zero + FAR), zero - FAR), Single), first[r] + n);
        put(__builtin_convertvector(column * other.along + (r * other.below - other_from), Single), this->other[r] + n);
        put(__builtin_convertvector((top + r) * double(s.down) + column, Whole), from[r] + n);
      }
    }
  }

 private:
  typedef int32_t Whole __attribute__((vector_size(sizeof(D) / 2)));
  typedef float Single __attribute__((vector_size(sizeof(D) / 2)));

  template <class V, class A>
  static RETICLE_INLINE void put(V v, A* to) {
    std::memcpy(to, &v, sizeof v);
  }
};

// What one load of a row means to the pixels of a piece.
struct Step {
  Lanes::V weight;
  Lanes::I index;
};

// The steps of a piece, row by row. `unit` and `index_of_first`: see index_unit().
template <int pairs, int32_t unit, int32_t index_of_first>
RETICLE_INLINE void find_steps(const Around& a, const Places& places, const RowsAround& rows, int n, Step* steps) {
  using V = Lanes::V;
  constexpr float each = unit, first = index_of_first;
  for (int r = 0; r < a.height; r++) {
    const V before = places.first + rows.first[r][n], column = first_after(before, a.rises);
    V steep = (column - before) * places.steep + places.steep_at, other = column * places.other + (places.other_at + rows.other[r][n]);
    V index = column * each + (Lanes::right() * each + first);
#pragma GCC unroll 2
    for (int pair = 0; pair < pairs; pair++, steps++) {
      const Lanes::I at = Lanes::whole(index);
      steps->index = Lanes::or_first(at, unit, index_of_first);
      steps->weight = Lanes::inside(at, unit, Lanes::tent(steep) * Lanes::tent(other));
      steep += 2 * places.steep, other += 2 * places.other, index += 2 * each;
    }
  }
}

// A row of pixels, all pieces and planes. Answers whether something is not finite.
template <int pairs, bool narrow, class T>
struct Gatherer {
  const Strip s;
  const Around around;
  const Places places{s, around};
  const Lanes::Reach<narrow> reach{s.width};
  const StripAhead ahead{s,
                         s.channels,
                         {Lanes::points, around.height, Lanes::columns},
                         {around.rows_along_x, around.columns_along_x},
                         {around.rows_along_y, around.columns_along_y}};
  const int whole = s.count / Lanes::points, pieces = (s.count + Lanes::points - 1) / Lanes::points;
  alignas(64) double pixels[RowsAround::room];  // the first of each piece; the last may hold some of the piece before, again
  RowsAround rows;
  Step steps[RowsAround::room][ROWS_AROUND * pairs];

  Gatherer(const Strip& strip, const Around& a) : s(strip), around(a) {
    for (int n = 0; n < RowsAround::room; n++) pixels[n] = std::max(std::min(n * Lanes::points, s.count - Lanes::points), 0);
  }

  bool row(int m) {
    rows.find(s, around, m, pixels, pieces);
    for (int n = 0; n < pieces; n++)
      if (!rows.none[n]) find_steps<pairs, Lanes::index_unit<T>(), Lanes::index_of_first<T>()>(around, places, rows, n, steps[n]);
    bool finite = true;
    in_groups(s.channels, [&](auto number, int64_t k) {
      finite &= planes<number.value>(ahead.from(m), (const T*)s.from + k * s.plane, (T*)s.to + k * s.plane_to + m * s.down_to);
    });
    return !finite;
  }

  template <int K>
  RETICLE_APART bool planes(const Soon& soon, const T* from, T* to) const {
    Lanes::Half check = {};
    Lanes::V check_two = {};
    for (int n = 0; n < pieces; n++) {
      T* first = to + int(pixels[n]);
      if (!rows.none[n]) soon.fetch<K, true>(s, from + rows.from[0][n], first);
      if (n + 1 < whole && !rows.none[n] && !rows.none[n + 1]) {
        Lanes::V sums[2][K] = {};
        soon.fetch<K, true>(s, from + rows.from[0][n + 1], first + Lanes::points);
        gather(n++, from, sums);
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {
          const Lanes::V answer = Lanes::halves(sums[0][k], sums[1][k]);
          check_two += answer * 0;
          store_numbers(answer, first + k * s.plane_to);
        }
      } else {
        Lanes::V sums[1][K] = {};
        if (!rows.none[n]) gather(n, from, sums);
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {
          const Lanes::Half answer = Lanes::halves(sums[0][k]);
          check += answer * 0;
          store_piece(answer, first + k * s.plane_to, s.count);
        }
      }
    }
    if (!rows.none[pieces - 1]) soon.fetch_other_end<K>(s, from + rows.from[0][pieces - 1]);
    return is_zero(check) && is_zero(check_two);
  }

 private:
  // K planes of N pieces from `n` on.
  template <int N, int K>
  RETICLE_INLINE void gather(int n, const T* from, Lanes::V (&sums)[N][K]) const {
    for (int r = 0; r < around.height; r++)
#pragma GCC unroll 2
      for (int pair = 0; pair < pairs; pair++)
#pragma GCC unroll 2
        for (int m = 0; m < N; m++) {
          const Step& step = steps[n + m][r * pairs + pair];
          const T* row = from + rows.from[r][n + m];
#pragma GCC unroll 8
          for (int k = 0; k < K; k++) sums[m][k] += reach.pick(step.index, row + k * s.plane) * step.weight;
        }
  }
};

template <int pairs, class T, bool narrow>
uint32_t gather_rows(const Strip& s, const Around& around) {
  Gatherer<pairs, narrow, T> gatherer(s, around);
  uint32_t strange = 0;
  for (int m = 0; m < s.rows; m++) strange |= uint32_t(gatherer.row(m)) << m;
  return strange;
}

// Whether the output is nowhere near a block of pixels.
bool is_far(const Strip& s, const Around& a) {
  double low[2], high[2];
  const double along[2] = {a.rows_along_x * (s.count - 1), a.columns_along_x * (s.count - 1)};
  const double below[2] = {a.rows_along_y * (s.rows - 1), a.columns_along_y * (s.rows - 1)};
  const double first[2] = {-a.rows_along_x * s.x.start - a.rows_along_y * s.y.start,
                           -a.columns_along_x * s.x.start - a.columns_along_y * s.y.start};
  const double reach[2] = {a.reach_rows, a.reach_columns};
  for (int k = 0; k < 2; k++) {
    low[k] = first[k] + std::min(0.0, along[k]) + std::min(0.0, below[k]) - reach[k];
    high[k] = first[k] + std::max(0.0, along[k]) + std::max(0.0, below[k]) + reach[k];
  }
  return high[0] < 0 || low[0] > s.height || high[1] < 0 || low[1] > s.width;
}

template <class T>
void clear(const Strip& s) {
  for (int64_t k = 0; k < s.channels; k++)
    for (int m = 0; m < s.rows; m++) std::memset((T*)s.to + k * s.plane_to + m * s.down_to, 0, s.count * sizeof(T));
}

template <class T, bool narrow>
uint32_t gradient_strip(const Strip& s) {
  const Around around(s);
  if (is_far(s, around)) return clear<T>(s), 0;
  return around.pairs == 1 ? gather_rows<1, T, narrow>(s, around) : gather_rows<2, T, narrow>(s, around);
}

bool can_gather(const Strip& s) { return Around(s).few; }

}  // namespace
}  // namespace reticle
