// The two loops of the probe: multiply-adds without memory, and reads without arithmetic to speak of.
#pragma once

#include "isa/vec.h"

namespace deeprnn::DEEPRNN_ISA {

inline double multiply_adds(int64_t rounds) {
  constexpr int kChains = 12;
  V sum[kChains];
  for (int j = 0; j < kChains; ++j) sum[j] = broadcast(static_cast<float>(j));
  V x = broadcast(0.5f), y = broadcast(1.0f);
  for (int64_t r = 0; r < rounds; ++r) {
    asm volatile("" : "+m"(x), "+m"(y));
    const V a = x, b = y;
    for (int k = 0; k < 64; ++k) {
#pragma GCC unroll 16
      for (int j = 0; j < kChains; ++j) sum[j] = fma(sum[j], a, b);
    }
  }
  for (int j = 0; j < kChains; ++j) asm volatile("" : : "m"(sum[j]));
  return 2.0 * kChains * 64 * kLanes * static_cast<double>(rounds);
}

inline float read_all(const float* data, int64_t n, int64_t rounds) {
  V sum[8] = {};
  for (int64_t r = 0; r < rounds; ++r) {
    asm volatile("" : : : "memory");
    for (int64_t k = 0; k + 8 * kLanes <= n; k += 8 * kLanes) {
#pragma GCC unroll 8
      for (int j = 0; j < 8; ++j) sum[j] = floats(bits(sum[j]) | bits(load(data + k + j * kLanes)));
    }
  }
  for (int j = 1; j < 8; ++j) sum[0] = sum[0] + sum[j];
  float total = 0.0f;
  for (int64_t j = 0; j < kLanes; ++j) total += sum[0][j];
  return total;
}

}  // namespace deeprnn::DEEPRNN_ISA
