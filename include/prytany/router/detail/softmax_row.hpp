// SPDX-License-Identifier: MIT
// The softmax of one row of logits, asked number by number.
#pragma once

#include <cmath>
#include <limits>

#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// What every logit of a row is worth.
///
///     softmax_row const share(logits, experts);   share(logits[e]) = exp(logits[e] - top) / total
///
/// `top` is the largest number of the row, `total` is summed in double over the numbers. +inf
/// shares with +inf alone, -inf is worth 0, NaN is worth NaN and takes nothing from the others.
/// Cost      O(count); no allocation
/// Test      tests/router/every_expert.test.cpp
class softmax_row {
public:
    softmax_row(float const* logits, index_t count) noexcept
        : softmax_row(count, [=](index_t i) { return logits[i]; }) {}
    /// Of the logits that `logit_of` gives for 0 to `count` - 1, such as those of the chosen.
    template <class LogitOf>
    softmax_row(index_t count, LogitOf logit_of) noexcept {
        for (index_t i = 0; i < count; ++i) top_ = logit_of(i) > top_ ? logit_of(i) : top_;
        double total = 0; // a float would lose many small numbers one by one
        for (index_t i = 0; i < count; ++i)
            if (float const part = raised(logit_of(i)); part > 0) total += part;
        total_ = static_cast<float>(total);
    }
    float operator()(float logit) const noexcept {
        return logit == idle ? 0.0f : raised(logit) / total_;
    }

private:
    static constexpr float idle = -std::numeric_limits<float>::infinity();
    float top_ = idle, total_ = 0;

    float raised(float logit) const noexcept {
        return logit == top_ ? 1.0f : std::exp(logit - top_);
    }
};

/// 1 for an expert that is shut by a logit of -inf: it is listed and not run.
inline int idle_tier(float logit) noexcept {
    return logit == -std::numeric_limits<float>::infinity() ? 1 : 0;
}

/// What an expert is chosen by, where `share` weighs: its ranking or else its logit; with a bias,
/// its ranking or else its share, plus the bias. What is shut, at -inf, stays shut.
inline float choosing(seen const& in, index_t token, index_t expert,
                      softmax_row const& share) noexcept {
    float const logit = in.logits.row(token)[expert];
    bool const ranked = in.ranking.data != nullptr;
    if (idle_tier(logit) != 0) return logit;
    if (in.bias.empty()) return ranked ? in.ranking.row(token)[expert] : logit;
    float const bias = in.bias[static_cast<std::size_t>(expert)];
    return (ranked ? in.ranking.row(token)[expert] : share(logit)) + bias;
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
