// What the schedule asks of a cell, and csrc/cells/ answers: how many of each thing it has, in which order they lie,
// and its equations. The schedule looks a cell up once a call and knows no more of it.
#pragma once

#include "deeprnn.h"
#include "isa/vec.h"

namespace deeprnn::DEEPRNN_ISA {

struct ForwardStep;
struct ForwardShare;
struct BackwardStep;
struct BackwardShare;

constexpr int64_t kMostGates = 4, kMostColumns = 7, kNone = -1;

// A step of the forward pass runs in one or two phases: W_hh's product for some gates, then equations. A second phase
// multiplies what the first one left (r * h) instead of h.
struct ForwardPhase {
  int64_t first_gate, end_gate;  // of W_hh
  int64_t first_slot;            // where the first of them is added
  void (*equations)(ForwardStep& step, const ForwardShare& share, int64_t group, int64_t i, int64_t at);
};

// The gradient of a step is a row of columns, each H wide: of the products, those that W_hh made first, those that W_xh
// made last, in the order of its gates; then of weights of one value a unit, whose gradients are sums over rows.
struct Columns {
  int64_t count;
  int64_t products;             // how many, from the first, are of products
  int64_t first_x;              // the first that W_xh made
  int64_t hh_gate[kMostGates];  // the gate of W_hh that made a column, or kNone
  int64_t to_h;                 // so many of them, from the first, go to h through W_hh
  int64_t reset = kNone;        // the one that W_hh made of r * h instead
  int64_t bias_hn = kNone;      // the one whose sum over rows is the gradient of bias_hn

  constexpr int64_t xh_gate(int64_t column) const {
    return column < first_x || column >= products ? kNone : column - first_x;
  }
};

struct CellTraits {
  int64_t gates;                  // G, blocks of H rows of W_xh, W_hh and the bias
  int64_t slots;                  // panels that a row of a group of units has in a block: the gates', and W_hn h's
  int64_t slot_gate[kMostGates];  // the gate of W_xh that a slot starts from; kNone for bias_hn
  int64_t saved;                  // floats that training keeps for each unit and step, beside hidden and c
  bool has_c;                     // whether the state is h and c, or h
  int64_t phases;
  ForwardPhase forward[2];
  Columns columns;
  void (*backward)(BackwardStep& step, const BackwardShare& share, int64_t i, int64_t at);
  // The second phase's: turns the gradient of r * h into that of r and h; nullptr without one.
  void (*through_reset)(BackwardStep& step, const BackwardShare& share, int64_t i, int64_t at) = nullptr;

  constexpr bool resets_before() const { return phases == 2; }
};

inline const CellTraits& traits_of(const Shape& shape);

}  // namespace deeprnn::DEEPRNN_ISA
