// Which vectors of points are treated as those at the edges are?
#pragma once
#include <algorithm>

#include "numbers.h"

namespace reticle {
namespace {

// One of those, and some after it. Where they take turns, as they do of points all over the image, a branch that cannot be foreseen costs more
// than it saves.
struct Caution {
  static constexpr int VECTORS = 4;
  int left = 0;

  RETICLE_INLINE bool is_due(bool out) {
    int now = std::max(left, int(out) * (VECTORS + 1));
    asm("" : "+r"(now));  // one branch, not one for each reason
    left = now - (now > 0);
    return now > 0;
  }
};

}  // namespace
}  // namespace reticle
