// The backward pass: from the last step to the first, in chunks of steps; after each chunk, or of one long row beside
// the next one, the products over all of its rows that give the gradients of x and of the weights.
#pragma once

#include "sequence.h"
#include "weight_gradient.h"

namespace deeprnn::DEEPRNN_ISA {

// The gradient of a step's products, `columns` gates of H columns in a row: Elman's one; LSTM's i f g o; a GRU's r z n,
// and with reset_after (W_hn h + b_hn) r z n, whose first three W_hh made and whose last three W_xh made.
struct GradientColumns {
  explicit GradientColumns(const Shape& shape) {
    const bool reset_after = shape.cell == CellKind::gru && shape.reset_after;
    columns = reset_after ? 4 : gates_of(shape.cell);
    first_x = reset_after ? 1 : 0;
    for (int64_t c = 0; c < 4; ++c) {
      const bool used = c < columns;
      hh_gate[c] = !used || (reset_after && c == 3) ? -1 : reset_after ? (c + 2) % 3 : c;
      xh_gate[c] = !used ? -1 : c - first_x;
    }
  }

  int64_t columns;
  int64_t first_x;     // the first column that W_xh made
  int64_t hh_gate[4];  // the gate of W_hh that made a column, or -1
  int64_t xh_gate[4];
};

struct BackwardShare {
  Range rows, groups;
  bool far;              // this share's part of W_hh leaves the second-level cache between steps
  float* product;        // [row][kPanel]
  const float** panels;  // of W_hh, and where each adds to the state's gradient: for a few rows
  float** parts;
  const float** gradient_rows;
  const float** x_rows;
  float* x_copy;
};

struct Backward {
  Backward(const Shape& shape, const Inputs& inputs, const Outputs& outputs, const Gradients& gradients, Split split,
           Carver carver)
      : sequence(shape, inputs, outputs, carver),
        shape(shape),
        sizes(shape),
        gradients(gradients),
        split(split),
        columns(shape),
        resets_before(shape.cell == CellKind::gru && !shape.reset_after),
        overlaps(split.shares() == 1 && shape.threads > 1 && long_row(shape)) {
    const int64_t H = sizes.H, B = sizes.B;
    // Whatever the threads are: sums run over a chunk.
    chunk_steps = lesser(sizes.T, long_row(shape) ? kShortChunkRows : ceil_div(kChunkRows, B));
    overlaps = overlaps && chunk_steps < sizes.T;
    const int64_t chunks = overlaps ? 2 : 1;
    width = columns.columns * H;
    // Rows that lie a multiple of 4096 bytes apart would share one cache set.
    row_floats = ceil_div(width, 16) * 16 + (width % 256 == 0 ? 16 : 0);
    chunk = carver.floats(chunks * chunk_steps * B * row_floats);
    reset_h = carver.floats(resets_before ? chunks * chunk_steps * B * H : 0);
    hh_K = resets_before ? 2 * H : shape.cell == CellKind::lstm ? 4 * H : shape.cell == CellKind::gru ? 3 * H : H;
    hh = carver.floats(sizes.groups * hh_K * kPanel);
    hn = carver.floats(resets_before ? sizes.groups * H * kPanel : 0);
    x_groups = ceil_div(sizes.I, kPanel);
    xh = carver.floats(gradients.x != nullptr ? x_groups * sizes.G * H * kPanel : 0);
    state_h = carver.floats(sizes.groups * B * kPanel);
    state_c = carver.floats(shape.cell == CellKind::lstm ? sizes.groups * B * kPanel : 0);
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
      share.x_rows = nullptr;
      share.x_copy = nullptr;
      if (shares != nullptr) shares[s] = share;
    }
    weights =
        WeightGradient(shape, inputs, gradients, sequence, columns.columns, chunk_steps * B, split.shares(), carver);
    scratch_floats = carver.used();
  }

  static constexpr int64_t kChunkRows = 512, kShortChunkRows = 128;

  void run(const Parallel& parallel) {
    sequence.open();
    Barrier barrier(parties());
    auto body = [&](Range mine) { overlaps ? run_overlapped(mine, barrier) : run_range(mine, barrier); };
    run_shares(parallel, parties(), body);
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
        all(mine, [&](BackwardShare& share, int64_t) { pointwise(share, i, at); });
        wait();
        if (resets_before) {
          all(mine, [&](BackwardShare& share, int64_t) { through_reset(share, i, at); });
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
      all(mine, [&](BackwardShare&, int64_t s) {
        weights.add(s, steps, chunk, row_floats, columns.hh_gate, columns.xh_gate);
      });
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
        pointwise(shares[0], i, at);
        if (resets_before) through_reset(shares[0], i, at);
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
    weights.pack(0, steps, rows, row_floats, resets_before ? reset_h + first * sizes.B * sizes.H : nullptr);
    weights.add(0, steps, rows, row_floats, columns.hh_gate, columns.xh_gate);
  }

  void pack_share(int64_t s) {
    const int64_t H = sizes.H;
    const Range groups = part(sizes.groups, s, split.shares());
    for (int64_t g = groups.begin; g < groups.end; ++g) {
      const float* from = sequence.inputs.weight_hh + g * kPanel;
      float* to = hh + g * hh_K * kPanel;
      const int64_t units = sizes.units(g);
      if (shape.cell == CellKind::gru && shape.reset_after) {  // columns are n r z
        pack_straight(from + 2 * H * H, H, units, H, to);
        pack_straight(from, H, units, 2 * H, to + H * kPanel);
      } else {
        pack_straight(from, H, units, hh_K, to);
      }
      if (resets_before) pack_straight(from + 2 * H * H, H, units, H, hn + g * H * kPanel);
    }
    if (gradients.x == nullptr) return;
    const Range panels = part(x_groups, s, split.shares());
    const int64_t K = sizes.G * H;
    for (int64_t g = panels.begin; g < panels.end; ++g) {
      const float* from = sequence.inputs.weight_xh + g * kPanel;
      pack_straight(from, sizes.I, lesser(kPanel, sizes.I - g * kPanel), K, xh + g * K * kPanel);
    }
  }

  // How many of the panels of a product that ends with so many units are half empty.
  static int64_t halves(int64_t units) { return half_panel(units) ? 1 : 0; }

  float* state_at(float* state, int64_t group, int64_t b) const { return state + (group * sizes.B + b) * kPanel; }
  float* gradient_row(int64_t at, int64_t b) const { return chunk + (at * sizes.B + b) * row_floats; }

  // Calls f(group, b, j, u, n): lanes j .. of a group's panel are units u .. u + n - 1 of row b.
  template <typename F>
  DEEPRNN_INLINE void each(const BackwardShare& share, F&& f) {
    for (int64_t b = share.rows.begin; b < share.rows.end; ++b) {
      for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
        const int64_t units = sizes.units(g);
        for (int64_t j = 0; j < units; j += kLanes) f(g, b, j, g * kPanel + j, units - j);
      }
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

  // The gradient of h after step i: what later steps brought, and what reaches the output.
  DEEPRNN_INLINE V output_gradient(int64_t i, int64_t g, int64_t b, int64_t j, int64_t u, int64_t n) const {
    const V state = load(state_at(state_h, g, b) + j);
    if (gradients.hidden == nullptr) return state;
    return state + load(gradients.hidden + (sequence.time(i) * sizes.B + b) * sizes.H + u, n);
  }

  // Splits a gradient through zoneout: what goes to the value before, directly, and what to the new value.
  struct Parts {
    V before, after;
  };
  DEEPRNN_INLINE Parts zone_parts(const Strided& keep, int64_t i, int64_t b, int64_t u, int64_t n, V gradient) const {
    if (!shape.zoneout || keep.data == nullptr) return {V{}, gradient};
    const float* at = keep.data + sequence.time(i) * keep.t + b * keep.b + u * keep.f;
    const V k = load_strided(at, keep.f, n);
    return {k * gradient, (1.0f - k) * gradient};
  }

  // A step beyond a row's length has no gradient; its state's gradient passes through.
  bool skip(const BackwardShare& share, int64_t i, int64_t at, int64_t b) {
    if (sequence.valid(i, b)) return false;
    float* row = gradient_row(at, b);
    const int64_t u1 = lesser(share.groups.end * kPanel, sizes.H);
    for (int64_t c = 0; c < columns.columns; ++c) {
      for (int64_t u = share.groups.begin * kPanel; u < u1; ++u) {
        row[c * sizes.H + u] = 0.0f;
        if (resets_before && c == 0) reset_h[(at * sizes.B + b) * sizes.H + u] = 0.0f;
      }
    }
    return true;
  }

  template <typename F>
  DEEPRNN_INLINE void each_valid(const BackwardShare& share, int64_t i, int64_t at, F&& f) {
    for (int64_t b = share.rows.begin; b < share.rows.end; ++b) {
      if (skip(share, i, at, b)) continue;
      for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
        const int64_t units = sizes.units(g);
        if (i > 0) fetch(i - 1, at, b, g * kPanel);
        if (units == kPanel) {  // the common case, with a constant count of lanes
          f(g, b, 0, g * kPanel, kLanes);
          f(g, b, kLanes, g * kPanel + kLanes, kLanes);
          continue;
        }
        for (int64_t j = 0; j < units; j += kLanes) f(g, b, j, g * kPanel + j, units - j);
      }
    }
  }

  // Asks for the lines that the next step will read and write.
  DEEPRNN_INLINE void fetch(int64_t i, int64_t at, int64_t b, int64_t u) const {
    if (gradients.hidden != nullptr) {
      __builtin_prefetch(gradients.hidden + (sequence.time(i) * sizes.B + b) * sizes.H + u);
    }
    if (sequence.saved.values == 0) __builtin_prefetch(sequence.hidden(i, b) + u);
    for (int64_t k = 0; k < sequence.saved.values; ++k) __builtin_prefetch(sequence.gates(i, b) + k * sizes.H + u);
    if (sequence.saved.c != nullptr && i > 0) __builtin_prefetch(sequence.c(i - 1, b) + u);
    if (at == 0) return;
    for (int64_t k = 0; k < columns.columns; ++k) __builtin_prefetch(gradient_row(at - 1, b) + k * sizes.H + u, 1);
  }

  void pointwise(const BackwardShare& share, int64_t i, int64_t at) {
    if (shape.cell == CellKind::elman) {
      with_phi(shape.phi, [&]<Phi phi>() { elman<phi>(share, i, at); });
    } else if (shape.cell == CellKind::lstm) {
      lstm(share, i, at);
    } else {
      shape.reset_after ? gru(share, i, at) : gru_candidate(share, i, at);
    }
  }

  // Whole panels, and nothing but the derivative of phi, in half the time that `each_valid` takes.
  template <Phi phi>
  void plain_elman(const BackwardShare& share, int64_t i, int64_t at) {
    const int64_t next = i > 0 ? sequence.hidden(i - 1, 0) - sequence.hidden(i, 0) : 0;
    const int64_t to_row = at > 0 ? -sizes.B * row_floats : 0;
    for (int64_t b = share.rows.begin; b < share.rows.end; ++b) {
      const float* kept = sequence.hidden(i, b);
      const float* given = gradients.hidden + (kept - sequence.outputs.hidden);
      float* row = gradient_row(at, b);
      float* state = state_at(state_h, share.groups.begin, b);
      const int64_t end = share.groups.end * kPanel;
      for (int64_t u = share.groups.begin * kPanel; u < end; u += kPanel, state += sizes.B * kPanel) {
        __builtin_prefetch(kept + next + u);
        __builtin_prefetch(given + next + u);
        __builtin_prefetch(row + to_row + u, 1);
        const V first = (load(state) + load(given + u)) * derivative<phi>(load(kept + u));
        const V second = (load(state + kLanes) + load(given + u + kLanes)) * derivative<phi>(load(kept + u + kLanes));
        store(row + u, first);
        store(row + u + kLanes, second);
        store(state, V{});
        store(state + kLanes, V{});
      }
    }
  }

  template <Phi phi>
  void elman(const BackwardShare& share, int64_t i, int64_t at) {
    const bool kept = sequence.saved.values > 0;
    const bool whole = sizes.H % kPanel == 0 && gradients.hidden != nullptr;
    if (whole && !kept && !shape.zoneout && sequence.inputs.lengths == nullptr) return plain_elman<phi>(share, i, at);
    each_valid(share, i, at, [&](int64_t g, int64_t b, int64_t j, int64_t u, int64_t n) {
      const Parts to = zone_parts(sequence.inputs.keep_h, i, b, u, n, output_gradient(i, g, b, j, u, n));
      const float* from = kept ? sequence.gates(i, b) : sequence.hidden(i, b);
      store(gradient_row(at, b) + u, to.after * derivative<phi>(load(from + u, n)), n);
      store(state_at(state_h, g, b) + j, to.before);
    });
  }

  void lstm(const BackwardShare& share, int64_t i, int64_t at) {
    const int64_t H = sizes.H;
    each_valid(share, i, at, [&](int64_t g, int64_t b, int64_t j, int64_t u, int64_t n) {
      const float* gates = sequence.gates(i, b) + u;
      const V gate_i = load(gates, n), gate_f = load(gates + H, n), gate_g = load(gates + 2 * H, n),
              gate_o = load(gates + 3 * H, n);
      const V before = load(sequence.before_c(i, b) + u, n);
      const V squashed = tanh(fma(gate_f, before, gate_i * gate_g));
      const Parts h = zone_parts(sequence.inputs.keep_h, i, b, u, n, output_gradient(i, g, b, j, u, n));
      V of_c = load(state_at(state_c, g, b) + j);
      if (gradients.cells != nullptr) {
        of_c = of_c + load(gradients.cells + (sequence.time(i) * sizes.B + b) * H + u, n);
      }
      const Parts c = zone_parts(sequence.inputs.keep_c, i, b, u, n, of_c);
      const V d = fma(h.after * gate_o, fma(-squashed, squashed, broadcast(1.0f)), c.after);
      float* row = gradient_row(at, b) + u;
      store(row, d * gate_g * fma(-gate_i, gate_i, gate_i), n);
      store(row + H, d * before * fma(-gate_f, gate_f, gate_f), n);
      store(row + 2 * H, d * gate_i * fma(-gate_g, gate_g, broadcast(1.0f)), n);
      store(row + 3 * H, h.after * squashed * fma(-gate_o, gate_o, gate_o), n);
      store(state_at(state_h, g, b) + j, h.before);
      store(state_at(state_c, g, b) + j, fma(d, gate_f, c.before));
    });
  }

  void gru(const BackwardShare& share, int64_t i, int64_t at) {
    const int64_t H = sizes.H;
    each_valid(share, i, at, [&](int64_t g, int64_t b, int64_t j, int64_t u, int64_t n) {
      const float* gates = sequence.gates(i, b) + u;
      const V gate_r = load(gates, n), gate_z = load(gates + H, n), gate_n = load(gates + 2 * H, n);
      const V recurrent = load(gates + 3 * H, n), before = load(sequence.before_h(i, b) + u, n);
      const Parts h = zone_parts(sequence.inputs.keep_h, i, b, u, n, output_gradient(i, g, b, j, u, n));
      const V of_n = (h.after - h.after * gate_z) * fma(-gate_n, gate_n, broadcast(1.0f));
      float* row = gradient_row(at, b) + u;
      store(row, of_n * gate_r, n);
      store(row + H, of_n * recurrent * fma(-gate_r, gate_r, gate_r), n);
      store(row + 2 * H, h.after * (before - gate_n) * fma(-gate_z, gate_z, gate_z), n);
      store(row + 3 * H, of_n, n);
      store(state_at(state_h, g, b) + j, fma(h.after, gate_z, h.before));
    });
  }

  // A GRU that resets before the product: n and z first, since r's gradient needs the product with W_hn.
  void gru_candidate(const BackwardShare& share, int64_t i, int64_t at) {
    const int64_t H = sizes.H;
    each_valid(share, i, at, [&](int64_t g, int64_t b, int64_t j, int64_t u, int64_t n) {
      const float* gates = sequence.gates(i, b) + u;
      const V gate_z = load(gates + H, n), gate_n = load(gates + 2 * H, n);
      const V before = load(sequence.before_h(i, b) + u, n);
      const Parts h = zone_parts(sequence.inputs.keep_h, i, b, u, n, output_gradient(i, g, b, j, u, n));
      float* row = gradient_row(at, b) + u;
      store(row + H, h.after * (before - gate_n) * fma(-gate_z, gate_z, gate_z), n);
      store(row + 2 * H, (h.after - h.after * gate_z) * fma(-gate_n, gate_n, broadcast(1.0f)), n);
      store(state_at(state_h, g, b) + j, fma(h.after, gate_z, h.before));
    });
  }

  // Then r, by the gradient of r * h.
  void through_reset(const BackwardShare& share, int64_t i, int64_t at) {
    const int64_t H = sizes.H, first = share.rows.begin, rows = share.rows.size();
    for (int64_t r = 0; r < rows; ++r) share.gradient_rows[r] = gradient_row(at, first + r) + 2 * H;
    const V none{};
    float zeros[kPanel];
    for (int64_t j = 0; j < kPanel; j += kLanes) store(zeros + j, none);
    for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
      const Panels panels{hn + g * H * kPanel, 0, 1, halves(sizes.units(g))};
      product(share.gradient_rows, rows, H, panels, {zeros, 0, 0}, {share.product, kPanel, 0});
      const int64_t units = sizes.units(g);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t b = first + r;
        if (!sequence.valid(i, b)) continue;
        for (int64_t j = 0; j < units; j += kLanes) {
          const int64_t u = g * kPanel + j, n = units - j;
          const V gate_r = load(sequence.gates(i, b) + u, n);
          V read = load(sequence.before_h(i, b) + u, n), d = load(share.product + r * kPanel + j);
          V of_h = d * gate_r;
          if (shape.masked) {
            const V mask = load(sequence.mask + b * H + u, n);
            read = read * mask;
            of_h = of_h * mask;
          }
          store(gradient_row(at, b) + u, d * read * fma(-gate_r, gate_r, gate_r), n);
          store(reset_h + (at * sizes.B + b) * H + u, gate_r * read, n);
          float* state = state_at(state_h, g, b) + j;
          store(state, load(state) + of_h);
        }
      }
    }
  }

  // Adds W_hh' times the step's gradient to that of the state before it; a restart sends it to the initial state.
  void to_state_before(const BackwardShare& share, int64_t i, int64_t at) {
    const int64_t first = share.rows.begin, rows = share.rows.size();
    for (int64_t r = 0; r < rows; ++r) share.gradient_rows[r] = gradient_row(at, first + r);
    if (shape.masked) {
      masked_product(share);
    } else {
      const int64_t begin = share.groups.begin, step = sizes.B * kPanel;
      float* state = state_at(state_h, begin, first);
      const Panels panels{hh + begin * hh_K * kPanel, hh_K * kPanel, share.groups.size(),
                          halves(sizes.units(share.groups.end - 1)), share.far};
      if (rows > kFewRows) {
        product(share.gradient_rows, rows, hh_K, panels, {state, kPanel, step}, {state, kPanel, step});
      } else {
        for (int64_t g = 0; g < panels.count; ++g) {
          share.panels[g] = panels.data + g * panels.step;
          share.parts[g] = state + g * step;
        }
        product(share.gradient_rows, rows, hh_K, {share.panels, share.parts, share.parts, kPanel, panels.count});
      }
    }
    if (sequence.any_restart(i, share.rows)) restart(share, i);
  }

  void masked_product(const BackwardShare& share) {
    const int64_t first = share.rows.begin, rows = share.rows.size();
    float zeros[kPanel];
    for (int64_t j = 0; j < kPanel; j += kLanes) store(zeros + j, V{});
    for (int64_t g = share.groups.begin; g < share.groups.end; ++g) {
      const Panels panels{hh + g * hh_K * kPanel, 0, 1, halves(sizes.units(g))};
      product(share.gradient_rows, rows, hh_K, panels, {zeros, 0, 0}, {share.product, kPanel, 0});
      const int64_t units = sizes.units(g);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t j = 0; j < units; j += kLanes) {
          const V mask = load(sequence.mask + (first + r) * sizes.H + g * kPanel + j, units - j);
          float* state = state_at(state_h, g, first + r) + j;
          store(state, fma(load(share.product + r * kPanel + j), mask, load(state)));
        }
      }
    }
  }

  void restart(const BackwardShare& share, int64_t i) {
    each(share, [&](int64_t g, int64_t b, int64_t j, int64_t u, int64_t n) {
      if (!sequence.restarts(i, b)) return;
      send_to_initial(state_at(state_h, g, b) + j, gradients.initial_h, b * sizes.H + u, n);
      if (state_c != nullptr) send_to_initial(state_at(state_c, g, b) + j, gradients.initial_c, b * sizes.H + u, n);
    });
  }

  static void send_to_initial(float* state, float* initial, int64_t at, int64_t n) {
    if (initial != nullptr) store(initial + at, load(initial + at, n) + load(state), n);
    store(state, V{});
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
        share.gradient_rows[r] = first_row + (r0 + r) * row_floats + columns.first_x * sizes.H;
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

  Sequence sequence;
  const Shape& shape;
  Sizes sizes;
  const Gradients& gradients;
  Split split;
  GradientColumns columns;
  bool resets_before, overlaps;  // the second: see `long_row`
  WeightGradient weights;
  int64_t chunk_steps = 0, width = 0, row_floats = 0, hh_K = 0, x_groups = 0;
  float* chunk = nullptr;    // [step][row][row_floats] gradients of the steps' products; two chunks where they overlap
  float* reset_h = nullptr;  // [step][row][H] r * h, where W_hn multiplied that
  float *hh = nullptr, *hn = nullptr, *xh = nullptr;  // [group][K][kPanel]
  float *state_h = nullptr, *state_c = nullptr;       // [group][row][kPanel]
  BackwardShare* shares = nullptr;
};

inline void backward(const Shape& shape, const Inputs& inputs, const Outputs& outputs, const Gradients& gradients,
                     const Parallel& parallel) {
  const Split split = split_of(shape);
  Scratch scratch(Backward(shape, inputs, outputs, gradients, split, Carver(nullptr)).scratch_floats);
  Backward(shape, inputs, outputs, gradients, split, Carver(scratch.data())).run(parallel);
}

}  // namespace deeprnn::DEEPRNN_ISA
