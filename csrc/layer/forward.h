// The forward pass: the input's part for a block of steps, then the recurrence over that block; of one long row the
// input's part of the next block beside it.
#pragma once

#include "layer/forward_step.h"

namespace deeprnn::DEEPRNN_ISA {

struct Forward : ForwardStep {
  Forward(const Shape& shape, const Inputs& inputs, const float* packed, const Outputs& outputs, Split split,
          Carver carver)
      : ForwardStep(shape, inputs, packed, outputs, carver),
        split(split),
        overlaps(split.shares() == 1 && shape.threads > 1 && !shape.indices && long_row(shape) &&
                 sizes.T * sizes.G * sizes.H * sizes.I >= kWorthStarting) {
    const int64_t most_rows = ceil_div(sizes.B, split.by_rows), most_groups = ceil_div(sizes.groups, split.by_groups);
    const int64_t step_floats = most_rows * most_groups * slots * kPanel;
    const bool far_x = most_groups * sizes.G * sizes.I * kPanel > kNearFloats;
    const int64_t least_rows = far_x ? kFarBlockRows : kBlockRows;
    block_steps = lesser(sizes.T, greater(kBlockFloats / step_floats, ceil_div(least_rows, most_rows)));
    // The first block has no recurrence to be made beside.
    if (overlaps) block_steps = lesser(block_steps, greater(kBlockRows, sizes.T / 16));
    overlaps = overlaps && block_steps < sizes.T;
    masked_h = carver.floats(shape.masked ? sizes.B * sizes.H : 0);
    reset_h = carver.floats(cell.resets_before() ? sizes.B * sizes.H : 0);
    shares = carver.many<ForwardShare>(split.shares());
    const bool copies_x = !shape.indices && inputs.x.f != 1;
    for (int64_t s = 0; s < split.shares(); ++s) {
      ForwardShare share;
      share.rows = split.rows_of(s);
      share.groups = split.groups_of(s);
      share.far = share.groups.size() * sizes.G * sizes.H * kPanel > kNearFloats;
      share.far_x = share.groups.size() * sizes.G * sizes.I * kPanel > kNearFloats;
      const int64_t rows = share.rows.size();
      share.block = carver.floats(block_steps * rows * share.groups.size() * slots * kPanel);
      share.x_copy = carver.floats(copies_x ? block_steps * rows * sizes.I : 0);
      share.x_rows = carver.many<const float*>(block_steps * rows);
      share.before_h = carver.many<const float*>(rows);
      share.before_c = carver.many<const float*>(rows);
      share.read_h = carver.many<const float*>(rows);
      share.reset_h = carver.many<const float*>(rows);
      share.valid = carver.many<bool>(rows);
      share.panels = carver.many<const float*>(rows <= kFewRows ? share.groups.size() * sizes.G : 0);
      share.parts = carver.many<float*>(rows <= kFewRows ? share.groups.size() * sizes.G : 0);
      if (shares != nullptr) shares[s] = share;
    }
    if (overlaps) {
      next = carver.many<ForwardShare>(1);
      float* block = carver.floats(block_steps * step_floats);
      float* x_copy = carver.floats(copies_x ? block_steps * sizes.I : 0);
      const float** x_rows = carver.many<const float*>(block_steps);
      if (next != nullptr) {
        *next = shares[0];
        next->block = block;
        next->x_copy = x_copy;
        next->x_rows = x_rows;
      }
    }
    scratch_floats = carver.used();
  }

  // Floats of the input's part that should stay in the second-level cache.
  static constexpr int64_t kBlockFloats = 32768;
  // Rows below which a block would read W_xh more often than its products take.
  static constexpr int64_t kBlockRows = 48;
  // The same where W_xh comes from beyond the second-level cache: the block may then lie there too.
  static constexpr int64_t kFarBlockRows = 192;

  bool run_all(const Parallel& parallel) {
    sequence.open();
    Barrier barrier(parties());
    auto body = [&](Range mine) { overlaps ? run_overlapped(mine, barrier) : run_range(mine, barrier); };
    const bool prompt = run_shares(parallel, parties(), body);
    finish();
    return prompt;
  }

  int64_t scratch_floats = 0;

 private:
  // Who works on a call at once: the shares, or two that overlap.
  int64_t parties() const { return overlaps ? 2 : split.shares(); }

  void run_range(Range mine, Barrier& barrier) {
    const auto wait = [&] {
      if (split.by_groups > 1) barrier.arrive(mine.size());
    };
    for (int64_t i0 = 0; i0 < sizes.T; i0 += block_steps) {
      const Range steps = block_from(i0);
      for (int64_t s = mine.begin; s < mine.end; ++s) project(shares[s], steps);
      for (int64_t i = i0; i < steps.end; ++i) {
        for (int64_t s = mine.begin; s < mine.end; ++s) start_step(shares[s], i);
        if (shape.masked) wait();
        for (int64_t p = 0; p < cell.phases; ++p) {
          for (int64_t s = mine.begin; s < mine.end; ++s) run(cell.forward[p], shares[s], i, i - i0);
          wait();
        }
      }
    }
  }

  Range block_from(int64_t i0) const { return {i0, lesser(i0 + block_steps, sizes.T)}; }

  // Party 0 runs the recurrence over a block while party 1 makes the input's part of the next one.
  void run_overlapped(Range mine, Barrier& barrier) {
    const bool recurs = mine.begin == 0, projects = mine.end == 2;
    const ForwardShare* now = &shares[0];
    const ForwardShare* later = next;
    if (projects) project(*now, block_from(0));
    barrier.arrive(mine.size());
    for (int64_t i0 = 0; i0 < sizes.T; i0 += block_steps) {
      const Range steps = block_from(i0);
      if (projects && steps.end < sizes.T) project(*later, block_from(steps.end));
      for (int64_t i = i0; recurs && i < steps.end; ++i) {
        start_step(*now, i);
        for (int64_t p = 0; p < cell.phases; ++p) run(cell.forward[p], *now, i, i - i0);
      }
      barrier.arrive(mine.size());
      const ForwardShare* done = now;
      now = later;
      later = done;
    }
  }

  // block = W_xh x + b for all rows of the steps.
  void project(const ForwardShare& share, Range steps) {
    const int64_t count = steps.size() * share.rows.size();
    if (shape.indices) {
      if (!unpacked) gather(share, steps);
    } else {
      int64_t r = 0;
      for (int64_t i = steps.begin; i < steps.end; ++i) {
        for (int64_t b = share.rows.begin; b < share.rows.end; ++b, ++r) share.x_rows[r] = x_row(share, i, b, r);
      }
    }
    if (unpacked) return project_unpacked(share, steps);
    for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
      float* out = part(share, g, 0);
      if (!shape.indices) {
        // A few rows add to whole panels later.
        const int64_t empty = share.rows.size() > kFewRows ? halves(g, sizes.G) : 0;
        const Panels panels{packed.xh + g * sizes.G * sizes.I * kPanel, sizes.I * kPanel, sizes.G, empty, share.far_x};
        const Source bias{packed.bias + g * sizes.G * kPanel, 0, kPanel};
        product(share.x_rows, count, sizes.I, panels, bias, {out, slots * kPanel, kPanel});
      }
      if (slots == sizes.G) continue;
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t j = 0; j < kPanel; j += kLanes) {
          store(out + (r * slots + sizes.G) * kPanel + j, load(packed.bias_hn + g * kPanel + j));
        }
      }
    }
  }

  // The same from the weights as they lie.
  void project_unpacked(const ForwardShare& share, Range steps) {
    const Inputs& in = sequence.inputs;
    const int64_t count = steps.size() * share.rows.size();
    for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
      const int64_t units = sizes.units(g);
      float* out = part(share, g, 0);
      for (int64_t slot = 0; slot < slots; ++slot, out += kPanel) {
        const int64_t gate = cell.slot_gate[slot];
        const float* bias = gate == kNone ? in.bias_hn : in.bias == nullptr ? nullptr : in.bias + gate * sizes.H;
        for (int64_t j = 0; j < units; j += kLanes) {
          const V start = bias == nullptr ? V{} : load(bias + g * kPanel + j, units - j);
          for (int64_t r = 0; r < count; ++r) store(out + r * slots * kPanel + j, start);
        }
        if (gate == kNone) continue;
        const float* weight = in.weight_xh + (gate * sizes.H + g * kPanel) * sizes.I;
        if (!shape.indices) {
          product_unpacked(share.x_rows, count, sizes.I, weight, units, to_next_xh(slot) * sizes.I, out,
                           slots * kPanel);
          continue;
        }
        for (int64_t i = steps.begin, r = 0; i < steps.end; ++i) {
          for (int64_t b = share.rows.begin; b < share.rows.end; ++b, ++r) {
            const float* column = weight + sequence.index(i, b);
            float* to = out + r * slots * kPanel;
            for (int64_t j = 0; j < units; ++j) to[j] = column[j * sizes.I] + to[j];
          }
        }
      }
    }
  }

  // As `to_next_panel`, of W_xh, whose gates come in the order of the slots.
  int64_t to_next_xh(int64_t slot) const {
    const int64_t gate = cell.slot_gate[slot];
    if (slot + 1 < sizes.G) return (cell.slot_gate[slot + 1] - gate) * sizes.H;
    return kPanel + (cell.slot_gate[0] - gate) * sizes.H;
  }

  const float* x_row(const ForwardShare& share, int64_t i, int64_t b, int64_t r) const {
    const Strided& x = sequence.inputs.x;
    const float* row = x.data + sequence.time(i) * x.t + b * x.b;
    if (x.f == 1) return row;
    float* copy = share.x_copy + r * sizes.I;
    for (int64_t f = 0; f < sizes.I; ++f) copy[f] = row[f * x.f];
    return copy;
  }

  void gather(const ForwardShare& share, Range steps) {
    const int64_t width = sizes.G * kPanel;
    for (int64_t i = steps.begin; i < steps.end; ++i) {
      for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
        float* out = part(share, g, i - steps.begin);
        for (int64_t b = share.rows.begin; b < share.rows.end; ++b, out += slots * kPanel) {
          const float* from = packed.xh + (sequence.index(i, b) * sizes.groups + g) * width;
          for (int64_t j = 0; j < width; j += kLanes) store(out + j, load(from + j));
        }
      }
    }
  }

  // The state after each row's last valid step.
  void finish() {
    const int64_t H = sizes.H;
    for (int64_t b = 0; b < sizes.B; ++b) {
      int64_t last = sizes.T - 1;
      const int64_t* lengths = sequence.inputs.lengths;
      if (lengths != nullptr) last = lengths[b] == 0 ? -1 : sequence.inputs.reverse ? sizes.T - 1 : lengths[b] - 1;
      const float* h = last < 0 ? sequence.h0 + b * H : sequence.hidden(last, b);
      for (int64_t u = 0; u < H; ++u) sequence.outputs.last_h[b * H + u] = h[u];
      if (!cell.has_c) continue;
      const float* c = last < 0 ? sequence.c0 + b * H : sequence.c(last, b);
      for (int64_t u = 0; u < H; ++u) sequence.outputs.last_c[b * H + u] = c[u];
    }
  }

  Split split;
  bool overlaps;  // see `long_row`
  ForwardShare* shares = nullptr;
  ForwardShare* next = nullptr;  // shares[0] with another block, where they overlap
};

inline int64_t forward_scratch_floats(const Shape& shape, const Inputs& inputs) {
  return Forward(shape, inputs, nullptr, Outputs{}, split_of(shape), Carver(nullptr)).scratch_floats;
}

inline bool forward(const Shape& shape, const Inputs& inputs, const float* packed, const Outputs& outputs,
                    float* scratch, const Parallel& parallel) {
  return Forward(shape, inputs, packed, outputs, split_of(shape), Carver(scratch)).run_all(parallel);
}

}  // namespace deeprnn::DEEPRNN_ISA
