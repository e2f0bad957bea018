// One step of the forward pass: W_hh h is added to what the input gave, then come the cell's equations.
#pragma once

#include "layer/sequence.h"

namespace deeprnn::DEEPRNN_ISA {

// What one share works on, and in.
struct ForwardShare {
  Range rows, groups;
  bool far, far_x;  // this share's part of W_hh leaves the second-level cache between steps; of W_xh, between blocks
  float* block;     // [group][step][row][slot][kPanel]
  float* x_copy;    // [step][row][I], where x's features are not contiguous
  const float** x_rows;  // [step][row]
  const float** before_h;
  const float** before_c;
  const float** read_h;  // what W_hh multiplies: before_h, or its masked copy
  const float** reset_h;
  bool* valid;
  const float** panels;  // of W_hh, [group][gate], and where each adds to the block: for a few rows
  float** parts;
};

// What a step reads and writes, and how; Forward lays it out and says when.
struct ForwardStep {
  ForwardStep(const Shape& shape, const Inputs& inputs, const float* packed, const Outputs& outputs, Carver& carver)
      : sequence(shape, inputs, outputs, carver),
        cell(sequence.cell),
        shape(shape),
        sizes(shape),
        packed(shape, const_cast<float*>(packed)),
        unpacked(reads_unpacked(shape)),
        slots(cell.slots) {}

  float* part(const ForwardShare& share, int64_t group, int64_t step) const {
    const int64_t at = (group - share.groups.begin) * block_steps + step;
    return share.block + at * share.rows.size() * slots * kPanel;
  }

  // Finds each row's state before the step, and masks this share's units of it.
  void start_step(const ForwardShare& share, int64_t i) {
    if (i > 0 && !shape.masked && sequence.inputs.lengths == nullptr && sequence.inputs.restarts == nullptr) {
      const float* h = sequence.hidden(i - 1, share.rows.begin);
      for (int64_t r = 0; r < share.rows.size(); ++r) share.before_h[r] = share.read_h[r] = h + r * sizes.H;
      if (!cell.has_c) return;
      const float* c = sequence.c(i - 1, share.rows.begin);
      for (int64_t r = 0; r < share.rows.size(); ++r) share.before_c[r] = c + r * sizes.H;
      return;
    }
    for (int64_t r = 0; r < share.rows.size(); ++r) {
      const int64_t b = share.rows.begin + r;
      share.before_h[r] = sequence.before_h(i, b);
      share.read_h[r] = shape.masked ? masked_h + b * sizes.H : share.before_h[r];
      share.valid[r] = sequence.valid(i, b);
      if (cell.has_c) share.before_c[r] = sequence.before_c(i, b);
      if (!shape.masked) continue;
      const int64_t u1 = lesser(share.groups.end * kPanel, sizes.H);
      for (int64_t u = share.groups.begin * kPanel; u < u1; u += kLanes) {
        const V h = load(share.before_h[r] + u, u1 - u) * load(sequence.mask + b * sizes.H + u, u1 - u);
        store(masked_h + b * sizes.H + u, h, u1 - u);
      }
    }
  }

  // A phase of the cell's step, for all of the share's units.
  void run(const ForwardPhase& phase, const ForwardShare& share, int64_t i, int64_t at) {
    const float* const* rows = share.read_h;
    if (&phase != cell.forward) {
      for (int64_t r = 0; r < share.rows.size(); ++r) {
        // A row beyond its length has no r * h; any readable row does.
        share.reset_h[r] = share.valid[r] ? reset_h + (share.rows.begin + r) * sizes.H : share.before_h[r];
      }
      rows = share.reset_h;
    }
    const int64_t stride = together(share);
    for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
      if ((g - share.groups.begin) % stride == 0) {
        recur(share, {g, g + stride}, at, rows, {phase.first_gate, phase.end_gate}, phase.first_slot);
      }
      phase.equations(*this, share, g, i, at);
    }
  }

  // How many of a group's panels are half empty.
  int64_t halves(int64_t group, int64_t panels) const { return half_panel(sizes.units(group)) ? panels : 0; }

  // Groups whose products are made at once: with a few rows, all.
  int64_t together(const ForwardShare& share) const { return share.rows.size() <= kFewRows ? share.groups.size() : 1; }

  // Adds W_hh h to the block's slots first_slot .. first_slot + gates - 1 of the groups.
  void recur(const ForwardShare& share, Range groups, int64_t step, const float* const* rows, Range gates,
             int64_t first_slot) {
    if (unpacked) return recur_unpacked(share, groups, step, rows, gates, first_slot);
    if (share.rows.size() > kFewRows) {
      float* at = part(share, groups.begin, step) + first_slot * kPanel;
      const float* panel = packed.hh_panel(groups.begin, gates.begin);
      const Panels panels{panel, sizes.H * kPanel, gates.size(), halves(groups.begin, gates.size()), share.far};
      return product(rows, share.rows.size(), sizes.H, panels, {at, slots * kPanel, kPanel},
                     {at, slots * kPanel, kPanel});
    }
    int64_t count = 0;
    for (int64_t g = groups.begin; g < groups.end; ++g) {
      float* at = part(share, g, step) + first_slot * kPanel;
      for (int64_t gate = gates.begin; gate < gates.end; ++gate, ++count, at += kPanel) {
        share.panels[count] = packed.hh_panel(g, gate);
        share.parts[count] = at;
      }
    }
    product(rows, share.rows.size(), sizes.H, {share.panels, share.parts, share.parts, slots * kPanel, count});
  }

  // The same from the weights as they lie.
  void recur_unpacked(const ForwardShare& share, Range groups, int64_t step, const float* const* rows, Range gates,
                      int64_t first_slot) {
    for (int64_t g = groups.begin; g < groups.end; ++g) {
      float* at = part(share, g, step) + first_slot * kPanel;
      for (int64_t gate = gates.begin; gate < gates.end; ++gate, at += kPanel) {
        const float* weight = sequence.inputs.weight_hh + (gate * sizes.H + g * kPanel) * sizes.H;
        const int64_t ahead = to_next_panel(gate, gates) * sizes.H;
        product_unpacked(rows, share.rows.size(), sizes.H, weight, sizes.units(g), ahead, at, slots * kPanel);
      }
    }
  }

  // Rows from a gate's panel of weights to the one that is read after it: the next gate's, or the next group's first.
  int64_t to_next_panel(int64_t gate, Range gates) const {
    return gate + 1 < gates.end ? sizes.H : kPanel - (gate - gates.begin) * sizes.H;
  }

  // Calls f(row, b, u, n, part) for every vector of a group: the part's slots hold units u .. u + n - 1.
  template <typename F>
  DEEPRNN_INLINE void each(const ForwardShare& share, int64_t group, int64_t step, int64_t i, F&& f) {
    float* at = part(share, group, step);
    const int64_t units = sizes.units(group);
    const bool all_valid = sequence.inputs.lengths == nullptr;
    for (int64_t r = 0; r < share.rows.size(); ++r, at += slots * kPanel) {
      const int64_t b = share.rows.begin + r;
      if (i + 1 < sizes.T) fetch(i + 1, b, group * kPanel);
      if (!all_valid && !share.valid[r]) {
        clear(i, b, group * kPanel, units);
        continue;
      }
      int64_t j = 0;
      for (; j + kLanes <= units; j += kLanes) f(r, b, group * kPanel + j, kLanes, at + j);
      if (j < units) f(r, b, group * kPanel + j, units - j, at + j);
    }
  }

  // Asks for the lines that the next step will write: a store that misses the caches holds up all that follow.
  DEEPRNN_INLINE void fetch(int64_t i, int64_t b, int64_t u) const {
    __builtin_prefetch(sequence.hidden(i, b) + u, 1);
    for (int64_t k = 0; k < sequence.saved.values; ++k) __builtin_prefetch(sequence.gates(i, b) + k * sizes.H + u, 1);
    if (sequence.saved.c != nullptr) __builtin_prefetch(sequence.c(i, b) + u, 1);
  }

  void clear(int64_t i, int64_t b, int64_t u, int64_t units) {
    float* cells = sequence.outputs.cells;
    for (int64_t j = 0; j < units; ++j) {
      sequence.hidden(i, b)[u + j] = 0.0f;
      if (cells != nullptr) cells[(sequence.time(i) * sizes.B + b) * sizes.H + u + j] = 0.0f;
    }
  }

  // h = after, or its mixture with the state before where zoneout is on.
  DEEPRNN_INLINE void keep_h(const ForwardShare& share, int64_t i, int64_t r, int64_t b, int64_t u, int64_t n,
                             V after) {
    if (shape.zoneout && sequence.inputs.keep_h.data != nullptr) {
      after = zone_out(sequence.inputs.keep_h, sequence.time(i), b, u, n, load(share.before_h[r] + u, n), after);
    }
    store(sequence.hidden(i, b) + u, after, n);
  }

  DEEPRNN_INLINE void keep_c(const ForwardShare& share, int64_t i, int64_t r, int64_t b, int64_t u, int64_t n, V c) {
    const Strided& keep = sequence.inputs.keep_c;
    if (shape.zoneout && keep.data != nullptr) {
      c = zone_out(keep, sequence.time(i), b, u, n, load(share.before_c[r] + u, n), c);
    }
    store(sequence.c(i, b) + u, c, n);
    if (sequence.outputs.cells == nullptr) return;
    store(sequence.outputs.cells + (sequence.time(i) * sizes.B + b) * sizes.H + u, c, n);
  }

  Sequence sequence;
  const CellTraits& cell;
  const Shape& shape;
  Sizes sizes;
  Packed packed;
  bool unpacked;  // the weights are read as they lie, and nothing is packed
  int64_t slots;
  int64_t block_steps = 1;
  float* masked_h = nullptr;
  float* reset_h = nullptr;  // [row][H] r * h, where the second phase multiplies that
};

}  // namespace deeprnn::DEEPRNN_ISA
