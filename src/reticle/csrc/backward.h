// The gradients of a call, each in passes that every thread takes part in.
#pragma once
#include <memory>
#include <vector>

#include "by_strips.h"
#include "scatter_direct.h"
#include "spread.h"
#include "where.h"

namespace reticle {
namespace {

// What the passes share.
template <class P>
struct Backward {
  const P& plan;
  Tiling<P> tiling;
  std::vector<double> partial;    // gradients of matrices, block by block
  std::vector<BlockBoxes> boxes;  // block by block
  std::vector<char> done;         // of each sample, whether the gradient of its input is made
  const double* fill;             // null: zeros

  Backward(const P& p, const Threads& threads, const double* f)
      : plan(p), tiling(p, threads), done(std::max<int64_t>(p.c.batch, 1)), fill(f) {}
  int64_t blocks() const { return plan.c.batch * plan.blocks(); }
  int64_t entries() const { return plan.c.rows * (plan.c.ndim + 1); }
  bool all_done() const { return std::find(done.begin(), done.end(), 0) == done.end(); }
};

// False: not a block for strips.h.
template <int R, class T, class P>
bool slopes_by_strips(const P& plan, const Matrix& m, int64_t b, int64_t number, Segment<P>& s, MatrixSums<P>& sums) {
  if constexpr ((R == 2 || P::S == 4) && has_strips<T, P>()) {
    Strip::Slopes found;
    if (!is_strip(plan, m) || plan.c.rows > 2) return false;  // a third row's gradient wants more than these sums
    at_row(plan, number, 0, s);
    if (!plan.c.strips->slopes(strip_of<T>(plan, m, b, {s.i, s.j, s.count}), found)) return false;
    sums.add(found, s.i);
    return true;
  }
  return false;
}

template <int R, class T, class P>
void gather_blocks(Backward<P>& work, const Threads& threads) {
  auto task = [](void* context, int64_t begin, int64_t end) {
    Backward<P>& work = *(Backward<P>*)context;
    const P& plan = work.plan;
    const Rows rows = make_rows(plan, plan.c.input.stride);
    Segment<P> s;
    Block<P> block;
    for (int64_t n = begin; n < end; n++) {
      const int64_t b = n / plan.blocks();
      const Matrix m = read_matrix(plan.c, b, plan.in, plan.out);
      MatrixSums<P> sums;
      auto take = [&](const Segment<P>& s, const Slopes<typename P::A>& slopes) {
        plan.c.is_matrix ? sums.add(plan, m, s, slopes) : write_grid(plan, b, s, slopes);
      };
      auto take_projected = [&](const Segment<P>& s, const Pairs& pairs, int row, const float* gradients) {
        sums.add_projected(plan, s, pairs, row, gradients);
      };
      const int64_t number = n % plan.blocks();
      if (work.fill && may_miss(plan, m, number, s))
        gather_block<R, T>(plan, rows, m, b, number, s, block, work.fill, take);
      else if (!slopes_by_strips<R, T>(plan, m, b, number, s, sums))
        gather_any<R, T>(plan, rows, m, b, number, s, block, take, take_projected);
      if (plan.c.is_matrix) sums.write(plan, s.j, &work.partial[n * work.entries()]);
    }
  };
  threads.run(work.blocks(), task, &work);
}

// The sums over blocks, in their order.
template <class P>
void write_matrices(const Backward<P>& work) {
  const Call& c = work.plan.c;
  for (int64_t b = 0; b < c.batch; b++)
    for (int64_t e = 0; e < work.entries(); e++) {
      double total = 0;
      for (int64_t n = 0; n < work.plan.blocks(); n++) total += work.partial[(b * work.plan.blocks() + n) * work.entries() + e];
      const int64_t to = b * work.entries() + e;
      if (c.where_is_double)
        ((double*)c.grad_where)[to] = total;
      else
        ((float*)c.grad_where)[to] = float(total);
    }
}

template <class T, class P>
void gradient_of_where(Backward<P>& work, const Threads& threads) {
  const Call& c = work.plan.c;
  const int64_t numbers = c.batch * (c.is_matrix ? work.entries() : c.out[0] * c.out[1] * c.out[2] * c.ndim);
  if (P::S == 1) {  // piecewise constant
    std::memset(c.grad_where, 0, numbers * (c.where_is_double ? sizeof(double) : sizeof(float)));
    return;
  }
  if (c.is_matrix) work.partial.assign(work.blocks() * work.entries(), 0.0);
  bool done = false;
  if constexpr (P::S == 2) {
    const bool points = c.input.stride[4] == 1 && c.output.stride[4] == 1 && work.plan.width[2] == 2 && work.plan.width[1] == 2;
    done = true;
    if (points && c.ndim == 2)
      gather_blocks<2, T>(work, threads);
    else if (points && c.ndim == 3 && work.plan.width[0] == 2)
      gather_blocks<4, T>(work, threads);
    else
      done = false;
  }
  if (!done) gather_blocks<0, T>(work, threads);
  if (c.is_matrix) write_matrices(work);
}

template <class P>
void find_all_boxes(Backward<P>& work, const Threads& threads) {
  work.boxes.resize(work.blocks());
  auto task = [](void* context, int64_t begin, int64_t end) {
    Backward<P>& work = *(Backward<P>*)context;
    const P& plan = work.plan;
    Segment<P> s;
    Reading<P> r;
    for (int64_t n = begin; n < end; n++) {
      const int64_t b = n / plan.blocks();
      if (work.done[b]) continue;
      find_boxes(plan, read_matrix(plan.c, b, plan.in, plan.out), b, n % plan.blocks(), s, r, work.boxes[n]);
    }
  };
  threads.run(work.blocks(), task, &work);
}

// All that one sample of the output adds to a tile.
template <class T, class P>
void scatter_sample(const Backward<P>& work, int64_t b, Tile<P>& tile, Segment<P>& s, Reading<P>& reading, typename P::A* gradient) {
  const P& plan = work.plan;
  const Call& c = plan.c;
  const Rows rows = make_rows(plan, work.tiling.stride);
  const T* g = (const T*)c.output.data + b * c.output.stride[0];
  const Matrix m = read_matrix(c, b, plan.in, plan.out);
  for (int64_t block = 0; block < plan.blocks(); block++) {
    const BlockBoxes* boxes = work.tiling.cut ? &work.boxes[b * plan.blocks() + block] : nullptr;
    if (boxes && !touches(work.tiling, tile, boxes->whole)) continue;
    if (scatter_directly<T>(plan, work.tiling, tile, m, b, block, s)) continue;
    for (int row = 0; row < BLOCK_ROWS && at_row(plan, block, row, s); row++) {
      if (boxes && !touches(work.tiling, tile, boxes->row[row])) continue;
      read_segment(plan, m, b, work.tiling.stride, {false, false}, s, reading);
      const T* from = g + s.k * c.output.stride[2] + s.i * c.output.stride[3] + s.j * c.output.stride[4];
      scatter_segment(plan, work.tiling, tile, rows, m, b, s, reading, gradient_of(plan, work.tiling, tile, s, from, gradient));
    }
  }
}

// The samples that can be.
template <class T, class P>
void gather_samples(Backward<P>& work, const Threads& threads) {
  const Call& c = work.plan.c;
  if constexpr (P::S == 2 && has_strips<T, P>()) {
    if (!may_gather<T>(work.plan)) return;
    for (int64_t b = 0; b < c.batch; b++) work.done[b] = can_gather<T>(c, read_matrix(c, b, work.plan.in, work.plan.out));
    auto task = [](void* context, int64_t begin, int64_t end) {
      const Backward<P>& work = *(const Backward<P>*)context;
      const P& plan = work.plan;
      Matrix m;
      for (int64_t n = begin; n < end; n++) {
        const int64_t b = n / plan.input_blocks(), number = n % plan.input_blocks();
        if (!work.done[b]) continue;
        if (n == begin || number == 0) m = read_matrix(plan.c, b, plan.in, plan.out);
        gather_block_of_input<T>(plan, m, b, number);
      }
    };
    threads.run(c.batch * work.plan.input_blocks(), task, &work);
  }
}

template <class T, class P>
void gradient_of_input(Backward<P>& work, const Threads& threads) {
  const Call& c = work.plan.c;
  gather_samples<T>(work, threads);
  spread_samples<T>(work.plan, threads, work.done);
  if (work.all_done()) return;
  if (work.tiling.cut) find_all_boxes(work, threads), enlarge_tiles(work.plan, threads, work.boxes, work.tiling);
  auto task = [](void* context, int64_t begin, int64_t end) {
    using A = typename P::A;
    const Backward<P>& work = *(const Backward<P>*)context;
    const Call& c = work.plan.c;
    const bool shared = c.grad_input.stride[0] == 0;  // one image served the whole batch
    const int64_t owners = work.tiling.tiles() * work.tiling.groups;
    Segment<P> s;
    Reading<P> reading;
    const std::unique_ptr<A[]> sums(new A[work.tiling.room()]);  // cleared where they are used
    std::vector<A> gradient(SEGMENT * work.tiling.channels);
    for (int64_t n = begin; n < end; n++) {
      if (work.done[n / owners]) continue;
      T* to = (T*)c.grad_input.data + n / owners * c.grad_input.stride[0];
      Tile<P> tile = make_tile(work.plan, work.tiling, n % owners, work.tiling.in_place ? (A*)to : sums.get());
      for (int64_t b = shared ? 0 : n / owners; b < (shared ? c.batch : n / owners + 1); b++)
        scatter_sample<T>(work, b, tile, s, reading, gradient.data());
      if (work.tiling.in_place)
        clear_rest(work.plan, work.tiling, tile);
      else
        write_tile(work.plan, work.tiling, tile, to);
    }
  };
  const bool shared = c.grad_input.stride[0] == 0;
  threads.run((shared ? 1 : c.batch) * work.tiling.tiles() * work.tiling.groups, task, &work);
}

// The fill does not depend on the image: that one gets what it gets with zeros around it.
template <class T, class P>
void backward(const P& plan, const Threads& threads) {
  Call c = plan.c;
  if (c.padding == CONSTANT) c.padding = ZEROS, c.fill = nullptr;
  const P with_zeros(c);
  Backward<P> work(with_zeros, threads, plan.c.fill);
  if (plan.c.grad_where) gradient_of_where<T>(work, threads);
  if (plan.c.grad_input.data) gradient_of_input<T>(work, threads);
}

}  // namespace
}  // namespace reticle
