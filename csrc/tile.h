// The matrix product that everything runs on: out = init + A * panels, in register tiles.
//
// Every element of a product is one chain of multiply-adds over k from 0 up, whatever the tile that it lies in: results
// depend neither on how rows are split over threads nor on where a tile begins.
#pragma once

#include "vec.h"

namespace deeprnn::DEEPRNN_ISA {

// Where a product reads its left side: row i is at rows[i], K floats contiguous.
struct Rows {
  const float* const* rows;
  Rows from(int64_t i) const { return {rows + i}; }
};

// Panels p = 0 .. count-1, each K rows of kPanel floats, `step` floats apart.
struct Panels {
  const float* data;
  int64_t step;
  int64_t count;
};

// Where a product reads its start or writes: element (row i, panel p, lane j) at data[i * row + p * panel + j].
struct Place {
  float* data;
  int64_t row, panel;
};
struct Source {
  const float* data;
  int64_t row, panel;
};

// The part of a product's depth that a tile adds: `panel` starts at `begin` already, rows do not.
struct Depth {
  int64_t begin, end;
};

constexpr int64_t kBlockDepth = 256;

// M rows by P panels in registers.
template <int M, int P>
DEEPRNN_INLINE void tile(const float* const* rows, Depth depth, const float* panel, int64_t step, Source init,
                         Place out) {
  V sum[M][2 * P];
  const float* a[M];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
    a[i] = rows[i] + depth.begin;
#pragma GCC unroll 16
    for (int j = 0; j < 2 * P; ++j) {
      sum[i][j] = load(init.data + i * init.row + (j / 2) * init.panel + (j % 2) * kLanes);
    }
  }
  const int64_t K = depth.end - depth.begin;
#pragma GCC unroll 4
  for (int64_t k = 0; k < K; ++k) {
    V b[2 * P];
#pragma GCC unroll 16
    for (int j = 0; j < 2 * P; ++j) b[j] = load(panel + (j / 2) * step + k * kPanel + (j % 2) * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const V x = broadcast(a[i][k]);
#pragma GCC unroll 16
      for (int j = 0; j < 2 * P; ++j) sum[i][j] = fma(x, b[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < 2 * P; ++j) store(out.data + i * out.row + (j / 2) * out.panel + (j % 2) * kLanes, sum[i][j]);
  }
}

template <int M>
inline __attribute__((noinline)) void tile_row(const float* const* rows, Depth depth, Panels panels, Source init,
                                               Place out) {
  tile<M, 1>(rows, depth, panels.data, panels.step, init, out);
}

// A few rows keep too few chains in flight for one panel: they take several panels at once.
template <int M, int P>
inline __attribute__((noinline)) void few_rows(const float* const* rows, int64_t K, Panels panels, Source init,
                                               Place out) {
  int64_t p = 0;
  for (; p + P <= panels.count; p += P) {
    const Source from{init.data + p * init.panel, init.row, init.panel};
    const Place to{out.data + p * out.panel, out.row, out.panel};
    tile<M, P>(rows, {0, K}, panels.data + p * panels.step, panels.step, from, to);
  }
  for (; p < panels.count; ++p) {
    const Source from{init.data + p * init.panel, init.row, init.panel};
    const Place to{out.data + p * out.panel, out.row, out.panel};
    tile<M, 1>(rows, {0, K}, panels.data + p * panels.step, panels.step, from, to);
  }
}

inline void tile_of(int64_t M, const float* const* rows, Depth depth, Panels panels, Source init, Place out) {
  switch (M) {
#define DEEPRNN_TILE(m) \
  case m:               \
    return tile_row<m>(rows, depth, panels, init, out);
    DEEPRNN_TILE(1)
    DEEPRNN_TILE(2)
    DEEPRNN_TILE(3)
    DEEPRNN_TILE(4)
    DEEPRNN_TILE(5)
    DEEPRNN_TILE(6)
#ifdef DEEPRNN_LANES_16
    DEEPRNN_TILE(7)
    DEEPRNN_TILE(8)
    DEEPRNN_TILE(9)
    DEEPRNN_TILE(10)
    DEEPRNN_TILE(11)
    DEEPRNN_TILE(12)
#endif
#undef DEEPRNN_TILE
    default:
      __builtin_unreachable();
  }
}

// out = init + A * panels for `count` rows of A. `out` may be `init`'s place; neither may overlap A or the panels.
inline void product(const float* const* rows, int64_t count, int64_t K, Panels panels, Source init, Place out) {
  if (count == 1) return few_rows<1, 4>(rows, K, panels, init, out);
  if (count == 2) return few_rows<2, 2>(rows, K, panels, init, out);
  if (count == 3) return few_rows<3, 2>(rows, K, panels, init, out);
  const int64_t tiles = ceil_div(count, kTileRows);
  for (int64_t p = 0; p < panels.count; ++p) {
    // A block of a panel stays in the first-level cache while all rows pass; sums go through memory from block to
    // block, which changes nothing about them.
    for (int64_t k = 0; k < K; k += kBlockDepth) {
      const Panels panel{panels.data + p * panels.step + k * kPanel, panels.step, 1};
      int64_t first = 0;
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t next = count * (i + 1) / tiles;
        const Place to{out.data + first * out.row + p * out.panel, out.row, out.panel};
        const Source from{init.data + first * init.row + p * init.panel, init.row, init.panel};
        tile_of(next - first, rows + first, {k, lesser(k + kBlockDepth, K)}, panel,
                k == 0 ? from : Source{to.data, to.row, to.panel}, to);
        first = next;
      }
    }
  }
}

}  // namespace deeprnn::DEEPRNN_ISA
