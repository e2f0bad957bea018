// A call as Python makes it: records of integers, whose fields are declared here, once, by name and in order.
//
// kernels/native/fields.py declares the same names; the extension exports these (`fields`), and they are compared when
// it is imported. A tensor is an address, 0 where it is absent; a field such as x_t is a stride, in elements.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace deeprnn::fields {

#define DEEPRNN_SIZES(field)                                                                                   \
  field(cell) field(reset_after) field(phi) field(gate_phi) field(T) field(B) field(I) field(H) field(indices) \
      field(masked) field(zoneout) field(peephole) field(training) field(reverse)

// The inputs that have gradients.
#define DEEPRNN_DIFFERENTIABLE(field)                                                                        \
  field(x) field(weight_xh) field(weight_hh) field(bias) field(bias_hn) field(weight_ch) field(h0) field(c0) \
      field(initial_h) field(initial_c)

#define DEEPRNN_INPUTS(field)   \
  DEEPRNN_DIFFERENTIABLE(field) \
  field(lengths) field(restarts) field(mask) field(keep_h) field(keep_c)

// Of these the kernels know the strides: (T, B, F), and (B, F); everything else is contiguous.
#define DEEPRNN_STRIDED_STEPS(field) field(x) field(keep_h) field(keep_c)
#define DEEPRNN_STRIDED_ROWS(field) field(h0) field(c0) field(initial_h) field(initial_c) field(mask)

#define DEEPRNN_OUTPUTS(field) field(hidden) field(last_h) field(last_c) field(cells) field(saved)

// What reaches each output in the backward pass.
#define DEEPRNN_GIVEN(field) field(of_hidden) field(of_last_h) field(of_last_c) field(of_cells)

// A stack of layers that read each other's hidden: x, and what each layer is and reads beside it.
#define DEEPRNN_STACK(field) field(x) field(x_t) field(x_b) field(x_f) field(T) field(B) field(indices)
#define DEEPRNN_STACKED(field)                                                                                \
  field(cell) field(reset_after) field(phi) field(gate_phi) field(reverse) field(I) field(H) field(weight_xh) \
      field(weight_hh) field(bias) field(bias_hn) field(h0) field(c0) field(hidden) field(last_h) field(last_c)

#define DEEPRNN_FIELD(name) int64_t name;
#define DEEPRNN_FIELD_STEPS(name) int64_t name##_t, name##_b, name##_f;
#define DEEPRNN_FIELD_ROWS(name) int64_t name##_b, name##_f;
#define DEEPRNN_NAME(name) #name,
#define DEEPRNN_NAME_STEPS(name) #name "_t", #name "_b", #name "_f",
#define DEEPRNN_NAME_ROWS(name) #name "_b", #name "_f",

struct Sizes {
  DEEPRNN_SIZES(DEEPRNN_FIELD)
  static constexpr const char* kNames[] = {DEEPRNN_SIZES(DEEPRNN_NAME)};
};
struct Inputs {
  DEEPRNN_INPUTS(DEEPRNN_FIELD)
  DEEPRNN_STRIDED_STEPS(DEEPRNN_FIELD_STEPS)
  DEEPRNN_STRIDED_ROWS(DEEPRNN_FIELD_ROWS)
  static constexpr const char* kNames[] = {DEEPRNN_INPUTS(DEEPRNN_NAME) DEEPRNN_STRIDED_STEPS(DEEPRNN_NAME_STEPS)
                                               DEEPRNN_STRIDED_ROWS(DEEPRNN_NAME_ROWS)};
};
struct Outputs {
  DEEPRNN_OUTPUTS(DEEPRNN_FIELD)
  static constexpr const char* kNames[] = {DEEPRNN_OUTPUTS(DEEPRNN_NAME)};
};
struct Given {
  DEEPRNN_GIVEN(DEEPRNN_FIELD)
  static constexpr const char* kNames[] = {DEEPRNN_GIVEN(DEEPRNN_NAME)};
};
struct Wanted {
  DEEPRNN_DIFFERENTIABLE(DEEPRNN_FIELD)
  static constexpr const char* kNames[] = {DEEPRNN_DIFFERENTIABLE(DEEPRNN_NAME)};
};
struct Stack {
  DEEPRNN_STACK(DEEPRNN_FIELD)
  static constexpr const char* kNames[] = {DEEPRNN_STACK(DEEPRNN_NAME)};
};
struct Stacked {
  DEEPRNN_STACKED(DEEPRNN_FIELD)
  static constexpr const char* kNames[] = {DEEPRNN_STACKED(DEEPRNN_NAME)};
};

#undef DEEPRNN_FIELD
#undef DEEPRNN_FIELD_STEPS
#undef DEEPRNN_FIELD_ROWS
#undef DEEPRNN_NAME
#undef DEEPRNN_NAME_STEPS
#undef DEEPRNN_NAME_ROWS

// A record as it arrives.
template <typename Record>
using Integers = std::array<int64_t, sizeof(Record) / sizeof(int64_t)>;

template <typename Record>
Record read(const Integers<Record>& given) {
  return std::bit_cast<Record>(given);
}

}  // namespace deeprnn::fields
