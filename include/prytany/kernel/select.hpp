// SPDX-License-Identifier: MIT
// The largest of a row of scores, safe for every bit pattern.
#pragma once

#include <bit>
#include <cstdint>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// A score and its number as one integer: larger integers are better.
///
///     a number beats NaN, the larger number wins, equal numbers (also -0 and +0): the lower index
///
/// Integers have a total order for every bit pattern, where floats with NaN have none.
/// Test      tests/kernel/select.test.cpp
constexpr std::uint64_t rank_key(float score, index_t index) noexcept {
    constexpr std::uint32_t nan_rank = 1;
    auto const bits = std::bit_cast<std::uint32_t>(score);
    auto const magnitude = bits & 0x7fffffffu;
    bool const nan = magnitude > 0x7f800000u, negative = bits >> 31 != 0 && magnitude != 0;
    auto const rank = nan ? nan_rank : negative ? ~bits : magnitude | 0x80000000u;
    return std::uint64_t{rank} << 32 | (0xffffffffu - static_cast<std::uint32_t>(index));
}
/// The key of what may not be chosen while anything else is left.
constexpr std::uint64_t refused_key(index_t index) noexcept {
    return 0xffffffffu - static_cast<std::uint32_t>(index);
}
constexpr index_t index_of(std::uint64_t key) noexcept {
    return static_cast<index_t>(0xffffffffu - static_cast<std::uint32_t>(key));
}

/// Writes the `keep` largest keys to the front of `best`, largest first.
///
/// Pre       0 ≤ keep ≤ count; `best` has room for `keep`
/// Cost      O(count · keep) at worst, O(count) when the order is random and keep small
/// Test      tests/kernel/select.test.cpp
inline void largest(std::uint64_t const* keys, index_t count, index_t keep,
                    std::uint64_t* best) noexcept {
    index_t have = 0;
    for (index_t i = 0; i < count; ++i) {
        auto const key = keys[i];
        if (have == keep && (keep == 0 || key <= best[keep - 1])) continue;
        index_t at = have < keep ? have++ : keep - 1;
        for (; at > 0 && best[at - 1] < key; --at) best[at] = best[at - 1];
        best[at] = key;
    }
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
