// SPDX-License-Identifier: MIT
// Rows that a product reads where they lie.
#pragma once

#include <cstdint>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// Row i is `base + pick[i] · stride`, without a pick `base + i · stride`: nothing is copied
/// together.
///
/// Test      tests/kernel/picked.test.cpp
template <class T>
struct picked {
    T const* base = nullptr;
    index_t stride = 0;
    std::int32_t const* pick = nullptr;

    T const* operator[](index_t i) const noexcept {
        return base + (pick == nullptr ? i : static_cast<index_t>(pick[i])) * stride;
    }
    picked from(index_t first) const noexcept {
        return pick == nullptr ? picked{base + first * stride, stride, nullptr}
                               : picked{base, stride, pick + first};
    }
};

using picked_rows = picked<float>;

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
