// The cells by their names: the only place that tells one from another.
#pragma once

#include "cells/elman.h"
#include "cells/gru.h"
#include "cells/lstm.h"

namespace deeprnn::DEEPRNN_ISA {

inline const CellTraits& traits_of(const Shape& shape) {
  switch (shape.cell) {
    case CellKind::elman:
      return elman_traits(shape);
    case CellKind::gru:
      return gru_traits(shape);
    case CellKind::lstm:
      return lstm_traits(shape);
  }
  __builtin_unreachable();
}

}  // namespace deeprnn::DEEPRNN_ISA
