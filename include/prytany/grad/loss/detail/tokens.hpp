// SPDX-License-Identifier: MIT
// What losses read of a batch: the tokens present, their shares, the slots of each expert.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "prytany/core/plan.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad::loss {

using logit_rows = matrix_view<float const>; ///< [tokens, experts]
using token_mask =
    std::span<std::uint8_t const>; ///< a byte each, 0 for padding; empty: all present

namespace detail {

using numbers = std::vector<double>;

inline std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }

/// Calls f(token) for the tokens present and returns how many they are.
template <class F>
index_t each_present(index_t tokens, token_mask mask, F&& f) {
    index_t present = 0;
    for (index_t t = 0; t < tokens; ++t) {
        if (!mask.empty() && mask[at(t)] == 0) continue;
        ++present;
        f(t);
    }
    return present;
}
/// log Σ e^z of one row.
inline double log_sum(float const* logits, index_t experts) {
    double const top = double{*std::max_element(logits, logits + experts)};
    double total = 0;
    for (index_t e = 0; e < experts; ++e) total += std::exp(double{logits[e]} - top);
    return top + std::log(total);
}
/// softmax of one row.
inline numbers softmax(float const* logits, index_t experts) {
    double const whole = log_sum(logits, experts);
    numbers all(at(experts));
    for (index_t e = 0; e < experts; ++e) all[at(e)] = std::exp(double{logits[e]} - whole);
    return all;
}
/// The mean over the tokens present of what `share_of(row, experts)` makes of their logits.
template <class ShareOf>
numbers mean_shares(logit_rows logits, token_mask mask, ShareOf&& share_of) {
    numbers mean(at(logits.cols));
    index_t const tokens = each_present(logits.rows, mask, [&](index_t t) {
        numbers const own = share_of(logits.row(t), logits.cols);
        for (std::size_t e = 0; e < mean.size(); ++e) mean[e] += own[e];
    });
    for (double& m : mean) m /= static_cast<double>(std::max<index_t>(tokens, 1));
    return mean;
}
/// The slots that run of each expert with logits, the last ones of the plan, among the first
/// `ranks` of every token present.
inline numbers counts(logit_rows logits, plan const& closed, token_mask mask, index_t ranks) {
    numbers all(at(closed.experts()));
    each_present(closed.tokens(), mask, [&](index_t t) {
        auto const slots = closed.slots_of(t);
        for (slot const& s : slots.first(std::min(slots.size(), at(ranks))))
            if (s.tier == 0) all[at(s.expert)] += 1;
    });
    all.erase(all.begin(), all.end() - logits.cols);
    return all;
}
inline double sum(std::span<double const> all) {
    double total = 0;
    for (double const x : all) total += x;
    return total;
}
/// Σ x_e y_e.
inline double product(std::span<double const> x, std::span<double const> y) {
    double total = 0;
    for (std::size_t e = 0; e < x.size(); ++e) total += x[e] * y[e];
    return total;
}
/// The same numbers divided by one; zeros, if there is nothing to divide by.
inline numbers over(numbers all, double by) {
    for (double& x : all) x = by == 0 ? 0 : x / by;
    return all;
}
/// variance / (mean² + 1e-10), the variance over E - `freedom`.
inline double squared_cv(std::span<double const> all, double freedom) {
    auto const count = static_cast<double>(all.size());
    double const mean = sum(all) / count;
    double squares = 0;
    for (double const x : all) squares += (x - mean) * (x - mean);
    return squares / (count - freedom) / (mean * mean + 1e-10);
}

} // namespace detail
} // namespace grad::loss
} // namespace prytany::inline PRYTANY_ABI
