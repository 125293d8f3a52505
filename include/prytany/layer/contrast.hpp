// SPDX-License-Identifier: MIT
// Next-token scores of a strong pass that differ most from those of a weak one.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/kernel/select.hpp"

namespace prytany::inline PRYTANY_ABI {

/// How two passes over the same tokens are contrasted; as released but for `closed`.
struct contrast {
    float alpha = 0.1f; ///< 0 to 1: a token is plausible from alpha times the best one's share on
    float beta = 0.5f;  ///< how far away from the weak pass
    float strong_temperature = 1, weak_temperature = 1;
    index_t closed = -1; ///< a token that may not come, such as the end of the text; -1: none
};

namespace detail {

inline void check_contrast(contrast const& own, index_t strong, index_t weak, index_t scores) {
    for (index_t const size : {weak, scores})
        if (size != strong)
            throw error("contrast", "rows of " + std::to_string(strong), std::to_string(size));
    if (!(own.alpha >= 0 && own.alpha <= 1))
        throw error("contrast.alpha", "0 to 1", std::to_string(own.alpha));
    if (!(own.beta >= 0 && std::isfinite(own.beta)))
        throw error("contrast.beta", "a finite number ≥ 0", std::to_string(own.beta));
    for (float const t : {own.strong_temperature, own.weak_temperature})
        if (!(t > 0 && std::isfinite(t)))
            throw error("contrast.temperature", "a finite number > 0", std::to_string(t));
    if (own.closed < -1 || own.closed >= strong)
        throw error("contrast.closed", "-1 to " + std::to_string(strong - 1),
                    std::to_string(own.closed));
}

} // namespace detail

/// Scores the tokens of a vocabulary by two rows of logits: self-contrast decoding.
///
///     s = strong / t_s,   v = weak / t_w
///     score = (1 + β) s - β v   where s ≥ log α + max s, else -inf
///
/// The passes are one model under two routers, such as `ranks` with {0, 1} and with {1}; each has
/// its own cache. Scores are sampled from by softmax, or chosen by `best_token`. `closed` is
/// shut off after max s is taken. β = 0 or equal rows give s, α = 1 leaves the best of s, 0 all.
/// Source    Shi et al. 2024 (SCMoE), arXiv:2405.14507
/// Writes    never NaN: what would be is -inf; where the weak pass alone has -inf, +inf
/// Ties      what is equal to the bar stays
/// Cost      O(vocabulary); no allocation
/// Throws    error: rows of other sizes, a number of `contrast` out of range
/// Test      tests/layer/contrast.test.cpp
inline void contrast_scores(std::span<float const> strong, std::span<float const> weak,
                            std::span<float> scores, contrast const& own = {}) {
    constexpr float none = -std::numeric_limits<float>::infinity();
    auto const count = std::ssize(strong);
    detail::check_contrast(own, count, std::ssize(weak), std::ssize(scores));
    if (count == 0) return;

    std::uint64_t best = 0;
    kernel::best_of(strong.data(), count, 1, &best);
    float const top = strong[static_cast<std::size_t>(kernel::index_of(best))];
    float const bar = own.alpha > 0 ? std::log(own.alpha) + top / own.strong_temperature : none;
    for (std::size_t i = 0; i < strong.size(); ++i) {
        float const s = strong[i] / own.strong_temperature, v = weak[i] / own.weak_temperature;
        float const score = own.beta > 0 && s != v ? std::fma(own.beta, s - v, s) : s;
        scores[i] = s < bar || std::isnan(score) ? none : score;
    }
    if (own.closed >= 0) scores[static_cast<std::size_t>(own.closed)] = none;
}

/// The token with the largest score; of equal ones the lower, and so 0 where all are -inf.
///
/// Pre       at least one score
/// Test      tests/layer/contrast.test.cpp
inline index_t best_token(std::span<float const> scores) noexcept {
    std::uint64_t best = 0;
    kernel::best_of(scores.data(), std::ssize(scores), 1, &best);
    return kernel::index_of(best);
}

} // namespace prytany::inline PRYTANY_ABI
