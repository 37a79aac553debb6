// Finding and reading in one go, where an image has few channels: what is known of a vector of points is used where it stands, in
// registers.
#pragma once
#include "patch.h"
#include "reads.h"

namespace reticle {
namespace {

constexpr int64_t NEAR_BYTES = 1 << 15;  // what the nearest cache holds

// What became of a row. `valid`: all coordinates are ordinary; else what was written does not count.
struct Direct {
  bool valid, edge, finite;

  // Whether some of its points still want the fill, or may have met what is not finite with a weight of 0 that is not its own.
  bool wants_more(Padding padding) const { return edge && (!finite || padding == CONSTANT); }
};

// Where a vector of points reads. A: what sums are made in.
template <class A, int S>
struct FoundPoints {
  Tents<S, Vec<A>> y, x;
  alignas(32) int32_t offset[VecOf<A>::lanes];
};
template <class A>
struct FoundPoints<A, 1> {
  Whole<Vec<A>> there;  // not outside, where nothing is
  alignas(32) int32_t offset[VecOf<A>::lanes];
};

// What is seen of the points of a row on the way.
template <class A>
struct Seen {
  Vec<A> unknown = {}, check = {};
  Whole<Vec<A>> edge = {};

  Direct answer() const { return {is_zero(unknown), any(edge), is_zero(check)}; }
};

// What finds the points of a row. `apart`: pixels are not side by side.
template <class From, bool apart = false>
struct Finder {
  using A = typename From::A;
  using N = Number<Vec<A>>;

  From from[3];  // of the axes y and x, the last two
  N last_y, last_x, down, across;
  Outside outside;
  Caution caution = {};

  RETICLE_INLINE void find(int p, Seen<A>& seen, FoundPoints<A, 2>& e) {
    const Cells<Vec<A>> y = from[1].at(1, p, seen.unknown), x = from[2].at(2, p, seen.unknown);
    const Whole<Vec<A>> beyond = is_beyond(y.cell, last_y) | is_beyond(x.cell, last_x);
    if (caution.is_due(any(beyond))) {
      e.y = tents_at_edges<2>(y, last_y, outside), e.x = tents_at_edges<2>(x, last_x, outside);
      seen.edge |= beyond;
    } else {
      e.y = tents_inside<2>(y), e.x = tents_inside<2>(x);
    }
    put(__builtin_convertvector(offset(e.y.first, e.x.first), Cell<A>), e.offset);
  }
  RETICLE_INLINE void find(int p, Seen<A>& seen, FoundPoints<A, 1>& e) const {
    const auto y = from[1].at(1, p, seen.unknown).cell, x = from[2].at(2, p, seen.unknown).cell;
    const auto row = nearest_pixel(y, last_y, outside), column = nearest_pixel(x, last_x, outside);
    e.there = outside == NOTHING ? (Whole<Vec<A>>)((row == y) & (column == x)) : ~Whole<Vec<A>>{};
    seen.edge |= ~e.there;
    put(__builtin_convertvector(offset(row, column), Cell<A>), e.offset);
  }
  template <class I>
  RETICLE_INLINE I offset(I row, I column) const {
    return row * down + (apart ? column * across : column);
  }
};

// Where the rows of a block lie, by a matrix: as by_matrix() in quick.h, of which most is the same for all of them.
template <class A>
struct RowsByMatrix {
  using From = Walk<A>;
  double start[3], step[3];

  template <class P>
  RowsByMatrix(const P& plan, const Matrix& m, int64_t, int64_t j, From* walk) {
    for (int a = 1; a < 3; a++) {
      start[a] = m.pixels.origin[a] + m.pixels.step[a][2] * double(j) + (P::S == 1 ? 0.5 : 0);
      step[a] = m.pixels.step[a][1];
      walk[a].by = A(m.pixels.step[a][2]);
    }
  }
  RETICLE_INLINE void place(int64_t i, From* walk) const {
    for (int a = 1; a < 3; a++) {
      const double at = clamp(start[a] + step[a] * double(i), -BEYOND, BEYOND), whole = std::floor(at);
      walk[a].from = A(at - whole), walk[a].first = Number<Vec<A>>(whole);
    }
  }
  RETICLE_INLINE void fetch(int64_t, int) const {}
};

// By a grid whose x and y stand side by side.
template <class A>
struct RowsOfGrid {
  using From = FromNorm<A, true>;
  const A* first;
  int64_t down;

  template <class P>
  RowsOfGrid(const P& plan, const Matrix&, int64_t b, int64_t j, From* norms) {
    const int64_t* stride = plan.c.where_stride;
    first = (const A*)plan.c.where + b * stride[0] + j * 2, down = stride[2];
    by_norms(plan, first, 0, norms);
  }
  RETICLE_INLINE void place(int64_t i, From* norms) const { norms[1].norm = norms[2].norm = first + i * down; }
  RETICLE_INLINE void fetch(int64_t i, int count) const {
    for (int p = 0; p < count; p += VecOf<A>::lanes) __builtin_prefetch(first + i * down + 2 * p);
  }
};

// Planes that are read, and those of the output: written forward, read backward. K = 0: as many as `count` says.
template <class T, class Out>
struct Planes {
  int count;
  const T* from;
  int64_t next, down;  // to the next plane, to the next row of pixels
  Out* to;
  int64_t next_to, down_to;
};

template <class Out, class T, class P>
Planes<T, Out> planes_of(const P& plan, int64_t b) {
  const Call& c = plan.c;
  const int64_t *in = c.input.stride, *out = c.output.stride;
  return {int(c.channels), (const T*)c.input.data + b * in[0], in[1], in[3], (Out*)c.output.data + b * out[0], out[1], out[3]};
}

template <int points, class T, class Out>
RETICLE_INLINE void fetch_ahead(const Planes<T, Out>& planes, const int32_t* offset, int64_t step, int p) {
  for (int k = 0; k < planes.count; k++) {
    const T* from = planes.from + planes.down + k * planes.next + step;
    for (int q = 0; q < points; q += 4) __builtin_prefetch(from + offset[q]);
    const Out* to = planes.to + k * planes.next_to + 2 * planes.down_to + p;
    if (std::is_const<Out>::value)
      __builtin_prefetch(to);
    else
      __builtin_prefetch(to, 1);
  }
}

// What the next sample reads where this one reads now, if its planes are small: large ones are followed from row to row.
template <class T, class Out, class P>
RETICLE_INLINE void fetch_next(const P& plan, const Planes<T, Out>& planes, int64_t i) {
  constexpr int64_t line = 64 / sizeof(T);
  const int64_t room = planes.down * plan.c.size[1] / plan.c.out[1];
  for (int k = 0; k < planes.count; k++) {
    const T* next = planes.from + plan.c.input.stride[0] + k * planes.next + i * room;
    for (int64_t q = 0; q < room; q += line) __builtin_prefetch(next + q);
  }
}

// The first output pixel of a block's rows, and how many points each has.
struct Start {
  int64_t i, j;
  int count;
};

static_assert(BLOCK_ROWS <= PATCH_ROWS && SEGMENT <= PATCH_POINTS, "a block is a patch");

// A block for the kernels of strips.h or lookups.h, which still want to know where its points are.
template <class T, class P>
Patch patch_of(const P& plan, int64_t b, const Start& start) {
  const Call& c = plan.c;
  const int64_t *in = c.input.stride, *out = c.output.stride;
  Patch s = {};
  s.from = (const T*)c.input.data + b * in[0], s.plane = in[1], s.down = in[3];
  s.height = int32_t(c.size[1]), s.width = int32_t(c.size[2]);
  s.to = (T*)c.output.data + b * out[0] + start.i * out[3] + start.j, s.plane_to = out[1], s.down_to = out[3];
  s.channels = c.channels;
  s.rows = int32_t(std::min<int64_t>(BLOCK_ROWS, c.out[1] - start.i)), s.count = start.count;
  s.outside = outside_of(c);
  return s;
}

// All points of a block: act.found(planes from the row's first output point on, a vector of points, its first one's number in the row, how
// many there are, seen), and act.row(number of the row, what became of it). The next points are found while those before are used: a processor
// that looks few instructions ahead has work to do meanwhile.
template <class Where, class T, class Out, class P, class Act>
RETICLE_INLINE void walk_rows(const P& plan, const Matrix& m, int64_t b, const Start& s, Planes<T, Out> planes, Act& act) {
  constexpr int S = P::S, lanes = VecOf<typename P::A>::lanes;
  using Found = FoundPoints<typename P::A, S>;
  using N = Number<Vec<typename P::A>>;
  Finder<typename Where::From> finder = {{}, N(plan.in[1].size - S), N(plan.in[2].size - S), N(planes.down), 1, outside_of(plan.c)};
  const Where where(plan, m, b, s.j, finder.from);
  Ahead ahead;
  const bool large = planes.down * plan.c.size[1] * int64_t(sizeof(T)) > NEAR_BYTES, more = !large && b + 1 < plan.c.batch;
  const int64_t i = s.i;
  const int rows = int(std::min<int64_t>(BLOCK_ROWS, plan.c.out[1] - i)), count = s.count, last = std::max(count - lanes, 0);
  planes.to += i * planes.down_to + s.j;
  Found now, next;
  Seen<typename P::A> seen;
  where.place(i, finder.from);
  finder.find(0, seen, now);
  for (int row = 0; row < rows; row++, planes.to += planes.down_to) {
    if (more) fetch_next(plan, planes, i + row);
    if (large) ahead.look(now.offset[0], planes.down);
    int p = 0;
    while (p < last) {
      const int then = std::min(p + lanes, last);  // the last vector may be some of those before, again
      finder.find(then, seen, next);
      if (ahead.step) fetch_ahead<lanes>(planes, now.offset, ahead.step, p);
      act.found(planes, now, p, lanes, seen);
      now = next, p = then;
    }
    Seen<typename P::A> other;
    if (row + 2 < rows) where.fetch(i + row + 2, count);
    if (row + 1 < rows) where.place(i + row + 1, finder.from), finder.find(0, other, next);
    act.found(planes, now, p, std::min(count, lanes), seen);
    act.row(row, seen.answer());
    now = next, seen = other;
  }
}

// Of what there are kernels: those for 16 bits and bytes are worth the time to compile them only with vectors of eight numbers, and for
// the usual numbers of channels.
template <class T, class P>
constexpr bool has_direct() {
#if defined(__AVX__)
  return P::S <= 2;
#else
  return WHOLE_VECTORS && P::S <= 2 && sizeof(T) == sizeof(float);
#endif
}

// Of 16 bits under a matrix there are none: strips do what is usual of them.
template <class T, class P>
constexpr bool by_matrix_too() {
  return P::S == 1 || sizeof(T) != 2;
}

// For with_channels().
template <class T>
bool is_few(int64_t channels) {
  return channels == 1 || channels == 3 || (sizeof(T) == sizeof(float) && (channels == 2 || channels == 4));
}

// Whether the rows of a block can be placed by RowsByMatrix.
template <class P>
bool is_walked(const P& plan, const Matrix& m) {
  return m.tame && !m.divides && !repeats(plan.c.padding) && std::fabs(m.pixels.step[1][2]) <= 2 && std::fabs(m.pixels.step[2][2]) <= 2;
}

// Whether the points of a block can be read from the grid by the vector.
template <class P>
bool are_vectors(const P& plan, int64_t number) {
  const Call& c = plan.c;
  const int64_t count = c.out[2] - number % plan.segments * SEGMENT;
  const bool same = c.where_is_double == (sizeof(typename P::A) == sizeof(double));
  return same && c.where_stride[4] == 1 && c.where_stride[3] == 2 && count >= VecOf<typename P::A>::lanes;
}

template <class T, class P>
bool is_direct(const P& plan, const Matrix& m, int64_t number) {
  const Call& c = plan.c;
  if (c.ndim != 2 || !is_few<T>(c.channels) || c.input.stride[4] != 1 || c.output.stride[4] != 1 || !is_common(plan, c.input.stride))
    return false;
  if (c.is_matrix) return by_matrix_too<T, P>() && is_walked(plan, m);
  return P::S > 1 && are_vectors(plan, number);  // nearest: see nearest_given.h
}

// Calls f with the number of channels, few of them, as a constant.
template <class T, class F>
RETICLE_INLINE void with_channels(int64_t channels, F f) {
  if (channels == 1) return f(std::integral_constant<int, 1>());
  if constexpr (sizeof(T) == sizeof(float)) {
    if (channels == 2) return f(std::integral_constant<int, 2>());
    if (channels == 4) return f(std::integral_constant<int, 4>());
  }
  f(std::integral_constant<int, 3>());
}

}  // namespace
}  // namespace reticle
