// How are fewer numbers than a vector has read and written? What lies behind them is neither.
#pragma once
#include "pixels.h"

namespace reticle {
namespace {

typedef uint64_t U2 __attribute__((vector_size(16)));

// `n` bytes, fewer than 8, and zeros above. In registers: a wide load of bytes that were just stored one by one waits for all those stores.
RETICLE_INLINE uint64_t some_bytes(const char* p, int n) {
  uint64_t bytes = 0;
  int k = 0;
  if (n & 4) bytes = read<uint32_t>(p), k = 4;
  if (n & 2) bytes |= uint64_t(read<uint16_t>(p + k)) << 8 * k, k += 2;
  if (n & 1) bytes |= uint64_t(uint8_t(p[k])) << 8 * k;
  return bytes;
}

RETICLE_INLINE B8 some_of(const uint8_t* p, int n) {
  const uint64_t bytes = some_bytes((const char*)p, n);
  return read<B8>(&bytes);
}
template <class T>
RETICLE_INLINE H8 some_of(const T* p, int n) {
  const char* bytes = (const char*)p;
  if (n < 4) return (H8)U2{some_bytes(bytes, 2 * n), 0};
  return (H8)U2{read<uint64_t>(bytes), some_bytes(bytes + 8, 2 * n - 8)};
}

#if defined(__AVX2__)
// Ones in the first `n` words of eight.
RETICLE_INLINE __m256i first_words(int n) {
  alignas(64) static constexpr int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return read<__m256i>(ones + 8 - n);
}
RETICLE_INLINE F8 load_fewer(const float* p, int n) { return (F8)_mm256_maskload_ps(p, first_words(n)); }
RETICLE_INLINE D4 load_fewer(const double* p, int n) { return (D4)_mm256_maskload_pd(p, first_words(2 * n)); }
#else
template <class T>
RETICLE_INLINE Vec<T> load_fewer(const T* p, int n) {
  Vec<T> v = {};
  for (int k = 0; k < n; k++) v[k] = p[k];
  return v;
}
#endif

// The first `n` numbers, none if n is below 1, and zeros for the other lanes.
template <class T>
RETICLE_INLINE Vec<Wide<T>> load_some(const T* p, int n) {
  if (n >= VecOf<Wide<T>>::lanes) return load(p);
  if (n <= 0) return Vec<Wide<T>>{};
  if constexpr (sizeof(T) < sizeof(float))
    return widen_all(T{}, some_of(p, n));
  else
    return load_fewer(p, n);
}

// Of fewer than `size` bytes, those that the bit `piece` of their number stands for.
template <int piece, int size>
RETICLE_INLINE void move_piece(const char*& from, char*& to, int bytes) {
  if constexpr (piece < size) {
    if (!(bytes & piece)) return;
    std::memcpy(to, from, piece);
    from += piece, to += piece;
  }
}

// The first `n` of as many numbers as V holds, `n` at least 1.
template <class V, class T>
RETICLE_INLINE void put_some(V all, T* p, int n) {
  if (n >= int(sizeof(V) / sizeof(T))) return put(all, p);
  const char* from = (const char*)&all;
  char* to = (char*)p;
  const int bytes = n * int(sizeof(T));
  move_piece<16, sizeof all>(from, to, bytes);
  move_piece<8, sizeof all>(from, to, bytes);
  move_piece<4, sizeof all>(from, to, bytes);
  move_piece<2, sizeof all>(from, to, bytes);
  move_piece<1, sizeof all>(from, to, bytes);
}
template <class T>
RETICLE_INLINE void store_some(Vec<Wide<T>> v, T* p, int n) {
  constexpr int lanes = VecOf<Wide<T>>::lanes;
  if (n >= lanes) return store(v, p);
  T all[lanes];
  store(v, all);
  put_some(read<typename VectorOf<BitsOf<T>, lanes>::type>(all), p, n);
}

}  // namespace
}  // namespace reticle
