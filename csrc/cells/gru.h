// The gated recurrent unit, in two forms:
//
//   r, z = sigma(W_x. x + W_h. h + b_.)
//   n    = phi(W_xn x + b_n + r * (W_hn h + b_hn))     reset_after
//   n    = phi(W_xn x + b_n + W_hn (r * h))            without it
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

template <bool training, typename Activation = Tanh, typename Sigma = Sigmoid>
struct Gru {
  static constexpr int64_t kSlots = 4, kColumns = 4, kFirstColumn = 0, kSaved = training ? 4 : 0, kFirstSaved = 0;
  static constexpr bool kHasC = false, kReadsH = true;

  Gru(const Shape& shape, const Inputs&) : phi(shape.phi), sigma(shape.gate_phi) {}

  Activation phi;
  Sigma sigma;

  DEEPRNN_INLINE After forward(const V* slots, Before before, Units) const {
    if constexpr (!training && !Activation::kNamed) return by_fractions(slots, before);
    const V r = sigma(slots[1]), z = sigma(slots[2]), recurrent = slots[3];
    const V a = fma(r, recurrent, slots[0]), n = phi(a);
    return {.h = between(n, z, before.h),
            .saved = {sigma.keep(slots[1], r), sigma.keep(slots[2], z), phi.keep(a, n), recurrent}};
  }

  // Two divisions for three: rest = (1 - z) / z.
  static DEEPRNN_INLINE After by_fractions(const V* slots, Before before) {
    const Fraction n = tanh_fraction(slots[0] + slots[3] / (exp_negative(slots[1]) + 1.0f));
    const V rest = exp_negative(slots[2]);
    return {.h = fma(before.h, n.under, n.over * rest) / ((rest + 1.0f) * n.under)};
  }

  DEEPRNN_INLINE StepGradient backward(const V* kept, Before before, Parts of_h, Parts, Units) const {
    const V r = sigma.value(kept[0]), z = sigma.value(kept[1]), n = phi.value(kept[2]), recurrent = kept[3];
    const V of_n = (of_h.after - of_h.after * z) * phi.derivative(kept[2]);
    return {.columns = {of_n * r, of_n * recurrent * sigma.derivative(kept[0]),
                        of_h.after * (before.h - n) * sigma.derivative(kept[1]), of_n},
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
      .columns =
          {.count = kColumns, .products = kColumns, .first_x = 1, .hh_gate = {2, 0, 1, kNone}, .to_h = 3, .bias_hn = 0},
      .backward = backward_equations<Gru<true, Activation, Sigma>>};
};

// Its first phase makes r, z and r * h, its second n and h.
template <bool training, typename Activation = Tanh, typename Sigma = Sigmoid>
struct GruResetBefore {
  static constexpr int64_t kSlots = 3, kColumns = 3, kFirstColumn = 1, kSaved = training ? 3 : 0, kFirstSaved = 2;
  static constexpr int64_t kLeft = 2;
  static constexpr bool kHasC = false, kReadsH = true;

  GruResetBefore(const Shape& shape, const Inputs&) : phi(shape.phi), sigma(shape.gate_phi) {}

  Activation phi;
  Sigma sigma;

  DEEPRNN_INLINE AfterReset reset(const V* slots, V h) const {
    const V r = sigma(slots[1]), z = sigma(slots[2]);
    return {.reset_h = r * h, .left = z, .saved = {sigma.keep(slots[1], r), sigma.keep(slots[2], z)}};
  }

  DEEPRNN_INLINE After forward(const V* slots, Before before, Units) const {
    const V n = phi(slots[0]), z = slots[2];
    return {.h = between(n, z, before.h), .saved = {V{}, V{}, phi.keep(slots[0], n)}};
  }

  DEEPRNN_INLINE StepGradient backward(const V* kept, Before before, Parts of_h, Parts, Units) const {
    const V z = sigma.value(kept[1]), n = phi.value(kept[2]);
    return {.columns = {V{}, of_h.after * (before.h - n) * sigma.derivative(kept[1]),
                        (of_h.after - of_h.after * z) * phi.derivative(kept[2])},
            .h = fma(of_h.after, z, of_h.before)};
  }

  DEEPRNN_INLINE ResetGradient reset_gradient(V kept_r, V h, V of_reset_h) const {
    const V r = sigma.value(kept_r);
    return {.column = of_reset_h * h * sigma.derivative(kept_r), .h = of_reset_h * r, .reset_h = r * h};
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
      .columns = {.count = kColumns, .products = kColumns, .first_x = 0, .hh_gate = {0, 1, 2}, .to_h = 2, .reset = 2},
      .backward = backward_equations<GruResetBefore<true, Activation, Sigma>>,
      .through_reset = reset_gradient_equations<GruResetBefore<true, Activation, Sigma>>};
};

template <template <bool, typename, typename> typename Form>
const CellTraits& gru_traits_of(const Shape& shape) {
  if (shape.phi != Phi::tanh || shape.gate_phi != Phi::sigmoid) {
    return shape.training ? Form<true, Named, Named>::kTraits : Form<false, Named, Named>::kTraits;
  }
  return shape.training ? Form<true, Tanh, Sigmoid>::kTraits : Form<false, Tanh, Sigmoid>::kTraits;
}

inline const CellTraits& gru_traits(const Shape& shape) {
  return shape.reset_after ? gru_traits_of<Gru>(shape) : gru_traits_of<GruResetBefore>(shape);
}

}  // namespace deeprnn::DEEPRNN_ISA
