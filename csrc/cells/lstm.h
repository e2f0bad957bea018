// Long short-term memory:
//
//   i, f, o = sigma(W_x. x + W_h. h + b_.)
//   g       = phi(W_xg x + W_hg h + b_g)
//   c       = f c + i g
//   h       = o phi(c)
//
// With peepholes w_i c and w_f c of the state before are added to the arguments of i and f, and w_o c to that of o.
//
//   gate                i  f  g  o      the rows of W_xh, W_hh and b
//   slot                i  f  g  o
//   saved in training   i  f  g  o      and c
//   gradient column     i  f  g  o      then, with peepholes, of w_i, w_f, w_o
#pragma once

#include "isa/fractions.h"
#include "layer/backward_equations.h"
#include "layer/forward_equations.h"

namespace deeprnn::DEEPRNN_ISA {

template <bool training, bool peephole = false, typename Activation = Tanh, typename Sigma = Sigmoid>
struct Lstm {
  static constexpr int64_t kSlots = 4, kColumns = peephole ? 7 : 4, kFirstColumn = 0;
  static constexpr int64_t kSaved = training ? 4 : 0, kFirstSaved = 0;
  static constexpr bool kHasC = true, kReadsH = false;

  Lstm(const Shape& shape, const Inputs& inputs)
      : phi(shape.phi), sigma(shape.gate_phi), weight_ch(inputs.weight_ch), H(shape.H) {}

  Activation phi;
  Sigma sigma;
  const float* weight_ch;
  int64_t H;

  // w_i, w_f, w_o
  DEEPRNN_INLINE V weight(int64_t which, Units at) const { return load(weight_ch + which * H + at.u, at.n); }

  DEEPRNN_INLINE After forward(const V* slots, Before before, Units at) const {
    V a_i = slots[0], a_f = slots[1], a_o = slots[3];
    if constexpr (peephole) {
      a_i = fma(weight(0, at), before.c, a_i);
      a_f = fma(weight(1, at), before.c, a_f);
    }
    if constexpr (!training && !Activation::kNamed) {
      // Two divisions for five.
      const V under_f = exp_negative(a_f) + 1.0f;
      const Fraction g = tanh_fraction(slots[2]);
      const V under_ig = (exp_negative(a_i) + 1.0f) * g.under;
      const V c = fma(before.c, under_ig, g.over * under_f) / (under_f * under_ig);
      if constexpr (peephole) a_o = fma(weight(2, at), c, a_o);
      const Fraction of_c = tanh_fraction(c);
      return {.h = of_c.over / ((exp_negative(a_o) + 1.0f) * of_c.under), .c = c};
    }
    const V i = sigma(a_i), f = sigma(a_f), g = phi(slots[2]);
    const V c = fma(f, before.c, i * g);
    if constexpr (peephole) a_o = fma(weight(2, at), c, a_o);
    const V o = sigma(a_o);
    return {.h = o * phi(c),
            .c = c,
            .saved = {sigma.keep(a_i, i), sigma.keep(a_f, f), phi.keep(slots[2], g), sigma.keep(a_o, o)}};
  }

  DEEPRNN_INLINE StepGradient backward(const V* kept, Before before, Parts of_h, Parts of_c, Units at) const {
    const V i = sigma.value(kept[0]), f = sigma.value(kept[1]), g = phi.value(kept[2]), o = sigma.value(kept[3]);
    const V c = fma(f, before.c, i * g), squashed = phi(c);
    V d = fma(of_h.after * o, phi.derivative(phi.keep(c, squashed)), of_c.after);
    const V of_o = of_h.after * squashed * sigma.derivative(kept[3]);
    if constexpr (peephole) d = fma(of_o, weight(2, at), d);
    const V of_i = d * g * sigma.derivative(kept[0]), of_f = d * before.c * sigma.derivative(kept[1]);
    StepGradient result{
        .columns = {of_i, of_f, d * i * phi.derivative(kept[2]), of_o}, .h = of_h.before, .c = fma(d, f, of_c.before)};
    if constexpr (peephole) {
      result.columns[4] = of_i * before.c;
      result.columns[5] = of_f * before.c;
      result.columns[6] = of_o * c;
      result.c = fma(of_i, weight(0, at), fma(of_f, weight(1, at), result.c));
    }
    return result;
  }

  static constexpr CellTraits kTraits{
      .gates = 4,
      .slots = kSlots,
      .slot_gate = {0, 1, 2, 3},
      .saved = kSaved,
      .has_c = kHasC,
      .phases = 1,
      .forward = {{.first_gate = 0, .end_gate = 4, .first_slot = 0, .equations = forward_equations<Lstm>}},
      .columns = {.count = kColumns, .products = 4, .first_x = 0, .hh_gate = {0, 1, 2, 3}, .to_h = 4},
      .backward = backward_equations<Lstm<true, peephole, Activation, Sigma>>};
};

template <bool peephole>
const CellTraits& lstm_traits_of(const Shape& shape) {
  if (shape.phi != Phi::tanh || shape.gate_phi != Phi::sigmoid) {
    return shape.training ? Lstm<true, peephole, Named, Named>::kTraits : Lstm<false, peephole, Named, Named>::kTraits;
  }
  return shape.training ? Lstm<true, peephole>::kTraits : Lstm<false, peephole>::kTraits;
}

inline const CellTraits& lstm_traits(const Shape& shape) {
  return shape.peephole ? lstm_traits_of<true>(shape) : lstm_traits_of<false>(shape);
}

}  // namespace deeprnn::DEEPRNN_ISA
