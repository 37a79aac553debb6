// Points that are given one by one: sixteen at a time, each pixel looked up together with its right neighbour, in one piece.
#pragma once
#include "ahead.h"
#include "lanes.h"
#include "lookups.h"
#include "tents.h"

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
  left = pick<0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30>(a, b);
  right = pick<1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31>(a, b);
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

// --- some of sixteen numbers in a row ---

using Reach = Lanes::Reach<true>;

RETICLE_INLINE void store_those(Reach r, F16 v, float* p) { _mm512_mask_storeu_ps(p, r.there, (__m512)v); }
RETICLE_INLINE void store_those(Reach r, F16 v, BFloat16* p) {
  typedef uint32_t U16 __attribute__((vector_size(64)));
  _mm256_mask_storeu_epi16(p, r.there, _mm512_cvtepi32_epi16((__m512i)rounded<U16>(v)));
}
RETICLE_INLINE void store_those(Reach r, F16 v, Half* p) { _mm256_mask_storeu_epi16(p, r.there, _mm512_cvtps_ph((__m512)v, 0)); }

RETICLE_INLINE bool is_zero(F16 check) { return _mm512_cmp_ps_mask((__m512)check, _mm512_setzero_ps(), _CMP_NEQ_UQ) == 0; }

// --- points ---

constexpr int AT_ONCE = 16, IN_A_ROW = PATCH_POINTS / AT_ONCE;

// The first `n` of sixteen numbers: none of them, or all, where it is too few or too many.
RETICLE_INLINE Reach first_of(int n) { return Reach(std::max(std::min(n, 16), 0)); }
// Which of the points from `p` on there are.
RETICLE_INLINE Reach reach_of(const Lookup& s, int p) { return first_of(s.count - p); }

struct Finder {
  NormLine x, y;
  int32_t last_x, last_y, down;
  bool border;

  explicit Finder(const Lookup& s)
      : x(s.half_x, s.middle_x, s.width),
        y(s.half_y, s.middle_y, s.height),
        last_x(int32_t(s.width - 2)),
        last_y(int32_t(s.height - 2)),
        down(int32_t(s.down)),
        border(s.border) {
    x.count_from(s.first_x), y.count_from(s.first_y);
  }
};

// Where sixteen points read, and how much each pixel counts.
struct Sixteen {
  I16 offset;
  Tents<2, F16> x, y;
};

// What is seen of the points of a row on the way.
struct Seen {
  F16 unknown = {}, check = {};
  bool edge = false;

  void tell(int row, Looked& looked) const {
    looked.lost |= uint32_t(!is_zero(unknown)) << row, looked.edge |= uint32_t(edge) << row;
    looked.strange |= uint32_t(!is_zero(check)) << row;
  }
};

RETICLE_INLINE Sixteen find(const Finder& f, const float* points, int count, Seen& seen) {
  const F16 a = first_of(2 * count).read(points), b = first_of(2 * count - 16).read(points + 16);
  const F16 norm_x = pick<0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30>(a, b);
  const F16 norm_y = pick<1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31>(a, b);
  const Cells<F16> x = f.x.cells(norm_x, seen.unknown), y = f.y.cells(norm_y, seen.unknown);
  const auto outside = [](I16 cell, int32_t last) { return _mm512_cmpgt_epu32_mask((__m512i)cell, _mm512_set1_epi32(last)); };
  Sixteen s;
  if (__builtin_expect((outside(x.cell, f.last_x) | outside(y.cell, f.last_y)) == 0, 1)) {
    s.x = tents_inside<2>(x), s.y = tents_inside<2>(y);
  } else {
    s.x = tents_at_edges<2>(x, f.last_x, f.border), s.y = tents_at_edges<2>(y, f.last_y, f.border);
    seen.edge = true;
  }
  s.offset = s.y.first * f.down + s.x.first;
  return s;
}

// The rows of a block, sixteen points at a time: act(row, first point, points, from their pixels to those that will be wanted soon, seen). The
// next sixteen are found while those before are used: past as much work as that is, the processor does not see.
template <class Act>
RETICLE_INLINE Looked walk(const Lookup& s, Act act) {
  const Finder finder(s);
  const auto find_at = [&](int row, int p, Seen& seen) {
    const float* points = s.points + row * s.down_points + 2 * p;
    for (int k = 0; k < 2; k++) __builtin_prefetch(points + 2 * s.down_points + 16 * k);
    return find(finder, points, std::min(s.count - p, AT_ONCE), seen);
  };
  Looked looked = {};
  Ahead ahead;
  Seen seen;
  Sixteen now = find_at(0, 0, seen), next = now;
  for (int row = 0; row < s.rows; row++) {
    Seen other;
    ahead.look(now.offset[0], finder.down);
    for (int p = 0; p < s.count; p += AT_ONCE) {
      if (p + AT_ONCE < s.count)
        next = find_at(row, p + AT_ONCE, seen);
      else if (row + 1 < s.rows)
        next = find_at(row + 1, 0, other);
      act(row, p, now, ahead.step, seen);
      now = next;
    }
    seen.tell(row, looked);
    seen = other;
  }
  return looked;
}

// Of `count` planes.
template <class T>
RETICLE_INLINE void sum_planes(const Lookup& s, int64_t count, const T* from, const Sixteen& at, int64_t ahead, int p, T* to, Seen& seen) {
  const Reach reach = reach_of(s, p);
  const int64_t soon = at.offset[0] + ahead;
  for (int64_t k = 0; k < count; k++, from += s.plane, to += s.plane_to) {
    __builtin_prefetch(from + s.down + soon);
    __builtin_prefetch(to + 2 * s.down_to, 1);
    F16 l, m, left, right;
    look_up(from, at.offset, l, m);
    left = l * at.y.weight[0], right = m * at.y.weight[0];
    look_up(from + s.down, at.offset, l, m);
    left += l * at.y.weight[1], right += m * at.y.weight[1];
    const F16 answer = left * at.x.weight[0] + right * at.x.weight[1];
    seen.check += answer * 0;
    store_those(reach, answer, to);
  }
}

constexpr int64_t TOGETHER = 4;  // planes whose rows the nearest cache keeps from one row of points to the next

template <class T>
Looked forward_lookup(const Lookup& given) {
  const Lookup s = given;  // nothing that is written can change it
  const T* from = (const T*)s.from;
  T* to = (T*)s.to;
  if (s.channels <= TOGETHER)
    return walk(s, [&](int row, int p, const Sixteen& at, int64_t ahead, Seen& seen) {
      sum_planes(s, s.channels, from, at, ahead, p, to + row * s.down_to + p, seen);
    });
  Sixteen all[PATCH_ROWS][IN_A_ROW];
  Looked looked = walk(s, [&](int row, int p, const Sixteen& at, int64_t, Seen&) { all[row][p / AT_ONCE] = at; });
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
    __builtin_prefetch(gradient + 2 * s.down_to);
    const F16 g = reach.read(gradient);
    for (int r = 0; r < 2; r++) {
      F16 l, m;
      look_up(from + r * s.down, at.offset, l, m);
      dots.left[r] += l * g, dots.right[r] += m * g;
    }
  }
}

// The gradients of `count` points, x and y side by side, in the units that those are in.
RETICLE_INLINE void write_pairs(const Finder& f, const Sixteen& at, const Dots& dots, int count, float* to, Seen& seen) {
  F16 x = {}, y = {};
  for (int r = 0; r < 2; r++) {
    x += (dots.left[r] * at.x.slope[0] + dots.right[r] * at.x.slope[1]) * at.y.weight[r];
    y += (dots.left[r] * at.x.weight[0] + dots.right[r] * at.x.weight[1]) * at.y.slope[r];
  }
  seen.check += x * 0 + y * 0;
  x *= f.x.half, y *= f.y.half;  // halves of sizes are exact
  store_those(first_of(2 * count), pick<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(x, y), to);
  store_those(first_of(2 * count - 16), pick<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(x, y), to + 16);
}

template <class T>
Looked slopes_lookup(const Lookup& given, float* to, int64_t down_points) {
  const Lookup s = given;
  const Finder finder(s);
  const T *from = (const T*)s.from, *gradient = (const T*)s.to;
  const auto write = [&](int row, int p, const Sixteen& at, const Dots& dots, Seen& seen) {
    write_pairs(finder, at, dots, std::min(s.count - p, AT_ONCE), to + row * down_points + 2 * p, seen);
  };
  if (s.channels <= TOGETHER)
    return walk(s, [&](int row, int p, const Sixteen& at, int64_t ahead, Seen& seen) {
      for (int k = 0; k < 2; k++) __builtin_prefetch(to + (row + 2) * down_points + 2 * p + 16 * k, 1);
      Dots dots;
      dot_planes(s, s.channels, from, at, ahead, p, gradient + row * s.down_to + p, dots);
      write(row, p, at, dots, seen);
    });
  Sixteen all[PATCH_ROWS][IN_A_ROW];
  Dots sums[PATCH_ROWS][IN_A_ROW];
  Looked looked = walk(s, [&](int row, int p, const Sixteen& at, int64_t, Seen&) { all[row][p / AT_ONCE] = at; });
  const auto each = [&](auto act) {
    for (int row = 0; row < s.rows; row++)
      for (int p = 0; p < s.count; p += AT_ONCE) act(row, p, all[row][p / AT_ONCE], sums[row][p / AT_ONCE]);
  };
  for (int64_t k = 0; k < s.channels; k += TOGETHER, from += TOGETHER * s.plane, gradient += TOGETHER * s.plane_to)
    each([&](int row, int p, const Sixteen& at, Dots& dots) {
      dot_planes(s, std::min(s.channels - k, TOGETHER), from, at, 0, p, gradient + row * s.down_to + p, dots);
    });
  Seen seen[PATCH_ROWS];
  each([&](int row, int p, const Sixteen& at, const Dots& dots) { write(row, p, at, dots, seen[row]); });
  for (int row = 0; row < s.rows; row++) seen[row].tell(row, looked);
  return looked;
}

}  // namespace
}  // namespace reticle
