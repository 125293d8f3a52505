// SPDX-License-Identifier: MIT
// Arithmetic on numbers out of a file.
#pragma once

#include <optional>
#include <span>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// a + b for a, b ≥ 0; nothing where an operand is negative or the sum does not fit.
///
/// Test      tests/io/checked.test.cpp
constexpr std::optional<index_t> sum(index_t a, index_t b) noexcept {
    index_t out = 0;
    if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &out)) return std::nullopt;
    return out;
}

/// a · b for a, b ≥ 0; nothing where an operand is negative or the product does not fit.
constexpr std::optional<index_t> product(index_t a, index_t b) noexcept {
    index_t out = 0;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &out)) return std::nullopt;
    return out;
}

/// The number of elements of a tensor. Zeros are found by looking at the sizes, never at a product;
/// the others must have a product that fits, also beside a zero.
constexpr std::optional<index_t> count_of(std::span<index_t const> dims) noexcept {
    std::optional<index_t> all = 1;
    bool none = false;
    for (index_t const d : dims) {
        none = none || d == 0;
        if (d != 0) all = product(*all, d);
        if (!all) return std::nullopt;
    }
    return none ? 0 : all;
}

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
