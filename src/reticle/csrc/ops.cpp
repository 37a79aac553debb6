// What PyTorch sees: operators that check their arguments, find memory for their results, and call the kernels. No arithmetic here.
#include <cmath>
#include <cstring>

#include "axis.h"
#include "memory.h"
#include "rows.h"

namespace reticle {
namespace {

void run_threads(int64_t count, void (*task)(void*, int64_t, int64_t), void* context) {
  torch::stable::parallel_for(0, count, 1, [=](int64_t begin, int64_t end) { task(context, begin, end); });
}
Threads threads() { return {run_threads, std::max<int64_t>(torch::stable::get_num_threads(), 1)}; }

void run_alone(int64_t count, void (*task)(void*, int64_t, int64_t), void* context) {
  if (count > 0) task(context, 0, count);
}
// A call that reads few numbers is done before other threads have woken, measured; but backward it may have a large gradient to write.
Threads threads_for(const Call& c) {
  constexpr double few = 8192;
  const double samples = double(c.batch) * c.channels, points = double(c.out[0]) * c.out[1] * c.out[2];
  const double pixels = c.grad_input.data ? double(c.size[0]) * c.size[1] * c.size[2] : 0;
  const bool is_small = samples * std::max(points * std::pow(support_of(c.mode), c.ndim), pixels) <= few;
  return is_small ? Threads{run_alone, 1} : threads();
}

bool is_empty(const Call& c) { return c.batch == 0 || c.channels == 0 || c.out[0] == 0 || c.out[1] == 0 || c.out[2] == 0; }

Sizes output_sizes(const Call& c) {
  Sizes size{c.batch, c.channels};
  size.insert(size.end(), c.out + 3 - c.ndim, c.out + 3);
  return size;
}

void set_size(Call& c, const Sizes& output_size) {
  STD_TORCH_CHECK(static_cast<int32_t>(output_size.size()) == c.ndim, "reticle: `output_size` must have one size per axis");
  for (int a = 0; a < c.ndim; ++a) {
    STD_TORCH_CHECK(output_size[a] > 0 && output_size[a] <= LONGEST, "reticle: `output_size` must be positive, at most 2^30");
    c.out[3 - c.ndim + a] = output_size[a];
  }
}

// There are kernels for pixels that lie side by side, and for more than a few channels that do; what lies otherwise is read number by number.
// Where there is much to do it is better turned on the way: into planes, for whose kernels it takes a fraction of the time.
struct Turns {
  bool input, output;
  bool last;  // the channels of a pixel lie side by side in what the kernels get
};

bool lies_apart(const View& v, int64_t axis) { return v.stride[axis] != 1 && v.size[axis] > 1; }

// `output`: what has its shape. Not turned is an image of many pixels of which few points are read.
Turns turns_of(const Call& c, const View& input, const View& output) {
  const int64_t pixels = input.size[0] * c.size[0] * c.size[1] * c.size[2], points = c.batch * c.out[0] * c.out[1] * c.out[2];
  const int64_t x = input.dim - 1;
  const bool last = !lies_apart(input, 1) && lies_apart(input, x), fits = (last && c.channels > 4) || !lies_apart(input, x);
  Turns t;
  t.input = points >= 4096 && !fits && pixels <= 2 * points;
  t.last = last && !t.input;
  t.output = points >= 4096 && lies_apart(output, t.last ? 1 : x);
  return t;
}

Tensor planes_for(const View& v) { return make_dense(v, Sizes(v.size, v.size + v.dim)); }

// Whether the numbers of a sample fill their memory: the channels of a pixel side by side, or plane after plane.
bool is_dense(const View& v, bool channels_inside) {
  int64_t step = channels_inside ? v.size[1] : 1;
  if (channels_inside && v.stride[1] != 1) return false;
  for (int64_t a = v.dim - 1; a > 1; step *= v.size[a--])
    if (v.size[a] > 1 && v.stride[a] != step) return false;
  return channels_inside || v.stride[1] >= step;
}

// Copies numbers of the same type and sizes; false: it is not a turn that there are kernels for.
bool turn(DType dtype, const View& from, const View& to) {
  const bool to_planes = is_dense(from, true) && is_dense(to, false);
  if (from.size[1] < 2 || from.size[1] > 4 || !(to_planes || (is_dense(from, false) && is_dense(to, true)))) return false;
  Turn t = {from.data, to.data, from.size[0], from.size[1], 1, from.stride[0], to.stride[0], to_planes ? to.stride[1] : from.stride[1],
            to_planes};
  for (int64_t a = 2; a < from.dim; ++a) t.pixels *= from.size[a];
  best_kernels().passes[dtype]->turn(t, threads());
  return true;
}

Tensor turned(DType dtype, Tensor room, const Tensor& t) {
  return turn(dtype, view("input", t), view("room", room)) ? room : torch::stable::copy_(room, t);
}

// As memory, whatever rules the tensor itself is under.
void turn_back(DType dtype, const Tensor& from, const View& v) {
  if (turn(dtype, view("from", from), v)) return;
  AtenTensorHandle made;
  STABLE_TORCH_ERROR_CODE_CHECK(
      aoti_torch_create_tensor_from_blob(v.data, v.dim, v.size, v.stride, 0, v.dtype, aoti_torch_device_type_cpu(), 0, &made));
  Tensor memory(made);
  torch::stable::copy_(memory, from);
}

// A new output where none is given.
Tensor forward(Call& c, const Tensor& input, const View& read, const std::optional<Tensor>& fill, std::optional<Tensor> output) {
  const std::vector<double> values = fill_of(fill, c.channels, c.padding);
  if (!output) output = make_tensor(read, output_sizes(c));
  const View written = view("output", *output);
  set_output(c, "output", written);
  if (is_empty(c)) return *output;
  STD_TORCH_CHECK(!overlaps_itself(written), "reticle: elements of `output` must not share memory");
  c.fill = c.padding == CONSTANT ? values.data() : nullptr;
  const Turns turns = turns_of(c, read, written);
  const Tensor from = turns.input ? turned(c.dtype, planes_for(read), input) : input;
  const Tensor to = !turns.output ? *output : turns.last ? make_tensor(read, output_sizes(c)) : planes_for(written);
  c.input = tensor5(view("input", from), c.batch), c.output = tensor5(view("output", to), c.batch);
  choose_rows(c);
  best_kernels().passes[c.dtype]->forward(c, threads_for(c));
  if (turns.output) turn_back(c.dtype, to, written);
  return *output;
}

Tensor warp_to(const Tensor& input, const Tensor& matrix, const Sizes& size, int64_t mode, int64_t padding, bool align_corners,
               const std::optional<Tensor>& fill, std::optional<Tensor> output) {
  const View read = view("input", input);
  Call c = begin_call(read, mode, padding, align_corners);
  set_matrix(c, read, view("matrix", matrix));
  set_size(c, size);
  return forward(c, input, read, fill, output);
}

Tensor grid_sample_to(const Tensor& input, const Tensor& grid, int64_t mode, int64_t padding, bool align_corners,
                      const std::optional<Tensor>& fill, std::optional<Tensor> output) {
  const View read = view("input", input);
  Call c = begin_call(read, mode, padding, align_corners);
  set_grid(c, read, view("grid", grid));
  return forward(c, input, read, fill, output);
}

Tensor warp(const Tensor& input, const Tensor& matrix, Sizes size, int64_t mode, int64_t padding, bool align_corners,
            std::optional<Tensor> fill) {
  return warp_to(input, matrix, size, mode, padding, align_corners, fill, std::nullopt);
}

Tensor grid_sample(const Tensor& input, const Tensor& grid, int64_t mode, int64_t padding, bool align_corners, std::optional<Tensor> fill) {
  return grid_sample_to(input, grid, mode, padding, align_corners, fill, std::nullopt);
}

void warp_into(const Tensor& input, const Tensor& matrix, int64_t mode, int64_t padding, bool align_corners, std::optional<Tensor> fill,
               Tensor output) {
  const View written = view("output", output);
  const Sizes size(written.size + std::min<int64_t>(2, written.dim), written.size + written.dim);
  warp_to(input, matrix, size, mode, padding, align_corners, fill, output);
}

void grid_sample_into(const Tensor& input, const Tensor& grid, int64_t mode, int64_t padding, bool align_corners,
                      std::optional<Tensor> fill, Tensor output) {
  grid_sample_to(input, grid, mode, padding, align_corners, fill, output);
}

// Sums what each sample of the batch says to the one matrix or grid that served them all, in the order of the batch.
template <class T>
void sum_batch(const T* from, T* to, int64_t batch, int64_t count) {
  torch::stable::parallel_for(0, count, 4096, [=](int64_t begin, int64_t end) {
    std::vector<double> sum(end - begin);
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t i = begin; i < end; ++i) sum[i - begin] += from[b * count + i];
    for (int64_t i = begin; i < end; ++i) to[i] = static_cast<T>(sum[i - begin]);
  });
}

void zero(const Tensor& t) {
  const int64_t bytes = t.numel() * static_cast<int64_t>(t.element_size());
  if (bytes > 0) std::memset(t.data_ptr(), 0, bytes);
}

Tensor over_batch(const View& where, const Tensor& each, int64_t batch) {
  if (where.size[0] == batch) return each;
  const Tensor total = make_dense(where, Sizes(where.size, where.size + where.dim));
  const int64_t count = total.numel();
  if (where.dtype == aoti_torch_dtype_float64())
    sum_batch(static_cast<const double*>(each.data_ptr()), static_cast<double*>(total.data_ptr()), batch, count);
  else
    sum_batch(static_cast<const float*>(each.data_ptr()), static_cast<float*>(total.data_ptr()), batch, count);
  return total;
}

// Whether pixels or their channels lie side by side in memory, each in a place of its own.
bool is_ordered(const View& v) {
  if (v.stride[v.dim - 1] == 1) return true;
  bool apart = v.size[1] > 1 && v.stride[1] == 1;
  for (int64_t a = 2; a < v.dim; ++a) apart = apart && (v.size[a] == 1 || v.stride[a] >= v.size[1]);
  return apart;
}

// A gradient that is not, such as one number for all pixels, in the input's order.
Tensor in_order(const Tensor& grad, const View& input) {
  const View v = view("grad", grad);
  if (is_ordered(v)) return grad;
  Tensor dense = make_tensor(input, Sizes(v.size, v.size + v.dim));
  return torch::stable::copy_(dense, grad);
}

std::tuple<Tensor, Tensor> backward(Call& c, const Tensor& grad, const Tensor& input, const View& read, const View& where,
                                    const std::optional<Tensor>& fill, bool need_input, bool need_where) {
  STD_TORCH_CHECK(c.dtype != UINT8, "reticle: images of whole numbers have no gradient");
  set_output(c, "grad", view("grad", grad));
  const std::vector<double> values = fill_of(fill, c.channels, c.padding);
  c.fill = c.padding == CONSTANT ? values.data() : nullptr;
  const Tensor grad_input = need_input ? make_tensor(read, Sizes(read.size, read.size + read.dim)) : make_dense(read, {0});
  Sizes size(where.size, where.size + where.dim);
  size[0] = c.batch;
  const Tensor each = make_dense(where, need_where ? size : Sizes{0});
  if (is_empty(c)) {
    zero(grad_input), zero(each);
  } else if (need_input || need_where) {
    const Tensor ordered = in_order(grad, read);
    const View given = view("grad", ordered), made = view("grad_input", grad_input);
    const Turns turns = turns_of(c, read, given);
    const bool turns_back = need_input && turns.input && lies_apart(made, made.dim - 1);
    // the gradient of the input does not depend on its numbers
    const Tensor from = !turns.input ? input : need_where ? turned(c.dtype, planes_for(read), input) : planes_for(read);
    const Tensor slopes =
        !turns.output ? ordered : turned(c.dtype, turns.last ? make_tensor(read, output_sizes(c)) : planes_for(given), ordered);
    const Tensor to = turns_back ? planes_for(read) : grad_input;
    c.input = tensor5(view("input", from), c.batch), c.output = tensor5(view("grad", slopes), c.batch);
    if (need_input) c.grad_input = tensor5(view("grad_input", to), c.batch);
    if (need_where) c.grad_where = each.data_ptr();
    choose_rows(c);
    best_kernels().passes[c.dtype]->backward(c, threads_for(c));
    if (turns_back) turn_back(c.dtype, to, made);
  }
  return {grad_input, need_where ? over_batch(where, each, c.batch) : each};
}

std::tuple<Tensor, Tensor> warp_backward(const Tensor& grad, const Tensor& input, const Tensor& matrix, int64_t mode, int64_t padding,
                                         bool align_corners, std::optional<Tensor> fill, bool need_input, bool need_matrix) {
  const View read = view("input", input), where = view("matrix", matrix), given = view("grad", grad);
  Call c = begin_call(read, mode, padding, align_corners);
  set_matrix(c, read, where);
  set_size(c, Sizes(given.size + std::min<int64_t>(2, given.dim), given.size + given.dim));
  return backward(c, grad, input, read, where, fill, need_input, need_matrix);
}

std::tuple<Tensor, Tensor> grid_sample_backward(const Tensor& grad, const Tensor& input, const Tensor& grid, int64_t mode, int64_t padding,
                                                bool align_corners, std::optional<Tensor> fill, bool need_input, bool need_grid) {
  const View read = view("input", input), where = view("grid", grid);
  Call c = begin_call(read, mode, padding, align_corners);
  set_grid(c, read, where);
  return backward(c, grad, input, read, where, fill, need_input, need_grid);
}

std::string instruction_set() { return best_kernels().name; }

}  // namespace

#define HOW "int mode_id, int padding_id, bool align_corners, Tensor? fill"
STABLE_TORCH_LIBRARY(reticle, m) {
  m.def("warp(Tensor input, Tensor matrix, SymInt[] output_size, " HOW ") -> Tensor");
  m.def("warp_into(Tensor input, Tensor matrix, " HOW ", Tensor(a!) output) -> ()");
  m.def("warp_backward(Tensor grad, Tensor input, Tensor matrix, " HOW ", bool need_input, bool need_matrix) -> (Tensor, Tensor)");
  m.def("grid_sample(Tensor input, Tensor grid, " HOW ") -> Tensor");
  m.def("grid_sample_into(Tensor input, Tensor grid, " HOW ", Tensor(a!) output) -> ()");
  m.def("grid_sample_backward(Tensor grad, Tensor input, Tensor grid, " HOW ", bool need_input, bool need_grid) -> (Tensor, Tensor)");
  m.def("instruction_set() -> str");
}

STABLE_TORCH_LIBRARY_IMPL(reticle, CPU, m) {
  m.impl("warp", TORCH_BOX(&warp));
  m.impl("warp_into", TORCH_BOX(&warp_into));
  m.impl("warp_backward", TORCH_BOX(&warp_backward));
  m.impl("grid_sample", TORCH_BOX(&grid_sample));
  m.impl("grid_sample_into", TORCH_BOX(&grid_sample_into));
  m.impl("grid_sample_backward", TORCH_BOX(&grid_sample_backward));
}

STABLE_TORCH_LIBRARY_IMPL(reticle, CompositeExplicitAutograd, m) { m.impl("instruction_set", TORCH_BOX(&instruction_set)); }

}  // namespace reticle
