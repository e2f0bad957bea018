// One step of the backward pass: the cells' derivatives, then W_hh' times the step's gradient for the state before.
#pragma once

#include "layer/sequence.h"

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
};

// What a step reads and writes, and how; Backward lays it out and says when.
struct BackwardStep {
 protected:
  BackwardStep(const Shape& shape, const Inputs& inputs, const Outputs& outputs, const Gradients& gradients,
               Carver& carver)
      : sequence(shape, inputs, outputs, carver),
        shape(shape),
        sizes(shape),
        gradients(gradients),
        columns(shape),
        resets_before(shape.cell == CellKind::gru && !shape.reset_after) {}

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

  Sequence sequence;
  const Shape& shape;
  Sizes sizes;
  const Gradients& gradients;
  GradientColumns columns;
  bool resets_before;
  int64_t row_floats = 0, hh_K = 0;
  float* chunk = nullptr;    // [step][row][row_floats] gradients of the steps' products; two chunks where they overlap
  float* reset_h = nullptr;  // [step][row][H] r * h, where W_hn multiplied that
  float *hh = nullptr, *hn = nullptr;            // [group][K][kPanel]
  float *state_h = nullptr, *state_c = nullptr;  // [group][row][kPanel]
};

}  // namespace deeprnn::DEEPRNN_ISA
