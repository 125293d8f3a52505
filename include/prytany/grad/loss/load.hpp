// SPDX-License-Identifier: MIT
// Losses that are least when noise would send equally many tokens to all experts.
#pragma once

#include <numbers>

#include "prytany/grad/loss/detail/tokens.hpp"
#include "prytany/kernel/select.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad::loss {

namespace detail {

/// Φ, the distribution of the normal numbers.
inline double normal_below(double x) noexcept { return std::erfc(-x / std::numbers::sqrt2) / 2; }
/// The `count` largest logits of a row, from the largest down; NaN after every number.
inline std::vector<float> largest_of(float const* logits, index_t experts, index_t count) {
    std::vector<std::uint64_t> keys(at(experts)), best(at(count));
    for (index_t e = 0; e < experts; ++e) keys[at(e)] = kernel::rank_key(logits[e], e);
    kernel::largest(keys.data(), experts, count, best.data());
    std::vector<float> all;
    for (auto const key : best) all.push_back(logits[kernel::index_of(key)]);
    return all;
}

} // namespace detail

/// CV² of the smooth load: unbiased variance(L) / (mean(L)² + 1e-10).
///
///     L_e = Σ_t Φ((s_te - bar_te) / σ_te),   bar = the (k + 1)-th largest noisy logit of t if e is
///     above it, else the k-th
///
/// `clean` and `noisy` are logits, not their softmax. With k = experts nobody can lose a token: 0.
/// Source    Shazeer et al. 2017, eq. 8–10, arXiv:1701.06538
/// Pre       1 ≤ k ≤ experts; three matrices of one size; deviations > 0
/// Writes    ≥ 0; 0 for one expert
/// Test      tests/grad/loss/load.test.cpp
inline double shazeer_load(logit_rows clean, logit_rows noisy, logit_rows deviations, index_t k,
                           token_mask mask = {}) {
    if (clean.cols <= 1 || k >= clean.cols) return 0;
    detail::numbers load(detail::at(clean.cols));
    detail::each_present(clean.rows, mask, [&](index_t t) {
        auto const best = detail::largest_of(noisy.row(t), noisy.cols, k + 1);
        float const in = best[detail::at(k)], out = best[detail::at(k - 1)];
        for (index_t e = 0; e < clean.cols; ++e) {
            float const bar = noisy.row(t)[e] > in ? in : out;
            load[detail::at(e)] += detail::normal_below((double{clean.row(t)[e]} - double{bar}) /
                                                        double{deviations.row(t)[e]});
        }
    });
    return detail::squared_cv(load, 1);
}

/// CV² of the chance to be among the k best if only the noise is drawn again: population variance.
///
///     p_te = 1 - Φ((bar_t - s_te) / σ),   bar = the k-th largest noisy logit;   L = mean_t p_t
///
/// Source    Riquelme et al. 2021, V-MoE, arXiv:2106.05974; σ is that of the noise added
/// Pre       1 ≤ k ≤ experts; two matrices of one size; deviation > 0
/// Writes    ≥ 0; 0 for one expert
/// Test      tests/grad/loss/load.test.cpp
inline double v_moe_load(logit_rows clean, logit_rows noisy, double deviation, index_t k,
                         token_mask mask = {}) {
    if (clean.cols <= 1) return 0;
    detail::numbers load(detail::at(clean.cols));
    index_t const tokens = detail::each_present(clean.rows, mask, [&](index_t t) {
        double const bar = double{detail::largest_of(noisy.row(t), noisy.cols, k).back()};
        for (index_t e = 0; e < clean.cols; ++e)
            load[detail::at(e)] +=
                detail::normal_below((double{clean.row(t)[e]} - bar) / deviation);
    });
    return detail::squared_cv(detail::over(std::move(load), static_cast<double>(tokens)), 0);
}

} // namespace grad::loss
} // namespace prytany::inline PRYTANY_ABI
