// sigmoid and tanh as fractions, for equations that divide once at their end: where no gradient will be asked for, it
// takes an LSTM two divisions for five and a GRU two for three.
//
// These fractions round a few times more than `sigmoid` and `tanh` do, and near 1 leave no digits for 1 - tanh(x)^2,
// which the backward pass needs. A sigmoid stays 1e-13 away from 0, and so does a GRU's 1 - z.
#pragma once

#include "isa/phi.h"

namespace deeprnn::DEEPRNN_ISA {

struct Fraction {
  V over, under;
};

// x scale = n + f with |f| <= 1/2, and 2^n.
struct PowerOfTwo {
  V f, whole;
};

DEEPRNN_INLINE PowerOfTwo split_power(V x, float scale) {
  const float magic = 12582912.0f;  // as in `reduce`
  const V shifted = fma(x, scale, magic);
  const V n = shifted - magic;
  return {fma(x, scale, -n), floats((bits(shifted) << 23) + 0x3f800000)};
}

// tanh(x) = over / under
DEEPRNN_INLINE Fraction tanh_fraction(V x) {
  const PowerOfTwo two = split_power(at_least(at_most(x, 9.1f), -9.1f), 2.88539008f);
  V q = fma(two.f, 1.5403512e-04f, 1.3390735e-03f);  // (2^f - 1) / f
  q = fma(q, two.f, 9.6182376e-03f);
  q = fma(q, two.f, 5.5503573e-02f);
  q = fma(q, two.f, 2.4022649e-01f);
  q = fma(q, two.f, 6.9314718e-01f);
  const V over = fma(two.f * q, two.whole, two.whole - 1.0f);  // expm1(2x)
  return {over, over + 2.0f};
}

// phi(x), for those phis that have a shorter way
template <Phi phi>
DEEPRNN_INLINE V apply_in_inference(V x) {
  if constexpr (phi != Phi::tanh) return apply<phi>(x);
  const Fraction y = tanh_fraction(x);
  return y.over / y.under;
}

// exp(-x), |x| taken for at most 30
DEEPRNN_INLINE V exp_negative(V x) {
  const PowerOfTwo two = split_power(at_least(at_most(x, 30.0f), -30.0f), -1.44269504f);
  V q = fma(two.f, 1.3276472e-03f, 9.6755419e-03f);  // 2^f
  q = fma(q, two.f, 5.5507131e-02f);
  q = fma(q, two.f, 2.4022120e-01f);
  q = fma(q, two.f, 6.9314694e-01f);
  q = fma(q, two.f, 1.0f);
  return q * two.whole;
}

}  // namespace deeprnn::DEEPRNN_ISA
