// SPDX-License-Identifier: MIT
// How evenly a plan loads its experts, and how sure the router is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "prytany/core/plan.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace analysis {

namespace detail {

template <class F>
index_t each_present(index_t tokens, std::span<std::uint8_t const> mask, F&& f) {
    index_t present = 0;
    for (index_t t = 0; t < tokens; ++t) {
        if (!mask.empty() && mask[static_cast<std::size_t>(t)] == 0) continue;
        ++present;
        f(t);
    }
    return present;
}
inline std::vector<double> softmax(float const* logits, index_t experts) {
    std::vector<double> all(logits, logits + experts);
    double const top = *std::max_element(all.begin(), all.end());
    double total = 0;
    for (double& x : all) total += x = std::exp(x - top);
    for (double& x : all) x /= total;
    return all;
}
inline double mean_of(std::span<index_t const> counts) {
    double total = 0;
    for (index_t const n : counts) total += static_cast<double>(n);
    return counts.empty() ? 0 : total / static_cast<double>(counts.size());
}
inline double entropy_of(std::span<double const> shares) {
    double total = 0;
    for (double const p : shares) total -= p == 0 ? 0 : p * std::log(p);
    return total;
}

} // namespace detail

/// n_e: the slots of each expert that run, of the tokens present.
///
/// Test      tests/analysis/load.test.cpp
inline std::vector<index_t> loads(plan const& closed, std::span<std::uint8_t const> mask = {}) {
    std::vector<index_t> counts(static_cast<std::size_t>(closed.experts()));
    detail::each_present(closed.tokens(), mask, [&](index_t t) {
        for (slot const& s : closed.slots_of(t))
            if (s.tier == 0) ++counts[static_cast<std::size_t>(s.expert)];
    });
    return counts;
}

/// MaxVio = (max n - mean n) / mean n: by how much the busiest expert is above its share.
///
/// Source    Wang et al. 2024, arXiv:2408.15664
/// Writes    0 to experts - 1; 0 where nothing runs
/// Test      tests/analysis/load.test.cpp
inline double max_vio(std::span<index_t const> counts) {
    double const mean = detail::mean_of(counts);
    if (mean == 0) return 0;
    return (static_cast<double>(*std::max_element(counts.begin(), counts.end())) - mean) / mean;
}

/// The coefficient of variation: the deviation of n, over all experts, divided by its mean.
///
/// Writes    0 to √(experts - 1); 0 where nothing runs
/// Test      tests/analysis/load.test.cpp
inline double cv(std::span<index_t const> counts) {
    double const mean = detail::mean_of(counts);
    if (mean == 0) return 0;
    double squares = 0;
    for (index_t const n : counts)
        squares += (static_cast<double>(n) - mean) * (static_cast<double>(n) - mean);
    return std::sqrt(squares / static_cast<double>(counts.size())) / mean;
}

/// Slots that run for each token present; 0 without tokens.
///
/// Test      tests/analysis/load.test.cpp
inline double mean_experts(plan const& closed, std::span<std::uint8_t const> mask = {}) {
    double run = 0;
    index_t const tokens = detail::each_present(closed.tokens(), mask, [&](index_t t) {
        for (slot const& s : closed.slots_of(t)) run += s.tier == 0 ? 1 : 0;
    });
    return tokens == 0 ? 0 : run / static_cast<double>(tokens);
}

/// The entropy of a router in nats, 0 to log E: `mean` that of a token's softmax, mean over tokens;
/// `marginal` that of the mean softmax. A router is sure if `mean` is small, balanced if `marginal`
/// is large.
///
/// Test      tests/analysis/load.test.cpp
struct entropies {
    double mean = 0, marginal = 0;
};
inline entropies entropy(matrix_view<float const> logits, std::span<std::uint8_t const> mask = {}) {
    std::vector<double> shares(static_cast<std::size_t>(logits.cols));
    double total = 0;
    index_t const tokens = detail::each_present(logits.rows, mask, [&](index_t t) {
        auto const own = detail::softmax(logits.row(t), logits.cols);
        total += detail::entropy_of(own);
        for (std::size_t e = 0; e < shares.size(); ++e) shares[e] += own[e];
    });
    if (tokens == 0) return {};
    for (double& p : shares) p /= static_cast<double>(tokens);
    return {total / static_cast<double>(tokens), detail::entropy_of(shares)};
}

} // namespace analysis
} // namespace prytany::inline PRYTANY_ABI
