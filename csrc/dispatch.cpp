// Which instruction set runs a call.
#include "table.h"

namespace deeprnn {

namespace baseline {
extern const Table table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Table table;
}
namespace avx512 {
extern const Table table;
}
#endif

const Table& table_of(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx2) return avx2::table;
  if (isa == Isa::avx512) return avx512::table;
#endif
  (void)isa;
  return baseline::table;
}

bool supported(Isa isa) {
  if (isa == Isa::baseline) return true;
#if defined(__x86_64__)
  // The compiler's library also asks the operating system (xgetbv) whether it keeps the wide registers.
  __builtin_cpu_init();
  if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

Isa best_isa() {
  if (supported(Isa::avx512)) return Isa::avx512;
  return supported(Isa::avx2) ? Isa::avx2 : Isa::baseline;
}

int64_t packed_floats(Isa isa, const Shape& shape) { return table_of(isa).packed_floats(shape); }

void pack(Isa isa, const Shape& shape, const Inputs& inputs, float* packed, const Parallel& parallel) {
  table_of(isa).pack(shape, inputs, packed, parallel);
}

int64_t saved_floats(Isa isa, const Shape& shape) { return table_of(isa).saved_floats(shape); }

uint64_t checksum(Isa isa, const Shape& shape, const Inputs& inputs, const Parallel& parallel) {
  return table_of(isa).checksum(shape, inputs, parallel);
}

int64_t forward_scratch_floats(Isa isa, const Shape& shape, const Inputs& inputs) {
  return table_of(isa).forward_scratch_floats(shape, inputs);
}

bool forward(Isa isa, const Shape& shape, const Inputs& inputs, const float* packed, const Outputs& outputs,
             float* scratch, const Parallel& parallel) {
  return table_of(isa).forward(shape, inputs, packed, outputs, scratch, parallel);
}

int64_t backward_scratch_floats(Isa isa, const Shape& shape, const Inputs& inputs, const Gradients& gradients) {
  return table_of(isa).backward_scratch_floats(shape, inputs, gradients);
}

bool backward(Isa isa, const Shape& shape, const Inputs& inputs, const Outputs& outputs, const Gradients& gradients,
              float* scratch, const Parallel& parallel) {
  return table_of(isa).backward(shape, inputs, outputs, gradients, scratch, parallel);
}

void map(Isa isa, Phi phi, const float* in, float* out, int64_t n) { table_of(isa).map(phi, in, out, n); }

void map_derivative(Isa isa, Phi phi, const float* kept, float* out, int64_t n) {
  table_of(isa).map_derivative(phi, kept, out, n);
}

void map_exp(Isa isa, const float* in, float* out, int64_t n) { table_of(isa).map_exp(in, out, n); }

void map_log1p(Isa isa, const float* in, float* out, int64_t n) { table_of(isa).map_log1p(in, out, n); }

}  // namespace deeprnn
