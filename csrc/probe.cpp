// The machine's own limits, for the benchmarks' bounds.
#include <chrono>
#include <thread>
#include <vector>

#include "table.h"

namespace deeprnn {

const Table& table_of(Isa isa);

namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The sum over threads of work / seconds; body(thread) does some work and returns its amount.
template <typename F>
double rate(int threads, F body) {
  std::vector<double> rates(static_cast<size_t>(threads));
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      body(t);  // the clock rises to its working frequency, caches fill
      double done = 0.0;
      const double start = seconds_now();
      double end = start;
      while (end - start < 0.03) {
        done += body(t);
        end = seconds_now();
      }
      rates[static_cast<size_t>(t)] = done / (end - start);
    });
  }
  double sum = 0.0;
  for (int t = 0; t < threads; ++t) {
    running[static_cast<size_t>(t)].join();
    sum += rates[static_cast<size_t>(t)];
  }
  return sum;
}

}  // namespace

double fma_peak_gflops(Isa isa, int threads) {
  return 1e-9 * rate(threads, [&](int) { return table_of(isa).multiply_adds(4000); });
}

double read_gbps(Isa isa, int threads, int64_t bytes) {
  const int64_t n = bytes / 4;
  std::vector<std::vector<float>> data(static_cast<size_t>(threads), std::vector<float>(static_cast<size_t>(n), 0.0f));
  const int64_t rounds = bytes < 1 << 22 ? (1 << 22) / (bytes + 1) + 1 : 1;
  return 1e-9 * rate(threads, [&](int t) {
           volatile float sink = table_of(isa).read_all(data[static_cast<size_t>(t)].data(), n, rounds);
           (void)sink;
           return static_cast<double>(rounds) * static_cast<double>(n) * 4.0;
         });
}

}  // namespace deeprnn
