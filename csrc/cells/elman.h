// The plain recurrent layer: h = phi(W_xh x + W_hh h + b).
//
//   gate                h      the rows of W_xh, W_hh and b
//   slot                h
//   saved in training   h      phi's argument or its output, where hidden does not tell the derivative
//   gradient column     h
#pragma once

#include "isa/fractions.h"
#include "layer/backward_equations.h"
#include "layer/forward_equations.h"

namespace deeprnn::DEEPRNN_ISA {

// `shorter`: by the shorter way to phi of inference.
template <Phi phi, bool saves, bool shorter = false>
struct Elman {
  static constexpr int64_t kSlots = 1, kColumns = 1, kFirstColumn = 0, kSaved = saves ? 1 : 0, kFirstSaved = 0;
  static constexpr bool kHasC = false, kReadsH = false;

  Elman(const Shape&, const Inputs&) {}

  DEEPRNN_INLINE After forward(const V* slots, Before, Units) const {
    const V a = slots[0];
    const V h = shorter ? apply_in_inference<phi>(a) : apply<phi>(a);
    return {.h = h, .saved = {from_argument(phi) ? a : h}};
  }

  DEEPRNN_INLINE StepGradient backward(const V* kept, Before, Parts of_h, Parts, Units) const {
    return {.columns = {of_h.after * derivative<phi>(kept[0])}, .h = of_h.before};
  }

  static constexpr CellTraits kTraits{
      .gates = 1,
      .slots = kSlots,
      .slot_gate = {0},
      .saved = kSaved,
      .has_c = kHasC,
      .phases = 1,
      .forward = {{.first_gate = 0, .end_gate = 1, .first_slot = 0, .equations = forward_equations<Elman>}},
      .columns = {.count = kColumns, .products = kColumns, .first_x = 0, .hh_gate = {0}, .to_h = 1},
      .backward = backward_equations<Elman<phi, saves || from_argument(phi)>>};
};

template <Phi phi>
const CellTraits& elman_traits(const Shape& shape) {
  if (!shape.training) return Elman<phi, false, phi == Phi::tanh>::kTraits;
  // With zoneout, hidden is not phi's output.
  if constexpr (!from_argument(phi)) {
    if (!shape.zoneout) return Elman<phi, false>::kTraits;
  }
  return Elman<phi, true>::kTraits;
}

inline const CellTraits& elman_traits(const Shape& shape) {
  const CellTraits* traits = nullptr;
  with_phi(shape.phi, [&]<Phi phi>() { traits = &elman_traits<phi>(shape); });
  return *traits;
}

}  // namespace deeprnn::DEEPRNN_ISA
