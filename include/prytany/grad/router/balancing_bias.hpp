// SPDX-License-Identifier: MIT
// Loads become even by a bias of who is chosen, without a loss.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "prytany/core/config.hpp"
#include "prytany/core/error.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad {

/// Moves the bias of each expert (`biased`) against its load.
///
///     b_e += γ · sign(mean n - n_e),   sign(0) = 0
///
/// Called once a step of training with the counts of the whole batch; no gradient goes through b.
/// Source    Wang et al. 2024, arXiv:2408.15664; DeepSeek-V3, arXiv:2412.19437, §2.1.2 (γ = 0.001)
/// Pre       Σ n < 2^63 / experts
/// Throws    error: another number of loads than experts, γ that is negative or not finite
/// Test      tests/grad/router/balancing_bias.test.cpp
inline void balance(std::span<float> bias, std::span<index_t const> loads, float rate = 0.001f) {
    if (loads.size() != bias.size())
        throw error("balance.loads", std::to_string(bias.size()), std::to_string(loads.size()));
    if (!(rate >= 0 && std::isfinite(rate)))
        throw error("balance.rate", "a finite number ≥ 0", std::to_string(rate));
    index_t total = 0;
    for (index_t const n : loads) total += n;
    auto const experts = std::ssize(bias);
    for (std::size_t e = 0; e < bias.size(); ++e) {
        index_t const over = loads[e] * experts - total; // the mean need not be whole
        if (over != 0) bias[e] += over < 0 ? rate : -rate;
    }
}

} // namespace grad
} // namespace prytany::inline PRYTANY_ABI
