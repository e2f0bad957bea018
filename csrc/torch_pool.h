// Threads: torch's own pool, and when to ask it for one fewer.
#pragma once

#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>

#include "deeprnn.h"

namespace deeprnn {

// The pool, by the C functions that libtorch exports (torch/csrc/stable/c/shim.h).
using TorchParallelFor = int32_t (*)(int64_t begin, int64_t end, int64_t grain_size,
                                     void (*body)(int64_t begin, int64_t end, void* context), void* context);
using TorchGetNumThreads = int32_t (*)(uint32_t* threads);

inline TorchParallelFor torch_parallel_for = nullptr;
inline TorchGetNumThreads torch_get_num_threads = nullptr;

using Clock = std::chrono::steady_clock;

// The processor time of this thread so far.
inline std::chrono::nanoseconds thread_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

struct Work {
  void (*body)(void* context, int64_t begin, int64_t end);
  void* context;
  std::thread::id caller;
  Clock::time_point through;      // when the caller was
  std::atomic<int64_t> lost = 0;  // nanoseconds: the longest that a thread was without a processor
};

inline void run_part(int64_t begin, int64_t end, void* opaque) {
  auto* work = static_cast<Work*>(opaque);
  const auto began = Clock::now();
  const auto used = thread_time();
  work->body(work->context, begin, end);
  const auto now = Clock::now();
  const int64_t lost = std::chrono::nanoseconds((now - began) - (thread_time() - used)).count();
  int64_t most = work->lost.load(std::memory_order_relaxed);
  while (lost > most && !work->lost.compare_exchange_weak(most, lost, std::memory_order_relaxed)) {
  }
  if (std::this_thread::get_id() == work->caller) work->through = now;
}

inline bool run_on_torch(const Parallel*, int64_t count, void (*body)(void* context, int64_t begin, int64_t end),
                         void* context) {
  const auto began = Clock::now();
  Work work{body, context, std::this_thread::get_id(), began};
  const int32_t failed = torch_parallel_for(0, count, 1, run_part, &work);
  if (failed != 0) throw std::runtime_error("torch's thread pool failed; the layer's results are incomplete");
  const auto end = Clock::now();
  const auto lost = std::max<Clock::duration>(std::chrono::nanoseconds(work.lost.load()), end - work.through);
  // Only another process explains a loss this large.
  return lost < std::max<Clock::duration>(std::chrono::microseconds(500), (end - began) / 4);
}

inline bool run_here(const Parallel*, int64_t count, void (*body)(void* context, int64_t begin, int64_t end),
                     void* context) {
  body(context, 0, count);
  return true;
}

inline int32_t threads() {
  uint32_t count = 1;
  if (torch_get_num_threads != nullptr) torch_get_num_threads(&count);
  return static_cast<int32_t>(count);
}

inline Parallel parallel() {
  const int32_t count = torch_parallel_for == nullptr ? 1 : threads();
  return {count > 1 ? run_on_torch : run_here, count};
}

// Where another process wants a processor, waiting for the thread that comes late costs more than doing without it:
// after two calls in short succession in which one did, calls have a thread fewer for a while.
constexpr auto kShortSuccession = std::chrono::milliseconds(50), kCrowded = std::chrono::milliseconds(100);
inline std::atomic<Clock::rep> last_late = 0, crowded_until = 0;

inline Clock::rep time_now() { return Clock::now().time_since_epoch().count(); }

inline int32_t threads_to_ask() {
  const int32_t all = parallel().threads;
  return all > 1 && time_now() < crowded_until.load(std::memory_order_relaxed) ? all - 1 : all;
}

inline void note_threads(bool prompt) {
  if (prompt) return;
  const Clock::rep now = time_now();
  const Clock::rep before = last_late.exchange(now, std::memory_order_relaxed);
  if (now - before > Clock::duration(kShortSuccession).count()) return;
  crowded_until.store(now + Clock::duration(kCrowded).count(), std::memory_order_relaxed);
}

}  // namespace deeprnn
