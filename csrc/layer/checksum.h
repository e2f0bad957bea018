// A number that stands for every value of a layer's weights, computed about as fast as they can be read: what tells
// whether a kept packed copy of them is still theirs.
//
// Each lane takes in its values by steps that can be undone, so that one changed value always changes the number;
// of changes to several values at once, one in 2^32 goes unseen.
#pragma once

#include "layer/packed.h"

namespace deeprnn::DEEPRNN_ISA {

typedef uint32_t VU __attribute__((vector_size(kLanes * 4)));

DEEPRNN_INLINE VU take_in(VU sum, VU value) {
  const VU mixed = sum ^ value;
  return ((mixed << 13) | (mixed >> 19)) * 0x9e3779b1u;
}

DEEPRNN_INLINE uint64_t take_in(uint64_t sum, uint64_t value) {
  const uint64_t mixed = (sum ^ value) * 0x9e3779b97f4a7c15u;
  return (mixed << 31) | (mixed >> 33);
}

constexpr int64_t kWorthASecondThread = 16;  // pieces: 1 MiB
constexpr int64_t kSummedAtOnce = 1 << 14;   // floats: the first-level cache holds them, and a thread is worth them

inline uint64_t checksum_of(const float* data, int64_t n) {
  constexpr int64_t kSums = 8, kStreams = 4;  // from memory, four streams arrive faster than one
  VU sums[kSums];
  for (int64_t j = 0; j < kSums; ++j) sums[j] = VU{} + static_cast<uint32_t>(j);
  constexpr int64_t kStep = kSums / kStreams * kLanes;
  const int64_t stream = n / (kStreams * kStep) * kStep;
  for (int64_t k = 0; k < stream; k += kStep) {
#pragma GCC unroll 8
    for (int64_t j = 0; j < kSums; ++j) {
      const float* from = data + j % kStreams * stream + k + j / kStreams * kLanes;
      sums[j] = take_in(sums[j], reinterpret_cast<VU>(load(from)));
    }
  }
  for (int64_t k = kStreams * stream; k < n; k += kLanes) {
    sums[0] = take_in(sums[0], reinterpret_cast<VU>(load(data + k, n - k)));
  }
  for (int64_t j = 1; j < kSums; ++j) sums[0] = take_in(sums[0], sums[j]);
  uint64_t sum = static_cast<uint64_t>(n);
  for (int64_t j = 0; j < kLanes; ++j) sum = take_in(sum, sums[0][j]);
  return sum;
}

// Of weight_xh, weight_hh and the biases; the same for every number of threads.
inline uint64_t checksum(const Shape& shape, const Inputs& inputs, const Parallel& parallel) {
  const Sizes sizes(shape);
  const int64_t rows = sizes.G * sizes.H;
  const float* arrays[] = {inputs.weight_xh, inputs.weight_hh, inputs.bias, inputs.bias_hn};
  const int64_t counts[] = {rows * sizes.I, rows * sizes.H, rows, sizes.H};
  int64_t pieces[4];
  int64_t total = 0;
  for (int a = 0; a < 4; ++a) total += pieces[a] = arrays[a] == nullptr ? 0 : ceil_div(counts[a], kSummedAtOnce);
  uint64_t sum = 0;
  auto body = [&](Range mine) {
    uint64_t own = 0;
    for (int64_t piece = mine.begin; piece < mine.end; ++piece) {
      int64_t a = 0, first = piece;
      while (first >= pieces[a]) first -= pieces[a++];
      const int64_t at = first * kSummedAtOnce;
      const uint64_t values = checksum_of(arrays[a] + at, lesser(kSummedAtOnce, counts[a] - at));
      own += take_in(values, static_cast<uint64_t>(piece));
    }
    __atomic_fetch_add(&sum, own, __ATOMIC_RELAXED);
  };
  if (total < kWorthASecondThread) {
    body(Range{0, total});
  } else {
    run_shares(parallel, total, body);
  }
  return sum;
}

}  // namespace deeprnn::DEEPRNN_ISA
