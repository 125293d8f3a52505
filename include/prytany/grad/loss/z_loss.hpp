// SPDX-License-Identifier: MIT
// The loss that keeps logits small.
#pragma once

#include "prytany/grad/loss/detail/tokens.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad::loss {

/// mean_t (log Σ_e e^s_te)².
///
/// Source    Zoph et al. 2022, ST-MoE, eq. 5, arXiv:2202.08906
/// Writes    ≥ 0; 0 for one expert or no token
/// Test      tests/grad/loss/z_loss.test.cpp
inline double z_loss(logit_rows logits, token_mask mask = {}) {
    if (logits.cols <= 1) return 0;
    double total = 0;
    index_t const tokens = detail::each_present(logits.rows, mask, [&](index_t t) {
        double const own = detail::log_sum(logits.row(t), logits.cols);
        total += own * own;
    });
    return tokens == 0 ? 0 : total / static_cast<double>(tokens);
}

} // namespace grad::loss
} // namespace prytany::inline PRYTANY_ABI
