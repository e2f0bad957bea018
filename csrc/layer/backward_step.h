// One step of the backward pass: the cells' derivatives, then W_hh' times the step's gradient for the state before.
#pragma once

#include "layer/sequence.h"

namespace deeprnn::DEEPRNN_ISA {

struct BackwardShare {
  Range rows, groups;
  bool far;              // this share's part of W_hh leaves the second-level cache between steps
  float* product;        // [row][kPanel]
  const float** panels;  // of W_hh, and where each adds to the state's gradient: for a few rows
  float** parts;
  const float** gradient_rows;
};

// What reaches the state after a step, split by zoneout: what goes to the value before, directly, and to the new one.
struct Parts {
  V before, after;
};

// What a step reads and writes, and how; Backward lays it out and says when.
struct BackwardStep {
  BackwardStep(const Shape& shape, const Inputs& inputs, const Outputs& outputs, const Gradients& gradients,
               Carver& carver)
      : sequence(shape, inputs, outputs, carver),
        cell(sequence.cell),
        shape(shape),
        sizes(shape),
        gradients(gradients) {}

  // How many of the panels of a product that ends with so many units are half empty.
  static int64_t halves(int64_t units) { return half_panel(units) ? 1 : 0; }

  float* state_at(float* state, int64_t group, int64_t b) const { return state + (group * sizes.B + b) * kPanel; }
  float* gradient_row(int64_t at, int64_t b) const { return chunk + (at * sizes.B + b) * row_floats; }

  // Calls f(group, b, j, u, n): lanes j .. of a group's panel are units u .. u + n - 1 of row b.
  template <typename F>
  DEEPRNN_INLINE void each(const BackwardShare& share, F&& f) {
    for (int64_t b = share.rows.begin; b < share.rows.end; ++b) {
      for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
        const int64_t units = sizes.units(g);
        for (int64_t j = 0; j < units; j += kLanes) f(g, b, j, g * kPanel + j, units - j);
      }
    }
  }

  // The gradient of h after step i: what later steps brought, and what reaches the output.
  DEEPRNN_INLINE V output_gradient(int64_t i, int64_t g, int64_t b, int64_t j, int64_t u, int64_t n) const {
    const V state = load(state_at(state_h, g, b) + j);
    if (gradients.hidden == nullptr) return state;
    return state + load(gradients.hidden + (sequence.time(i) * sizes.B + b) * sizes.H + u, n);
  }

  // Splits a gradient through zoneout.
  DEEPRNN_INLINE Parts zone_parts(const Strided& keep, int64_t i, int64_t b, int64_t u, int64_t n, V gradient) const {
    if (!shape.zoneout || keep.data == nullptr) return {V{}, gradient};
    const float* at = keep.data + sequence.time(i) * keep.t + b * keep.b + u * keep.f;
    const V k = load_strided(at, keep.f, n);
    return {k * gradient, (1.0f - k) * gradient};
  }

  // A step beyond a row's length has no gradient; its state's gradient passes through.
  bool skip(const BackwardShare& share, int64_t i, int64_t at, int64_t b) {
    if (sequence.valid(i, b)) return false;
    float* row = gradient_row(at, b);
    const int64_t u1 = lesser(share.groups.end * kPanel, sizes.H);
    for (int64_t c = 0; c < cell.columns.count; ++c) {
      for (int64_t u = share.groups.begin * kPanel; u < u1; ++u) {
        row[c * sizes.H + u] = 0.0f;
        if (cell.resets_before() && c == 0) reset_h[(at * sizes.B + b) * sizes.H + u] = 0.0f;
      }
    }
    return true;
  }

  template <typename F>
  DEEPRNN_INLINE void each_valid(const BackwardShare& share, int64_t i, int64_t at, F&& f) {
    for (int64_t b = share.rows.begin; b < share.rows.end; ++b) {
      if (skip(share, i, at, b)) continue;
      for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
        const int64_t units = sizes.units(g);
        if (i > 0) fetch(i - 1, at, b, g * kPanel);
        int64_t j = 0;
        for (; j + kLanes <= units; j += kLanes) f(g, b, j, g * kPanel + j, kLanes);
        if (j < units) f(g, b, j, g * kPanel + j, units - j);
      }
    }
  }

  // Asks for the lines that the next step will read and write.
  DEEPRNN_INLINE void fetch(int64_t i, int64_t at, int64_t b, int64_t u) const {
    if (gradients.hidden != nullptr) {
      __builtin_prefetch(gradients.hidden + (sequence.time(i) * sizes.B + b) * sizes.H + u);
    }
    if (sequence.saved.values == 0) __builtin_prefetch(sequence.hidden(i, b) + u);
    for (int64_t k = 0; k < sequence.saved.values; ++k) __builtin_prefetch(sequence.gates(i, b) + k * sizes.H + u);
    if (sequence.saved.c != nullptr && i > 0) __builtin_prefetch(sequence.c(i - 1, b) + u);
    if (at == 0) return;
    for (int64_t k = 0; k < cell.columns.count; ++k) __builtin_prefetch(gradient_row(at - 1, b) + k * sizes.H + u, 1);
  }

  // Adds W_hh' times the step's gradient to that of the state before it; a restart sends it to the initial state.
  void to_state_before(const BackwardShare& share, int64_t i, int64_t at) {
    const int64_t first = share.rows.begin, rows = share.rows.size();
    for (int64_t r = 0; r < rows; ++r) share.gradient_rows[r] = gradient_row(at, first + r);
    if (shape.masked) {
      masked_product(share);
    } else {
      const int64_t begin = share.groups.begin, step = sizes.B * kPanel;
      float* state = state_at(state_h, begin, first);
      const Panels panels{hh + begin * hh_K * kPanel, hh_K * kPanel, share.groups.size(),
                          halves(sizes.units(share.groups.end - 1)), share.far};
      if (rows > kFewRows) {
        product(share.gradient_rows, rows, hh_K, panels, {state, kPanel, step}, {state, kPanel, step});
      } else {
        for (int64_t g = 0; g < panels.count; ++g) {
          share.panels[g] = panels.data + g * panels.step;
          share.parts[g] = state + g * step;
        }
        product(share.gradient_rows, rows, hh_K, {share.panels, share.parts, share.parts, kPanel, panels.count});
      }
    }
    if (sequence.any_restart(i, share.rows)) restart(share, i);
  }

  void masked_product(const BackwardShare& share) {
    const int64_t first = share.rows.begin, rows = share.rows.size();
    float zeros[kPanel];
    for (int64_t j = 0; j < kPanel; j += kLanes) store(zeros + j, V{});
    for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
      const Panels panels{hh + g * hh_K * kPanel, 0, 1, halves(sizes.units(g))};
      product(share.gradient_rows, rows, hh_K, panels, {zeros, 0, 0}, {share.product, kPanel, 0});
      const int64_t units = sizes.units(g);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t j = 0; j < units; j += kLanes) {
          const V mask = load(sequence.mask + (first + r) * sizes.H + g * kPanel + j, units - j);
          float* state = state_at(state_h, g, first + r) + j;
          store(state, fma(load(share.product + r * kPanel + j), mask, load(state)));
        }
      }
    }
  }

  void restart(const BackwardShare& share, int64_t i) {
    each(share, [&](int64_t g, int64_t b, int64_t j, int64_t u, int64_t n) {
      if (!sequence.restarts(i, b)) return;
      send_to_initial(state_at(state_h, g, b) + j, gradients.initial_h, b * sizes.H + u, n);
      if (state_c != nullptr) send_to_initial(state_at(state_c, g, b) + j, gradients.initial_c, b * sizes.H + u, n);
    });
  }

  static void send_to_initial(float* state, float* initial, int64_t at, int64_t n) {
    if (initial != nullptr) store(initial + at, load(initial + at, n) + load(state), n);
    store(state, V{});
  }

  Sequence sequence;
  const CellTraits& cell;
  const Shape& shape;
  Sizes sizes;
  const Gradients& gradients;
  int64_t row_floats = 0, hh_K = 0;
  float* chunk = nullptr;    // [step][row][row_floats] gradients of the steps' products; two chunks where they overlap
  float* reset_h = nullptr;  // [step][row][H] r * h, where W_hn multiplied that
  float *hh = nullptr, *hn = nullptr;            // [group][K][kPanel]
  float *state_h = nullptr, *state_c = nullptr;  // [group][row][kPanel]
};

}  // namespace deeprnn::DEEPRNN_ISA
