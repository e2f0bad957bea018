// The kernels as Python calls them: records of integers (fields.h), with the interpreter's lock released.

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "deeprnn.h"
#include "fields.h"
#include "torch_pool.h"

namespace nb = nanobind;

namespace {

using deeprnn::Gradients;
using deeprnn::Inputs;
using deeprnn::Isa;
using deeprnn::note_threads;
using deeprnn::Outputs;
using deeprnn::Parallel;
using deeprnn::parallel;
using deeprnn::Shape;
using deeprnn::Strided;
using deeprnn::threads_to_ask;
using deeprnn::fields::Integers;
namespace fields = deeprnn::fields;

template <typename T>
T* at(int64_t address) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}

void use_threads(int64_t parallel_for, int64_t get_num_threads) {
  deeprnn::torch_parallel_for =
      at<int32_t(int64_t, int64_t, int64_t, void (*)(int64_t, int64_t, void*), void*)>(parallel_for);
  deeprnn::torch_get_num_threads = at<int32_t(uint32_t*)>(get_num_threads);
}

// A graph that comes from elsewhere may hold any number.
void check_codes(const fields::Sizes& sizes) {
  const auto known = [](int64_t code, auto last) { return code >= 0 && code <= static_cast<int64_t>(last); };
  if (known(sizes.cell, deeprnn::CellKind::lstm) && known(sizes.phi, deeprnn::Phi::sin) &&
      known(sizes.gate_phi, deeprnn::Phi::sin)) {
    return;
  }
  throw std::invalid_argument("deeprnn::forward and backward know no cell " + std::to_string(sizes.cell) +
                              " with phi " + std::to_string(sizes.phi) + " and gate_phi " +
                              std::to_string(sizes.gate_phi));
}

Shape shape_of(const Integers<fields::Sizes>& given) {
  const auto sizes = fields::read<fields::Sizes>(given);
  check_codes(sizes);
  return {.cell = static_cast<deeprnn::CellKind>(sizes.cell),
          .reset_after = sizes.reset_after != 0,
          .phi = static_cast<deeprnn::Phi>(sizes.phi),
          .gate_phi = static_cast<deeprnn::Phi>(sizes.gate_phi),
          .peephole = sizes.peephole != 0,
          .T = sizes.T,
          .B = sizes.B,
          .I = sizes.I,
          .H = sizes.H,
          .indices = sizes.indices != 0,
          .masked = sizes.masked != 0,
          .zoneout = sizes.zoneout != 0,
          .training = sizes.training != 0,
          .threads = parallel().threads};
}

#define DEEPRNN_STEPS(name) \
  Strided { at<const float>(in.name), in.name##_t, in.name##_b, in.name##_f }
#define DEEPRNN_ROWS(name) \
  Strided { at<const float>(in.name), 0, in.name##_b, in.name##_f }

Inputs inputs_of(const Integers<fields::Sizes>& sizes, const Integers<fields::Inputs>& given) {
  const auto of = fields::read<fields::Sizes>(sizes);
  const auto in = fields::read<fields::Inputs>(given);
  return {.x = of.indices != 0 ? Strided{} : DEEPRNN_STEPS(x),
          .indices = of.indices != 0 ? at<const int64_t>(in.x) : nullptr,
          .weight_xh = at<const float>(in.weight_xh),
          .weight_hh = at<const float>(in.weight_hh),
          .bias = at<const float>(in.bias),
          .bias_hn = at<const float>(in.bias_hn),
          .weight_ch = at<const float>(in.weight_ch),
          .h0 = DEEPRNN_ROWS(h0),
          .c0 = DEEPRNN_ROWS(c0),
          .initial_h = DEEPRNN_ROWS(initial_h),
          .initial_c = DEEPRNN_ROWS(initial_c),
          .lengths = at<const int64_t>(in.lengths),
          .restarts = at<const uint8_t>(in.restarts),
          .mask = DEEPRNN_ROWS(mask),
          .keep_h = DEEPRNN_STEPS(keep_h),
          .keep_c = DEEPRNN_STEPS(keep_c),
          .reverse = of.reverse != 0};
}

#undef DEEPRNN_STEPS
#undef DEEPRNN_ROWS

Outputs outputs_of(const Integers<fields::Outputs>& given) {
  const auto out = fields::read<fields::Outputs>(given);
  return {.hidden = at<float>(out.hidden),
          .cells = at<float>(out.cells),
          .last_h = at<float>(out.last_h),
          .last_c = at<float>(out.last_c),
          .saved = at<float>(out.saved)};
}

Gradients gradients_of(const Integers<fields::Given>& given, const Integers<fields::Wanted>& wanted) {
  const auto reaching = fields::read<fields::Given>(given);
  const auto to = fields::read<fields::Wanted>(wanted);
  return {.hidden = at<const float>(reaching.of_hidden),
          .cells = at<const float>(reaching.of_cells),
          .last_h = at<const float>(reaching.of_last_h),
          .last_c = at<const float>(reaching.of_last_c),
          .x = at<float>(to.x),
          .weight_xh = at<float>(to.weight_xh),
          .weight_hh = at<float>(to.weight_hh),
          .bias = at<float>(to.bias),
          .bias_hn = at<float>(to.bias_hn),
          .weight_ch = at<float>(to.weight_ch),
          .h0 = at<float>(to.h0),
          .c0 = at<float>(to.c0),
          .initial_h = at<float>(to.initial_h),
          .initial_c = at<float>(to.initial_c)};
}

// Memory of one call. Raises MemoryError where there is none.
class Scratch {
 public:
  explicit Scratch(int64_t floats) : data_(static_cast<float*>(std::aligned_alloc(64, bytes(floats)))) {
    if (data_ == nullptr) throw std::bad_alloc();
  }

  float* data() { return data_.get(); }

 private:
  struct Free {
    void operator()(float* data) const { std::free(data); }
  };

  static size_t bytes(int64_t floats) { return static_cast<size_t>((floats + 31) / 16) * 64; }

  std::unique_ptr<float, Free> data_;
};

// A compiled or transformed graph can't look at values before the call, so they are checked here.
void check_values(const Shape& shape, const Inputs& inputs) {
  if (inputs.indices != nullptr) {
    for (int64_t i = 0; i < shape.T * shape.B; ++i) {
      const int64_t index = inputs.indices[i];
      const bool read = inputs.lengths == nullptr || i / shape.B < inputs.lengths[i % shape.B];
      if (read && (index < 0 || index >= shape.I)) {
        throw nb::index_error(("x holds the integer " + std::to_string(index) +
                               ", read as one-hot, but the layer knows 0 to " + std::to_string(shape.I - 1))
                                  .c_str());
      }
    }
  }
  if (inputs.lengths != nullptr) {
    for (int64_t b = 0; b < shape.B; ++b) {
      if (inputs.lengths[b] < 0 || inputs.lengths[b] > shape.T) {
        throw nb::value_error(("lengths holds " + std::to_string(inputs.lengths[b]) +
                               ", but x has T=" + std::to_string(shape.T) + " steps")
                                  .c_str());
      }
    }
  }
}

void pack(int32_t isa, const Integers<fields::Sizes>& sizes, const Integers<fields::Inputs>& inputs, int64_t packed) {
  const nb::gil_scoped_release release;
  const Shape shape = shape_of(sizes);
  deeprnn::pack(static_cast<Isa>(isa), shape, inputs_of(sizes, inputs), at<float>(packed), parallel());
}

void forward(int32_t isa, const Integers<fields::Sizes>& sizes, const Integers<fields::Inputs>& given, int64_t packed,
             const Integers<fields::Outputs>& outputs) {
  Shape shape = shape_of(sizes);
  shape.threads = threads_to_ask();
  const Inputs inputs = inputs_of(sizes, given);
  check_values(shape, inputs);
  const nb::gil_scoped_release release;
  const auto which = static_cast<Isa>(isa);
  Scratch scratch(deeprnn::forward_scratch_floats(which, shape, inputs));
  note_threads(
      deeprnn::forward(which, shape, inputs, at<const float>(packed), outputs_of(outputs), scratch.data(), parallel()));
}

// A layer of a stack, and what it is called with.
struct Stacked {
  Shape shape;
  Inputs inputs;
  Outputs outputs;
};

Stacked stacked(const fields::Stack& stack, const fields::Stacked& layer, const Stacked* below) {
  const Strided x{at<const float>(stack.x), stack.x_t, stack.x_b, stack.x_f};
  const bool indices = below == nullptr && stack.indices != 0;
  Stacked made{};
  made.shape.cell = static_cast<deeprnn::CellKind>(layer.cell);
  made.shape.reset_after = layer.reset_after != 0;
  made.shape.phi = static_cast<deeprnn::Phi>(layer.phi);
  made.shape.gate_phi = static_cast<deeprnn::Phi>(layer.gate_phi);
  made.shape.T = stack.T;
  made.shape.B = stack.B;
  made.shape.I = layer.I;
  made.shape.H = layer.H;
  made.shape.indices = indices;
  made.inputs.reverse = layer.reverse != 0;
  if (below != nullptr) {
    made.inputs.x = {below->outputs.hidden, stack.B * layer.I, layer.I, 1};
  } else if (indices) {
    made.inputs.indices = at<const int64_t>(stack.x);
  } else {
    made.inputs.x = x;
  }
  made.inputs.weight_xh = at<const float>(layer.weight_xh);
  made.inputs.weight_hh = at<const float>(layer.weight_hh);
  made.inputs.bias = at<const float>(layer.bias);
  made.inputs.bias_hn = at<const float>(layer.bias_hn);
  made.inputs.h0 = {at<const float>(layer.h0), 0, layer.H, 1};
  made.inputs.c0 = {at<const float>(layer.c0), 0, layer.H, 1};
  made.outputs.hidden = at<float>(layer.hidden);
  made.outputs.last_h = at<float>(layer.last_h);
  made.outputs.last_c = at<float>(layer.last_c);
  return made;
}

// One layer after the other, each from weights as they lie: T * B is at most kFewSteps.
void forward_stack(int32_t isa, const Integers<fields::Stack>& given,
                   const std::vector<Integers<fields::Stacked>>& layers) {
  const auto which = static_cast<Isa>(isa);
  const auto stack = fields::read<fields::Stack>(given);
  const Parallel pool = parallel();
  std::vector<Stacked> calls;
  calls.reserve(layers.size());
  int64_t scratch_floats = 0;
  for (const auto& layer : layers) {
    calls.push_back(stacked(stack, fields::read<fields::Stacked>(layer), calls.empty() ? nullptr : &calls.back()));
    Stacked& call = calls.back();
    call.shape.threads = threads_to_ask();
    scratch_floats = std::max(scratch_floats, deeprnn::forward_scratch_floats(which, call.shape, call.inputs));
  }
  check_values(calls.front().shape, calls.front().inputs);
  const nb::gil_scoped_release release;
  Scratch scratch(scratch_floats);
  for (const Stacked& call : calls) {
    note_threads(deeprnn::forward(which, call.shape, call.inputs, nullptr, call.outputs, scratch.data(), pool));
  }
}

void backward(int32_t isa, const Integers<fields::Sizes>& sizes, const Integers<fields::Inputs>& given,
              const Integers<fields::Outputs>& outputs, const Integers<fields::Given>& reaching,
              const Integers<fields::Wanted>& wanted) {
  Shape shape = shape_of(sizes);
  shape.threads = threads_to_ask();
  const Inputs inputs = inputs_of(sizes, given);
  check_values(shape, inputs);
  const Gradients gradients = gradients_of(reaching, wanted);
  const nb::gil_scoped_release release;
  const auto which = static_cast<Isa>(isa);
  Scratch scratch(deeprnn::backward_scratch_floats(which, shape, inputs, gradients));
  note_threads(deeprnn::backward(which, shape, inputs, outputs_of(outputs), gradients, scratch.data(), parallel()));
}

uint64_t checksum(int32_t isa, const Integers<fields::Sizes>& sizes, const Integers<fields::Inputs>& inputs) {
  const nb::gil_scoped_release release;
  const Shape shape = shape_of(sizes);
  return deeprnn::checksum(static_cast<Isa>(isa), shape, inputs_of(sizes, inputs), parallel());
}

// Each record's field names, by the record's name.
nb::dict field_names() {
  nb::dict names;
  const auto tell = [&]<typename Record>(const char* record, const Record&) {
    nb::list of_record;
    for (const char* name : Record::kNames) of_record.append(name);
    names[record] = nb::tuple(of_record);
  };
  tell("sizes", fields::Sizes{});
  tell("inputs", fields::Inputs{});
  tell("outputs", fields::Outputs{});
  tell("given", fields::Given{});
  tell("wanted", fields::Wanted{});
  tell("stack", fields::Stack{});
  tell("stacked", fields::Stacked{});
  return names;
}

}  // namespace

NB_MODULE(_native, module) {
  module.def("best_isa", [] { return static_cast<int32_t>(deeprnn::best_isa()); });
  module.def("supported", [](int32_t isa) { return deeprnn::supported(static_cast<Isa>(isa)); });
  module.def("fields", &field_names);
  module.def("use_threads", &use_threads);
  module.def("threads", [] { return parallel().threads; });
  module.def("packed_floats", [](int32_t isa, const Integers<fields::Sizes>& sizes) {
    return deeprnn::packed_floats(static_cast<Isa>(isa), shape_of(sizes));
  });
  module.attr("FEW_STEPS") = deeprnn::kFewSteps;
  module.def("saved_floats", [](int32_t isa, const Integers<fields::Sizes>& sizes) {
    return deeprnn::saved_floats(static_cast<Isa>(isa), shape_of(sizes));
  });
  module.def("pack", &pack);
  module.def("forward", &forward);
  module.def("forward_stack", &forward_stack);
  module.def("backward", &backward);
  module.def("checksum", &checksum);
  module.def("map", [](int32_t isa, int32_t phi, int64_t in, int64_t out, int64_t n) {
    deeprnn::map(static_cast<Isa>(isa), static_cast<deeprnn::Phi>(phi), at<const float>(in), at<float>(out), n);
  });
  module.def("map_derivative", [](int32_t isa, int32_t phi, int64_t kept, int64_t out, int64_t n) {
    deeprnn::map_derivative(static_cast<Isa>(isa), static_cast<deeprnn::Phi>(phi), at<const float>(kept),
                            at<float>(out), n);
  });
  module.def("map_exp", [](int32_t isa, int64_t in, int64_t out, int64_t n) {
    deeprnn::map_exp(static_cast<Isa>(isa), at<const float>(in), at<float>(out), n);
  });
  module.def("map_log1p", [](int32_t isa, int64_t in, int64_t out, int64_t n) {
    deeprnn::map_log1p(static_cast<Isa>(isa), at<const float>(in), at<float>(out), n);
  });
  module.def("fma_peak_gflops", [](int32_t isa, int threads) {
    const nb::gil_scoped_release release;
    return deeprnn::fma_peak_gflops(static_cast<Isa>(isa), threads);
  });
  module.def("read_gbps", [](int32_t isa, int threads, int64_t bytes) {
    const nb::gil_scoped_release release;
    return deeprnn::read_gbps(static_cast<Isa>(isa), threads, bytes);
  });
}
