// Finding and reading in one go, where the channels of a pixel lie side by side: points are found by the vector and then read one by one,
// along the channels. The next ones are found before those are read, for it is memory that this waits for, and it can do so meanwhile.
#pragma once
#include "direct.h"

namespace reticle {
namespace {

// Whether a block is one for sum_pixels(): bilinear or nearest, of an image, its points placed by the vector.
template <class P>
bool is_by_pixel(const P& plan, const Matrix& m, int64_t number) {
  const Call& c = plan.c;
  if (c.ndim != 2 || c.channels < 2 || c.input.stride[1] != 1 || c.output.stride[1] != 1 || !is_common(plan, c.input.stride)) return false;
  return c.is_matrix ? is_walked(plan, m) : are_vectors(plan, number);
}

// The weights of a vector of points, those of a pixel of all windows side by side.
template <class A, int S>
struct Weights {
  alignas(32) A of[S * S][VecOf<A>::lanes];

  RETICLE_INLINE explicit Weights(const FoundPoints<A, 2>& e) {
    for (int t = 0; t < 4; t++) store(e.y.weight[t / 2] * e.x.weight[t % 2], of[t]);
  }
  RETICLE_INLINE explicit Weights(const FoundPoints<A, 1>& e) { store(e.there ? Vec<A>{} + 1 : Vec<A>{}, of[0]); }
};

// The pixels of a row of output points, and those that will be wanted soon.
template <class T>
struct PixelRow {
  const T* from;
  int64_t down, across, channels;
  T* to;
  int64_t across_to;
  Next<T> next;
  int64_t ahead;  // from a row's pixels to those that will be wanted soon, or 0

  // Points `begin` to `end` of the row, of those from `found` on that were found.
  template <bool past, int S, class A>
  RETICLE_INLINE void sum(const FoundPoints<A, S>& e, int found, int begin, int end, Vec<A>& check) const {
    const Weights<A, S> weights(e);
    for (int p = begin; p < end; p++) {
      const T* at = from + e.offset[p - found];
      const T* pixels[S * S];
      A weight[S * S];
      for (int t = 0; t < S * S; t++) pixels[t] = at + t / S * down + t % S * across, weight[t] = weights.of[t][p - found];
      T* v = to + p * across_to;
      const Soon<T> soon = {next.share ? next.first + p * next.share : at + ahead, v + POINTS_AHEAD * across_to};
      if (next.share > channels) fetch(soon.read + channels, next.share - channels);
      channels_of<S * S, past>(channels, S * S, pixels, weight, v, soon, check);
    }
  }
};

template <bool past, class Where, class T, class P>
RETICLE_APART void sum_pixel_rows(const P& plan, const Matrix& m, int64_t b, int64_t number, const Start& s, Direct* done) {
  using A = typename P::A;
  constexpr int S = P::S, lanes = VecOf<A>::lanes;
  using N = Number<Vec<A>>;
  const Call& c = plan.c;
  const int64_t *in = c.input.stride, *out = c.output.stride;
  const T* u = (const T*)c.input.data + b * in[0];
  PixelRow<T> pixels = {u, in[3], in[4], c.channels, (T*)c.output.data + b * out[0] + s.i * out[3] + s.j * out[4], out[4]};
  pixels.next = next_sample(plan, b, number, 0, u);
  Finder<typename Where::From, true> finder = {{}, N(c.size[1] - S), N(c.size[2] - S), N(in[3]), N(in[4]), outside_of(c)};
  const Where where(plan, m, b, s.j, finder.from);
  Ahead ahead;
  const int rows = int(std::min<int64_t>(BLOCK_ROWS, c.out[1] - s.i)), last = std::max(s.count - lanes, 0);
  FoundPoints<A, S> now, next;
  Seen<A> seen;
  where.place(s.i, finder.from);
  finder.find(0, seen, now);
  for (int row = 0; row < rows; row++, pixels.to += out[3], pixels.next.first += c.out[2] * pixels.next.share) {
    ahead.look(now.offset[0], in[3]);
    pixels.ahead = ahead.step ? (S - 1) * in[3] + ahead.step : 0;
    Seen<A> other;
    for (int p = 0; p < s.count; p += lanes) {
      const int found = std::min(p, last), then = std::min(p + lanes, last);  // the last vector may be some of those before, again
      if (p + lanes < s.count)
        finder.find(then, seen, next);
      else if (row + 1 < rows)
        where.place(s.i + row + 1, finder.from), finder.find(0, other, next);
      pixels.template sum<past>(now, found, p, std::min(p + lanes, s.count), seen.check);
      now = next;
    }
    done[row] = seen.answer();
    seen = other;
  }
}

template <class Where, class T, class P>
void sum_pixels_of(const P& plan, const Matrix& m, int64_t b, int64_t number, const Start& s, Direct* done) {
  if constexpr (sizeof(T) >= sizeof(float)) {
    const int64_t* out = plan.c.output.stride;
    // the first row says it for all, where each is aligned as the one before
    if (is_large(plan, (const T*)plan.c.output.data + b * out[0] + s.i * out[3] + s.j * out[4]) &&
        out[3] * int64_t(sizeof(T)) % int64_t(sizeof(Vec<Wide<T>>)) == 0)
      return sum_pixel_rows<true, Where, T>(plan, m, b, number, s, done);
  }
  sum_pixel_rows<false, Where, T>(plan, m, b, number, s, done);
}

template <class T, class P>
void sum_pixels(const P& plan, const Matrix& m, int64_t b, int64_t number, const Start& s, Direct* done) {
  if (plan.c.is_matrix)
    sum_pixels_of<RowsByMatrix<typename P::A>, T>(plan, m, b, number, s, done);
  else
    sum_pixels_of<RowsOfGrid<typename P::A>, T>(plan, m, b, number, s, done);
}

}  // namespace
}  // namespace reticle
