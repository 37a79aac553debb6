// Which blocks do the kernels of strips.h take, and what is left to do? Images of any number of planes under affine matrices.
#pragma once
#include "direct.h"
#include "strips.h"

namespace reticle {
namespace {

template <class T, class P>
constexpr bool has_strips() {
  return sizeof(typename P::A) == sizeof(float);
}

// An image, or many planes, under an affine matrix. Outside are zeros, or the fill, which can be added to them: in 16 bits and fewer, rounding
// twice would show; or the border, of bilinear images. The pixels that neighbouring points read must fit into a vector.
template <class P>
bool is_strip(const P& plan, const Matrix& m) {
  const Call& c = plan.c;
  if (c.strips == nullptr || !c.is_matrix || !m.tame || m.divides || c.ndim != 2 || !is_near(plan, c.input.stride)) return false;
  if (c.input.stride[4] != 1 || c.output.stride[4] != 1 || repeats(c.padding)) return false;
  if (c.padding == CONSTANT && c.dtype != FLOAT32) return false;
  for (int a = 1; a < 3; a++)
    if (c.size[a] < P::S || std::fabs(m.pixels.step[a][2]) > 2) return false;
  // nearest: by a rounding a point could show both a pixel and the fill; and narrower numbers or vectors are as quickly copied one by one
  if (P::S == 1 && (c.padding == CONSTANT || c.dtype != FLOAT32 || c.strips->columns < 16)) return false;
  if (P::S == 4 && (c.padding == BORDER || std::fabs(m.pixels.step[2][2]) * (c.strips->points - 1) + 5 > c.strips->columns)) return false;
  const bool wide = c.strips->narrow || c.size[2] >= c.strips->columns;
  const bool exact = c.size[1] < 1 << 24 && c.size[2] < 1 << 24;  // as whole numbers in single precision
  return wide && exact;
}

// Whether a block of the output is better written past the caches: see store_past(). Its lines of 64 bytes must be full, and what is filled in
// is read again.
template <class T, class P>
bool goes_past(const P& plan, const Strip& s) {
  constexpr int64_t line = 64 / sizeof(T);
  if (!std::is_same<T, float>::value || !is_large_output<T>(plan) || plan.c.padding == CONSTANT) return false;
  return uintptr_t(s.to) % 64 == 0 && (s.channels == 1 || s.plane_to % line == 0) && s.down_to % line == 0 && s.count % line == 0;
}

// Whether the rows of points lie so that upright rectangles need no row to spare, see Strip.
bool is_upright(const Strip& s) {
  constexpr double rounding = 1e-7;  // more than a few roundings of numbers as large as an image's rows, see is_strip()
  if (s.y.along != 0) return false;
  for (int i = 0; i < s.rows; i++) {
    const double at = s.y.start + s.y.below * i, behind = at - std::floor(at);
    if (behind != 0 && (behind < rounding || behind > 1 - rounding)) return false;
  }
  return true;
}

template <class T, class P>
Strip strip_of(const P& plan, const Matrix& m, int64_t b, const Start& start) {
  const auto line = [&](int a) {
    const double* step = m.pixels.step[a];
    const double first = m.pixels.origin[a] + (step[1] * double(start.i) + step[2] * double(start.j));
    return Strip::Line{P::S == 1 ? first + 0.5 : first, step[2], step[1]};
  };
  Strip s = {patch_of<T>(plan, b, start), plan.c.mode, false, false, line(2), line(1)};
  s.upright = is_upright(s);
  return s;
}

// --- the gradient of the input ---

// Whether samples may go this way; each only if its matrix says so, too.
template <class T, class P>
bool may_gather(const P& plan) {
  const Call& c = plan.c;
  const Strips* strips = c.strips;
  if (strips == nullptr || !c.is_matrix || c.ndim != 2 || c.padding != ZEROS || !is_common(plan, c.grad_input.stride)) return false;
  if (c.channels < strips->least_channels) return false;
  const bool shared = c.grad_input.stride[0] == 0 && c.batch > 1;  // one image served the whole batch
  if (shared || c.grad_input.stride[4] != 1 || c.output.stride[4] != 1) return false;
  const double span = double(c.out[1]) * std::fabs(double(c.output.stride[3]));
  return (strips->narrow || c.out[2] >= strips->columns) && c.out[1] < 1 << 24 && c.out[2] < 1 << 24 && span < BEYOND;
}

// The block of input pixels that begins at `m`, `n`.
template <class T, class P>
Strip block_of_input(const P& plan, const Matrix& matrix, int64_t b, int64_t m, int64_t n) {
  const Call& c = plan.c;
  const int64_t *to = c.grad_input.stride, *out = c.output.stride;
  const auto line = [&](int a, int64_t first) {
    const double* step = matrix.pixels.step[a];
    return Strip::Line{matrix.pixels.origin[a] - double(first), step[2], step[1]};
  };
  Strip s = {};
  s.from = (const T*)c.output.data + b * out[0], s.plane = out[1], s.down = out[3];
  s.height = int32_t(c.out[1]), s.width = int32_t(c.out[2]);
  s.to = (T*)c.grad_input.data + b * to[0] + m * to[3] + n, s.plane_to = to[1], s.down_to = to[3];
  s.channels = c.channels;
  s.x = line(2, n), s.y = line(1, m);
  s.rows = int32_t(std::min<int64_t>(BLOCK_ROWS, c.size[1] - m)), s.count = int32_t(std::min<int64_t>(SEGMENT, c.size[2] - n));
  return s;
}

template <class T>
bool can_gather(const Call& c, const Matrix& m) {
  if (!m.tame || m.divides) return false;
  Strip s = {};
  s.x = {m.pixels.origin[2], m.pixels.step[2][2], m.pixels.step[2][1]},
  s.y = {m.pixels.origin[1], m.pixels.step[1][2], m.pixels.step[1][1]};
  s.height = int32_t(c.out[1]);
  return c.strips->can_gather(s);
}

// One row of a block of the input, where the gradient that comes back is not finite: only the points whose window a pixel is in count for
// it, but those even with a weight of 0.
template <class T>
RETICLE_APART void gather_carefully(const Strip& s, int m) {
  const double inverse = 1 / (s.x.along * s.y.below - s.x.below * s.y.along);
  const double rows = (std::fabs(s.x.along) + std::fabs(s.y.along)) * std::fabs(inverse);
  const double columns = (std::fabs(s.x.below) + std::fabs(s.y.below)) * std::fabs(inverse);
  const auto first = [](double at) { return int64_t(clamp(std::floor(at), 0.0, BEYOND)); };
  for (int n = 0; n < s.count; n++) {
    const double x = n - s.x.start, y = m - s.y.start;
    const double row = (s.x.along * y - s.y.along * x) * inverse, column = (s.y.below * x - s.x.below * y) * inverse;
    for (int64_t k = 0; k < s.channels; k++) {
      const T* from = (const T*)s.from + k * s.plane;
      float total = 0;
      for (int64_t i = first(row - rows); i < s.height && double(i) <= row + rows + 1; i++)
        for (int64_t j = first(column - columns); j < s.width && double(j) <= column + columns + 1; j++) {
          const double dx = s.x.start + s.x.below * double(i) + s.x.along * double(j) - n;
          const double dy = s.y.start + s.y.below * double(i) + s.y.along * double(j) - m;
          if (dx >= -1 && dx < 1 && dy >= -1 && dy < 1)
            total += widen(from[i * s.down + j]) * float((1 - std::fabs(dx)) * (1 - std::fabs(dy)));
        }
      narrow(total, ((T*)s.to)[k * s.plane_to + m * s.down_to + n]);
    }
  }
}

template <class T, class P>
void gather_block_of_input(const P& plan, const Matrix& matrix, int64_t b, int64_t number) {
  const int64_t across = (plan.c.size[2] + SEGMENT - 1) / SEGMENT;
  const Strip s = block_of_input<T>(plan, matrix, b, number / across * BLOCK_ROWS, number % across * SEGMENT);
  const uint32_t strange = plan.c.strips->gradient(s);
  for (int m = 0; strange >> m; m++)
    if (strange >> m & 1) gather_carefully<T>(s, m);
}

}  // namespace
}  // namespace reticle
