// SPDX-License-Identifier: MIT
// Losses that are least when the weights of all experts have equal sums.
#pragma once

#include "prytany/grad/loss/detail/tokens.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad::loss {

/// What a sum of squares of E numbers is divided by: E - 1 or E.
enum class variance { unbiased, population };

/// CV² of the weights that experts get: variance(I) / (mean(I)² + 1e-10),   I_e = Σ_t w_te.
///
/// Source    Shazeer et al. 2017, eq. 6–7, arXiv:1701.06538; the 1e-10 and `unbiased`: fastmoe
/// Writes    ≥ 0; 0 for one expert
/// Test      tests/grad/loss/importance.test.cpp
inline double shazeer_importance(plan const& closed, variance kind = variance::unbiased,
                                 token_mask mask = {}) {
    if (closed.experts() <= 1) return 0;
    detail::numbers sums(detail::at(closed.experts()));
    detail::each_present(closed.tokens(), mask, [&](index_t t) {
        for (slot const& s : closed.slots_of(t))
            if (s.tier == 0) sums[detail::at(s.expert)] += double{s.weight};
    });
    return detail::squared_cv(sums, kind == variance::unbiased ? 1 : 0);
}

/// The same of the softmax over all experts, chosen or not, with the population variance.
///
/// Source    Riquelme et al. 2021, V-MoE, arXiv:2106.05974
/// Writes    ≥ 0; 0 for one expert
/// Test      tests/grad/loss/importance.test.cpp
inline double v_moe_importance(logit_rows logits, token_mask mask = {}) {
    if (logits.cols <= 1) return 0;
    detail::numbers sums(detail::at(logits.cols));
    detail::each_present(logits.rows, mask, [&](index_t t) {
        auto const own = detail::softmax(logits.row(t), logits.cols);
        for (std::size_t e = 0; e < sums.size(); ++e) sums[e] += own[e];
    });
    return detail::squared_cv(sums, 0);
}

} // namespace grad::loss
} // namespace prytany::inline PRYTANY_ABI
