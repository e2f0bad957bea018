// One vector of floats of the instruction set that the including translation unit is compiled for.
//
// Included only from kernels.cpp, inside an instruction set's own namespace (DEEPRNN_ISA). Nothing here, and in the
// headers that build on it, uses a template or inline function of the standard library: the linker keeps one copy of
// such a function for the whole program, and it could be the one with instructions that this processor lacks.
#pragma once

#include <stdint.h>

#if defined(__AVX512F__)
#define DEEPRNN_LANES_16
#include <immintrin.h>
#elif defined(__AVX2__) && defined(__FMA__)
#define DEEPRNN_LANES_8
#include <immintrin.h>
#endif

// A call between vector functions costs more than most of them do.
#define DEEPRNN_INLINED __attribute__((always_inline))
#define DEEPRNN_INLINE inline DEEPRNN_INLINED

namespace deeprnn::DEEPRNN_ISA {

#if defined(DEEPRNN_LANES_16)
constexpr int64_t kLanes = 16;
constexpr int kTileRows = 10;  // 20 of 32 registers accumulate; with 12, addresses of rows spill
#elif defined(DEEPRNN_LANES_8)
constexpr int64_t kLanes = 8;
constexpr int kTileRows = 6;  // 12 of 16 registers accumulate
#else
constexpr int64_t kLanes = 4;
constexpr int kTileRows = 6;
#endif
constexpr int64_t kPanel = 2 * kLanes;  // floats in a panel's row

typedef float V __attribute__((vector_size(kLanes * 4)));
typedef int32_t VI __attribute__((vector_size(kLanes * 4)));
typedef float VUnaligned __attribute__((vector_size(kLanes * 4), aligned(4)));

DEEPRNN_INLINE V load(const float* p) { return *reinterpret_cast<const VUnaligned*>(p); }
DEEPRNN_INLINE void store(float* p, V v) { *reinterpret_cast<VUnaligned*>(p) = v; }
DEEPRNN_INLINE V broadcast(float x) {
#if defined(DEEPRNN_LANES_16)
  return _mm512_set1_ps(x);
#elif defined(DEEPRNN_LANES_8)
  return _mm256_set1_ps(x);
#else
  return V{x, x, x, x};
#endif
}
DEEPRNN_INLINE VI bits(V v) { return reinterpret_cast<VI>(v); }
DEEPRNN_INLINE V floats(VI v) { return reinterpret_cast<V>(v); }
DEEPRNN_INLINE V select(VI mask, V yes, V no) { return mask ? yes : no; }
DEEPRNN_INLINE V abs(V v) { return floats(bits(v) & 0x7fffffff); }

// The first n lanes, n > 0; the others are 0 (load) or left alone (store), and their memory is not touched.
#if defined(DEEPRNN_LANES_16)
DEEPRNN_INLINE __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
#elif defined(DEEPRNN_LANES_8)
DEEPRNN_INLINE __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif
DEEPRNN_INLINE V load(const float* p, int64_t n) {
  if (n >= kLanes) return load(p);
#if defined(DEEPRNN_LANES_16)
  return _mm512_maskz_loadu_ps(first_lanes(n), p);
#elif defined(DEEPRNN_LANES_8)
  return _mm256_maskload_ps(p, first_lanes(n));
#else
  V v{};
  for (int64_t j = 0; j < n; ++j) v[j] = p[j];
  return v;
#endif
}
DEEPRNN_INLINE void store(float* p, V v, int64_t n) {
  if (n >= kLanes) return store(p, v);
#if defined(DEEPRNN_LANES_16)
  _mm512_mask_storeu_ps(p, first_lanes(n), v);
#elif defined(DEEPRNN_LANES_8)
  _mm256_maskstore_ps(p, first_lanes(n), v);
#else
  for (int64_t j = 0; j < n; ++j) p[j] = v[j];
#endif
}
DEEPRNN_INLINE V load_strided(const float* p, int64_t stride, int64_t n) {
  if (stride == 1) return load(p, n);
  V v{};
  for (int64_t j = 0; j < kLanes && j < n; ++j) v[j] = p[j * stride];
  return v;
}

// a * b + c; rounded once where the instruction set can.
DEEPRNN_INLINE V fma(V a, V b, V c) {
#if defined(DEEPRNN_LANES_16)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(DEEPRNN_LANES_8)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}
DEEPRNN_INLINE V fma(V a, float b, V c) { return fma(a, broadcast(b), c); }
DEEPRNN_INLINE V fma(V a, V b, float c) { return fma(a, b, broadcast(c)); }
DEEPRNN_INLINE V fma(V a, float b, float c) { return fma(a, broadcast(b), broadcast(c)); }

// x kept within [low, high]; NaN stays NaN.
DEEPRNN_INLINE V at_least(V x, float low) {
#if defined(DEEPRNN_LANES_16)
  return _mm512_maskz_max_ps(0xffff, broadcast(low), x);  // the unmasked one warns in GCC 12
#elif defined(DEEPRNN_LANES_8)
  return _mm256_max_ps(broadcast(low), x);
#else
  return x < low ? broadcast(low) : x;
#endif
}
DEEPRNN_INLINE V at_most(V x, float high) {
#if defined(DEEPRNN_LANES_16)
  return _mm512_maskz_min_ps(0xffff, broadcast(high), x);
#elif defined(DEEPRNN_LANES_8)
  return _mm256_min_ps(broadcast(high), x);
#else
  return x > high ? broadcast(high) : x;
#endif
}

DEEPRNN_INLINE int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
DEEPRNN_INLINE int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }
DEEPRNN_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace deeprnn::DEEPRNN_ISA
