// SPDX-License-Identifier: MIT
// The loss that closes the gates of ReMoE, and the coefficient that follows its sparsity.
#pragma once

#include "prytany/grad/loss/detail/tokens.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad::loss {

/// E / (k T²) Σ_e n_e Σ_t max(s_te, 0),   n_e = #{t: s_te > 0}.
///
/// Source    Wang et al. 2024, ReMoE, arXiv:2412.14711
/// Writes    ≥ 0; 0 for one expert or no token
/// Test      tests/grad/loss/remoe_l1.test.cpp
inline double remoe_l1(logit_rows logits, index_t k, token_mask mask = {}) {
    if (logits.cols <= 1) return 0;
    detail::numbers open(detail::at(logits.cols)), sums(open.size());
    auto const tokens = static_cast<double>(detail::each_present(logits.rows, mask, [&](index_t t) {
        for (std::size_t e = 0; e < open.size(); ++e) {
            double const s = double{logits.row(t)[e]};
            if (s > 0) open[e] += 1;
            sums[e] += s < 0 ? 0 : s;
        }
    }));
    if (tokens == 0) return 0;
    return static_cast<double>(logits.cols) / (static_cast<double>(k) * tokens * tokens) *
           detail::product(open, sums);
}

/// The share of token–expert pairs whose gate is shut: s ≤ 0. 0 without tokens.
///
/// Test      tests/grad/loss/remoe_l1.test.cpp
inline double remoe_sparsity(logit_rows logits, token_mask mask = {}) {
    index_t shut = 0;
    index_t const tokens = detail::each_present(logits.rows, mask, [&](index_t t) {
        for (index_t e = 0; e < logits.cols; ++e) shut += logits.row(t)[e] > 0 ? 0 : 1;
    });
    return tokens == 0 ? 0 : static_cast<double>(shut) / static_cast<double>(tokens * logits.cols);
}

/// The coefficient of `remoe_l1`: larger after a step that was less sparse than k of E ask for.
///
///     λ ← 1.2 λ where sparsity < 1 - k / E, else λ / 1.2;   λ₀ = 1e-8
///
/// Source    Wang et al. 2024, ReMoE, arXiv:2412.14711
/// Test      tests/grad/loss/remoe_l1.test.cpp
struct remoe_coefficient {
    double lambda = 1e-8;
    double step = 1.2;

    void update(double sparsity, index_t k, index_t experts) noexcept {
        double const target = 1 - static_cast<double>(k) / static_cast<double>(experts);
        lambda = sparsity < target ? lambda * step : lambda / step;
    }
};

} // namespace grad::loss
} // namespace prytany::inline PRYTANY_ABI
