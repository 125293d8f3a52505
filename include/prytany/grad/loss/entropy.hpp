// SPDX-License-Identifier: MIT
// Losses of how sure a router is: of each token, and beside that of all tokens together.
#pragma once

#include "prytany/grad/loss/detail/tokens.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad::loss {

namespace detail {

/// -Σ p log p in nats.
inline double entropy_of(std::span<double const> shares) {
    double total = 0;
    for (double const p : shares) total -= p == 0 ? 0 : p * std::log(p);
    return total;
}

} // namespace detail

/// mean_t H(softmax(s_t)) in nats: least for a router that is sure of every token.
///
/// Source    Huang et al. 2024, "Harder Tasks Need More Experts", L_d, arXiv:2403.07652
/// Writes    0 to log E; 0 for one expert or no token
/// Test      tests/grad/loss/entropy.test.cpp
inline double entropy(logit_rows logits, token_mask mask = {}) {
    double total = 0;
    index_t const tokens = detail::each_present(logits.rows, mask, [&](index_t t) {
        total += detail::entropy_of(detail::softmax(logits.row(t), logits.cols));
    });
    return tokens == 0 ? 0 : total / static_cast<double>(tokens);
}

/// -(H(mean_t p_t) - mean_t H(p_t)): least when tokens are sure and experts equally used.
///
///     p_t = softmax(s_t)
///
/// Source    the baseline gate of Union of Experts
/// Writes    -log E to 0; 0 for one expert or no token
/// Test      tests/grad/loss/entropy.test.cpp
inline double mutual_information(logit_rows logits, token_mask mask = {}) {
    auto const mean = detail::mean_shares(logits, mask, detail::softmax);
    return entropy(logits, mask) - detail::entropy_of(mean);
}

} // namespace grad::loss
} // namespace prytany::inline PRYTANY_ABI
