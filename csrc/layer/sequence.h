// The steps of one call in the order in which they run: which are valid, where the state before each comes from, and
// what forward keeps for backward.
#pragma once

#include "layer/packed.h"

namespace deeprnn::DEEPRNN_ISA {

// What training keeps for each unit and step, beside hidden: what the cell asks for, and c.
struct Saved {
  Saved(const Shape& shape, float* base) {
    if (!shape.training) return;
    const CellTraits& cell = traits_of(shape);
    const int64_t count = shape.T * shape.B * shape.H;
    values = cell.saved;
    gates = base;
    total = values * count;
    if (!cell.has_c) return;
    c = base == nullptr ? nullptr : base + total;
    total += count;
  }

  int64_t values = 0;
  int64_t total = 0;
  float* gates = nullptr;  // (T, B, values, H)
  float* c = nullptr;      // (T, B, H)
};

// A (B, H) operand as contiguous rows; copied where its own strides are others.
inline const float* contiguous_rows(const Strided& operand, int64_t B, int64_t H, float* room) {
  if (operand.data == nullptr || (operand.f == 1 && operand.b == H)) return operand.data;
  for (int64_t b = 0; b < B; ++b) {
    const float* row = operand.data + b * operand.b;
    for (int64_t u = 0; u < H; ++u) room[b * H + u] = row[u * operand.f];
  }
  return room;
}

struct Sequence {
  Sequence(const Shape& shape, const Inputs& inputs, const Outputs& outputs, Carver& carver)
      : shape(shape),
        inputs(inputs),
        outputs(outputs),
        cell(traits_of(shape)),
        sizes(shape),
        saved(shape, outputs.saved) {
    const int64_t count = sizes.B * sizes.H;
    room_h0 = carver.floats(count);
    room_initial_h = carver.floats(inputs.restarts != nullptr ? count : 0);
    room_mask = carver.floats(shape.masked ? count : 0);
    room_c0 = carver.floats(cell.has_c ? count : 0);
    room_initial_c = carver.floats(cell.has_c && inputs.restarts != nullptr ? count : 0);
    room_c = carver.floats(cell.has_c ? count : 0);
  }

  // Makes the states before the first step contiguous; run once, before the shares.
  void open() {
    h0 = contiguous_rows(inputs.h0, sizes.B, sizes.H, room_h0);
    if (inputs.restarts != nullptr) initial_h = contiguous_rows(inputs.initial_h, sizes.B, sizes.H, room_initial_h);
    if (shape.masked) mask = contiguous_rows(inputs.mask, sizes.B, sizes.H, room_mask);
    if (!cell.has_c) return;
    c0 = contiguous_rows(inputs.c0, sizes.B, sizes.H, room_c0);
    if (inputs.restarts != nullptr) initial_c = contiguous_rows(inputs.initial_c, sizes.B, sizes.H, room_initial_c);
  }

  int64_t time(int64_t i) const { return inputs.reverse ? sizes.T - 1 - i : i; }
  bool valid(int64_t i, int64_t b) const { return inputs.lengths == nullptr || time(i) < inputs.lengths[b]; }
  // The index that is read; beyond a row's length, where x may hold anything, one that can be.
  int64_t index(int64_t i, int64_t b) const { return valid(i, b) ? inputs.indices[time(i) * sizes.B + b] : 0; }
  bool restarts(int64_t i, int64_t b) const {
    return inputs.restarts != nullptr && inputs.restarts[time(i) * sizes.B + b] != 0 && valid(i, b);
  }
  bool any_restart(int64_t i, Range rows) const {
    if (inputs.restarts == nullptr) return false;
    for (int64_t b = rows.begin; b < rows.end; ++b) {
      if (restarts(i, b)) return true;
    }
    return false;
  }

  float* hidden(int64_t i, int64_t b) const { return outputs.hidden + (time(i) * sizes.B + b) * sizes.H; }
  float* gates(int64_t i, int64_t b) const { return saved.gates + (time(i) * sizes.B + b) * saved.values * sizes.H; }
  // c after step i: kept for every step in training, else one row that is overwritten at each step.
  float* c(int64_t i, int64_t b) const {
    return saved.c != nullptr ? saved.c + (time(i) * sizes.B + b) * sizes.H : room_c + b * sizes.H;
  }

  // The state that step i starts from.
  const float* before_h(int64_t i, int64_t b) const {
    if (restarts(i, b)) return initial_h + b * sizes.H;
    return i > 0 && valid(i - 1, b) ? hidden(i - 1, b) : h0 + b * sizes.H;
  }
  const float* before_c(int64_t i, int64_t b) const {
    if (restarts(i, b)) return initial_c + b * sizes.H;
    return i > 0 && valid(i - 1, b) ? c(i - 1, b) : c0 + b * sizes.H;
  }

  const Shape& shape;
  const Inputs& inputs;
  const Outputs& outputs;
  const CellTraits& cell;
  Sizes sizes;
  Saved saved;
  const float *h0 = nullptr, *c0 = nullptr, *initial_h = nullptr, *initial_c = nullptr, *mask = nullptr;

 private:
  float *room_h0, *room_initial_h, *room_mask, *room_c0, *room_initial_c, *room_c;
};

// keep * before + (1 - keep) * after, at unit u of row b and time t
DEEPRNN_INLINE V zone_out(const Strided& keep, int64_t t, int64_t b, int64_t u, int64_t n, V before, V after) {
  const V k = load_strided(keep.data + t * keep.t + b * keep.b + u * keep.f, keep.f, n);
  return fma(k, before, (1.0f - k) * after);
}

}  // namespace deeprnn::DEEPRNN_ISA
