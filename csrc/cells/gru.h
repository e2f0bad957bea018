// The gated recurrent unit, in two forms:
//
//   r, z = sigmoid(W_x. x + W_h. h + b_.)
//   n    = tanh(W_xn x + b_n + r * (W_hn h + b_hn))     reset_after
//   n    = tanh(W_xn x + b_n + W_hn (r * h))            without it
//   h    = (1 - z) n + z h
//
//                       reset_after            without it
//   gate                r  z  n                r  z  n      the rows of W_xh, W_hh and b
//   slot                n' r  z  n"            n  r  z      n' is W_xn x + b_n, n" is W_hn h + b_hn
//   saved in training   r  z  n  n"            r  z  n
//   gradient column     n" r  z  n'            r  z  n
#pragma once

#include "isa/fractions.h"
#include "layer/backward_equations.h"
#include "layer/forward_equations.h"

namespace deeprnn::DEEPRNN_ISA {

// h, from n and z: one multiply-add
DEEPRNN_INLINE V between(V n, V z, V before) { return fma(z, before - n, n); }

template <bool training>
struct Gru {
  static constexpr int64_t kSlots = 4, kColumns = 4, kFirstColumn = 0, kSaved = training ? 4 : 0, kFirstSaved = 0;
  static constexpr bool kHasC = false, kReadsH = true;

  static DEEPRNN_INLINE After forward(const V* slots, Before before) {
    const V x_n = slots[0], recurrent = slots[3];
    if constexpr (!training) {
      // tanh(x + sigmoid(r) recurrent) and z as fractions: rest = (1 - sigmoid(z)) / sigmoid(z)
      const Fraction n = tanh_fraction(x_n + recurrent / (exp_negative(slots[1]) + 1.0f));
      const V rest = exp_negative(slots[2]);
      return {.h = fma(before.h, n.under, n.over * rest) / ((rest + 1.0f) * n.under)};
    }
    const V r = sigmoid(slots[1]), z = sigmoid(slots[2]), n = tanh(fma(r, recurrent, x_n));
    return {.h = between(n, z, before.h), .saved = {r, z, n, recurrent}};
  }

  static DEEPRNN_INLINE StepGradient backward(const V* kept, Before before, Parts of_h, Parts) {
    const V r = kept[0], z = kept[1], n = kept[2], recurrent = kept[3];
    const V of_n = (of_h.after - of_h.after * z) * derivative<Phi::tanh>(n);
    return {.columns = {of_n * r, of_n * recurrent * derivative<Phi::sigmoid>(r),
                        of_h.after * (before.h - n) * derivative<Phi::sigmoid>(z), of_n},
            .h = fma(of_h.after, z, of_h.before)};
  }

  static constexpr CellTraits kTraits{
      .gates = 3,
      .slots = kSlots,
      .slot_gate = {2, 0, 1, kNone},
      .saved = kSaved,
      .has_c = kHasC,
      .phases = 1,
      .forward = {{.first_gate = 0, .end_gate = 3, .first_slot = 1, .equations = forward_equations<Gru>}},
      .columns = {.count = kColumns, .first_x = 1, .hh_gate = {2, 0, 1, kNone}, .to_h = 3, .bias_hn = 0},
      .backward = backward_equations<Gru<true>>};
};

// Its first phase makes r, z and r * h, its second n and h.
template <bool training>
struct GruResetBefore {
  static constexpr int64_t kSlots = 3, kColumns = 3, kFirstColumn = 1, kSaved = training ? 3 : 0, kFirstSaved = 2;
  static constexpr int64_t kLeft = 2;
  static constexpr bool kHasC = false, kReadsH = true;

  static DEEPRNN_INLINE AfterReset reset(const V* slots, V h) {
    const V r = sigmoid(slots[1]), z = sigmoid(slots[2]);
    return {.reset_h = r * h, .left = z, .saved = {r, z}};
  }

  static DEEPRNN_INLINE After forward(const V* slots, Before before) {
    const V n = tanh(slots[0]), z = slots[2];
    return {.h = between(n, z, before.h), .saved = {V{}, V{}, n}};
  }

  static DEEPRNN_INLINE StepGradient backward(const V* kept, Before before, Parts of_h, Parts) {
    const V z = kept[1], n = kept[2];
    return {.columns = {V{}, of_h.after * (before.h - n) * derivative<Phi::sigmoid>(z),
                        (of_h.after - of_h.after * z) * derivative<Phi::tanh>(n)},
            .h = fma(of_h.after, z, of_h.before)};
  }

  static DEEPRNN_INLINE ResetGradient reset_gradient(V r, V h, V of_reset_h) {
    return {.column = of_reset_h * h * derivative<Phi::sigmoid>(r), .h = of_reset_h * r, .reset_h = r * h};
  }

  static constexpr CellTraits kTraits{
      .gates = 3,
      .slots = kSlots,
      .slot_gate = {2, 0, 1},
      .saved = kSaved,
      .has_c = kHasC,
      .phases = 2,
      .forward = {{.first_gate = 0, .end_gate = 2, .first_slot = 1, .equations = reset_equations<GruResetBefore>},
                  {.first_gate = 2, .end_gate = 3, .first_slot = 0, .equations = forward_equations<GruResetBefore>}},
      .columns = {.count = kColumns, .first_x = 0, .hh_gate = {0, 1, 2}, .to_h = 2, .reset = 2},
      .backward = backward_equations<GruResetBefore<true>>,
      .through_reset = reset_gradient_equations<GruResetBefore<true>>};
};

inline const CellTraits& gru_traits(const Shape& shape) {
  if (shape.reset_after) return shape.training ? Gru<true>::kTraits : Gru<false>::kTraits;
  return shape.training ? GruResetBefore<true>::kTraits : GruResetBefore<false>::kTraits;
}

}  // namespace deeprnn::DEEPRNN_ISA
