// One point at a time: the pixels of its window, read along the channels, or in any layout.
#pragma once
#include "quick.h"

namespace reticle {
namespace {

// The pixels of one point's window: where they are, how much they count.
template <class P>
struct Reads {
  int count;
  int64_t offset[64];
  typename P::A weight[64];
};

// The first `height` rows of a window that is `width` pixels wide; constants, where the caller knows them.
template <class P>
RETICLE_INLINE void list_reads(const Rows& rows, const Reading<P>& s, int p, int64_t step, int height, int width, Reads<P>& reads) {
  reads.count = height * width;
#pragma GCC unroll 4
  for (int r = 0; r < height; r++)
#pragma GCC unroll 2
    for (int t = 0; t < width; t++) {
      reads.offset[r * width + t] = s.offset[p] + rows.offset[r] + t * step;
      reads.weight[r * width + t] = s.row_weight[r][p] * s.column_weight[t][p];
    }
}

constexpr int64_t LARGE = 24 << 20;  // bytes: when so large an output is finished, caches mostly no longer hold its beginning

// Past the caches, which need not fetch what is about to be overwritten. `p` is aligned like the vector.
template <class T>
RETICLE_INLINE void store_past(Vec<Wide<T>> v, T* p) {
#if defined(__AVX__)
  if constexpr (std::is_same<T, float>::value) return _mm256_stream_ps(p, (__m256)v);
  if constexpr (std::is_same<T, double>::value) return _mm256_stream_pd(p, (__m256d)v);
#endif
  store(v, p);
}

template <class T, class P>
bool is_large_output(const P& plan) {
  return sizeof(T) >= sizeof(float) && plan.outputs * int64_t(sizeof(T)) >= LARGE;
}

// Whether a row of the output that begins at v is better written so.
template <class T, class P>
RETICLE_INLINE bool is_large(const P& plan, const T* v) {
#if !defined(__AVX__)
  return false;
#endif
  constexpr int64_t vector = sizeof(Vec<Wide<T>>);
  const bool aligned = uintptr_t(v) % vector == 0 && plan.c.output.stride[4] * int64_t(sizeof(T)) % vector == 0;
  return aligned && is_large_output<T>(plan);
}

// What will be wanted soon: as many numbers as a pixel has channels, to be read and to be written over.
template <class T>
struct Soon {
  const T *read, *written;
};

// Weighted sums of N pixels, N known or 0: as many as there are. `past`: see store_past().
template <int N, bool past, class T, class A>
RETICLE_INLINE void channels_of(int64_t channels, int number, const T* const* from, const A* weight, T* v, const Soon<T>& soon,
                                Vec<A>& check) {
  constexpr int lanes = VecOf<A>::lanes, line = 64 / sizeof(T);
  const int count = N ? N : number;
  const auto fetch = [&](int64_t k) {
    __builtin_prefetch(soon.read + k, 0, 2);
    if (!past) __builtin_prefetch(soon.written + k, 1);
  };
  const auto vector = [&](int64_t k) {
    Vec<A> total = load(from[0] + k) * weight[0];
#pragma GCC unroll 8
    for (int t = 1; t < count; t++) total += load(from[t] + k) * weight[t];
    watch(total, check);
    past ? store_past(total, v + k) : store(total, v + k);
  };
  int64_t k = 0;
  for (; k + line <= channels; k += line) {
    fetch(k);
#pragma GCC unroll 8
    for (int part = 0; part < line; part += lanes) vector(k + part);
  }
  if (k < channels) fetch(k);
  for (; k + lanes <= channels; k += lanes) vector(k);
  if (k < channels) {
    const int left = int(channels - k);
    Vec<A> total = {};
    for (int t = 0; t < count; t++) total += load_some(from[t] + k, left) * weight[t];
    watch(total, check);
    store_some(total, v + k, left);
  }
}

constexpr int64_t NEXT_BYTES = 1 << 18;  // of a sample that the second cache has room for beside the one at work

// Of the next sample, what the points from `first` of this one on stand for, `share` numbers each. The processor cannot foresee where a
// slanted row goes; asked for a sample early, memory sends it in one piece.
template <class T>
struct Next {
  const T* first = nullptr;
  int64_t share = 0;
};

template <class T, class P>
Next<T> next_sample(const P& plan, int64_t b, int64_t number, int first, const T* u) {
  const Call& c = plan.c;
  const int64_t size = c.input.stride[0];
  if (b + 1 == c.batch || size <= 0 || size > NEXT_BYTES / int64_t(sizeof(T))) return {};
  const int64_t share = size / (c.out[0] * c.out[1] * c.out[2]);
  return {u + size + (number / plan.segments * BLOCK_ROWS + first) * c.out[2] * share, share};
}

template <class T>
RETICLE_INLINE void fetch(const T* from, int64_t count) {
  for (int64_t k = 0; k < count; k += 64 / sizeof(T)) __builtin_prefetch(from + k, 0, 2);
}

constexpr int64_t POINTS_AHEAD = 8;  // so many points before it is written, the output is asked for: as long as memory takes, measured

// What is to be fetched when point p is read: of the next sample, or a row further on; else what is at hand.
template <class T, class P>
RETICLE_INLINE const T* read_soon(const Rows& rows, const Reading<P>& s, int p, const T* u, const Next<T>& next) {
  if (next.share) return next.first + p * next.share;
  return u + s.offset[p] + (s.ahead.step ? rows.offset[rows.count - 1] + s.ahead.step : 0);
}
// The same, and fetches it.
template <class T, class P>
RETICLE_INLINE void fetch_soon(const P& plan, const Rows& rows, const Reading<P>& s, int p, const T* u, const Next<T>& next) {
  if (next.share || s.ahead.step) fetch(read_soon(rows, s, p, u, next), next.share ? next.share : plan.c.channels);
}

// R rows of P::S pixels each, R known or 0: whatever there is.
template <int R, bool past, class T, class P>
RETICLE_APART bool along_channels_of(const P& plan, const Rows& rows, const Reading<P>& s, const T* u, T* v, const Next<T>& next) {
  using A = typename P::A;
  const int64_t channels = plan.c.channels, step = plan.c.input.stride[4], step_out = plan.c.output.stride[4];
  Vec<A> check = {};
  Reads<P> reads;
  for (int p = 0; p < s.count; p++, v += step_out) {
    list_reads(rows, s, p, step, R ? R : rows.count, R ? P::S : plan.width[2], reads);
    const Soon<T> soon = {read_soon(rows, s, p, u, next), v + POINTS_AHEAD * step_out};
    if (next.share > channels) fetch(soon.read + channels, next.share - channels);
    constexpr int N = R * P::S;
    const int count = N ? N : reads.count;
    const T* from[N ? N : 64];  // what is written could change `reads`, for all that the compiler knows
    A weight[N ? N : 64];
    for (int t = 0; t < count; t++) from[t] = u + reads.offset[t], weight[t] = reads.weight[t];
    channels_of<N, past>(channels, count, from, weight, v, soon, check);
  }
  return is_zero(check);
}

template <int R, class T, class P>
RETICLE_INLINE bool along_channels_of(const P& plan, const Rows& rows, const Reading<P>& s, const T* u, T* v, const Next<T>& next) {
  if constexpr (sizeof(T) >= sizeof(float))
    if (is_large(plan, v)) return along_channels_of<R, true>(plan, rows, s, u, v, next);
  return along_channels_of<R, false>(plan, rows, s, u, v, next);
}

template <class T, class P>
RETICLE_INLINE bool along_channels(const P& plan, const Rows& rows, const Reading<P>& s, const T* u, T* v, const Next<T>& next) {
  const bool whole = plan.width[2] == P::S;
  if constexpr (P::S == 1) return along_channels_of<1>(plan, rows, s, u, v, next);
  if constexpr (P::S == 2) {
    if (whole && rows.count == 2) return along_channels_of<2>(plan, rows, s, u, v, next);
    if (whole && rows.count == 4) return along_channels_of<4>(plan, rows, s, u, v, next);
  }
  return along_channels_of<0>(plan, rows, s, u, v, next);
}

// Any strides, one number at a time.
template <class T, class P>
RETICLE_APART bool anyhow(const P& plan, const Rows& rows, const Reading<P>& s, const T* u, T* v) {
  using A = typename P::A;
  const int64_t *in = plan.c.input.stride, *out = plan.c.output.stride;
  bool finite = true;
  Reads<P> reads;
  for (int p = 0; p < s.count; p++) {
    list_reads(rows, s, p, in[4], rows.count, plan.width[2], reads);
    for (int64_t k = 0; k < plan.c.channels; k++) {
      A total = 0;
      for (int t = 0; t < reads.count; t++) total += widen(u[k * in[1] + reads.offset[t]]) * reads.weight[t];
      finite &= total - total == 0;
      narrow(total, v[k * out[1] + p * out[4]]);
    }
  }
  return finite;
}

}  // namespace
}  // namespace reticle
