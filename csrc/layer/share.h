// How a call's work is divided: which rows and which blocks of units each share has, and the barrier between shares.
#pragma once

#include <sched.h>

#include "deeprnn.h"
#include "isa/vec.h"

namespace deeprnn::DEEPRNN_ISA {

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// Part `i` of `parts` even parts of [0, count).
inline Range part(int64_t count, int64_t i, int64_t parts) { return {count * i / parts, count * (i + 1) / parts}; }

// A share computes `rows` of the batch and `groups` of units at every step. Shares of the same rows wait for each
// other after every phase of a step; shares of different rows never do.
struct Split {
  int64_t by_rows, by_groups;
  int64_t B, groups;

  int64_t shares() const { return by_rows * by_groups; }
  Range rows_of(int64_t share) const { return part(B, share / by_groups, by_rows); }
  Range groups_of(int64_t share) const { return part(groups, share % by_groups, by_groups); }
};

// Spins until all shares have arrived. A caller that runs several shares arrives for all of them at once.
class Barrier {
 public:
  explicit Barrier(int64_t shares) : shares_(shares) {}

  void arrive(int64_t count) {
    if (shares_ == count) return;
    const int64_t round = __atomic_load_n(&round_, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&arrived_, count, __ATOMIC_ACQ_REL) == shares_) {
      __atomic_store_n(&arrived_, 0, __ATOMIC_RELAXED);
      __atomic_store_n(&round_, round + 1, __ATOMIC_RELEASE);
      return;
    }
    for (int64_t spins = 0; __atomic_load_n(&round_, __ATOMIC_ACQUIRE) == round; ++spins) {
      if (spins < 4000) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
      } else {
        sched_yield();  // more threads than processors: whoever is awaited may need this one
      }
    }
  }

 private:
  int64_t shares_;
  alignas(64) int64_t arrived_ = 0;
  alignas(64) int64_t round_ = 0;
};

// Calls body(share range) so that every share is run once; what it returns, see Parallel.
template <typename F>
inline bool run_shares(const Parallel& parallel, int64_t shares, F& body) {
  if (shares == 1 || parallel.run == nullptr) {
    body(Range{0, shares});
    return true;
  }
  return parallel.run(
      &parallel, shares,
      [](void* context, int64_t begin, int64_t end) { (*static_cast<F*>(context))(Range{begin, end}); }, &body);
}

// Hands out consecutive pieces of a buffer, nullptr for none; run once with nullptr to learn the size.
class Carver {
 public:
  explicit Carver(float* base) : base_(base) {}

  float* floats(int64_t count) {
    float* piece = base_ == nullptr || count == 0 ? nullptr : base_ + used_;
    used_ += ceil_div(count, 16) * 16;
    return piece;
  }
  template <typename T>
  T* many(int64_t count) {
    return reinterpret_cast<T*>(floats(ceil_div(count * static_cast<int64_t>(sizeof(T)), 4)));
  }
  int64_t used() const { return used_; }

 private:
  float* base_;
  int64_t used_ = 0;
};

}  // namespace deeprnn::DEEPRNN_ISA
