// phi of a vector, and its derivative from its output or, where that does not tell, from its argument.
#pragma once

#include "deeprnn.h"
#include "isa/vector_math.h"

namespace deeprnn::DEEPRNN_ISA {

constexpr float kSeluScale = 1.05070098735548f;
constexpr float kSeluAlpha = 1.67326324235438f;

// Whether the derivative is a function of the argument, which training then has to keep.
// (elu and selu could do with their output, y + 1 below zero, but that has no digits left where y nears -1.)
constexpr bool from_argument(Phi phi) {
  return phi == Phi::elu || phi == Phi::selu || phi == Phi::gelu || phi == Phi::silu || phi == Phi::sin;
}

template <Phi phi>
DEEPRNN_INLINE V apply(V a) {
  if constexpr (phi == Phi::tanh) return tanh(a);
  if constexpr (phi == Phi::relu) return at_least(a, 0.0f);
  if constexpr (phi == Phi::sigmoid) return sigmoid(a);
  if constexpr (phi == Phi::identity) return a;
  if constexpr (phi == Phi::softplus) return softplus(a);
  if constexpr (phi == Phi::softsign) {
    const V y = a / (abs(a) + 1.0f);
    return select(abs(a) == HUGE_VALF, select(a > 0.0f, broadcast(1.0f), broadcast(-1.0f)), y);
  }
  if constexpr (phi == Phi::elu) return select(a > 0.0f, a, expm1(at_most(a, 0.0f)));
  if constexpr (phi == Phi::leaky_relu) return select(a > 0.0f, a, 0.01f * a);
  if constexpr (phi == Phi::hardtanh) return at_least(at_most(a, 1.0f), -1.0f);
  if constexpr (phi == Phi::hardsigmoid) return at_least(at_most(a + 3.0f, 6.0f), 0.0f) * (1.0f / 6.0f);
  if constexpr (phi == Phi::selu) {
    return kSeluScale * select(a > 0.0f, a, kSeluAlpha * expm1(at_most(a, 0.0f)));
  }
  if constexpr (phi == Phi::gelu) return select(a < -15.0f, V{}, a * normal_cdf(a));
  if constexpr (phi == Phi::silu) return silu(a);
  if constexpr (phi == Phi::sin) return sin_shifted(a, 0);
}

// phi'(a) from `kept`: the argument a where from_argument(phi), else the output phi(a).
template <Phi phi>
DEEPRNN_INLINE V derivative(V kept) {
  const V one = broadcast(1.0f), zero{};
  if constexpr (phi == Phi::tanh) return fma(-kept, kept, one);
  if constexpr (phi == Phi::relu) return select(kept > 0.0f, one, zero);
  if constexpr (phi == Phi::sigmoid) return fma(-kept, kept, kept);
  if constexpr (phi == Phi::identity) return one;
  if constexpr (phi == Phi::softplus) return -expm1(-kept);
  if constexpr (phi == Phi::softsign) {
    const V rest = 1.0f - abs(kept);
    return rest * rest;
  }
  if constexpr (phi == Phi::elu) return select(kept > 0.0f, one, exp(kept));
  if constexpr (phi == Phi::leaky_relu) return select(kept > 0.0f, one, broadcast(0.01f));
  if constexpr (phi == Phi::hardtanh) return select(abs(kept) < 1.0f, one, zero);
  if constexpr (phi == Phi::hardsigmoid) {
    return select((kept > 0.0f) & (kept < 1.0f), broadcast(1.0f / 6.0f), zero);
  }
  if constexpr (phi == Phi::selu) {
    return select(kept > 0.0f, broadcast(kSeluScale), kSeluScale * kSeluAlpha * exp(kept));
  }
  if constexpr (phi == Phi::gelu) {
    return normal_cdf(kept) + select(abs(kept) > 15.0f, zero, kept * normal_density(kept));
  }
  if constexpr (phi == Phi::silu) {
    const V s = sigmoid(kept);
    return select(abs(kept) > 120.0f, s, fma(kept * s, 1.0f - s, s));
  }
  if constexpr (phi == Phi::sin) return sin_shifted(kept, 1);
}

// Calls f with phi as a constant: f.template operator()<Phi::tanh>() and so on.
template <typename F>
DEEPRNN_INLINE void with_phi(Phi phi, F&& f) {
  switch (phi) {
    case Phi::tanh:
      return f.template operator()<Phi::tanh>();
    case Phi::relu:
      return f.template operator()<Phi::relu>();
    case Phi::sigmoid:
      return f.template operator()<Phi::sigmoid>();
    case Phi::identity:
      return f.template operator()<Phi::identity>();
    case Phi::softplus:
      return f.template operator()<Phi::softplus>();
    case Phi::softsign:
      return f.template operator()<Phi::softsign>();
    case Phi::elu:
      return f.template operator()<Phi::elu>();
    case Phi::leaky_relu:
      return f.template operator()<Phi::leaky_relu>();
    case Phi::hardtanh:
      return f.template operator()<Phi::hardtanh>();
    case Phi::hardsigmoid:
      return f.template operator()<Phi::hardsigmoid>();
    case Phi::selu:
      return f.template operator()<Phi::selu>();
    case Phi::gelu:
      return f.template operator()<Phi::gelu>();
    case Phi::silu:
      return f.template operator()<Phi::silu>();
    case Phi::sin:
      return f.template operator()<Phi::sin>();
  }
}

// The same by name at run time: a call and a switch for each vector.
inline __attribute__((noinline)) V apply_named(Phi which, V a) {
  V y{};
  with_phi(which, [&]<Phi phi>() { y = apply<phi>(a); });
  return y;
}

inline __attribute__((noinline)) V derivative_named(Phi which, V kept) {
  V y{};
  with_phi(which, [&]<Phi phi>() { y = derivative<phi>(kept); });
  return y;
}

// An activation as a cell's equations use it: its value, and its derivative from what training keeps.
template <Phi phi>
struct Fixed {
  static constexpr bool kNamed = false;

  explicit Fixed(Phi) {}

  DEEPRNN_INLINE V operator()(V a) const { return apply<phi>(a); }
  DEEPRNN_INLINE V keep(V a, V y) const { return from_argument(phi) ? a : y; }
  DEEPRNN_INLINE V value(V kept) const { return from_argument(phi) ? apply<phi>(kept) : kept; }
  DEEPRNN_INLINE V derivative(V kept) const { return deeprnn::DEEPRNN_ISA::derivative<phi>(kept); }
};

struct Named {
  static constexpr bool kNamed = true;

  explicit Named(Phi phi) : phi(phi) {}

  DEEPRNN_INLINE V operator()(V a) const { return apply_named(phi, a); }
  DEEPRNN_INLINE V keep(V a, V y) const { return from_argument(phi) ? a : y; }
  DEEPRNN_INLINE V value(V kept) const { return from_argument(phi) ? apply_named(phi, kept) : kept; }
  DEEPRNN_INLINE V derivative(V kept) const { return derivative_named(phi, kept); }

  Phi phi;
};

using Tanh = Fixed<Phi::tanh>;
using Sigmoid = Fixed<Phi::sigmoid>;

}  // namespace deeprnn::DEEPRNN_ISA
