// The matrix product from weights as they lie, row after row: for calls too short to be worth packing them.
//
// Blocks of kLanes rows by kLanes columns are transposed in registers. Every element of a product is the same chain of
// multiply-adds over k from 0 up as in tile.h: the results are the same bit for bit.
#pragma once

#include "isa/vec.h"

namespace deeprnn::DEEPRNN_ISA {

#if defined(DEEPRNN_LANES_16)
typedef double VD __attribute__((vector_size(kLanes * 4)));  // pairs of floats

// Four columns of each of the rows r, r + 4, r + 8, r + 12, in quarters: half of a transpose is its loads.
DEEPRNN_INLINE V load_quarters(const float* const* rows, int64_t r, int64_t k) {
  V v = _mm512_castps128_ps512(_mm_loadu_ps(rows[r] + k));
  v = _mm512_insertf32x4(v, _mm_loadu_ps(rows[r + 4] + k), 1);
  v = _mm512_insertf32x4(v, _mm_loadu_ps(rows[r + 8] + k), 2);
  return _mm512_insertf32x4(v, _mm_loadu_ps(rows[r + 12] + k), 3);
}

// column[j] = columns k + j of 16 rows. Each row's line is read whole before the next one's: where rows lie 4096 bytes
// apart, 16 of them are more than the first-level cache keeps.
DEEPRNN_INLINE void load_columns(const float* const* rows, int64_t k, V* column) {
  V quarters[4][4];
#pragma GCC unroll 4
  for (int64_t r = 0; r < 4; ++r) {
#pragma GCC unroll 4
    for (int64_t j = 0; j < 4; ++j) quarters[r][j] = load_quarters(rows, r, k + 4 * j);
  }
#pragma GCC unroll 4
  for (int64_t j = 0; j < 4; ++j) {
    const V a = quarters[0][j], b = quarters[1][j], c = quarters[2][j], d = quarters[3][j];
    const auto ab_low =
        reinterpret_cast<VD>(__builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29));
    const auto ab_high =
        reinterpret_cast<VD>(__builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31));
    const auto cd_low =
        reinterpret_cast<VD>(__builtin_shufflevector(c, d, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29));
    const auto cd_high =
        reinterpret_cast<VD>(__builtin_shufflevector(c, d, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31));
    column[4 * j] = reinterpret_cast<V>(__builtin_shufflevector(ab_low, cd_low, 0, 8, 2, 10, 4, 12, 6, 14));
    column[4 * j + 1] = reinterpret_cast<V>(__builtin_shufflevector(ab_low, cd_low, 1, 9, 3, 11, 5, 13, 7, 15));
    column[4 * j + 2] = reinterpret_cast<V>(__builtin_shufflevector(ab_high, cd_high, 0, 8, 2, 10, 4, 12, 6, 14));
    column[4 * j + 3] = reinterpret_cast<V>(__builtin_shufflevector(ab_high, cd_high, 1, 9, 3, 11, 5, 13, 7, 15));
  }
}
#elif defined(DEEPRNN_LANES_8)
DEEPRNN_INLINE V load_halves(const float* const* rows, int64_t r, int64_t k) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(rows[r] + k)), _mm_loadu_ps(rows[r + 4] + k), 1);
}

// column[j] = columns k + j of 8 rows.
DEEPRNN_INLINE void load_columns(const float* const* rows, int64_t k, V* column) {
#pragma GCC unroll 2
  for (int64_t j = 0; j < 8; j += 4) {
    const V a = load_halves(rows, 0, k + j), b = load_halves(rows, 1, k + j);
    const V c = load_halves(rows, 2, k + j), d = load_halves(rows, 3, k + j);
    const __m256d ab_low = _mm256_castps_pd(_mm256_unpacklo_ps(a, b)),
                  ab_high = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
    const __m256d cd_low = _mm256_castps_pd(_mm256_unpacklo_ps(c, d)),
                  cd_high = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
    column[j] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab_low, cd_low));
    column[j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab_low, cd_low));
    column[j + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high));
    column[j + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high));
  }
}
#else
// column[j] = columns k + j of 4 rows.
DEEPRNN_INLINE void load_columns(const float* const* rows, int64_t k, V* column) {
  const V a = load(rows[0] + k), b = load(rows[1] + k), c = load(rows[2] + k), d = load(rows[3] + k);
  const V ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const V cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  column[0] = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
  column[1] = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
  column[2] = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
  column[3] = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}
#endif

// Rows of A that share one transpose.
constexpr int64_t kUnpackedRows = 4;

// N vectors of units by M rows of A, added to what `out` holds. `weights`: N * kLanes rows of K floats; those that are
// read next lie `ahead` floats further on, and are asked for: no processor follows so many rows by itself.
template <int M, int N>
inline __attribute__((noinline)) void tile_unpacked(const float* const* rows, int64_t K, const float* const* weights,
                                                    int64_t ahead, float* out, int64_t out_row) {
  V sum[M][N];
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < N; ++j) sum[i][j] = load(out + i * out_row + j * kLanes);
  }
  int64_t k = 0;
  for (; k + kLanes <= K; k += kLanes) {
#pragma GCC unroll 2
    for (int j = 0; j < N; ++j) {
      V column[kLanes];
      load_columns(weights + j * kLanes, k, column);
#pragma GCC unroll 16
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        __builtin_prefetch(weights[j * kLanes + lane] + k + ahead, 0, 2);
      }
#pragma GCC unroll 16
      for (int64_t c = 0; c < kLanes; ++c) {
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) sum[i][j] = fma(column[c], rows[i][k + c], sum[i][j]);
      }
    }
  }
  for (; k < K; ++k) {
    for (int j = 0; j < N; ++j) {
      V column{};
      for (int64_t lane = 0; lane < kLanes; ++lane) column[lane] = weights[j * kLanes + lane][k];
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) sum[i][j] = fma(column, rows[i][k], sum[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < N; ++j) store(out + i * out_row + j * kLanes, sum[i][j]);
  }
}

template <int N>
inline void tiles_unpacked(const float* const* rows, int64_t count, int64_t K, const float* const* weights,
                           int64_t ahead, float* out, int64_t out_row) {
  for (; count >= kUnpackedRows; count -= kUnpackedRows, rows += kUnpackedRows, out += kUnpackedRows * out_row) {
    tile_unpacked<kUnpackedRows, N>(rows, K, weights, ahead, out, out_row);
  }
  if (count == 3) tile_unpacked<3, N>(rows, K, weights, ahead, out, out_row);
  if (count == 2) tile_unpacked<2, N>(rows, K, weights, ahead, out, out_row);
  if (count == 1) tile_unpacked<1, N>(rows, K, weights, ahead, out, out_row);
}

// out += A * W' for `count` rows of A and `units` rows of W, at most kPanel, each K floats; rows of `out` have room for
// a whole panel, of which what lies beyond `units` means nothing. `ahead`: see tile_unpacked.
inline void product_unpacked(const float* const* rows, int64_t count, int64_t K, const float* weight, int64_t units,
                             int64_t ahead, float* out, int64_t out_row) {
  const float* weights[kPanel];
  for (int64_t j = 0; j < kPanel; ++j) weights[j] = weight + lesser(j, units - 1) * K;
#ifdef DEEPRNN_LANES_16
  for (; count >= 8;
       count -= 8, rows += 8, out += 8 * out_row) {  // the columns and one vector's sums fill the registers
    for (int64_t j = 0; j < units; j += kLanes) tile_unpacked<8, 1>(rows, K, weights + j, ahead, out + j, out_row);
  }
#endif
  if (units <= kLanes) {
    tiles_unpacked<1>(rows, count, K, weights, ahead, out, out_row);
  } else {
    tiles_unpacked<2>(rows, count, K, weights, ahead, out, out_row);
  }
}

}  // namespace deeprnn::DEEPRNN_ISA
