// The weights as the kernels read them: panels of kPanel units, each K rows of kPanel floats, zero beyond the last
// unit.
#pragma once

#include "deeprnn.h"
#include "isa/tile.h"
#include "isa/unpacked.h"
#include "layer/share.h"
#include "layer/traits.h"

namespace deeprnn::DEEPRNN_ISA {

// Units come in groups of kPanel; a group's gates lie side by side, so that one tile has all that its units need.
struct Sizes {
  explicit Sizes(const Shape& shape)
      : T(shape.T), B(shape.B), I(shape.I), H(shape.H), G(traits_of(shape).gates), groups(ceil_div(shape.H, kPanel)) {}

  int64_t T, B, I, H, G, groups;

  int64_t units(int64_t group) const { return lesser(kPanel, H - group * kPanel); }
};

// out[k][j] = weight[j][k] for the `units` rows of a (.., K) matrix; zero for j beyond them.
inline void pack_transposed(const float* weight, int64_t units, int64_t K, float* out) {
  for (int64_t k0 = 0; k0 < K; k0 += 16) {
    const int64_t k1 = lesser(k0 + 16, K);
    for (int64_t j = 0; j < units; ++j) {
      for (int64_t k = k0; k < k1; ++k) out[k * kPanel + j] = weight[j * K + k];
    }
    for (int64_t k = k0; k < k1; ++k) {
      for (int64_t j = units; j < kPanel; ++j) out[k * kPanel + j] = 0.0f;
    }
  }
}

// out[k][j] = weight[k][j] for `columns` columns of a matrix whose rows lie `width` apart; zero for j beyond them.
inline void pack_straight(const float* weight, int64_t width, int64_t columns, int64_t K, float* out) {
  for (int64_t k = 0; k < K; ++k) {
    for (int64_t j = 0; j < kPanel; j += kLanes) {
      store(out + k * kPanel + j, columns > j ? load(weight + k * width + j, columns - j) : V{});
    }
  }
}

// Multiply-adds worth starting a second thread for, and worth a barrier (0.3 us).
constexpr int64_t kWorthStarting = 1 << 20, kWorthBarrier = 1 << 17;
// Weights worth a second thread to read them.
constexpr int64_t kWorthReading = 1 << 17;

// Whether a call reads its weights as they lie: of so few steps and rows that to pack them, or to prove that a kept
// copy is still theirs, takes longer.
inline bool reads_unpacked(const Shape& shape) { return !shape.training && shape.T * shape.B <= kFewSteps; }

// How many shares a pass has, and whether they split rows or units.
inline Split split_of(const Shape& shape) {
  const Sizes sizes(shape);
  const int64_t threads = greater(1, shape.threads);
  Split split{1, 1, sizes.B, sizes.groups};
  // Splitting rows costs one start for all steps, splitting units a barrier at every step.
  const int64_t step_products = sizes.B * sizes.H * sizes.H * sizes.G;
  if (threads > 1 && reads_unpacked(shape) && sizes.G * sizes.H * (sizes.H + sizes.I) >= kWorthReading) {
    split.by_groups = lesser(threads, sizes.groups);
    return split;
  }
  if (threads == 1 || step_products * sizes.T < kWorthStarting) return split;
  if (sizes.B >= 8 * threads || (sizes.B > 1 && step_products < kWorthBarrier) || sizes.groups < threads) {
    split.by_rows = lesser(threads, sizes.B);
  } else if (step_products >= kWorthBarrier) {
    split.by_groups = lesser(threads, sizes.groups);
  }
  return split;
}

// Whether a call is one row whose steps are too small to split, but so many that a second thread is worth starting for
// the products over whole blocks of steps (W_xh x; the gradients of x and of the weights), which it makes beside the
// recurrence.
inline bool long_row(const Shape& shape) {
  const Sizes sizes(shape);
  const int64_t step_products = sizes.H * sizes.H * sizes.G;
  return sizes.B == 1 && step_products < kWorthBarrier && step_products * sizes.T >= 2 * kWorthStarting;
}

// What the forward pass reads. The input's part of a unit comes in slots, in an order of the cell's own.
struct Packed {
  Packed(const Shape& shape, float* base) : sizes(shape), carver(base) {
    hh = carver.floats(sizes.groups * sizes.G * sizes.H * kPanel);
    xh = carver.floats(sizes.groups * sizes.G * sizes.I * kPanel);
    bias = carver.floats(sizes.groups * sizes.G * kPanel);
    bias_hn = carver.floats(sizes.groups * kPanel);
  }

  Sizes sizes;
  Carver carver;
  float* hh;       // [group][gate][H][kPanel]
  float* xh;       // [group][slot][I][kPanel]; with indices [I][group][slot][kPanel], bias included
  float* bias;     // [group][slot][kPanel]
  float* bias_hn;  // [group][kPanel]

  const float* hh_panel(int64_t group, int64_t gate) const { return hh + (group * sizes.G + gate) * sizes.H * kPanel; }
};

inline void pack_group(const Shape& shape, const Inputs& inputs, const Packed& packed, int64_t group) {
  const Sizes& z = packed.sizes;
  const CellTraits& cell = traits_of(shape);
  const int64_t units = z.units(group);
  for (int64_t slot = 0; slot < z.G; ++slot) {
    const int64_t row = group * kPanel + cell.slot_gate[slot] * z.H;
    float* bias = packed.bias + (group * z.G + slot) * kPanel;
    for (int64_t j = 0; j < kPanel; ++j) bias[j] = j < units && inputs.bias != nullptr ? inputs.bias[row + j] : 0.0f;
    const float* weight = inputs.weight_xh + row * z.I;
    if (!shape.indices) {
      pack_transposed(weight, units, z.I, packed.xh + (group * z.G + slot) * z.I * kPanel);
      continue;
    }
    float* out = packed.xh + (group * z.G + slot) * kPanel;
    for (int64_t i = 0; i < z.I; ++i) {
      float* to = out + i * z.groups * z.G * kPanel;
      for (int64_t j = 0; j < kPanel; ++j) to[j] = j < units ? weight[j * z.I + i] + bias[j] : 0.0f;
    }
  }
  for (int64_t gate = 0; gate < z.G; ++gate) {
    const float* weight = inputs.weight_hh + (gate * z.H + group * kPanel) * z.H;
    pack_transposed(weight, units, z.H, packed.hh + (group * z.G + gate) * z.H * kPanel);
  }
  for (int64_t j = 0; j < kPanel; ++j) {
    const bool given = j < units && inputs.bias_hn != nullptr;
    packed.bias_hn[group * kPanel + j] = given ? inputs.bias_hn[group * kPanel + j] : 0.0f;
  }
}

constexpr int64_t kWorthPacking = 1 << 18;  // floats worth a second thread: 1 MiB

inline void pack(const Shape& shape, const Inputs& inputs, float* base, const Parallel& parallel) {
  const Packed packed(shape, base);
  auto body = [&](Range groups) {
    for (int64_t g = groups.begin; g < groups.end; ++g) pack_group(shape, inputs, packed, g);
  };
  if (packed.carver.used() >= kWorthPacking) {
    run_shares(parallel, packed.sizes.groups, body);
  } else {
    body(Range{0, packed.sizes.groups});
  }
}

}  // namespace deeprnn::DEEPRNN_ISA
