// How does the output change with the input, where points are looked up, or loaded? As in scatter.h each pixel has one owner, who adds up in
// the order of the output; but plane by plane, in the gradient itself where sums are made in its type.
#pragma once
#include <memory>
#include <vector>

#include "by_lookups.h"

namespace reticle {
namespace {

// How the gradient is shared out: samples, groups of planes, bands of rows.
struct Shares {
  // Fewer samples than so many are cut; a band has so many rows and numbers at least; what is not made in place, no more than so many, or
  // so many where bands are joined.
  static constexpr int64_t ENOUGH = 4, LEAST_ROWS = 32, LEAST_NUMBERS = 1 << 14, MOST_NUMBERS = 1 << 19, MOST_JOINED = 1 << 22;
  int64_t samples, groups, bands;
  int64_t planes, rows;  // of a part

  // No sum depends on it, and so it may depend on the threads.
  Shares(const Call& c, const Threads& threads) : samples(is_shared(c) ? 1 : c.batch), planes(c.channels), rows(c.size[1]) {
    const auto parts = [](int64_t all, int64_t of) { return (all + of - 1) / of; };
    const int64_t wanted = samples < ENOUGH ? threads.parts() : 1, cells = c.size[1] * c.size[2];
    // as many as kernels take together: what they do with one alone gives other sums than what they do with several
    const auto in_whole = [](int64_t n) { return n < TOGETHER ? std::max<int64_t>(n, 1) : n / TOGETHER * TOGETHER; };
    if (wanted > 1) planes = TOGETHER * parts(c.channels, TOGETHER * std::min(wanted, parts(c.channels, TOGETHER)));
    if (!is_in_place(c)) planes = std::min(planes, in_whole(MOST_NUMBERS / cells));
    groups = parts(c.channels, planes);
    int64_t cuts = std::min({parts(wanted, groups * samples), c.size[1] / LEAST_ROWS, cells * planes / LEAST_NUMBERS});
    if (!is_in_place(c)) cuts = std::max(cuts, parts(cells * planes, MOST_NUMBERS));
    if (cuts > 1) rows = parts(c.size[1], cuts);
    bands = parts(c.size[1], rows);
  }
  // Each owner of a band looks at all blocks that reach into it. Where points of a block are all over the image that is too often.
  void join_bands(const Call& c, const Threads& threads, const std::vector<Extent>& extents) {
    const auto looks = [&] {
      int64_t sum = 0;
      for (const Extent& e : extents) sum += e.strange != 0 ? bands : (e.high - 1) / rows - e.low / rows + 1;
      return sum;
    };
    const auto fits = [&] { return is_in_place(c) || 2 * planes * rows * c.size[2] <= MOST_JOINED; };
    while (bands > 1 && owners() > threads.most && fits() && looks() > 2 * int64_t(extents.size()))
      rows *= 2, bands = (c.size[1] + rows - 1) / rows;
  }
  static bool is_in_place(const Call& c) { return c.dtype == FLOAT32 || c.dtype == FLOAT64; }
  static bool is_shared(const Call& c) { return c.grad_input.stride[0] == 0; }  // one image served the whole batch
  int64_t owners() const { return samples * groups * bands; }
};

// The part of one owner; its rows lie one after the other.
template <class A>
struct Part {
  A* to;  // of the image's first pixel, in the first of the planes
  int64_t plane, width;
  int64_t first, planes;                 // of all planes
  int64_t low, high;                     // rows of the image
  int64_t clear_from = 0, clear_to = 0;  // of these, those that hold sums

  void clear(int64_t from, int64_t end) const {
    for (int64_t k = 0; k < planes && from < end; k++) std::fill_n(to + k * plane + from * width, (end - from) * width, A(0));
  }
  // Makes these rows ready, and those between them and others that are.
  void touch(int64_t from, int64_t end) {
    if (clear_from == clear_to) clear_from = clear_to = from;
    clear(from, clear_from), clear(clear_to, end);
    clear_from = std::min(clear_from, from), clear_to = std::max(clear_to, end);
  }
};

template <class P>
struct Spread {
  const P& plan;
  const std::vector<char>& chosen;  // of each sample, whether it goes this way
  Shares shares;
  std::vector<Extent> extents;  // block by block, if several owners want them

  Spread(const P& p, const Threads& threads, const std::vector<char>& which) : plan(p), chosen(which), shares(p.c, threads) {}
};

// Whether by lookups; else by loads.
template <class P>
constexpr bool by_lookups() {
  return sizeof(typename P::A) == sizeof(float);
}

template <class P>
const Scatters* scatters_of(const P& plan) {
  if constexpr (by_lookups<P>()) return plan.c.lookups;
  return plan.c.loads;
}

template <class P>
using PairsFor = std::conditional_t<by_lookups<P>(), Pairs, PairsOf<double>>;

// A block of the gradient of the output, and where its points are on the image.
template <class T, class P>
Lookup block_of_output(const P& plan, const Matrix& m, int64_t b, int64_t block, Segment<P>& s, PairsFor<P>& pairs) {
  at_row(plan, block, 0, s);
  if constexpr (by_lookups<P>()) return lookup_of<T>(plan, m, b, {s.i, s.j, s.count}, pairs);
  return lookup_of_grid<T>(plan, b, {s.i, s.j, s.count}, pairs);
}

template <class T, class P>
void find_extents(Spread<P>& work, const Threads& threads) {
  work.extents.resize(work.plan.c.batch * work.plan.blocks());
  auto task = [](void* context, int64_t begin, int64_t end) {
    Spread<P>& work = *(Spread<P>*)context;
    const P& plan = work.plan;
    Segment<P> s;
    PairsFor<P> pairs;
    for (int64_t n = begin; n < end; n++) {
      const int64_t b = n / plan.blocks();
      if (!work.chosen[b]) continue;
      const Matrix m = read_matrix(plan.c, b, plan.in, plan.out);
      work.extents[n] = scatters_of(plan)->extent(plan.c.dtype, block_of_output<T>(plan, m, b, n % plan.blocks(), s, pairs));
    }
  };
  threads.run(work.plan.c.batch * work.plan.blocks(), task, &work);
}

// A row of points of which something is not finite: it must not meet a weight of 0 that is not its own.
template <class T, class P>
RETICLE_APART void spread_carefully(const P& plan, const Matrix& m, int64_t b, Segment<P>& s, const Part<typename P::A>& part) {
  using A = typename P::A;
  const Call& c = plan.c;
  const int64_t stride[5] = {0, 0, 0, part.width, 1}, *out = c.output.stride;
  const T* g = (const T*)c.output.data + b * out[0] + part.first * out[1] + s.i * out[3] + s.j;
  find_places(plan, m, b, s);
  for (int p = 0; p < s.count; p++)
    each_tap(plan, s, p, stride, [&](int64_t offset, const int32_t* pixel, A weight, const A*) {
      if (offset < 0 || pixel[1] < part.low || pixel[1] >= part.high) return;
      for (int64_t k = 0; k < part.planes; k++) part.to[k * part.plane + offset] += widen(g[k * out[1] + p]) * weight;
    });
}

template <class T, class P>
void spread_sample(const Spread<P>& work, int64_t b, Segment<P>& s, Part<typename P::A>& part) {
  const P& plan = work.plan;
  const Call& c = plan.c;
  const Matrix m = read_matrix(c, b, plan.in, plan.out);
  PairsFor<P> pairs;
  for (int64_t block = 0; block < plan.blocks(); block++) {
    const bool known = !work.extents.empty();
    Extent extent = known ? work.extents[b * plan.blocks() + block] : Extent{};
    if (known && extent.strange == 0 && (extent.low >= part.high || extent.high <= part.low)) continue;
    Lookup lookup = block_of_output<T>(plan, m, b, block, s, pairs);
    lookup.to = (T*)lookup.to + part.first * lookup.plane_to, lookup.channels = part.planes;
    if (!known) extent = scatters_of(plan)->extent(c.dtype, lookup);
    if (extent.strange != 0) extent.low = 0, extent.high = lookup.height;
    part.touch(std::max<int64_t>(extent.low, part.low), std::min<int64_t>(extent.high, part.high));
    lookup.from = part.to, lookup.plane = part.plane, lookup.down = part.width;
    scatters_of(plan)->scatter(c.dtype, lookup, int32_t(part.clear_from), int32_t(part.clear_to), extent.strange);
    for (int row = 0; extent.strange >> row; row++)
      if ((extent.strange >> row & 1) && at_row(plan, block, row, s)) spread_carefully<T>(plan, m, b, s, part);
  }
}

// The part of owner `n`: in the gradient, or in `buffer`, which has room for any.
template <class P>
Part<typename P::A> part_of(const Spread<P>& work, int64_t n, typename P::A* buffer) {
  using A = typename P::A;
  const Call& c = work.plan.c;
  const Shares& shares = work.shares;
  const int64_t band = n % shares.bands, group = n / shares.bands % shares.groups, b = n / shares.bands / shares.groups;
  const int64_t* stride = c.grad_input.stride;
  Part<A> part = {};
  part.width = c.size[2];
  part.first = group * shares.planes, part.planes = std::min(shares.planes, c.channels - part.first);
  part.low = band * shares.rows, part.high = std::min(part.low + shares.rows, c.size[1]);
  if (Shares::is_in_place(c)) {
    part.to = (A*)c.grad_input.data + b * stride[0] + part.first * stride[1], part.plane = stride[1];
  } else {
    part.plane = shares.rows * part.width, part.to = buffer - part.low * part.width;
  }
  return part;
}

template <class T, class P>
void write_part(const P& plan, int64_t b, const Part<typename P::A>& part) {
  constexpr int lanes = VecOf<typename P::A>::lanes;
  const int64_t* stride = plan.c.grad_input.stride;
  for (int64_t k = 0; k < part.planes; k++)
    for (int64_t y = part.low; y < part.high; y++) {
      T* to = (T*)plan.c.grad_input.data + b * stride[0] + (part.first + k) * stride[1] + y * stride[3];
      const auto* from = part.to + k * part.plane + y * part.width;
      for (int64_t x = 0; x < part.width; x += lanes) {
        const int count = int(std::min<int64_t>(part.width - x, lanes));
        store_some(load_some(from + x, count), to + x, count);
      }
    }
}

template <class T, class P>
void spread_all(Spread<P>& work, const Threads& threads) {
  if (work.shares.groups * work.shares.bands > 1) {
    find_extents<T>(work, threads);
    work.shares.join_bands(work.plan.c, threads, work.extents);
  }
  auto task = [](void* context, int64_t begin, int64_t end) {
    const Spread<P>& work = *(const Spread<P>*)context;
    const Call& c = work.plan.c;
    const Shares& shares = work.shares;
    using A = typename P::A;
    const bool in_place = Shares::is_in_place(c), shared = Shares::is_shared(c);
    const std::unique_ptr<A[]> buffer(in_place ? nullptr : new A[shares.planes * shares.rows * c.size[2]]);
    Segment<P> s;
    for (int64_t n = begin; n < end; n++) {
      const int64_t b = n / shares.bands / shares.groups;
      if (!work.chosen[b]) continue;
      Part<A> part = part_of(work, n, buffer.get());
      for (int64_t from = shared ? 0 : b; from < (shared ? c.batch : b + 1); from++) spread_sample<T>(work, from, s, part);
      part.touch(part.low, part.high);
      if (!in_place) write_part<T>(work.plan, b, part);
    }
  };
  threads.run(work.shares.owners(), task, &work);
}

template <class T, class P>
constexpr bool has_spread() {
  return has_lookups<T, P>() || (has_loads<T, P>() && P::S == 2);
}

// Whether samples may go this way; each only if its points are looked up, or loaded.
template <class P>
bool may_spread(const P& plan) {
  const Call& c = plan.c;
  return scatters_of(plan) != nullptr && c.grad_input.stride[4] == 1 && is_common(plan, c.grad_input.stride);
}

template <class P>
bool can_spread(const P& plan, const Matrix& m) {
  if constexpr (by_lookups<P>()) return is_lookup(plan, m);
  return is_load(plan);
}

// The samples that can be and are not `done`, which they are then.
template <class T, class P>
void spread_samples(const P& plan, const Threads& threads, std::vector<char>& done) {
  if constexpr (has_spread<T, P>()) {
    if (!may_spread(plan)) return;
    const Call& c = plan.c;
    std::vector<char> chosen(c.batch);
    for (int64_t b = 0; b < c.batch; b++) chosen[b] = !done[b] && can_spread(plan, read_matrix(c, b, plan.in, plan.out));
    const bool all = std::find(chosen.begin(), chosen.end(), 0) == chosen.end(),
               none = std::find(chosen.begin(), chosen.end(), 1) == chosen.end();
    if (none || (Shares::is_shared(c) && !all)) return;
    Spread<P> work(plan, threads, chosen);
    spread_all<T>(work, threads);
    for (int64_t b = 0; b < c.batch; b++) done[b] |= chosen[b];
  }
}

}  // namespace
}  // namespace reticle
