// SPDX-License-Identifier: MIT
// What an expert is chosen by, and whether it is shut.
#pragma once

#include <limits>

#include "prytany/kernel/softmax.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// 1 for an expert that is shut by a logit of -inf: it is listed and not run.
inline int idle_tier(float logit) noexcept {
    return logit == -std::numeric_limits<float>::infinity() ? 1 : 0;
}

/// What an expert is chosen by, where `share` weighs: its ranking or else its logit; with a bias,
/// its ranking or else its share, plus the bias. What is shut, at -inf, stays shut.
inline float choosing(seen const& in, index_t token, index_t expert,
                      kernel::softmax const& share) noexcept {
    float const logit = in.logits.row(token)[expert];
    bool const ranked = in.ranking.data != nullptr;
    if (idle_tier(logit) != 0) return logit;
    if (in.bias.empty()) return ranked ? in.ranking.row(token)[expert] : logit;
    float const bias = in.bias[static_cast<std::size_t>(expert)];
    return (ranked ? in.ranking.row(token)[expert] : share(logit)) + bias;
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
