// For direct.h: what the points of a block add to the gradient of an image with few channels; see scatter.h.
#pragma once
#include "nearest_given.h"
#include "scatter.h"

namespace reticle {
namespace {

// Numbers of a pixel that a buffer holds for K planes.
constexpr int width_of(int K) { return K == 1 ? 1 : 4; }

// What a vector of points, of which `count` exist, adds to their nearest pixels; nothing of those that are not there.
template <int K, class T, class A, class V>
RETICLE_INLINE void nearest_values(const Planes<T, const T>& planes, int p, int count, V there, A* value) {
  Vec<A> r[VecOf<A>::lanes] = {};
  for (int k = 0; k < K; k++) {
    const Vec<A> g = load_some(planes.to + k * planes.next_to + p, count);
    r[k] = there ? g : Vec<A>{};
  }
  if constexpr (K == 1) return store(r[0], value);
  transpose(r);
  for (int q = 0; q < VecOf<A>::lanes; q++) put(read<Four<A>>(&r[q]), value + 4 * q);
}

template <int WIDTH, class A>
RETICLE_INLINE void add_one(const A* value, A* to) {
  if constexpr (WIDTH == 1)
    *to += *value;
  else
    put(read<Four<A>>(to) + read<Four<A>>(value), to);
}

// K planes; points are added once, though some are found twice.
template <int K, class T>
struct AddsOfRows {
  using A = Wide<T>;
  using V = Vec<A>;
  static constexpr int lanes = VecOf<A>::lanes, WIDTH = width_of(K);

  A* sums;
  int64_t down, aside;
  int next = 0;  // point of the row

  RETICLE_INLINE void row(int, const Direct&) { next = 0; }
  // Nearest: nothing of what is outside.
  RETICLE_INLINE void found(const Planes<T, const T>& planes, const FoundPoints<A, 1>& e, int p, int count, Seen<A>&) {
    add_nearest(planes, p, count, e.offset, e.there);
  }
  RETICLE_INLINE void points(const Planes<T, const T>& planes, int p, const int32_t* offset, Whole<V> there) {
    add_nearest(planes, p, lanes, offset, there);
  }
  RETICLE_INLINE void add_nearest(const Planes<T, const T>& planes, int p, int count, const int32_t* offset, Whole<V> there) {
    const int first = next - p;
    next = p + count;
    alignas(32) A value[lanes * WIDTH];
    nearest_values<K>(planes, p, count, there, value);
    for (int q = first; q < count; q++) add_one<WIDTH>(value + q * WIDTH, sums + WIDTH * int64_t(offset[q]));
  }
  RETICLE_INLINE void found(const Planes<T, const T>& planes, const FoundPoints<A, 2>& e, int p, int count, Seen<A>&) {
    const int first = next - p;
    next = p + count;
    if constexpr (K == 1) {
      const V g = load_some(planes.to + p, count), left = g * e.x.weight[0], right = g * e.x.weight[1];
      alignas(32) A value[2][2 * lanes];
      for (int r = 0; r < 2; r++) store_in_turn(left * e.y.weight[r], right * e.y.weight[r], value[r]);
      for (int q = first; q < count; q++) {
        A* to = sums + e.offset[q] + (e.offset[q] & 1) * aside;
        for (int r = 0; r < 2; r++, to += down) {
          const Two<A> sum = read<Two<A>>(to) + read<Two<A>>(value[r] + 2 * q);
          std::memcpy(to, &sum, sizeof sum);
        }
      }
    } else {
      Four<A> g[lanes];
      for (int half = 0; half < lanes; half += 4) {
        for (int k = 0; k < 4; k++)
          g[half + k] = k < K && half < count ? load_four(planes.to + k * planes.next_to + p + half, count - half) : Four<A>{};
        transpose(g + half);
      }
      alignas(32) A weight[4][lanes];
      for (int r = 0; r < 2; r++) store(e.x.weight[r], weight[r]), store(e.y.weight[r], weight[2 + r]);
      for (int q = first; q < count; q++) {
        A* to = sums + 4 * int64_t(e.offset[q]) + (e.offset[q] & 1) * aside;
        const TwoFours<A> both = side_by_side(g[q] * weight[0][q], g[q] * weight[1][q]);
        for (int r = 0; r < 2; r++, to += down) {
          const TwoFours<A> sum = read<TwoFours<A>>(to) + both * weight[2 + r][q];
          std::memcpy(to, &sum, sizeof sum);
        }
      }
    }
  }
};

// Nearest pixels, of a band of rows alone. Which points fall there is asked for all of a row: it can hardly be foreseen of each.
template <int K, class T>
struct AddsOfBand {
  using A = Wide<T>;
  static constexpr int lanes = VecOf<A>::lanes, WIDTH = width_of(K);

  A* sums;            // of the image's first pixel
  int32_t low, high;  // from one of these offsets to before the other
  int count = 0;      // of points
  int32_t offset[SEGMENT];
  alignas(32) A value[SEGMENT * WIDTH];

  AddsOfBand(A* sums, int64_t low, int64_t high) : sums(sums), low(int32_t(low)), high(int32_t(high)) {}
  RETICLE_INLINE void points(const Planes<T, const T>& planes, int p, const int32_t* at, Whole<Vec<A>> there) {
    std::memcpy(offset + p, at, lanes * sizeof *at);
    nearest_values<K>(planes, p, lanes, there, value + p * WIDTH);
    count = p + lanes;
  }
  RETICLE_INLINE void row(int, const Direct&) {
    int chosen[SEGMENT], n = 0;
    for (int q = 0; q < count; q++) {
      chosen[n] = q;
      n += (offset[q] >= low) & (offset[q] < high);
    }
    for (int k = 0; k < n; k++) add_one<WIDTH>(value + chosen[k] * WIDTH, sums + WIDTH * int64_t(offset[chosen[k]]));
  }
};

// No planes to fetch from: rows of the buffer, in pixels, are what the windows lie in.
template <class T, class P>
Planes<T, const T> planes_to_add(const P& plan, const Tiling<P>& tiling, int64_t b) {
  const Call& c = plan.c;
  const int64_t* out = c.output.stride;
  return {0, nullptr, 0, tiling.stride[3] / tiling.channels, (const T*)c.output.data + b * out[0], out[1], out[3]};
}

template <int K, class Where, class T, class P>
RETICLE_APART void add_rows(const P& plan, const Tiling<P>& tiling, const Matrix& m, int64_t b, const Start& s, Wide<T>* sums) {
  AddsOfRows<K, T> act = {sums, tiling.stride[3], tiling.aside()};
  walk_rows<Where>(plan, m, b, s, planes_to_add<T>(plan, tiling, b), act);
}

// Whether the tiles are bands of rows whose pixels 32 bits can count.
template <class P>
bool has_bands(const P& plan, const Tiling<P>& tiling) {
  return tiling.count[2] == 1 && plan.c.size[1] * tiling.stride[3] / tiling.channels < int64_t(1) << 31;
}

// Nearest pixels, by a grid.
template <int K, class T, class P>
RETICLE_APART void add_nearest_rows(const P& plan, const Tiling<P>& tiling, const Tile<P>& tile, int64_t b, const Start& s) {
  const Planes<T, const T> planes = planes_to_add<T>(plan, tiling, b);
  const auto add = [&](auto act) {
    repeats(plan.c.padding) ? walk_nearest<true>(plan, b, s, planes, act) : walk_nearest<false>(plan, b, s, planes, act);
  };
  if (!tiling.cut) return add(AddsOfRows<K, T>{tile.sums, tiling.stride[3], tiling.aside()});
  add(AddsOfBand<K, T>(tile.sums - tile.origin[1] * tiling.stride[3], tile.low[1] * planes.down, tile.high[1] * planes.down));
}

// Where all windows of a block begin by a matrix, and somewhat more.
template <class P>
Box box_of(const P& plan, const Matrix& m, const Start& s) {
  Box box = {{0, 0, 0}, {0, 0, 0}};
  const double rows = double(std::min<int64_t>(BLOCK_ROWS, plan.c.out[1] - s.i)) - 1;
  for (int a = 1; a < 3; a++) {
    const double* step = m.pixels.step[a];
    const double start = m.pixels.origin[a] + step[1] * double(s.i) + step[2] * double(s.j), last = double(plan.c.size[a] - P::S);
    const double down = step[1] * rows, along = step[2] * (s.count - 1);
    box.low[a] = int32_t(clamp(std::floor(start + std::min(down, 0.0) + std::min(along, 0.0)) - 1, 0.0, last));
    box.high[a] = int32_t(clamp(std::floor(start + std::max(down, 0.0) + std::max(along, 0.0)) + 1, 0.0, last));
  }
  return box;
}

template <class T, class P>
bool is_finite(const P& plan, int64_t b, const Start& s) {
  const int64_t* out = plan.c.output.stride;
  const T* g = (const T*)plan.c.output.data + b * out[0] + s.i * out[3] + s.j;
  constexpr int lanes = VecOf<Wide<T>>::lanes;
  Vec<Wide<T>> check = {};
  for (int64_t row = 0; row < std::min<int64_t>(BLOCK_ROWS, plan.c.out[1] - s.i); row++)
    for (int64_t k = 0; k < plan.c.channels; k++)
      for (int p = 0; p < s.count; p += lanes) check += load_some(g + k * out[1] + row * out[3] + p, s.count - p) * 0;
  return is_zero(check);
}

// Whether the points of a block are numbers; for which is_direct().
template <class P>
bool is_somewhere(const P& plan, int64_t b, const Start& s) {
  using A = typename P::A;
  const int64_t* where = plan.c.where_stride;
  Vec<A> check = {};
  for (int64_t row = 0; row < std::min<int64_t>(BLOCK_ROWS, plan.c.out[1] - s.i); row++) {
    const A* points = (const A*)plan.c.where + b * where[0] + (s.i + row) * where[2] + s.j * 2;
    for (int p = 0; p < 2 * s.count; p += VecOf<A>::lanes) check += load_some(points + p, 2 * s.count - p) * 0;
  }
  return is_zero(check);
}

// Whether a block can be added so; it is found then, in `start`.
template <class T, class P>
bool adds_directly(const P& plan, const Tiling<P>& tiling, const Matrix& m, int64_t b, int64_t block, Segment<P>& s, Start& start) {
  const Call& c = plan.c;
  const bool nearest = P::S == 1 && is_few<T>(c.channels) && is_nearest_given(plan, block);
  if ((tiling.cut && !(nearest && has_bands(plan, tiling))) || tiling.paired != (P::S == 2) || !(nearest || is_direct<T>(plan, m, block)) ||
      !at_row(plan, block, 0, s))
    return false;
  start = {s.i, s.j, s.count};
  if (P::S == 2 && !is_finite<T>(plan, b, start)) return false;                          // must not meet a weight of 0 that is not its own
  return c.is_matrix || ((nearest || c.channels == 1) && is_somewhere(plan, b, start));  // several gain nothing
}

// One block of a tile that is the whole image, or a band of it. False: not such a case.
template <class T, class P>
bool scatter_directly(const P& plan, const Tiling<P>& tiling, Tile<P>& tile, const Matrix& m, int64_t b, int64_t block, Segment<P>& s) {
  if constexpr (has_direct<T, P>()) {
    Start start;
    if (!adds_directly<T>(plan, tiling, m, b, block, s, start)) return false;
    touch(plan, tiling, plan.c.is_matrix ? box_of(plan, m, start) : everywhere(plan), tile);
    if (plan.c.is_matrix) {
      if constexpr (by_matrix_too<T, P>())
        with_channels<T>(plan.c.channels,
                         [&](auto k) { add_rows<k.value, RowsByMatrix<typename P::A>, T>(plan, tiling, m, b, start, tile.sums); });
    } else if constexpr (P::S == 1) {
      with_channels<T>(plan.c.channels, [&](auto k) { add_nearest_rows<k.value, T>(plan, tiling, tile, b, start); });
    } else {
      add_rows<1, RowsOfGrid<typename P::A>, T>(plan, tiling, m, b, start, tile.sums);
    }
    return true;
  }
  return false;
}

}  // namespace
}  // namespace reticle
