// One layer over one sequence in one direction, forward and backward, float32, on a CPU.
//
// The legend: T steps, B rows, I input features, H hidden units, G gates (Elman 1, GRU 3 = r z n, LSTM 4 = i f g o).
// No function here allocates what it returns: the caller gives every output and every buffer, of the sizes that
// `*_floats` tell. Nothing is kept between calls. Results do not depend on the number of threads.
#pragma once

#include <cstdint>

namespace deeprnn {

enum class CellKind : int32_t { elman, gru, lstm };

enum class Phi : int32_t {
  tanh,
  relu,
  sigmoid,
  identity,
  softplus,
  softsign,
  elu,
  leaky_relu,
  hardtanh,
  hardsigmoid,
  selu,
  gelu,
  silu,
  sin
};

enum class Isa : int32_t { baseline, avx2, avx512 };

// torch_parallel_for's own signature is adapted to this in torch_pool.h; nullptr runs everything on the caller.
//
// Calls body(context, begin, end) so that the ranges cover [0, count) once; two shares may arrive in one call. All
// ranges must run at the same time, none queued behind another, since shares wait for each other: either every range
// has a thread of its own, or one call is given all of [0, count). Returns whether every thread had a processor
// throughout. It may throw where the threads could not do all: no kernel holds anything then that would have to be
// freed.
struct Parallel {
  bool (*run)(const Parallel* self, int64_t count, void (*body)(void* context, int64_t begin, int64_t end),
              void* context);
  int32_t threads;  // how many run at once; 1 for serial
};

// What is computed: everything that sizes of buffers depend on.
struct Shape {
  CellKind cell;
  bool reset_after;  // GRU only
  Phi phi;           // of Elman's h, a GRU's n, an LSTM's g and of its c on its way out
  Phi gate_phi;      // of a GRU's r and z, an LSTM's i, f and o
  bool peephole;     // LSTM only: weight_ch is given
  int64_t T, B, I, H;
  bool indices;  // x holds int64 indices below I instead of floats
  bool masked;   // a recurrent mask is given
  bool zoneout;
  bool training;  // keep what the backward pass needs; outputs without it differ by rounding
  int32_t threads;
};

// A (T, B, F) tensor by its strides, in elements; any of them may be 0 or negative.
struct Strided {
  const float* data;
  int64_t t, b, f;
};

struct Inputs {
  Strided x;                     // unused with indices; beyond a row's length anything, NaN included
  const int64_t* indices;        // (T, B) contiguous, beyond a row's length anything; nullptr without
  const float* weight_xh;        // (G*H, I) contiguous
  const float* weight_hh;        // (G*H, H) contiguous
  const float* bias;             // (G*H,) or nullptr
  const float* bias_hn;          // (H,) or nullptr
  const float* weight_ch;        // (3*H,) what c adds to i, f and o; nullptr without peepholes
  Strided h0, c0;                // (B, H), t unused; c0 for LSTM only
  Strided initial_h, initial_c;  // (B, H), where a restart goes back to; data may be nullptr without restarts
  const int64_t* lengths;        // (B,) or nullptr
  const uint8_t* restarts;       // (T, B) contiguous, in this direction's order of meaning; nullptr for none
  Strided mask;                  // (B, H), t unused; data nullptr for none
  Strided keep_h, keep_c;        // (T, B, H) zoneout; data nullptr for none
  bool reverse;                  // steps run from T-1 to 0
};

struct Outputs {
  float* hidden;  // (T, B, H) contiguous, zero beyond a row's length
  float* cells;   // (T, B, H) c_t likewise, or nullptr where not asked for
  float* last_h;  // (B, H)
  float* last_c;  // (B, H), LSTM only
  float* saved;   // saved_floats(shape) floats for the backward pass, or nullptr in inference
};

struct Gradients {
  // Given: what reaches each output; nullptr for zero.
  const float* hidden;  // (T, B, H) contiguous
  const float* cells;   // (T, B, H) contiguous
  const float* last_h;  // (B, H)
  const float* last_c;  // (B, H)
  // Wanted: written whole, contiguous; nullptr where not wanted.
  float* x;          // (T, B, I)
  float* weight_xh;  // (G*H, I)
  float* weight_hh;  // (G*H, H)
  float* bias;       // (G*H,)
  float* bias_hn;    // (H,)
  float* weight_ch;  // (3*H,)
  float* h0;         // (B, H)
  float* c0;         // (B, H)
  float* initial_h;  // (B, H)
  float* initial_c;  // (B, H)
};

// The best instruction set that this processor and operating system support; DEEPRNN_ISA is read by the caller.
Isa best_isa();
bool supported(Isa isa);

// In inference, a call of at most so many steps times rows reads the weights as they lie: packing them, or proving that
// a kept copy is still theirs, would take longer. The results are the same, bit for bit.
constexpr int64_t kFewSteps = 8;

// Floats of the packed weights of the forward pass, which the caller may keep while the weights stay the same. Their
// layout is the same for every T, B and number of threads.
int64_t packed_floats(Isa isa, const Shape& shape);
void pack(Isa isa, const Shape& shape, const Inputs& inputs, float* packed, const Parallel& parallel);

// A number that changes when a value of the weights does; see checksum.h.
uint64_t checksum(Isa isa, const Shape& shape, const Inputs& inputs, const Parallel& parallel);

// Floats that forward leaves for backward: so many for each step of each row, whatever T, B and threads are.
int64_t saved_floats(Isa isa, const Shape& shape);

// Floats of `scratch`, 64 bytes aligned, whose contents mean nothing before the call and after it.
int64_t forward_scratch_floats(Isa isa, const Shape& shape, const Inputs& inputs);
int64_t backward_scratch_floats(Isa isa, const Shape& shape, const Inputs& inputs, const Gradients& gradients);

// `packed` as `pack` left it for the same shape, or nullptr for a call of few steps; no output aliases an input.
// Both functions return what `parallel.run` returned.
bool forward(Isa isa, const Shape& shape, const Inputs& inputs, const float* packed, const Outputs& outputs,
             float* scratch, const Parallel& parallel);

// `outputs` as forward wrote them (hidden, cells if given, saved).
bool backward(Isa isa, const Shape& shape, const Inputs& inputs, const Outputs& outputs, const Gradients& gradients,
              float* scratch, const Parallel& parallel);

// phi, its derivative (from its output or argument, as the backward pass has it), exp and log1p of n floats, by the
// vector functions that the kernels use. `out` may be `in`.
void map(Isa isa, Phi phi, const float* in, float* out, int64_t n);
void map_derivative(Isa isa, Phi phi, const float* kept, float* out, int64_t n);
void map_exp(Isa isa, const float* in, float* out, int64_t n);
void map_log1p(Isa isa, const float* in, float* out, int64_t n);

// What the machine can do, measured for a few hundredths of a second on `threads` threads of their own: multiply-adds
// in registers, in 1e9 flops a second; and reads of a working set of `bytes` a thread, in 1e9 bytes a second.
double fma_peak_gflops(Isa isa, int threads);
double read_gbps(Isa isa, int threads, int64_t bytes);

}  // namespace deeprnn
