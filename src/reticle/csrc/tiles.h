// How is the gradient of the input shared out? Boxes of pixels with one owner each, and which parts of the output reach into them.
#pragma once
#include <vector>

#include "quick.h"

namespace reticle {
namespace {

// Numbers that an owner adds up at a time. A tile costs more than it saves where points near its edges are looked at twice, so they are large;
// of what lies in one, little is in use at a time. Where samples alone make no work for many threads, tiles are smaller.
constexpr int64_t LEAST_NUMBERS = 1 << 14, TILE_NUMBERS = 1 << 18, WHOLE_NUMBERS = 1 << 20;
constexpr int64_t ENLARGED_NUMBERS = 1 << 22;  // where points of a block are all over the image
constexpr int64_t LAST_NUMBERS = 1 << 16;      // with many channels, side by side: they stay in the second cache
constexpr int64_t GROUP_NUMBERS = 1 << 14;     // with more channels than a vector holds, plane by plane: they stay in the nearest one

// How the input is cut: boxes of pixels, and groups of channels that are treated together.
template <class P>
struct Tiling {
  using A = typename P::A;
  int64_t size[3], count[3], halo[3];  // of a tile, without its halo; how many; windows of a tile reach so far beyond it
  int64_t channels, groups;            // of a group, padded to whole vectors
  bool cut;
  // Two buffers: one for windows that start at an even column, one for the others, a pixel to the left. Neighbouring points then do not wait
  // for each other's sums, and the two pixels of a row are one vector that never straddles two others.
  bool paired;
  bool in_place;      // no buffer: sums are made in the gradient itself, one owner a sample
  int64_t stride[5];  // of an owner's buffer (-, -, z, y, x), channels innermost

  Tiling(const P& plan, const Threads& threads) {
    const Call& c = plan.c;
    const int64_t lanes = VecOf<A>::lanes, cells = c.size[0] * c.size[1] * c.size[2];
    channels = c.channels == 1 ? 1 : c.channels <= 4 ? 4 : lanes;
    paired = P::S == 2 && plan.width[2] == 2 && c.channels <= 4;
    in_place = is_in_place(c, lanes, paired);
    const bool many = samples(c) * ((c.channels + channels - 1) / channels) >= 4;
    const int64_t all = cells * channels;
    // Groups must not depend on threads: one number that is not finite sends all of its group the careful way, with other roundings. So do
    // places by a matrix, which are found in another way where an image is not cut.
    const bool large = all > (many ? WHOLE_NUMBERS : LEAST_NUMBERS);
    cut = large && (c.is_matrix || threads.parts() > 1 || all > WHOLE_NUMBERS);
    in_place &= !cut;
    if (in_place) {
      channels = c.channels;
    } else if (!large && channels == lanes) {
      const int64_t room = c.output.stride[1] == 1 ? LAST_NUMBERS : GROUP_NUMBERS;
      const int64_t fit = std::max<int64_t>(room / (cells * lanes), 1), wanted = (c.channels + lanes - 1) / lanes;
      channels = lanes * std::min(fit, wanted);
    }
    groups = (c.channels + channels - 1) / channels;
    std::copy(c.size, c.size + 3, size);
    const int64_t part = all / std::max<int64_t>(threads.parts(), 2);
    if (cut) cut_to(c, std::min(std::max(part, LEAST_NUMBERS), TILE_NUMBERS) / channels, P::S == 1);
    lay_out(plan);
  }
  void lay_out(const P& plan) {
    for (int a = 0; a < 3; a++) {
      count[a] = (plan.c.size[a] + size[a] - 1) / size[a];
      halo[a] = count[a] > 1 ? plan.width[a] - 1 : 0;
    }
    stride[0] = stride[1] = 0, stride[4] = channels;
    stride[3] = stride[4] * (in_place ? size[2] : (size[2] + 2 * halo[2] + 2) & ~1);
    stride[2] = stride[3] * (size[1] + 2 * halo[1]);
  }
  static int64_t samples(const Call& c) { return c.grad_input.stride[0] == 0 ? 1 : c.batch; }  // whose gradients are made
  // Of nearest pixels of a grid, bands of rows, which are added to in one go; if they are not too low.
  void cut_to(const Call& c, int64_t pixels, bool nearest) {
    constexpr int64_t least = 8;  // rows
    const bool bands = nearest && c.ndim == 2 && !c.is_matrix && least * c.size[2] <= pixels;
    size[2] = std::min<int64_t>(c.size[2], c.ndim == 1 ? pixels : bands ? c.size[2] : 256);
    const int64_t lines = std::max(pixels / size[2], least);
    size[1] = std::min<int64_t>(c.size[1], c.ndim == 3 ? std::max<int64_t>(int64_t(std::sqrt(double(lines))), 4) : lines);
    size[0] = std::min<int64_t>(c.size[0], std::max<int64_t>(lines / size[1], 4));
  }
  // To tiles twice as large. False: they would be too large, or there are no more of them than threads.
  bool enlarge(const P& plan, const Threads& threads) {
    if (tiles() == 1 || samples(plan.c) * groups * tiles() <= threads.most || 2 * numbers() > ENLARGED_NUMBERS) return false;
    const int axis = count[2] > 1 ? 2 : count[1] > 1 ? 1 : 0;
    size[axis] = std::min(2 * size[axis], plan.c.size[axis]);
    lay_out(plan);
    return true;
  }
  // In the type of the sums: one plane, unless windows are pairs, or several vectors of channels side by side and samples enough to share out.
  static bool is_in_place(const Call& c, int64_t lanes, bool paired) {
    const int64_t* to = c.grad_input.stride;
    int64_t step = c.channels;
    const bool alone = c.channels == 1 && !paired, vectors = to[1] == 1 && c.channels > lanes && c.channels % lanes == 0 && c.batch >= 4;
    bool dense = to[0] != 0 && (alone || vectors) && (c.dtype == FLOAT32 || c.dtype == FLOAT64);
    for (int a = 2; a >= 0; step *= c.size[a--]) dense &= c.size[a] == 1 || to[a + 2] == step;
    return dense;
  }
  int64_t tiles() const { return count[0] * count[1] * count[2]; }
  int64_t numbers() const { return stride[2] * (size[0] + 2 * halo[0]); }  // of one buffer
  // What an owner needs, with room for the vector that begins at the last pixel.
  int64_t room() const { return in_place ? 0 : numbers() * (paired ? 2 : 1) + VecOf<A>::lanes * channels; }
  // From an even column of the first buffer to the odd one beside it in the second.
  int64_t aside() const { return numbers() - channels; }
};

// Here lie the first pixels of some windows.
struct Box {
  int32_t low[3], high[3];
};

constexpr int32_t MOST = std::numeric_limits<int32_t>::max();
constexpr Box EMPTY = {{MOST, MOST, MOST}, {-1, -1, -1}};

struct BlockBoxes {
  Box whole, row[BLOCK_ROWS];
};

// A tile while its owner works on it.
template <class P>
struct Tile {
  using A = typename P::A;
  int64_t low[3], high[3], origin[3];
  int64_t first_channel, channels;  // of those that exist
  Box touched;                      // first pixels of the windows that were added
  A* sums;
};

template <class P>
void find_box(const P& plan, const Segment<P>& s, Box& box) {
  for (int a = 0; a < 3; a++) {
    if (a < 3 - plan.c.ndim) {
      box.low[a] = box.high[a] = 0;
    } else if (s.any_hard) {
      box.low[a] = 0, box.high[a] = int32_t(plan.c.size[a] - 1);
    } else {
      for (int p = 0; p < s.count; p++) {
        box.low[a] = smaller(box.low[a], s.window[a].first[p]);
        box.high[a] = larger(box.high[a], s.window[a].first[p]);
      }
    }
  }
}

// The larger box that holds both.
inline void include(const Box& box, Box& all) {
  for (int a = 0; a < 3; a++) {
    all.low[a] = std::min(all.low[a], box.low[a]);
    all.high[a] = std::max(all.high[a], box.high[a]);
  }
}

template <class P>
void find_boxes(const P& plan, const Matrix& m, int64_t b, int64_t block, Segment<P>& s, Reading<P>& r, BlockBoxes& boxes) {
  boxes.whole = EMPTY;
  for (int row = 0; row < BLOCK_ROWS && at_row(plan, block, row, s); row++) {
    read_segment(plan, m, b, plan.c.input.stride, {false, false}, s, r);
    boxes.row[row] = EMPTY;
    find_box(plan, s, boxes.row[row]);
    include(boxes.row[row], boxes.whole);
  }
}

// Of tiles that windows from the first to the last of the box reach into, about.
template <class P>
int64_t tiles_of(const Tiling<P>& tiling, const Box& box) {
  int64_t tiles = 1;
  for (int a = 0; a < 3; a++) tiles *= std::max<int64_t>(box.high[a] / tiling.size[a] - box.low[a] / tiling.size[a] + 1, 0);
  return tiles;
}

// Each owner of a tile looks at all blocks that reach into it. Where points of a block are all over the image that is too often.
template <class P>
void enlarge_tiles(const P& plan, const Threads& threads, const std::vector<BlockBoxes>& boxes, Tiling<P>& tiling) {
  const auto looks = [&] {
    int64_t sum = 0;
    for (const BlockBoxes& block : boxes) sum += tiles_of(tiling, block.whole);
    return sum;
  };
  while (looks() > 2 * int64_t(boxes.size()) && tiling.enlarge(plan, threads)) continue;
}

template <class P>
bool touches(const Tiling<P>& tiling, const Tile<P>& tile, const Box& box) {
  for (int a = 0; a < 3; a++)
    if (box.high[a] < tile.low[a] - tiling.halo[a] || box.low[a] >= tile.high[a]) return false;
  return true;
}

template <class P>
Tile<P> make_tile(const P& plan, const Tiling<P>& tiling, int64_t number, typename P::A* sums) {
  Tile<P> tile;
  const int64_t group = number % tiling.groups, place = number / tiling.groups;
  const int64_t at[3] = {place / (tiling.count[1] * tiling.count[2]), place / tiling.count[2] % tiling.count[1], place % tiling.count[2]};
  for (int a = 0; a < 3; a++) {
    tile.low[a] = at[a] * tiling.size[a];
    tile.high[a] = std::min(plan.c.size[a], tile.low[a] + tiling.size[a]);
    tile.origin[a] = tile.low[a] - tiling.halo[a];
  }
  tile.origin[2] &= ~1;
  tile.touched = EMPTY;
  tile.first_channel = group * tiling.channels;
  tile.channels = std::min(tiling.channels, plan.c.channels - tile.first_channel);
  tile.sums = sums;
  return tile;
}

}  // namespace
}  // namespace reticle
