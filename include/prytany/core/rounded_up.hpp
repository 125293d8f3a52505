// SPDX-License-Identifier: MIT
// How many places a share gives, rounded up.
#pragma once

#include <algorithm>
#include <cmath>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {

/// ⌈factor · share⌉, where a factor such as 1.2 counts as the decimal it was written as.
///
/// The float nearest to 1.2 is above it, so that 1.2f · 12.5 is above 15: a share that passes a
/// whole number by less than the rounding of the factor is that number.
/// Pre       factor and share are ≥ 0
/// Test      tests/core/rounded_up.test.cpp
inline index_t rounded_up(float factor, double share) noexcept {
    constexpr double within_rounding = 1 - 0x1p-23, most = 0x1p62;
    double const exact = static_cast<double>(factor) * share * within_rounding;
    return static_cast<index_t>(std::ceil(std::min(exact, most)));
}

} // namespace prytany::inline PRYTANY_ABI
