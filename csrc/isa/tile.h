// The matrix product that everything runs on: out = init + A * panels, in register tiles.
//
// Every element of a product is one chain of multiply-adds over k from 0 up, whatever the tile that it lies in: results
// depend neither on how rows are split over threads nor on where a tile begins.
#pragma once

#include "isa/vec.h"

namespace deeprnn::DEEPRNN_ISA {

// Panels p = 0 .. count-1, each K rows of kPanel floats, `step` floats apart. `far`: they are too many to stay in the
// second-level cache until they are read again. Of the last `halves` only the first vector of each row counts: of the
// product's second one nothing is read or written.
struct Panels {
  const float* data;
  int64_t step;
  int64_t count;
  int64_t halves = 0;
  bool far = false;
};

// Whether so many units fit in a panel's first vector.
constexpr bool half_panel(int64_t units) { return units <= kLanes; }

// Floats of panels from which asking ahead pays: 1 MiB, measured where the second level has half of that.
constexpr int64_t kNearFloats = 1 << 18;

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
constexpr int64_t kLineFloats = 16;  // of a cache line

// M rows by N vectors in registers, two of each panel: panel p adds to from[p], and its part of row i is at
// to[p] + i * to_row.
template <int M, int N, bool ahead = false>
DEEPRNN_INLINE void tile(const float* const* rows, Depth depth, const float* const* panels, const float* const* from,
                         int64_t from_row, float* const* to, int64_t to_row) {
  V sum[M][N];
  const float* a[M];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
    a[i] = rows[i] + depth.begin;
#pragma GCC unroll 16
    for (int j = 0; j < N; ++j) sum[i][j] = load(from[j / 2] + i * from_row + (j % 2) * kLanes);
  }
  const int64_t K = depth.end - depth.begin;
#pragma GCC unroll 4
  for (int64_t k = 0; k < K; ++k) {
    // The processor's own prefetching does not run far enough before a block that lies beyond the second level.
    if constexpr (ahead) {
#pragma GCC unroll 2
      for (int64_t j = 0; j < kPanel; j += kLineFloats) {
        __builtin_prefetch(panels[0] + (k + kBlockDepth) * kPanel + j, 0, 2);
      }
    }
    V b[N];
#pragma GCC unroll 16
    for (int j = 0; j < N; ++j) b[j] = load(panels[j / 2] + k * kPanel + (j % 2) * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const V x = broadcast(a[i][k]);
#pragma GCC unroll 16
      for (int j = 0; j < N; ++j) sum[i][j] = fma(x, b[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < N; ++j) store(to[j / 2] + i * to_row + (j % 2) * kLanes, sum[i][j]);
  }
}

template <int M>
inline __attribute__((noinline)) void tile_row(const float* const* rows, Depth depth, Panels panels, Source init,
                                               Place out) {
  if (panels.halves > 0) return tile<M, 1>(rows, depth, &panels.data, &init.data, init.row, &out.data, out.row);
  if (panels.far) return tile<M, 2, true>(rows, depth, &panels.data, &init.data, init.row, &out.data, out.row);
  tile<M, 2>(rows, depth, &panels.data, &init.data, init.row, &out.data, out.row);
}

// A few rows keep too few chains of multiply-adds in flight for one panel: they take several panels at once.
constexpr int64_t kFewRows = 3;

// Panel p begins at panels[p]; its part of row i is to[p] + i * row floats, which starts as from[p].
struct Scattered {
  const float* const* panels;
  const float* const* from;
  float* const* to;
  int64_t row, count;
};

template <int M, int P>
inline __attribute__((noinline)) void tiles_of(const float* const* rows, int64_t K, const Scattered& all, int64_t p) {
  tile<M, 2 * P>(rows, {0, K}, all.panels + p, all.from + p, all.row, all.to + p, all.row);
}

// The product for at most kFewRows rows.
inline void product(const float* const* rows, int64_t count, int64_t K, const Scattered& all) {
  int64_t p = 0;
  if (count == 1) {
    for (; p + 4 <= all.count; p += 4) tiles_of<1, 4>(rows, K, all, p);
    if (p + 3 == all.count) return tiles_of<1, 3>(rows, K, all, p);
    if (p + 2 == all.count) return tiles_of<1, 2>(rows, K, all, p);
    if (p + 1 == all.count) return tiles_of<1, 1>(rows, K, all, p);
  } else if (count == 2) {
    for (; p + 3 <= all.count; p += 3) tiles_of<2, 3>(rows, K, all, p);
    if (p + 2 == all.count) return tiles_of<2, 2>(rows, K, all, p);
    if (p + 1 == all.count) return tiles_of<2, 1>(rows, K, all, p);
  } else {
    for (; p + 2 <= all.count; p += 2) tiles_of<3, 2>(rows, K, all, p);
    if (p + 1 == all.count) return tiles_of<3, 1>(rows, K, all, p);
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
#endif
#undef DEEPRNN_TILE
    default:
      __builtin_unreachable();
  }
}

// out = init + A * panels for `count` rows of A, best for more than kFewRows. `out` may be `init`'s place; neither may
// overlap A or the panels.
inline void product(const float* const* rows, int64_t count, int64_t K, Panels panels, Source init, Place out) {
  const int64_t tiles = ceil_div(count, kTileRows);
  for (int64_t p = 0; p < panels.count; ++p) {
    // A block of a panel stays in the first-level cache while all rows pass; sums go through memory from block to
    // block, which changes nothing about them.
    for (int64_t k = 0; k < K; k += kBlockDepth) {
      const float* block = panels.data + p * panels.step + k * kPanel;
      int64_t first = 0;
      for (int64_t i = 0; i < tiles; ++i) {
        const Panels panel{block, panels.step, 1, p >= panels.count - panels.halves ? 1 : 0, panels.far && i == 0};
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
