// Everything of one instruction set: compiled once for each, with DEEPRNN_ISA its name and its own compiler flags
// (-ffp-contract=off throughout: which products are rounded must not depend on where a function was inlined).
#include "cells/cells.h"
#include "isa/measure.h"
#include "layer/backward.h"
#include "layer/checksum.h"
#include "layer/forward.h"
#include "table.h"

namespace deeprnn::DEEPRNN_ISA {

namespace {

int64_t packed_floats(const Shape& shape) { return Packed(shape, nullptr).carver.used(); }

int64_t saved_floats(const Shape& shape) { return Saved(shape, nullptr).total; }

template <typename F>
void map_vectors(const float* in, float* out, int64_t n, F&& f) {
  for (int64_t k = 0; k < n; k += kLanes) store(out + k, f(load(in + k, n - k)), n - k);
}

void map(Phi which, const float* in, float* out, int64_t n) {
  with_phi(which, [&]<Phi phi>() { map_vectors(in, out, n, [](V v) { return apply<phi>(v); }); });
}

void map_derivative(Phi which, const float* kept, float* out, int64_t n) {
  with_phi(which, [&]<Phi phi>() { map_vectors(kept, out, n, [](V v) { return derivative<phi>(v); }); });
}

void map_exp(const float* in, float* out, int64_t n) {
  map_vectors(in, out, n, [](V v) { return exp(v); });
}

void map_log1p(const float* in, float* out, int64_t n) {
  map_vectors(in, out, n, [](V v) { return log1p(v); });
}

}  // namespace

extern const Table table;
const Table table = {packed_floats,
                     pack,
                     checksum,
                     saved_floats,
                     forward_scratch_floats,
                     forward,
                     backward_scratch_floats,
                     backward,
                     map,
                     map_derivative,
                     map_exp,
                     map_log1p,
                     multiply_adds,
                     read_all};

}  // namespace deeprnn::DEEPRNN_ISA
