// What each instruction set's translation unit offers to dispatch.cpp.
#pragma once

#include "deeprnn.h"

namespace deeprnn {

struct Table {
  int64_t (*packed_floats)(const Shape&);
  void (*pack)(const Shape&, const Inputs&, float* packed, const Parallel&);
  uint64_t (*checksum)(const Shape&, const Inputs&, const Parallel&);
  int64_t (*saved_floats)(const Shape&);
  int64_t (*forward_scratch_floats)(const Shape&, const Inputs&);
  bool (*forward)(const Shape&, const Inputs&, const float* packed, const Outputs&, float* scratch, const Parallel&);
  int64_t (*backward_scratch_floats)(const Shape&, const Inputs&, const Gradients&);
  bool (*backward)(const Shape&, const Inputs&, const Outputs&, const Gradients&, float* scratch, const Parallel&);
  void (*map)(Phi, const float* in, float* out, int64_t n);
  void (*map_derivative)(Phi, const float* kept, float* out, int64_t n);
  void (*map_exp)(const float* in, float* out, int64_t n);
  void (*map_log1p)(const float* in, float* out, int64_t n);
  double (*multiply_adds)(int64_t rounds);                          // does them; returns their flops
  float (*read_all)(const float* data, int64_t n, int64_t rounds);  // reads n floats `rounds` times
};

}  // namespace deeprnn
