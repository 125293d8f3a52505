// SPDX-License-Identifier: MIT
// How the keys and values of one head lie in memory.
#pragma once

#include <algorithm>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// The keys and values of one head.
///
/// Keys lie in blocks of `lanes` positions, feature-major, so that scores of `lanes` positions are
/// one chain of fused multiply-adds; values lie row by row, each row filled up to whole registers.
///
///     key (position s, feature c)   = keys[(s / W) · W · size + c · W + s mod W]
///     value (position s, feature c) = values[s · value_stride + c]
///
/// Test      tests/kernel/cached_head.test.cpp
struct cached_head {
    float* keys = nullptr;
    float* values = nullptr;
    index_t size = 0;         ///< features of a head
    index_t value_stride = 0; ///< a multiple of `lanes`

    void put(index_t position, float const* key, float const* value) const noexcept {
        float* const k = keys + position / lanes * lanes * size + position % lanes;
        for (index_t c = 0; c < size; ++c) k[c * lanes] = key[c];
        std::copy_n(value, size, values + position * value_stride);
    }
};

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
