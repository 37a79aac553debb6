// Points that are given one by one: sixteen at a time, each pixel looked up together with its right neighbour, in one piece.
#pragma once
#include "lookup_stores.h"

namespace reticle {
namespace {

// --- sixteen pairs: the pixels p[offset] and p[offset + 1] ---

// Lookups keep what is not asked for: without the zeros each would wait for whatever the register held before.
RETICLE_INLINE F16 pieces(const float* p, __m256i offset) {
  return (F16)_mm512_mask_i32gather_pd(_mm512_setzero_pd(), 0xff, offset, p, sizeof(float));
}
template <class T>
RETICLE_INLINE __m512i words_at(const T* p, I16 offset) {
  return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), 0xffff, (__m512i)offset, p, sizeof(T));
}

RETICLE_INLINE void look_up(const float* p, I16 offset, F16& left, F16& right) {
  const F16 a = pieces(p, _mm512_castsi512_si256((__m512i)offset)), b = pieces(p, _mm512_extracti64x4_epi64((__m512i)offset, 1));
  left = evens_of(a, b);
  right = odds_of(a, b);
}
RETICLE_INLINE void look_up(const BFloat16* p, I16 offset, F16& left, F16& right) {
  const __m512i words = words_at(p, offset);  // the first of a pair is the lower half
  left = (F16)_mm512_slli_epi32(words, 16);
  right = (F16)_mm512_and_epi32(words, _mm512_set1_epi32(int(0xffff0000)));
}
RETICLE_INLINE void look_up(const Half* p, I16 offset, F16& left, F16& right) {
  const __m512i words = words_at(p, offset);
  left = (F16)_mm512_cvtph_ps(_mm512_cvtepi32_epi16(words));
  right = (F16)_mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(words, 16)));
}

// --- planes ---

// Of `count` planes.
template <class T>
RETICLE_INLINE void sum_planes(const Lookup& s, int64_t count, const T* from, const Sixteen& at, int64_t ahead, int p, T* to, Seen& seen) {
  const Reach reach = reach_of(s, p);
  const int64_t soon = at.offset[0] + ahead;
  for (int64_t k = 0; k < count; k++, from += s.plane, to += s.plane_to) {
    __builtin_prefetch(from + s.down + soon);
    __builtin_prefetch(to + ROWS_AHEAD * s.down_to, 1);
    F16 l, m, left, right;
    look_up(from, at.offset, l, m);
    left = l * at.row_weight[0], right = m * at.row_weight[0];
    look_up(from + s.down, at.offset, l, m);
    left += l * at.row_weight[1], right += m * at.row_weight[1];
    const F16 answer = left * at.column_weight[0] + right * at.column_weight[1];
    seen.check += answer * 0;
    store_those(reach, answer, to);
  }
}

template <class T>
Looked forward_lookup(const Lookup& given) {
  const Lookup s = given;  // nothing that is written can change it
  const T* from = (const T*)s.from;
  T* to = (T*)s.to;
  if (s.channels <= TOGETHER)
    return walk<Sixteen>(s, [&](int row, int p, const Sixteen& at, int64_t ahead, Seen& seen) {
      sum_planes(s, s.channels, from, at, ahead, p, to + row * s.down_to + p, seen);
    });
  Sixteen all[PATCH_ROWS][IN_A_ROW];
  Looked looked = walk<Sixteen>(s, [&](int row, int p, const Sixteen& at, int64_t, Seen&) { all[row][p / AT_ONCE] = at; });
  for (int64_t k = 0; k < s.channels; k += TOGETHER, from += TOGETHER * s.plane, to += TOGETHER * s.plane_to)
    for (int row = 0; row < s.rows; row++) {
      Seen seen;
      for (int p = 0; p < s.count; p += AT_ONCE)
        sum_planes(s, std::min(s.channels - k, TOGETHER), from, all[row][p / AT_ONCE], 0, p, to + row * s.down_to + p, seen);
      seen.tell(row, looked);
    }
  return looked;
}

// Products of the left and the right pixels of sixteen points with their gradients, for both rows of their windows.
struct Dots {
  F16 left[2] = {}, right[2] = {};
};

template <class T>
RETICLE_INLINE void dot_planes(const Lookup& s, int64_t count, const T* from, const Sixteen& at, int64_t ahead, int p, const T* gradient,
                               Dots& dots) {
  const Reach reach = reach_of(s, p);
  const int64_t soon = at.offset[0] + ahead;
  for (int64_t k = 0; k < count; k++, from += s.plane, gradient += s.plane_to) {
    __builtin_prefetch(from + s.down + soon);
    __builtin_prefetch(gradient + ROWS_AHEAD * s.down_to);
    const F16 g = reach.read(gradient);
    for (int r = 0; r < 2; r++) {
      F16 l, m;
      look_up(from + r * s.down, at.offset, l, m);
      dots.left[r] += l * g, dots.right[r] += m * g;
    }
  }
}

// The gradients of `count` points, x and y side by side, in the units that those are in.
RETICLE_INLINE void write_dots(const Finder& f, const Sloped& at, const Dots& dots, int count, float* to, Seen& seen) {
  F16 x = {}, y = {};
  for (int r = 0; r < 2; r++) {
    x += (dots.left[r] * at.column_slope[0] + dots.right[r] * at.column_slope[1]) * at.row_weight[r];
    y += (dots.left[r] * at.column_weight[0] + dots.right[r] * at.column_weight[1]) * at.row_slope[r];
  }
  write_slopes<float>(x, y, f, count, to, seen);
}

template <class T>
Looked slopes_lookup(const Lookup& given, float* to, int64_t down_points) {
  const Lookup s = given;
  const Finder finder(s);
  const T *from = (const T*)s.from, *gradient = (const T*)s.to;
  const auto write = [&](int row, int p, const Sloped& at, const Dots& dots, Seen& seen) {
    write_dots(finder, at, dots, std::min(s.count - p, AT_ONCE), to + row * down_points + 2 * p, seen);
  };
  if (s.channels <= TOGETHER)
    return walk<Sloped>(s, [&](int row, int p, const Sloped& at, int64_t ahead, Seen& seen) {
      for (int k = 0; k < 2; k++) __builtin_prefetch(to + (row + ROWS_AHEAD) * down_points + 2 * p + 16 * k, 1);
      Dots dots;
      dot_planes(s, s.channels, from, at, ahead, p, gradient + row * s.down_to + p, dots);
      write(row, p, at, dots, seen);
    });
  Sloped all[PATCH_ROWS][IN_A_ROW];
  Dots sums[PATCH_ROWS][IN_A_ROW];
  Looked looked = walk<Sloped>(s, [&](int row, int p, const Sloped& at, int64_t, Seen&) { all[row][p / AT_ONCE] = at; });
  const auto each = [&](auto act) {
    for (int row = 0; row < s.rows; row++)
      for (int p = 0; p < s.count; p += AT_ONCE) act(row, p, all[row][p / AT_ONCE], sums[row][p / AT_ONCE]);
  };
  for (int64_t k = 0; k < s.channels; k += TOGETHER, from += TOGETHER * s.plane, gradient += TOGETHER * s.plane_to)
    each([&](int row, int p, const Sloped& at, Dots& dots) {
      dot_planes(s, std::min(s.channels - k, TOGETHER), from, at, 0, p, gradient + row * s.down_to + p, dots);
    });
  Seen seen[PATCH_ROWS];
  each([&](int row, int p, const Sloped& at, const Dots& dots) { write(row, p, at, dots, seen[row]); });
  for (int row = 0; row < s.rows; row++) seen[row].tell(row, looked);
  return looked;
}

}  // namespace
}  // namespace reticle
