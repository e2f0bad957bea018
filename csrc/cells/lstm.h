// Long short-term memory:
//
//   i, f, o = sigmoid(W_x. x + W_h. h + b_.)
//   g       = tanh(W_xg x + W_hg h + b_g)
//   c       = f c + i g
//   h       = o tanh(c)
//
//   gate                i  f  g  o      the rows of W_xh, W_hh and b
//   slot                i  f  g  o
//   saved in training   i  f  g  o      and c
//   gradient column     i  f  g  o
#pragma once

#include "isa/fractions.h"
#include "layer/backward_equations.h"
#include "layer/forward_equations.h"

namespace deeprnn::DEEPRNN_ISA {

template <bool training>
struct Lstm {
  static constexpr int64_t kSlots = 4, kColumns = 4, kFirstColumn = 0, kSaved = training ? 4 : 0, kFirstSaved = 0;
  static constexpr bool kHasC = true, kReadsH = false;

  static DEEPRNN_INLINE After forward(const V* slots, Before before) {
    if constexpr (!training) {
      const V under_f = exp_negative(slots[1]) + 1.0f;
      const Fraction g = tanh_fraction(slots[2]);
      const V under_ig = (exp_negative(slots[0]) + 1.0f) * g.under;
      const V c = fma(before.c, under_ig, g.over * under_f) / (under_f * under_ig);
      const Fraction of_c = tanh_fraction(c);
      return {.h = of_c.over / ((exp_negative(slots[3]) + 1.0f) * of_c.under), .c = c};
    }
    const V i = sigmoid(slots[0]), f = sigmoid(slots[1]), g = tanh(slots[2]), o = sigmoid(slots[3]);
    const V c = fma(f, before.c, i * g);
    return {.h = o * tanh(c), .c = c, .saved = {i, f, g, o}};
  }

  static DEEPRNN_INLINE StepGradient backward(const V* kept, Before before, Parts of_h, Parts of_c) {
    const V i = kept[0], f = kept[1], g = kept[2], o = kept[3];
    const V squashed = tanh(fma(f, before.c, i * g));
    const V d = fma(of_h.after * o, derivative<Phi::tanh>(squashed), of_c.after);
    return {.columns = {d * g * derivative<Phi::sigmoid>(i), d * before.c * derivative<Phi::sigmoid>(f),
                        d * i * derivative<Phi::tanh>(g), of_h.after * squashed * derivative<Phi::sigmoid>(o)},
            .h = of_h.before,
            .c = fma(d, f, of_c.before)};
  }

  static constexpr CellTraits kTraits{
      .gates = 4,
      .slots = kSlots,
      .slot_gate = {0, 1, 2, 3},
      .saved = kSaved,
      .has_c = kHasC,
      .phases = 1,
      .forward = {{.first_gate = 0, .end_gate = 4, .first_slot = 0, .equations = forward_equations<Lstm>}},
      .columns = {.count = kColumns, .first_x = 0, .hh_gate = {0, 1, 2, 3}, .to_h = 4},
      .backward = backward_equations<Lstm<true>>};
};

inline const CellTraits& lstm_traits(const Shape& shape) {
  return shape.training ? Lstm<true>::kTraits : Lstm<false>::kTraits;
}

}  // namespace deeprnn::DEEPRNN_ISA
