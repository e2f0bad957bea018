// The gradients of the weights and biases: one product over all rows of a chunk of steps.
//
// Chunks depend on the sizes alone, and each element's sum runs over a chunk's rows in order, so that the threads, each
// with its own rows of the gradient, cannot change a result.
#pragma once

#include "layer/sequence.h"

namespace deeprnn::DEEPRNN_ISA {

// sum += A' * panel over `rows` rows: A is packed [row][M], the panel [row][kPanel]. Adds `units` columns to each of
// the M rows of out, `stride` apart; they lie in the panel's first N vectors.
template <int M, int N>
inline __attribute__((noinline)) void add_outer(const float* a, const float* panel, int64_t rows, float* out,
                                                int64_t stride, int64_t units) {
  V sum[M][N] = {};
  for (int64_t r = 0; r < rows; ++r) {
    V b[N];
#pragma GCC unroll 2
    for (int j = 0; j < N; ++j) b[j] = load(panel + r * kPanel + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const V x = broadcast(a[r * M + i]);
#pragma GCC unroll 2
      for (int j = 0; j < N; ++j) sum[i][j] = fma(x, b[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < N; ++j) {
      float* to = out + i * stride + j * kLanes;
      const int64_t n = units - j * kLanes;
      store(to, load(to, n) + sum[i][j], n);
    }
  }
}

inline void add_outer_of(int64_t M, const float* a, const float* panel, int64_t rows, float* out, int64_t stride,
                         int64_t units) {
  switch (M) {
#define DEEPRNN_OUTER(m)                                                           \
  case m:                                                                          \
    return half_panel(units) ? add_outer<m, 1>(a, panel, rows, out, stride, units) \
                             : add_outer<m, 2>(a, panel, rows, out, stride, units);
    DEEPRNN_OUTER(1)
    DEEPRNN_OUTER(2)
    DEEPRNN_OUTER(3)
    DEEPRNN_OUTER(4)
    DEEPRNN_OUTER(5)
    DEEPRNN_OUTER(6)
#ifdef DEEPRNN_LANES_16
    DEEPRNN_OUTER(7)
    DEEPRNN_OUTER(8)
    DEEPRNN_OUTER(9)
    DEEPRNN_OUTER(10)
#endif
#undef DEEPRNN_OUTER
    default:
      __builtin_unreachable();
  }
}

// to[row][M] = M floats of each row of `from`, `stride` apart. Copies whole vectors, whose surplus the next row
// overwrites; the last rows, whose surplus would fall behind the end, are copied float by float.
template <int M>
inline __attribute__((noinline)) void pack_rows(const float* from, int64_t stride, int64_t rows, float* to) {
  constexpr int64_t vectors = (M + kLanes - 1) / kLanes, last = (vectors * kLanes + M - 1) / M;
  int64_t r = 0;
  for (; r < rows - last; ++r) {
    for (int64_t j = 0; j < vectors; ++j) store(to + r * M + j * kLanes, load(from + r * stride + j * kLanes));
  }
  for (; r < rows; ++r) {
    for (int64_t j = 0; j < M; ++j) to[r * M + j] = from[r * stride + j];
  }
}

inline void pack_tile(int64_t M, const float* from, int64_t stride, int64_t rows, float* to) {
  switch (M) {
#define DEEPRNN_PACK(m) \
  case m:               \
    return pack_rows<m>(from, stride, rows, to);
    DEEPRNN_PACK(1)
    DEEPRNN_PACK(2)
    DEEPRNN_PACK(3)
    DEEPRNN_PACK(4)
    DEEPRNN_PACK(5)
    DEEPRNN_PACK(6)
#ifdef DEEPRNN_LANES_16
    DEEPRNN_PACK(7)
    DEEPRNN_PACK(8)
    DEEPRNN_PACK(9)
    DEEPRNN_PACK(10)
#endif
#undef DEEPRNN_PACK
    default:
      __builtin_unreachable();
  }
}

class WeightGradient {
 public:
  WeightGradient() = default;
  WeightGradient(const Shape& shape, const Inputs& inputs, const Gradients& gradients, const Sequence& sequence,
                 int64_t chunk_rows, int64_t shares, Carver& carver)
      : shape_(&shape),
        inputs_(&inputs),
        gradients_(&gradients),
        sequence_(&sequence),
        sizes_(shape),
        columns_(sequence.cell.columns),
        shares_(shares),
        chunk_rows_(chunk_rows),
        tiles_(ceil_div(shape.H, kTileRows)) {
    const bool resets_before = sequence.cell.resets_before();
    wants_hh_ = gradients.weight_hh != nullptr;
    wants_xh_ = gradients.weight_xh != nullptr && !shape.indices;
    scatters_ = gradients.weight_xh != nullptr && shape.indices;
    x_panels_ = ceil_div(sizes_.I, kPanel);
    left_ = carver.floats(wants_hh_ || wants_xh_ ? columns_.products * sizes_.H * chunk_rows : 0);
    h_ = carver.floats(wants_hh_ ? sizes_.groups * chunk_rows * kPanel : 0);
    reset_h_ = carver.floats(wants_hh_ && resets_before ? sizes_.groups * chunk_rows * kPanel : 0);
    x_ = carver.floats(wants_xh_ ? x_panels_ * chunk_rows * kPanel : 0);
    by_index_ = carver.floats(scatters_ ? sizes_.I * sizes_.G * sizes_.H : 0);
    sums_ = carver.floats(columns_.count * sizes_.H);
  }

  // Sets this share's part of what is summed up to zero.
  void open(int64_t share) {
    const int64_t rows = sizes_.G * sizes_.H;
    zero(gradients_->weight_hh, part(rows * sizes_.H, share, shares_));
    zero(gradients_->weight_xh, part(rows * sizes_.I, share, shares_));
    zero(gradients_->bias, part(rows, share, shares_));
    zero(gradients_->bias_hn, part(sizes_.H, share, shares_));
    zero(gradients_->weight_ch, part((columns_.count - columns_.products) * sizes_.H, share, shares_));
    if (scatters_) zero(by_index_, part(sizes_.I * rows, share, shares_));
  }

  // Packs this share's part of a chunk: its tiles of the left side, and its panels of h and x.
  void pack(int64_t share, Range steps, const float* chunk, int64_t row_floats, const float* reset_h) {
    const int64_t rows = steps.size() * sizes_.B;
    if (wants_hh_ || wants_xh_) {
      const Range tiles = part(columns_.products * tiles_, share, shares_);
      for (int64_t t = tiles.begin; t < tiles.end; ++t) {
        const Range units = part(sizes_.H, t % tiles_, tiles_);
        const float* from = chunk + (t / tiles_) * sizes_.H + units.begin;
        float* to = tile_at(t, units);
        pack_tile(units.size(), from, row_floats, rows, to);
      }
    }
    if (wants_hh_) {
      const Range groups = part(sizes_.groups, share, shares_);
      for (int64_t g = groups.begin; g < groups.end; ++g) pack_h(g, steps, reset_h);
    }
    if (wants_xh_) {
      const Range panels = part(x_panels_, share, shares_);
      for (int64_t g = panels.begin; g < panels.end; ++g) pack_x(g, steps);
    }
  }

  // Adds the chunk's products to this share's rows of the gradients.
  void add(int64_t share, Range steps, const float* chunk, int64_t row_floats) {
    const int64_t rows = steps.size() * sizes_.B, H = sizes_.H, I = sizes_.I;
    const Range tiles = part(columns_.products * tiles_, share, shares_);
    for (int64_t g = 0; wants_hh_ && g < sizes_.groups; ++g) {
      for (int64_t t = tiles.begin; t < tiles.end; ++t) {
        const int64_t column = t / tiles_;
        const int64_t gate = columns_.hh_gate[column];
        if (gate == kNone) continue;
        const Range units = part(H, t % tiles_, tiles_);
        const float* right = (column == columns_.reset ? reset_h_ : h_) + g * chunk_rows_ * kPanel;
        float* out = gradients_->weight_hh + (gate * H + units.begin) * H + g * kPanel;
        add_outer_of(units.size(), tile_at(t, units), right, rows, out, H, sizes_.units(g));
      }
    }
    for (int64_t g = 0; wants_xh_ && g < x_panels_; ++g) {
      for (int64_t t = tiles.begin; t < tiles.end; ++t) {
        const int64_t column = t / tiles_;
        const int64_t gate = columns_.xh_gate(column);
        if (gate == kNone) continue;
        const Range units = part(H, t % tiles_, tiles_);
        float* out = gradients_->weight_xh + (gate * H + units.begin) * I + g * kPanel;
        add_outer_of(units.size(), tile_at(t, units), x_ + g * chunk_rows_ * kPanel, rows, out, I,
                     lesser(kPanel, I - g * kPanel));
      }
    }
    add_biases(share, rows, chunk, row_floats);
    if (scatters_) scatter(share, steps, chunk, row_floats);
  }

  // Writes this share's part of what was summed up by index.
  void close(int64_t share) {
    if (!scatters_) return;
    const int64_t GH = sizes_.G * sizes_.H;
    const Range rows = part(GH, share, shares_);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      for (int64_t i = 0; i < sizes_.I; ++i) gradients_->weight_xh[row * sizes_.I + i] = by_index_[i * GH + row];
    }
  }

 private:
  static void zero(float* data, Range range) {
    if (data == nullptr) return;
    for (int64_t k = range.begin; k < range.end; ++k) data[k] = 0.0f;
  }

  // A panel's row beyond a sequence's length: whatever lies there (NaN too) has no gradient.
  static void clear(float* row) {
    for (int64_t j = 0; j < kPanel; j += kLanes) store(row + j, V{});
  }

  float* tile_at(int64_t tile, Range units) const {
    return left_ + ((tile / tiles_) * sizes_.H + units.begin) * chunk_rows_;
  }

  void pack_h(int64_t group, Range steps, const float* reset_h) {
    const int64_t units = sizes_.units(group), u = group * kPanel, H = sizes_.H;
    int64_t r = 0;
    for (int64_t i = steps.begin; i < steps.end; ++i) {
      for (int64_t b = 0; b < sizes_.B; ++b, ++r) {
        float* to = h_ + (group * chunk_rows_ + r) * kPanel;
        if (!sequence_->valid(i, b)) {
          clear(to);
          if (reset_h_ != nullptr) clear(reset_h_ + (group * chunk_rows_ + r) * kPanel);
          continue;
        }
        const float* from = sequence_->before_h(i, b) + u;
        for (int64_t j = 0; j < kPanel; j += kLanes) {
          V h = units > j ? load(from + j, units - j) : V{};
          if (shape_->masked && units > j) h = h * load(sequence_->mask + b * H + u + j, units - j);
          store(to + j, h);
          if (reset_h_ == nullptr) continue;
          const V reset = units > j ? load(reset_h + r * H + u + j, units - j) : V{};
          store(reset_h_ + (group * chunk_rows_ + r) * kPanel + j, reset);
        }
      }
    }
  }

  void pack_x(int64_t panel, Range steps) {
    const Strided& x = inputs_->x;
    const int64_t n = lesser(kPanel, sizes_.I - panel * kPanel);
    float* to = x_ + panel * chunk_rows_ * kPanel;
    for (int64_t i = steps.begin; i < steps.end; ++i) {
      for (int64_t b = 0; b < sizes_.B; ++b, to += kPanel) {
        if (!sequence_->valid(i, b)) {
          clear(to);
          continue;
        }
        const float* from = x.data + sequence_->time(i) * x.t + b * x.b + panel * kPanel * x.f;
        for (int64_t j = 0; j < kPanel; j += kLanes) {
          store(to + j, n > j ? load_strided(from + j * x.f, x.f, n - j) : V{});
        }
      }
    }
  }

  void add_biases(int64_t share, int64_t rows, const float* chunk, int64_t row_floats) {
    const int64_t H = sizes_.H;
    const Range mine = part(columns_.count * H, share, shares_);
    for (int64_t k = mine.begin; k < mine.end; k += kLanes) {
      const int64_t n = lesser(kLanes, mine.end - k);
      V sum{};
      for (int64_t r = 0; r < rows; ++r) sum = sum + load(chunk + r * row_floats + k, n);
      store(sums_ + k, sum, n);
    }
    for (int64_t k = mine.begin; k < mine.end; ++k) {
      const int64_t column = k / H, u = k % H, gate = columns_.xh_gate(column);
      if (gradients_->bias != nullptr && gate != kNone) gradients_->bias[gate * H + u] += sums_[k];
      if (gradients_->bias_hn != nullptr && column == columns_.bias_hn) gradients_->bias_hn[u] += sums_[k];
      if (gradients_->weight_ch != nullptr && column >= columns_.products) {
        gradients_->weight_ch[(column - columns_.products) * H + u] += sums_[k];
      }
    }
  }

  // Adds each row to the sum of its index, this share's columns of it.
  void scatter(int64_t share, Range steps, const float* chunk, int64_t row_floats) {
    const int64_t GH = sizes_.G * sizes_.H;
    const Range mine = part(GH, share, shares_);
    const int64_t first_x = columns_.first_x * sizes_.H;
    int64_t r = 0;
    for (int64_t i = steps.begin; i < steps.end; ++i) {
      for (int64_t b = 0; b < sizes_.B; ++b, ++r) {
        float* to = by_index_ + sequence_->index(i, b) * GH;
        const float* from = chunk + r * row_floats + first_x;
        for (int64_t k = mine.begin; k < mine.end; k += kLanes) {
          const int64_t n = mine.end - k;
          store(to + k, load(to + k, n) + load(from + k, n), n);
        }
      }
    }
  }

  const Shape* shape_ = nullptr;
  const Inputs* inputs_ = nullptr;
  const Gradients* gradients_ = nullptr;
  const Sequence* sequence_ = nullptr;
  Sizes sizes_{Shape{}};
  Columns columns_{};
  int64_t shares_ = 1, chunk_rows_ = 0, tiles_ = 1, x_panels_ = 0;
  bool wants_hh_ = false, wants_xh_ = false, scatters_ = false;
  float* left_ = nullptr;      // [column][tile][row][units of the tile]
  float* h_ = nullptr;         // [group][row][kPanel] h before the step, masked
  float* reset_h_ = nullptr;   // the same of r * h
  float* x_ = nullptr;         // [panel][row][kPanel]
  float* by_index_ = nullptr;  // [I][G * H]
  float* sums_ = nullptr;      // [column][H]
};

}  // namespace deeprnn::DEEPRNN_ISA
