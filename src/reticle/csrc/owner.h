// How does an owner's tile begin and end? It is cleared where windows fall into it, and written where it belongs, with zeros elsewhere.
#pragma once
#include "tiles.h"

namespace reticle {
namespace {

// Makes room for windows in `box`: of an image, the rows that none has touched before are cleared now.
template <class P>
void touch(const P& plan, const Tiling<P>& tiling, const Box& box, Tile<P>& tile) {
  using A = typename P::A;
  const bool first = tile.touched.high[1] < 0;
  const int64_t rows = tiling.size[1] + 2 * tiling.halo[1];
  const auto clear = [&](int64_t from, int64_t to) {
    from = std::max<int64_t>(from - tile.origin[1], 0), to = std::min(to - tile.origin[1], rows);
    for (int half = 0; half < (tiling.paired ? 2 : 1) && from < to; half++)
      std::fill_n(tile.sums + half * tiling.numbers() + from * tiling.stride[3], (to - from) * tiling.stride[3], A(0));
  };
  Box all = tile.touched;
  include(box, all);
  const int64_t more = plan.width[1];
  if (first && plan.c.ndim == 3) {
    std::fill_n(tile.sums, tiling.numbers() * (tiling.paired ? 2 : 1), A(0));
  } else if (first) {
    clear(all.low[1], all.high[1] + more);
  } else if (plan.c.ndim != 3) {
    clear(all.low[1], tile.touched.low[1]);
    clear(tile.touched.high[1] + more, all.high[1] + more);
  }
  tile.touched = all;
}

template <class P>
Box everywhere(const P& plan) {
  Box box = EMPTY;
  for (int a = 0; a < 3; a++) box.low[a] = 0, box.high[a] = int32_t(plan.c.size[a] - 1);
  return box;
}

// Points become columns of channels.
template <class T, class A>
RETICLE_INLINE void turn_out(const A* from, int64_t width, int points, T* to, int64_t next, int64_t channels) {
  constexpr int lanes = VecOf<A>::lanes;
  Vec<A> r[lanes];
  for (int k = 0; k < lanes; k++) r[k] = load(from + k * width);
  transpose(r);
  for (int k = 0; k < lanes && k < channels; k++) store_some(r[k], to + k * next, points);
}

template <class T, class A>
RETICLE_INLINE void turn_four_out(const A* from, int points, T* to, int64_t next, int64_t channels) {
  Four<A> r[4];
  for (int k = 0; k < 4; k++) r[k] = load_four(from + 4 * k);
  transpose(r);
  for (int k = 0; k < 4 && k < channels; k++) store_four(r[k], to + k * next, points);
}

// Columns [first, first + columns) of a finished row.
template <class T, class P>
RETICLE_INLINE void write_line(const P& plan, const Tiling<P>& tiling, const Tile<P>& tile, int64_t columns, const typename P::A* from,
                               T* to) {
  using A = typename P::A;
  constexpr int lanes = VecOf<A>::lanes;
  const int64_t *stride = plan.c.grad_input.stride, width = tiling.channels;
  if (stride[1] == 1 && width >= lanes) {
    for (int64_t x = 0; x < columns; x++)
      for (int64_t k = 0; k < tile.channels; k += lanes)
        store_some(load(from + x * width + k), to + x * stride[4] + k, int(tile.channels - k));
  } else if (stride[4] == 1 && width == 4) {
    for (int64_t x = 0; x < columns; x += 4) turn_four_out(from + x * width, int(columns - x), to + x, stride[1], tile.channels);
  } else if (stride[4] == 1 && width >= lanes) {
    for (int64_t k = 0; k < tile.channels; k += lanes)
      for (int64_t x = 0; x < columns; x += lanes)
        turn_out(from + x * width + k, width, int(columns - x), to + k * stride[1] + x, stride[1], tile.channels - k);
  } else {
    for (int64_t k = 0; k < tile.channels; k++)
      for (int64_t x = 0; x < columns; x++) narrow(from[x * width + k], to[k * stride[1] + x * stride[4]]);
  }
}

template <class T, class P>
RETICLE_INLINE void write_zeros(const P& plan, const Tile<P>& tile, int64_t columns, T* to) {
  const int64_t* stride = plan.c.grad_input.stride;
  if (columns <= 0) return;
  if (stride[4] == 1) {
    for (int64_t k = 0; k < tile.channels; k++) std::memset((void*)(to + k * stride[1]), 0, columns * sizeof(T));
  } else if (stride[1] == 1) {
    for (int64_t x = 0; x < columns; x++) std::memset((void*)(to + x * stride[4]), 0, tile.channels * sizeof(T));
  } else {
    for (int64_t x = 0; x < columns; x++)
      for (int64_t k = 0; k < tile.channels; k++) to[x * stride[4] + k * stride[1]] = T{};
  }
}

// The second buffer's part of a row, added to the first's.
template <class P>
RETICLE_INLINE void join(const Tiling<P>& tiling, int64_t first, int64_t columns, typename P::A* row) {
  const int64_t width = tiling.channels, begin = std::max<int64_t>(first, 1) * width, end = (first + columns) * width;
  const typename P::A* other = row + tiling.aside();
#pragma GCC ivdep
  for (int64_t n = begin; n < end; n++) row[n] += other[n];
}

// Sums made in place are where they belong; zeros where there are none.
template <class P>
void clear_rest(const P& plan, const Tiling<P>& tiling, const Tile<P>& tile) {
  if (tile.touched.high[1] < 0) std::fill_n(tile.sums, tiling.numbers(), 0);
  if (tile.touched.high[1] < 0 || plan.c.ndim == 3) return;  // a volume was cleared as a whole
  const int64_t rows = plan.c.size[1], begin = std::min<int64_t>(tile.touched.low[1], rows);
  const int64_t end = std::min<int64_t>(tile.touched.high[1] + plan.width[1], rows);
  std::fill_n(tile.sums, begin * tiling.stride[3], 0);
  std::fill_n(tile.sums + end * tiling.stride[3], (rows - end) * tiling.stride[3], 0);
}

// Writes the finished sums where they belong, and zeros where there are none.
template <class T, class P>
RETICLE_APART void write_tile(const P& plan, const Tiling<P>& tiling, const Tile<P>& tile, T* to) {
  const int64_t* stride = plan.c.grad_input.stride;
  int64_t low[3], high[3];
  for (int a = 0; a < 3; a++) {
    low[a] = std::max<int64_t>(tile.low[a], tile.touched.low[a]);
    high[a] = std::max(std::min<int64_t>(tile.high[a], int64_t(tile.touched.high[a]) + plan.width[a]), low[a]);
  }
  to += tile.first_channel * stride[1];
  for (int64_t z = tile.low[0]; z < tile.high[0]; z++)
    for (int64_t y = tile.low[1]; y < tile.high[1]; y++) {
      T* line = to + z * stride[2] + y * stride[3];
      if (z < low[0] || z >= high[0] || y < low[1] || y >= high[1] || low[2] == high[2]) {
        write_zeros(plan, tile, tile.high[2] - tile.low[2], line + tile.low[2] * stride[4]);
        continue;
      }
      auto* row = tile.sums + (z - tile.origin[0]) * tiling.stride[2] + (y - tile.origin[1]) * tiling.stride[3];
      const int64_t first = low[2] - tile.origin[2], columns = high[2] - low[2];
      if (tiling.paired) join<P>(tiling, first, columns, row);
      write_zeros(plan, tile, low[2] - tile.low[2], line + tile.low[2] * stride[4]);
      write_line(plan, tiling, tile, columns, row + first * tiling.stride[4], line + low[2] * stride[4]);
      write_zeros(plan, tile, tile.high[2] - high[2], line + high[2] * stride[4]);
    }
}

}  // namespace
}  // namespace reticle
