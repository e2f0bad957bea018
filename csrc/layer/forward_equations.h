// Runs a cell's forward equations, which know vectors only, over the rows and units of a share.
#pragma once

#include "layer/forward_step.h"

namespace deeprnn::DEEPRNN_ISA {

struct Before {
  V h, c;
};

// The units that a vector holds: u .. u + n - 1.
struct Units {
  int64_t u = 0, n = kLanes;
};

// The state after a step, without zoneout, and what training keeps.
struct After {
  V h, c{};
  V saved[kMostGates]{};
};

// What a first phase leaves: r * h, the new value of one of its slots, and what training keeps.
struct AfterReset {
  V reset_h, left;
  V saved[kMostGates]{};
};

// Whether h is phi of one slot and nothing else.
template <typename Cell>
constexpr bool kElementwise = !Cell::kReadsH && !Cell::kHasC && Cell::kSaved == 0;

// h of whole panels and nothing else, in half the time that `each` takes.
template <typename Cell>
void forward_plain(ForwardStep& step, const ForwardShare& share, int64_t group, int64_t i, int64_t at) {
  const Cell cell(step.shape, step.sequence.inputs);
  const float* in = step.part(share, group, at);
  float* out = step.sequence.hidden(i, share.rows.begin) + group * kPanel;
  const int64_t ahead = i + 1 < step.sizes.T ? step.sequence.hidden(i + 1, 0) - step.sequence.hidden(i, 0) : 0;
  for (int64_t r = share.rows.size(); r > 0; --r, in += kPanel, out += step.sizes.H) {
    __builtin_prefetch(out + ahead, 1);
    const V a = load(in), b = load(in + kLanes);
    store(out, cell.forward(&a, Before{}, Units{}).h);
    store(out + kLanes, cell.forward(&b, Before{}, Units{}).h);
  }
}

// A `Cell` is made of the shape and the inputs; it has kSlots, kFirstSaved to kSaved - 1 that it saves, kHasC, and
// forward(slots, before, at); kReadsH tells whether that reads h other than through W_hh.
template <typename Cell>
void forward_equations(ForwardStep& step, const ForwardShare& share, int64_t group, int64_t i, int64_t at) {
  if constexpr (kElementwise<Cell>) {
    const bool plain = !step.shape.zoneout && step.sequence.inputs.lengths == nullptr;
    if (plain && step.sizes.units(group) == kPanel) return forward_plain<Cell>(step, share, group, i, at);
  }
  const Cell cell(step.shape, step.sequence.inputs);
  step.each(share, group, at, i, [&](int64_t r, int64_t b, int64_t u, int64_t n, const float* in) DEEPRNN_INLINED {
    V slots[Cell::kSlots];
#pragma GCC unroll 4
    for (int64_t k = 0; k < Cell::kSlots; ++k) slots[k] = load(in + k * kPanel);
    Before before{};
    if constexpr (Cell::kReadsH) before.h = load(share.before_h[r] + u, n);
    if constexpr (Cell::kHasC) before.c = load(share.before_c[r] + u, n);
    const After after = cell.forward(slots, before, Units{u, n});
    if constexpr (Cell::kSaved > 0) {
      float* to = step.sequence.gates(i, b) + u;
#pragma GCC unroll 4
      for (int64_t k = Cell::kFirstSaved; k < Cell::kSaved; ++k) store(to + k * step.sizes.H, after.saved[k], n);
    }
    step.keep_h(share, i, r, b, u, n, after.h);
    if constexpr (Cell::kHasC) step.keep_c(share, i, r, b, u, n, after.c);
  });
}

// The first phase of a cell that has two: reset(slots, h) leaves a value in slot kLeft and what W_hh multiplies next.
template <typename Cell>
void reset_equations(ForwardStep& step, const ForwardShare& share, int64_t group, int64_t i, int64_t at) {
  const Cell cell(step.shape, step.sequence.inputs);
  step.each(share, group, at, i, [&](int64_t r, int64_t b, int64_t u, int64_t n, float* in) DEEPRNN_INLINED {
    V slots[Cell::kSlots];
#pragma GCC unroll 4
    for (int64_t k = 0; k < Cell::kSlots; ++k) slots[k] = load(in + k * kPanel);
    const AfterReset after = cell.reset(slots, load(share.read_h[r] + u, n));
    store(in + Cell::kLeft * kPanel, after.left);
    if constexpr (Cell::kSaved > 0) {
      float* to = step.sequence.gates(i, b) + u;
#pragma GCC unroll 4
      for (int64_t k = 0; k < Cell::kFirstSaved; ++k) store(to + k * step.sizes.H, after.saved[k], n);
    }
    store(step.reset_h + b * step.sizes.H + u, after.reset_h, n);
  });
}

}  // namespace deeprnn::DEEPRNN_ISA
