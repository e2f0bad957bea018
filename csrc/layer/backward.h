// The backward pass: from the last step to the first, in chunks of steps; after each chunk, or of one long row beside
// the next one, the products over all of its rows that give the gradients of x and of the weights.
#pragma once

#include "layer/backward_step.h"
#include "layer/weight_gradient.h"

namespace deeprnn::DEEPRNN_ISA {

struct Backward : BackwardStep {
  Backward(const Shape& shape, const Inputs& inputs, const Outputs& outputs, const Gradients& gradients, Split split,
           Carver carver)
      : BackwardStep(shape, inputs, outputs, gradients, carver),
        split(split),
        overlaps(split.shares() == 1 && shape.threads > 1 && long_row(shape)) {
    const int64_t H = sizes.H, B = sizes.B;
    // Whatever the threads are: sums run over a chunk.
    chunk_steps = lesser(sizes.T, long_row(shape) ? kShortChunkRows : ceil_div(kChunkRows, B));
    overlaps = overlaps && chunk_steps < sizes.T;
    const int64_t chunks = overlaps ? 2 : 1;
    const int64_t width = cell.columns.count * H;
    // Rows that lie a multiple of 4096 bytes apart would share one cache set.
    row_floats = ceil_div(width, 16) * 16 + (width % 256 == 0 ? 16 : 0);
    chunk = carver.floats(chunks * chunk_steps * B * row_floats);
    reset_h = carver.floats(cell.resets_before() ? chunks * chunk_steps * B * H : 0);
    hh_K = cell.columns.to_h * H;
    hh = carver.floats(sizes.groups * hh_K * kPanel);
    hn = carver.floats(cell.resets_before() ? sizes.groups * H * kPanel : 0);
    x_groups = ceil_div(sizes.I, kPanel);
    xh = carver.floats(gradients.x != nullptr ? x_groups * sizes.G * H * kPanel : 0);
    state_h = carver.floats(sizes.groups * B * kPanel);
    state_c = carver.floats(cell.has_c ? sizes.groups * B * kPanel : 0);
    shares = carver.many<BackwardShare>(parties());
    for (int64_t s = 0; s < parties(); ++s) {
      BackwardShare share;
      share.rows = split.rows_of(overlaps ? 0 : s);
      share.groups = split.groups_of(overlaps ? 0 : s);
      share.far = share.groups.size() * hh_K * kPanel > kNearFloats;
      share.product = carver.floats(greater(chunk_steps * B, share.rows.size()) * kPanel);
      share.panels = carver.many<const float*>(share.groups.size());
      share.parts = carver.many<float*>(share.groups.size());
      share.gradient_rows = carver.many<const float*>(chunk_steps * B);
      if (shares != nullptr) shares[s] = share;
    }
    weights = WeightGradient(shape, inputs, gradients, sequence, chunk_steps * B, split.shares(), carver);
    scratch_floats = carver.used();
  }

  static constexpr int64_t kChunkRows = 512, kShortChunkRows = 128;

  bool run(const Parallel& parallel) {
    sequence.open();
    Barrier barrier(parties());
    auto body = [&](Range mine) { overlaps ? run_overlapped(mine, barrier) : run_range(mine, barrier); };
    return run_shares(parallel, parties(), body);
  }

  int64_t scratch_floats = 0;

 private:
  // Who works on a call at once: the shares, or two that overlap.
  int64_t parties() const { return overlaps ? 2 : split.shares(); }

  template <typename F>
  void all(Range mine, F&& f) {
    for (int64_t s = mine.begin; s < mine.end; ++s) f(shares[s], s);
  }

  void run_range(Range mine, Barrier& barrier) {
    const auto wait_all = [&] { barrier.arrive(mine.size()); };
    const auto wait = [&] {
      if (split.by_groups > 1) wait_all();
    };
    all(mine, [&](BackwardShare& share, int64_t s) {
      pack_share(s);
      open_share(share);
      weights.open(s);
    });
    wait_all();
    for (int64_t i1 = sizes.T; i1 > 0; i1 -= lesser(i1, chunk_steps)) {
      const Range steps{greater(0, i1 - chunk_steps), i1};
      for (int64_t i = steps.end - 1; i >= steps.begin; --i) {
        const int64_t at = i - steps.begin;
        all(mine, [&](BackwardShare& share, int64_t) { cell.backward(*this, share, i, at); });
        wait();
        if (cell.resets_before()) {
          all(mine, [&](BackwardShare& share, int64_t) { cell.through_reset(*this, share, i, at); });
          wait();
        }
        all(mine, [&](BackwardShare& share, int64_t) { to_state_before(share, i, at); });
      }
      wait_all();
      const int64_t rows = steps.size() * sizes.B;
      all(mine, [&](BackwardShare& share, int64_t s) {
        if (gradients.x != nullptr) x_gradient(share, part(rows, s, split.shares()), steps, chunk);
        weights.pack(s, steps, chunk, row_floats, reset_h);
      });
      wait_all();
      all(mine, [&](BackwardShare&, int64_t s) { weights.add(s, steps, chunk, row_floats); });
      wait_all();
    }
    all(mine, [&](BackwardShare& share, int64_t s) {
      close_share(share);
      weights.close(s);
    });
  }

  // Party 0 runs the recurrence over a chunk while party 1 makes the products over the chunk before. `at` counts on
  // from the first chunk's rows to the second's.
  void run_overlapped(Range mine, Barrier& barrier) {
    const bool recurs = mine.begin == 0, multiplies = mine.end == 2;
    if (recurs) {
      pack_share(0);
      open_share(shares[0]);
      weights.open(0);
    }
    barrier.arrive(mine.size());
    Range before{0, 0};
    int64_t first = 0;
    for (int64_t i1 = sizes.T; i1 > 0 || before.size() > 0;) {
      const Range steps{greater(0, i1 - chunk_steps), i1};
      for (int64_t i = steps.end - 1; recurs && i >= steps.begin; --i) {
        const int64_t at = first + i - steps.begin;
        cell.backward(*this, shares[0], i, at);
        if (cell.resets_before()) cell.through_reset(*this, shares[0], i, at);
        to_state_before(shares[0], i, at);
      }
      if (multiplies && before.size() > 0) products(before, chunk_steps - first);
      barrier.arrive(mine.size());
      before = steps;
      first = chunk_steps - first;
      i1 = steps.begin;
    }
    if (recurs) {
      close_share(shares[0]);
      weights.close(0);
    }
  }

  // What the chunk whose rows begin at step `first` of the buffer gives to the gradients of x and of the weights.
  void products(Range steps, int64_t first) {
    const float* rows = chunk + first * sizes.B * row_floats;
    if (gradients.x != nullptr) x_gradient(shares[1], {0, steps.size() * sizes.B}, steps, rows);
    weights.pack(0, steps, rows, row_floats, cell.resets_before() ? reset_h + first * sizes.B * sizes.H : nullptr);
    weights.add(0, steps, rows, row_floats);
  }

  void pack_share(int64_t s) {
    const int64_t H = sizes.H;
    const Range groups = part(sizes.groups, s, split.shares());
    for (int64_t g = groups.begin; g < groups.end; ++g) {
      const float* from = sequence.inputs.weight_hh + g * kPanel;
      float* to = hh + g * hh_K * kPanel;
      const int64_t units = sizes.units(g);
      const auto pack_gate = [&](int64_t gate, float* to) { pack_straight(from + gate * H * H, H, units, H, to); };
      for (int64_t c = 0; c < cell.columns.to_h; ++c) pack_gate(cell.columns.hh_gate[c], to + c * H * kPanel);
      if (cell.resets_before()) pack_gate(cell.columns.hh_gate[cell.columns.reset], hn + g * H * kPanel);
    }
    if (gradients.x == nullptr) return;
    const Range panels = part(x_groups, s, split.shares());
    const int64_t K = sizes.G * H;
    for (int64_t g = panels.begin; g < panels.end; ++g) {
      const float* from = sequence.inputs.weight_xh + g * kPanel;
      pack_straight(from, sizes.I, lesser(kPanel, sizes.I - g * kPanel), K, xh + g * K * kPanel);
    }
  }

  // The state's gradient starts as that of the last state.
  void open_share(const BackwardShare& share) {
    const int64_t H = sizes.H;
    for (int64_t b = share.rows.begin; b < share.rows.end; ++b) {
      for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
        for (int64_t j = 0; j < kPanel; ++j) {
          const int64_t u = g * kPanel + j;
          const bool unit = u < H;
          state_at(state_h, g, b)[j] = unit && gradients.last_h != nullptr ? gradients.last_h[b * H + u] : 0.0f;
          if (unit && gradients.initial_h != nullptr) gradients.initial_h[b * H + u] = 0.0f;
          if (state_c == nullptr) continue;
          state_at(state_c, g, b)[j] = unit && gradients.last_c != nullptr ? gradients.last_c[b * H + u] : 0.0f;
          if (unit && gradients.initial_c != nullptr) gradients.initial_c[b * H + u] = 0.0f;
        }
      }
    }
  }

  void close_share(const BackwardShare& share) {
    each(share, [&](int64_t g, int64_t b, int64_t j, int64_t u, int64_t n) {
      if (gradients.h0 != nullptr) store(gradients.h0 + b * sizes.H + u, load(state_at(state_h, g, b) + j), n);
      if (gradients.c0 != nullptr) store(gradients.c0 + b * sizes.H + u, load(state_at(state_c, g, b) + j), n);
    });
  }

  // x's gradient for some rows of a chunk, W_xh' times the step's gradient.
  void x_gradient(const BackwardShare& share, Range rows, Range steps, const float* first_row) {
    const int64_t K = sizes.G * sizes.H, I = sizes.I;
    float zeros[kPanel];
    for (int64_t j = 0; j < kPanel; j += kLanes) store(zeros + j, V{});
    const int64_t block = greater(4 * kTileRows, 32768 / K);
    for (int64_t r0 = rows.begin; r0 < rows.end; r0 += block) {
      const int64_t count = lesser(block, rows.end - r0);
      for (int64_t r = 0; r < count; ++r) {
        share.gradient_rows[r] = first_row + (r0 + r) * row_floats + cell.columns.first_x * sizes.H;
      }
      for (int64_t g = 0; g < x_groups; ++g) {
        const int64_t n = lesser(kPanel, I - g * kPanel);
        const Panels panel{xh + g * K * kPanel, 0, 1, halves(n)};
        product(share.gradient_rows, count, K, panel, {zeros, 0, 0}, {share.product, kPanel, 0});
        for (int64_t r = 0; r < count; ++r) {
          const int64_t at = (r0 + r) / sizes.B, b = (r0 + r) % sizes.B;
          float* to = gradients.x + (sequence.time(steps.begin + at) * sizes.B + b) * I + g * kPanel;
          for (int64_t j = 0; j < n; j += kLanes) store(to + j, load(share.product + r * kPanel + j), n - j);
        }
      }
    }
  }

  Split split;
  bool overlaps;  // see `long_row`
  WeightGradient weights;
  int64_t chunk_steps = 0, x_groups = 0;
  float* xh = nullptr;  // [group][K][kPanel]
  BackwardShare* shares = nullptr;
};

inline int64_t backward_scratch_floats(const Shape& shape, const Inputs& inputs, const Gradients& gradients) {
  return Backward(shape, inputs, Outputs{}, gradients, split_of(shape), Carver(nullptr)).scratch_floats;
}

inline bool backward(const Shape& shape, const Inputs& inputs, const Outputs& outputs, const Gradients& gradients,
                     float* scratch, const Parallel& parallel) {
  return Backward(shape, inputs, outputs, gradients, split_of(shape), Carver(scratch)).run(parallel);
}

}  // namespace deeprnn::DEEPRNN_ISA
