// SPDX-License-Identifier: MIT
// The product of two rows.
#pragma once

#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// Σ x_i · y_i in a fixed order that only the length decides.
///
/// Pre       x and y hold `count` floats
/// Error     ≤ 4 u Σ|x y| for zero-mean data
/// Test      tests/kernel/dot.test.cpp
inline float dot(float const* x, float const* y, index_t count) noexcept {
    auto total = simd::fill(0.0f);
    index_t i = 0;
    for (; i + lanes <= count; i += lanes)
        total = simd::fma(simd::load(x + i), simd::load(y + i), total);
    if (i < count)
        total = simd::fma(simd::load_first(x + i, count - i), simd::load_first(y + i, count - i),
                          total);
    return simd::sum(total);
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
