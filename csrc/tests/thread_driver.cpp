// Every cell forward and backward on several threads, for ThreadSanitizer, and the same results as on one thread.
//
// Its parallel_for is made of std::thread, whose synchronisation the sanitizer knows; torch's own pool is not known to
// it. Exits with 1 if a call differs.
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "deeprnn.h"

namespace {

using namespace deeprnn;

bool run_threads(const Parallel* self, int64_t count, void (*body)(void* context, int64_t begin, int64_t end),
                 void* context) {
  const int64_t threads = self->threads < count ? self->threads : count;
  std::vector<std::thread> running;
  for (int64_t t = 0; t < threads; ++t) {
    running.emplace_back([=] { body(context, count * t / threads, count * (t + 1) / threads); });
  }
  for (std::thread& thread : running) thread.join();
  return true;
}

struct Case {
  const char* name;
  CellKind cell;
  bool reset_after, peephole;
  int64_t T, B, I, H;
  bool indices, masked, zoneout, restarts, lengths, reverse;
};

std::vector<float> draw(std::mt19937& random, int64_t count, float scale) {
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

// All that a call computes, one buffer after the other.
std::vector<float> compute(Isa isa, const Case& one, int32_t threads) {
  std::mt19937 random(7);
  const int64_t T = one.T, B = one.B, I = one.I, H = one.H, BH = B * H;
  const int64_t G = one.cell == CellKind::elman ? 1 : one.cell == CellKind::gru ? 3 : 4;
  const bool lstm = one.cell == CellKind::lstm;
  const Parallel parallel{run_threads, threads};
  const Shape shape{.cell = one.cell,
                    .reset_after = one.reset_after,
                    .phi = Phi::tanh,
                    .gate_phi = Phi::sigmoid,
                    .peephole = one.peephole,
                    .T = T,
                    .B = B,
                    .I = I,
                    .H = H,
                    .indices = one.indices,
                    .masked = one.masked,
                    .zoneout = one.zoneout,
                    .training = true,
                    .threads = threads};

  const auto x = draw(random, T * B * I, 1.0f), weight_xh = draw(random, G * H * I, 0.1f);
  const auto weight_hh = draw(random, G * H * H, 0.1f), bias = draw(random, G * H, 0.1f);
  const auto weight_ch = draw(random, 3 * H, 0.1f), bias_hn = draw(random, H, 0.1f), state = draw(random, 5 * BH, 1.0f),
             of_hidden = draw(random, T * BH, 1.0f);
  std::vector<int64_t> indices, lengths;
  std::vector<uint8_t> restarts;
  for (int64_t k = 0; k < T * B; ++k) {
    indices.push_back(k * 7 % I);
    restarts.push_back(k % 5 == 0);
  }
  for (int64_t b = 0; b < B; ++b) lengths.push_back(B == 1 ? T - T / 9 : (b * 3 + 1) % (T + 1));
  const float keep = 0.25f;
  const auto rows = [&](int64_t which) { return Strided{state.data() + which * BH, 0, H, 1}; };
  Inputs inputs{};
  inputs.x = {x.data(), B * I, I, 1};
  inputs.indices = one.indices ? indices.data() : nullptr;
  inputs.weight_xh = weight_xh.data();
  inputs.weight_hh = weight_hh.data();
  inputs.bias = bias.data();
  inputs.bias_hn = one.cell == CellKind::gru && one.reset_after ? bias_hn.data() : nullptr;
  inputs.weight_ch = one.peephole ? weight_ch.data() : nullptr;
  inputs.h0 = rows(0);
  if (lstm) inputs.c0 = rows(1);
  if (one.restarts) {
    inputs.initial_h = rows(2);
    if (lstm) inputs.initial_c = rows(3);
    inputs.restarts = restarts.data();
  }
  if (one.lengths) inputs.lengths = lengths.data();
  if (one.masked) inputs.mask = rows(4);
  if (one.zoneout) {
    inputs.keep_h = {&keep, 0, 0, 0};
    if (lstm) inputs.keep_c = {&keep, 0, 0, 0};
  }
  inputs.reverse = one.reverse;

  std::vector<float> packed(static_cast<size_t>(packed_floats(isa, shape)));
  pack(isa, shape, inputs, packed.data(), parallel);

  std::vector<int64_t> sizes{T * BH,    T * BH,    BH,        BH,    saved_floats(isa, shape),
                             T * B * I, G * H * I, G * H * H, G * H, H,
                             BH,        BH,        BH,        BH,    3 * H};
  std::vector<int64_t> starts{0};
  for (const int64_t size : sizes) starts.push_back(starts.back() + size);
  std::vector<float> all(static_cast<size_t>(starts.back()), 0.0f);
  const auto at = [&](size_t k, bool wanted = true) { return wanted ? all.data() + starts[k] : nullptr; };
  const Outputs outputs{at(0), at(1, lstm), at(2), at(3, lstm), at(4)};
  std::vector<float> scratch(static_cast<size_t>(forward_scratch_floats(isa, shape, inputs)));
  forward(isa, shape, inputs, packed.data(), outputs, scratch.data(), parallel);
  Gradients gradients{};
  gradients.hidden = of_hidden.data();
  gradients.x = at(5, !one.indices);
  gradients.weight_xh = at(6);
  gradients.weight_hh = at(7);
  gradients.bias = at(8);
  gradients.bias_hn = at(9, inputs.bias_hn != nullptr);
  gradients.h0 = at(10);
  gradients.c0 = at(11, lstm);
  gradients.initial_h = at(12, one.restarts);
  gradients.initial_c = at(13, one.restarts && lstm);
  gradients.weight_ch = at(14, one.peephole);
  scratch.resize(static_cast<size_t>(backward_scratch_floats(isa, shape, inputs, gradients)));
  backward(isa, shape, inputs, outputs, gradients, scratch.data(), parallel);
  return all;
}

}  // namespace

int main() {
  std::vector<Case> cases;
  struct Kind {
    const char* name;
    CellKind cell;
    bool reset_after, peephole = false;
  };
  const Kind kinds[] = {{"elman", CellKind::elman, false},
                        {"gru", CellKind::gru, true},
                        {"gru, reset before", CellKind::gru, false},
                        {"lstm", CellKind::lstm, false},
                        {"lstm, peephole", CellKind::lstm, false, true}};
  for (const Kind& kind : kinds) {
    // Enough rows to split the batch, few rows to split the units, all options, too little work for two threads, and
    // one long row, whose products are made beside its recurrence.
    cases.push_back({kind.name, kind.cell, kind.reset_after, kind.peephole, 9, 33, 17, 65, false, false, false, false,
                     false, false});
    cases.push_back({kind.name, kind.cell, kind.reset_after, kind.peephole, 12, 3, 33, 257, false, false, false, true,
                     false, true});
    cases.push_back(
        {kind.name, kind.cell, kind.reset_after, kind.peephole, 12, 2, 12, 258, true, true, true, true, true, false});
    cases.push_back(
        {kind.name, kind.cell, kind.reset_after, kind.peephole, 70, 17, 12, 40, true, true, true, true, true, true});
    cases.push_back(
        {kind.name, kind.cell, kind.reset_after, kind.peephole, 5, 1, 3, 5, false, false, false, false, true, false});
    cases.push_back({kind.name, kind.cell, kind.reset_after, kind.peephole, 700, 1, 33, 60, false, false, false, false,
                     false, false});
    cases.push_back(
        {kind.name, kind.cell, kind.reset_after, kind.peephole, 700, 1, 33, 60, false, true, true, true, true, true});
    cases.push_back(
        {kind.name, kind.cell, kind.reset_after, kind.peephole, 700, 1, 33, 60, true, false, false, true, true, false});
  }
  int different = 0, compared = 0;
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (!supported(isa)) continue;
    for (const Case& one : cases) {
      const std::vector<float> expected = compute(isa, one, 1);
      for (const int32_t threads : {2, 3, 5}) {
        const std::vector<float> got = compute(isa, one, threads);
        ++compared;
        if (std::memcmp(expected.data(), got.data(), expected.size() * sizeof(float)) == 0) continue;
        ++different;
        std::printf("%s T=%d B=%d H=%d: %d threads differ from one\n", one.name, static_cast<int>(one.T),
                    static_cast<int>(one.B), static_cast<int>(one.H), threads);
      }
    }
  }
  std::printf("%d of %d calls differ\n", different, compared);
  return different == 0 ? 0 : 1;
}
