// Long short-term memory:
//
//   i, f, o = sigma(W_x. x + W_h. h + b_.)
//   g       = phi(W_xg x + W_hg h + b_g)
//   c       = f c + i g
//   h       = o phi(c)
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

template <bool training, typename Activation = Tanh, typename Sigma = Sigmoid>
struct Lstm {
  static constexpr int64_t kSlots = 4, kColumns = 4, kFirstColumn = 0, kSaved = training ? 4 : 0, kFirstSaved = 0;
  static constexpr bool kHasC = true, kReadsH = false;

  explicit Lstm(const Shape& shape) : phi(shape.phi), sigma(shape.gate_phi) {}

  Activation phi;
  Sigma sigma;

  DEEPRNN_INLINE After forward(const V* slots, Before before) const {
    const V i = sigma(slots[0]), f = sigma(slots[1]), g = phi(slots[2]), o = sigma(slots[3]);
    const V c = fma(f, before.c, i * g);
    return {
        .h = o * phi(c),
        .c = c,
        .saved = {sigma.keep(slots[0], i), sigma.keep(slots[1], f), phi.keep(slots[2], g), sigma.keep(slots[3], o)}};
  }

  DEEPRNN_INLINE StepGradient backward(const V* kept, Before before, Parts of_h, Parts of_c) const {
    const V i = sigma.value(kept[0]), f = sigma.value(kept[1]), g = phi.value(kept[2]), o = sigma.value(kept[3]);
    const V c = fma(f, before.c, i * g), squashed = phi(c);
    const V d = fma(of_h.after * o, phi.derivative(phi.keep(c, squashed)), of_c.after);
    return {.columns = {d * g * sigma.derivative(kept[0]), d * before.c * sigma.derivative(kept[1]),
                        d * i * phi.derivative(kept[2]), of_h.after * squashed * sigma.derivative(kept[3])},
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
      .backward = backward_equations<Lstm<true, Activation, Sigma>>};
};

// Two divisions for five.
template <>
DEEPRNN_INLINE After Lstm<false>::forward(const V* slots, Before before) const {
  const V under_f = exp_negative(slots[1]) + 1.0f;
  const Fraction g = tanh_fraction(slots[2]);
  const V under_ig = (exp_negative(slots[0]) + 1.0f) * g.under;
  const V c = fma(before.c, under_ig, g.over * under_f) / (under_f * under_ig);
  const Fraction of_c = tanh_fraction(c);
  return {.h = of_c.over / ((exp_negative(slots[3]) + 1.0f) * of_c.under), .c = c};
}

inline const CellTraits& lstm_traits(const Shape& shape) {
  if (shape.phi != Phi::tanh || shape.gate_phi != Phi::sigmoid) {
    return shape.training ? Lstm<true, Named, Named>::kTraits : Lstm<false, Named, Named>::kTraits;
  }
  return shape.training ? Lstm<true>::kTraits : Lstm<false>::kTraits;
}

}  // namespace deeprnn::DEEPRNN_ISA
