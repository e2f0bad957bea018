// A step's pointwise part where no gradient will be asked for: sigmoid and tanh stay fractions until the state itself
// is divided out, which takes an LSTM two divisions for five and a GRU two for three.
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

struct LstmState {
  V c, h;
};

// c = sigmoid(f) before + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c)
DEEPRNN_INLINE LstmState lstm_state(V i, V f, V g, V o, V before) {
  const V under_f = exp_negative(f) + 1.0f;
  const Fraction squashed = tanh_fraction(g);
  const V under_ig = (exp_negative(i) + 1.0f) * squashed.under;
  const V c = fma(before, under_ig, squashed.over * under_f) / (under_f * under_ig);
  const Fraction of_c = tanh_fraction(c);
  return {c, of_c.over / ((exp_negative(o) + 1.0f) * of_c.under)};
}

// h = sigmoid(z) before + (1 - sigmoid(z)) tanh(x + sigmoid(r) recurrent)
DEEPRNN_INLINE V gru_state(V r, V z, V x, V recurrent, V before) {
  const Fraction n = tanh_fraction(x + recurrent / (exp_negative(r) + 1.0f));
  const V rest = exp_negative(z);  // (1 - sigmoid(z)) / sigmoid(z)
  return fma(before, n.under, n.over * rest) / ((rest + 1.0f) * n.under);
}

}  // namespace deeprnn::DEEPRNN_ISA
