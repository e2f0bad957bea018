// The largest error of the kernels' exp, tanh, sigmoid and log1p, over every float there is, in units in the last place
// against the C library's double precision. Some minutes for each instruction set; those to try may be named.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "deeprnn.h"

namespace {

using namespace deeprnn;

struct Function {
  const char* name;
  void (*computed)(Isa isa, const float* in, float* out, int64_t n);
  double (*exact)(double x);
};

const Function functions[] = {
    {"exp", map_exp, [](double x) { return std::exp(x); }},
    {"tanh", [](Isa isa, const float* in, float* out, int64_t n) { map(isa, Phi::tanh, in, out, n); },
     [](double x) { return std::tanh(x); }},
    {"sigmoid", [](Isa isa, const float* in, float* out, int64_t n) { map(isa, Phi::sigmoid, in, out, n); },
     [](double x) { return 1.0 / (1.0 + std::exp(-x)); }},
    {"log1p", map_log1p, [](double x) { return std::log1p(x); }},
};

struct Worst {
  double units = 0.0;
  float at = 0.0f;
  int64_t wrong = 0;  // finite where it should be infinite or NaN, or the other way round
};

double unit_of(double exact) {
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::ldexp(1.0, std::clamp(exponent, -125, 128) - 24);
}

bool agrees_at_the_ends(float found, double exact) {
  if (std::isnan(exact)) return std::isnan(found);
  return static_cast<float>(exact) == found;
}

// Over the floats whose bits are first .. last - 1.
Worst worst_of(const Function& function, Isa isa, uint64_t first, uint64_t last) {
  constexpr uint64_t kBlock = 1 << 14;
  std::vector<float> in(kBlock), out(kBlock);
  Worst worst;
  for (uint64_t begin = first; begin < last; begin += kBlock) {
    for (uint64_t k = 0; k < kBlock; ++k) in[k] = std::bit_cast<float>(static_cast<uint32_t>(begin + k));
    function.computed(isa, in.data(), out.data(), kBlock);
    for (uint64_t k = 0; k < kBlock; ++k) {
      const double exact = function.exact(static_cast<double>(in[k]));
      if (!(std::fabs(exact) <= static_cast<double>(std::numeric_limits<float>::max()))) {
        worst.wrong += !agrees_at_the_ends(out[k], exact);
        continue;
      }
      if (!std::isfinite(out[k])) {
        ++worst.wrong;
        continue;
      }
      const double units = std::fabs(static_cast<double>(out[k]) - exact) / unit_of(exact);
      if (units > worst.units) worst.units = units, worst.at = in[k];
    }
  }
  return worst;
}

Worst worst_of_all(const Function& function, Isa isa) {
  const uint64_t parts = std::max(1u, std::thread::hardware_concurrency()), all = uint64_t{1} << 32;
  std::vector<Worst> found(parts);
  std::vector<std::thread> threads;
  for (uint64_t p = 0; p < parts; ++p) {
    // Whole blocks, so that no part reads another's.
    const uint64_t first = all / 65536 * p / parts * 65536, last = all / 65536 * (p + 1) / parts * 65536;
    threads.emplace_back([&, p, first, last] { found[p] = worst_of(function, isa, first, last); });
  }
  for (std::thread& thread : threads) thread.join();
  Worst worst;
  for (const Worst& one : found) {
    worst.wrong += one.wrong;
    if (one.units > worst.units) worst.units = one.units, worst.at = one.at;
  }
  return worst;
}

}  // namespace

int main(int count, char** names) {
  const char* const isas[] = {"baseline", "avx2", "avx512"};
  int64_t wrong = 0;
  bool tried = false;
  for (const char* name : isas) {
    const bool asked =
        count < 2 ||
        std::any_of(names + 1, names + count, [&](const char* given) { return std::strcmp(given, name) == 0; });
    const Isa isa = static_cast<Isa>(std::find(std::begin(isas), std::end(isas), name) - std::begin(isas));
    if (!asked || !supported(isa)) continue;
    tried = true;
    for (const Function& function : functions) {
      const Worst worst = worst_of_all(function, isa);
      wrong += worst.wrong;
      std::printf("%-9s %-8s %.3f units in the last place, at %.9g; %lld wrong at the ends\n", name, function.name,
                  worst.units, static_cast<double>(worst.at), static_cast<long long>(worst.wrong));
      std::fflush(stdout);
    }
  }
  if (!tried)
    std::printf("nothing tried: name baseline, avx2 or avx512, what this processor has, or nothing for all\n");
  return !tried || wrong != 0;
}
