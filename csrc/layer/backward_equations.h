// Runs a cell's backward equations, which know vectors only, over the rows and units of a share.
#pragma once

#include "layer/backward_step.h"
#include "layer/forward_equations.h"

namespace deeprnn::DEEPRNN_ISA {

// The gradients of a step's columns, and of the state before it as far as it does not go through W_hh.
struct StepGradient {
  V columns[kMostColumns]{};
  V h, c{};
};

// Whole panels, and nothing but the derivative of phi, in half the time that `each_valid` takes.
template <typename Cell>
void backward_plain(BackwardStep& step, const BackwardShare& share, int64_t i, int64_t at) {
  const Sequence& sequence = step.sequence;
  const Cell cell(step.shape, sequence.inputs);
  const int64_t B = step.sizes.B;
  const int64_t next = i > 0 ? sequence.hidden(i - 1, 0) - sequence.hidden(i, 0) : 0;
  const int64_t to_row = at > 0 ? -B * step.row_floats : 0;
  for (int64_t b = share.rows.begin; b < share.rows.end; ++b) {
    const float* hidden = sequence.hidden(i, b);
    const float* given = step.gradients.hidden + (hidden - sequence.outputs.hidden);
    float* row = step.gradient_row(at, b);
    float* state = step.state_at(step.state_h, share.groups.begin, b);
    const int64_t end = share.groups.end * kPanel;
    for (int64_t u = share.groups.begin * kPanel; u < end; u += kPanel, state += B * kPanel) {
      __builtin_prefetch(hidden + next + u);
      __builtin_prefetch(given + next + u);
      __builtin_prefetch(row + to_row + u, 1);
      const V kept[2] = {load(hidden + u), load(hidden + u + kLanes)};
      const Parts first{V{}, load(state) + load(given + u)};
      const Parts second{V{}, load(state + kLanes) + load(given + u + kLanes)};
      store(row + u, cell.backward(&kept[0], Before{}, first, Parts{}, Units{u, kLanes}).columns[0]);
      store(row + u + kLanes, cell.backward(&kept[1], Before{}, second, Parts{}, Units{u + kLanes, kLanes}).columns[0]);
      store(state, V{});
      store(state + kLanes, V{});
    }
  }
}

// A `Cell` has kSaved (0: the equations read hidden instead), kHasC, kColumns, and backward(kept, before, of_h, of_c,
// at); kReadsH tells whether that reads h of the state before. A second phase writes the columns before kFirstColumn.
template <typename Cell>
void backward_equations(BackwardStep& step, const BackwardShare& share, int64_t i, int64_t at) {
  const Sequence& sequence = step.sequence;
  const Gradients& gradients = step.gradients;
  const int64_t H = step.sizes.H;
  if constexpr (kElementwise<Cell>) {
    const bool plain = !step.shape.zoneout && sequence.inputs.lengths == nullptr;
    if (plain && H % kPanel == 0 && gradients.hidden != nullptr) return backward_plain<Cell>(step, share, i, at);
  }
  const Cell cell(step.shape, sequence.inputs);
  step.each_valid(share, i, at, [&](int64_t g, int64_t b, int64_t j, int64_t u, int64_t n) DEEPRNN_INLINED {
    V kept[kMostGates]{};
    if constexpr (Cell::kSaved == 0) {
      kept[0] = load(sequence.hidden(i, b) + u, n);
    } else {
      const float* gates = sequence.gates(i, b) + u;
#pragma GCC unroll 4
      for (int64_t k = Cell::kFirstColumn; k < Cell::kSaved; ++k) kept[k] = load(gates + k * H, n);
    }
    Before before{};
    if constexpr (Cell::kReadsH) before.h = load(sequence.before_h(i, b) + u, n);
    if constexpr (Cell::kHasC) before.c = load(sequence.before_c(i, b) + u, n);
    const Parts h = step.zone_parts(sequence.inputs.keep_h, i, b, u, n, step.output_gradient(i, g, b, j, u, n));
    Parts c{};
    if constexpr (Cell::kHasC) {
      V of_c = load(step.state_at(step.state_c, g, b) + j);
      if (gradients.cells != nullptr) {
        of_c = of_c + load(gradients.cells + (sequence.time(i) * step.sizes.B + b) * H + u, n);
      }
      c = step.zone_parts(sequence.inputs.keep_c, i, b, u, n, of_c);
    }
    const StepGradient result = cell.backward(kept, before, h, c, Units{u, n});
    float* row = step.gradient_row(at, b) + u;
#pragma GCC unroll 8
    for (int64_t k = Cell::kFirstColumn; k < Cell::kColumns; ++k) store(row + k * H, result.columns[k], n);
    store(step.state_at(step.state_h, g, b) + j, result.h);
    if constexpr (Cell::kHasC) store(step.state_at(step.state_c, g, b) + j, result.c);
  });
}

// What a second phase gives back, from the gradient of r * h.
struct ResetGradient {
  V column, h;  // of r's products, and of h
  V reset_h;    // r * h again, for the gradient of W_hn
};

// The gradient of r * h by the product with W_hn, then what the cell makes of it: reset_gradient(r, h, gradient).
template <typename Cell>
void reset_gradient_equations(BackwardStep& step, const BackwardShare& share, int64_t i, int64_t at) {
  const Sequence& sequence = step.sequence;
  const int64_t H = step.sizes.H, first = share.rows.begin, rows = share.rows.size();
  const int64_t from = step.cell.columns.reset * H;
  const Cell cell(step.shape, sequence.inputs);
  for (int64_t r = 0; r < rows; ++r) share.gradient_rows[r] = step.gradient_row(at, first + r) + from;
  float zeros[kPanel];
  for (int64_t j = 0; j < kPanel; j += kLanes) store(zeros + j, V{});
  for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
    const int64_t units = step.sizes.units(g);
    const Panels panels{step.hn + g * H * kPanel, 0, 1, step.halves(units)};
    product(share.gradient_rows, rows, H, panels, {zeros, 0, 0}, {share.product, kPanel, 0});
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t b = first + r;
      if (!sequence.valid(i, b)) continue;
      for (int64_t j = 0; j < units; j += kLanes) {
        const int64_t u = g * kPanel + j, n = units - j;
        V read = load(sequence.before_h(i, b) + u, n), mask{};
        if (step.shape.masked) {
          mask = load(sequence.mask + b * H + u, n);
          read = read * mask;
        }
        ResetGradient result =
            cell.reset_gradient(load(sequence.gates(i, b) + u, n), read, load(share.product + r * kPanel + j));
        if (step.shape.masked) result.h = result.h * mask;
        store(step.gradient_row(at, b) + u, result.column, n);
        store(step.reset_h + (at * step.sizes.B + b) * H + u, result.reset_h, n);
        float* state = step.state_at(step.state_h, g, b) + j;
        store(state, load(state) + result.h);
      }
    }
  }
}

}  // namespace deeprnn::DEEPRNN_ISA
