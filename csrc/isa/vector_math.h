// exp, expm1, tanh, sigmoid, log1p, softplus, the normal distribution function and sin of a vector.
//
// The polynomials are minimax fits made for this file. NaN gives NaN, infinities give their limits, subnormal results
// are as good as others. Largest errors in units in the last place against the C library in double, with fused
// multiply-adds and without (baseline); of the first four with fused ones over all 2^32 floats (`make accuracy`), else
// over every 251st and 1021st:
//   exp 1.06, 0.97; log1p 0.83, 0.77; tanh 2.57, 2.5; sigmoid 2.48, 2.1; softplus 2.7, 2.5; elu 0.9, 1.1;
//   sin 5.8, 2.9; silu 2.2, below 2^-126 within 12 of the smallest float; x normal_cdf(x) 13.4, 63 (at -13 and -12,
//   where it is 1e-37 and 1e-31).
#pragma once

#include <math.h>

#include "isa/vec.h"

namespace deeprnn::DEEPRNN_ISA {

// x = n ln 2 + r with |r| <= ln 2 / 2; n is kept both as a float and as the integer that it is.
struct Reduced {
  V n, r;
  VI integer;
};

DEEPRNN_INLINE Reduced reduce(V x) {
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer and leaves that in the low bits
  const V shifted = fma(x, 1.44269504f, magic);
  const V n = shifted - magic;
  const V r = fma(n, 2.12194440e-4f, fma(n, -0.693359375f, x));
  return {n, r, bits(shifted) - 0x4b400000};
}

// expm1(r) for |r| <= ln 2 / 2
DEEPRNN_INLINE V expm1_reduced(V r) {
  V q = fma(r, 1.3882393e-03f, 8.367181e-03f);
  q = fma(q, r, 4.1667223e-02f);
  q = fma(q, r, 1.6666539e-01f);
  q = fma(q, r, 4.9999997e-01f);
  return fma(r * r, q, r);
}

DEEPRNN_INLINE V power_of_two(VI n) { return floats((n + 127) << 23); }

DEEPRNN_INLINE V exp(V x) {
  const V clamped = at_least(at_most(x, 89.0f), -104.5f);
  const Reduced reduced = reduce(clamped);
  const V p = expm1_reduced(reduced.r) + 1.0f;
  const VI half = reduced.integer >> 1;  // two steps, so that neither overflows and subnormals come out right
  return p * power_of_two(half) * power_of_two(reduced.integer - half);
}

// exp(x) for -87 <= x <= 88, and NaN; anything else must not come here.
DEEPRNN_INLINE V exp_within(V x) {
  const Reduced reduced = reduce(x);
  const V scale = power_of_two(reduced.integer);
  return fma(expm1_reduced(reduced.r), scale, scale);
}

// expm1(x) for x <= 88; below -18 it is -1.
DEEPRNN_INLINE V expm1(V x) {
  const Reduced reduced = reduce(at_least(x, -18.0f));
  const V scale = power_of_two(reduced.integer);
  return fma(expm1_reduced(reduced.r), scale, scale - 1.0f);
}

DEEPRNN_INLINE V tanh(V x) {
  const V size = at_most(abs(x), 9.1f);
  const Reduced reduced = reduce(size + size);
  const V scale = power_of_two(reduced.integer);
  const V p = expm1_reduced(reduced.r);
  const V t = fma(p, scale, scale - 1.0f);  // expm1(2 |x|)
  // t / (t + 2) rounds three times; where it nears 1, and 1 - tanh(x)^2 is a small difference, 1 - 2 / (t + 2) is
  // exact.
  const auto near_one = t > 2.0f;
  const V quotient = select(near_one, broadcast(2.0f), t) / (t + 2.0f);
  const V y = select(near_one, 1.0f - quotient, quotient);
  return floats(bits(y) | (bits(x) & static_cast<int32_t>(0x80000000)));
}

// 2^-24 (1 + exp(-x)), so that it stays finite until the sigmoid of x is zero
DEEPRNN_INLINE V sigmoid_divisor(V x) {
  const V clamped = at_least(at_most(x, 40.0f), -105.0f);
  const Reduced reduced = reduce(-clamped);
  const V scale = power_of_two(reduced.integer - 24);
  return fma(expm1_reduced(reduced.r), scale, scale) + 0x1p-24f;
}

DEEPRNN_INLINE V sigmoid(V x) { return 0x1p-24f / sigmoid_divisor(x); }

// x sigmoid(x), in an order that no subnormal sigmoid comes in between
DEEPRNN_INLINE V silu(V x) {
  const V y = x / sigmoid_divisor(x) * 0x1p-24f;
  return select(x > 40.0f, x, select(x < -106.0f, V{}, y));
}

DEEPRNN_INLINE V log1p(V x) {
  // 1 + x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) = 2 atanh(f / (2 + f)).
  const V u = x + 1.0f;
  VI k = (bits(u) - 0x3f3504f3) >> 23;
  const V lost = select(x < 1.0f, x - (u - 1.0f), 1.0f - (u - x));  // what the rounding of u dropped
  const V whole = floats(bits(u) - (k << 23));
  const V n = __builtin_convertvector(k, V);
  const V f0 = whole - 1.0f;
  const V f = select(k == 0, x, f0);
  const V s = f / (f + 2.0f);
  const V z = s * s;
  V p = fma(z, 1.1794996e-01f, 1.426846e-01f);
  p = fma(p, z, 2.000017e-01f);
  p = fma(p, z, 3.333333e-01f);
  const V half_square = 0.5f * f * f;
  // log(1 + f) = f - f^2/2 + s (f^2/2 + 2 z p ...)
  const V tail = s * fma(2.0f * z, p, half_square);
  const V correction = select(k == 0, V{}, lost / u);
  V result = fma(n, 0.693359375f, f - (half_square - (tail + fma(n, -2.12194440e-4f, correction))));
  result = select(abs(x) < 0x1p-25f, x, result);
  result = select(x == -1.0f, broadcast(-HUGE_VALF), result);
  result = select(x < -1.0f, broadcast(__builtin_nanf("")), result);
  return select((x == HUGE_VALF) | (x != x), x, result);
}

// log1p(e) for 0 <= e <= 1
DEEPRNN_INLINE V log1p_unit(V e) {
  const V s = e / (e + 2.0f);
  const V z = s * s;
  V p = fma(z, 1.21504694e-01f, 1.0713828e-01f);
  p = fma(p, z, 1.4308442e-01f);
  p = fma(p, z, 1.9999439e-01f);
  p = fma(p, z, 3.3333337e-01f);
  const V twice = s + s;
  return fma(twice * z, p, twice);
}

DEEPRNN_INLINE V softplus(V x) {
  const V e = exp(-abs(x));
  const V positive = select(x < 0.0f, V{}, x);  // keeps NaN
  return positive + log1p_unit(e);
}

// P(N(0, 1) <= x)
DEEPRNN_INLINE V normal_cdf(V x) {
  const V z = 0.5f * x * x;
  // |x| <= 1: 1/2 + erf(x / sqrt 2) / 2
  V e = fma(z, -9.641509e-06f, 1.12569454e-04f);
  e = fma(e, z, -8.482828e-04f);
  e = fma(e, z, 5.2209455e-03f);
  e = fma(e, z, -2.68654e-02f);
  e = fma(e, z, 1.1283782e-01f);
  e = fma(e, z, -3.7612638e-01f);
  e = fma(e, z, 1.1283792e+00f);
  const V near = fma(x * 0.35355339f, e, 0.5f);
  // beyond: exp(-x^2 / 2) times a polynomial in 1 / (1 + |x| / 4)
  const V a = at_most(abs(x), 15.0f);
  const V t = 1.0f / fma(a, 0.25f, 1.0f);
  V q = fma(t, 2.5106724e-02f, -1.0431135e-01f);
  q = fma(q, t, 1.3941571e-01f);
  q = fma(q, t, -7.7048376e-02f);
  q = fma(q, t, 9.197175e-02f);
  q = fma(q, t, 4.815523e-02f);
  q = fma(q, t, 8.404231e-02f);
  q = fma(q, t, 9.3194194e-02f);
  q = fma(q, t, 9.97376e-02f);
  q = fma(q, t, 9.973834e-02f);
  q = fma(q, t, -1.9494054e-07f);
  const V square = a * a;
  const V rest = fma(a, a, -square);
  const V tail = exp(-0.5f * square) * q * fma(rest, -0.5f, 1.0f);
  const V far = select(x < 0.0f, tail, 1.0f - tail);
  return select(a <= 1.0f, near, select(x != x, x, far));
}

// The normal density, exp(-x^2 / 2) / sqrt(2 pi)
DEEPRNN_INLINE V normal_density(V x) { return 0.39894228f * exp(-0.5f * x * x); }

// sin(x + quarters * pi / 2)
DEEPRNN_INLINE V sin_shifted(V x, int quarters) {
  const float magic = 12582912.0f;
  const V shifted = fma(x, 0.636619772f, magic);
  const V n = shifted - magic;
  V r = fma(n, -1.5703125f, x);
  r = fma(n, -4.837512969970703125e-4f, r);
  r = fma(n, -7.549789948768648e-8f, r);
  const VI quadrant = bits(shifted) + quarters;
  const V z = r * r;
  V s = fma(z, 2.5977472e-06f, -1.9806073e-04f);
  s = fma(s, z, 8.33302e-03f);
  s = fma(s, z, -1.6666658e-01f);
  s = fma(s * z, r, r);
  V c = fma(z, 2.443315711809948e-5f, -1.388731625493765e-3f);
  c = fma(c, z, 4.166664568298827e-2f);
  c = fma(c * z, z, fma(z, -0.5f, 1.0f));
  V result = select((quadrant & 1) == 0, s, c);
  result = floats(bits(result) ^ ((quadrant & 2) << 30));
  for (int64_t j = 0; j < kLanes; ++j) {
    if (!(__builtin_fabsf(x[j]) < 8192.0f)) {  // the reduction above no longer holds
      result[j] =
          static_cast<float>(quarters == 0 ? ::sin(static_cast<double>(x[j])) : ::cos(static_cast<double>(x[j])));
    }
  }
  return result;
}

}  // namespace deeprnn::DEEPRNN_ISA
