// SPDX-License-Identifier: MIT
// The balance losses of DeepSeek: over experts, over devices, within each sequence.
#pragma once

#include "prytany/core/input.hpp"
#include "prytany/grad/loss/balance.hpp"
#include "prytany/kernel/select.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad::loss {

namespace detail {

/// The mean of f(first, count, mask) over the sequences with a token present.
template <class F>
double sequence_mean(index_t tokens, std::span<index_t const> sequences, token_mask mask, F&& f) {
    input all;
    all.rows.rows = tokens;
    all.sequences = sequences;
    double total = 0;
    index_t used = 0;
    all.each_sequence([&](index_t first, index_t count) {
        token_mask const own = mask.empty() ? mask : mask.subspan(at(first), at(count));
        if (each_present(count, own, [](index_t) {}) == 0) return;
        ++used;
        total += f(first, count, own);
    });
    return used == 0 ? 0 : total / static_cast<double>(used);
}
/// σ(s_e) / Σ σ(s).
inline numbers sigmoid_shares(float const* logits, index_t experts) {
    numbers all(at(experts));
    for (index_t e = 0; e < experts; ++e) all[at(e)] = 1 / (1 + std::exp(-double{logits[e]}));
    return over(all, sum(all));
}

} // namespace detail

/// Σ_i f_i P̄_i,   f_i = E n_i / (k T): `balance` per slot.
///
/// Source    DeepSeekMoE, eq. 12–14, arXiv:2401.06066
/// Test      tests/grad/loss/deepseek.test.cpp
inline double deepseek_expert(logit_rows logits, plan const& closed, token_mask mask = {}) {
    return balance(logits, closed, per::slot, mask);
}

/// The same over devices that hold `experts / devices` neighbours each.
///
///     Σ_g f'_g P'_g,   f'_g = mean of f_i in g,   P'_g = Σ of P̄_i in g
///
/// Source    DeepSeekMoE, eq. 15–17, arXiv:2401.06066
/// Pre       devices divides experts
/// Writes    1 for uniform shares; 0 for one expert or no token
/// Test      tests/grad/loss/deepseek.test.cpp
inline double deepseek_device(logit_rows logits, plan const& closed, index_t devices,
                              token_mask mask = {}) {
    auto counts = detail::counts(logits, closed, mask, closed.most());
    double const slots = detail::sum(counts);
    auto const f = detail::over(std::move(counts), slots);
    std::size_t const size = detail::at(logits.cols / devices);
    detail::numbers means(f.size()); // of the device of each expert
    for (std::size_t e = 0; e < f.size(); ++e)
        means[e] =
            detail::sum(std::span(f).subspan(e / size * size, size)) / static_cast<double>(size);
    return balance(logits, means, mask);
}

/// The mean over sequences of `balance` per slot within each: softmax, and the slots of the plan.
///
/// Source    DeepSeek-V2, §2.2.3 with its released gate, arXiv:2405.04434
/// Writes    1 for uniform shares; 0 for one expert or no token
/// Test      tests/grad/loss/deepseek.test.cpp
inline double deepseek_v2_sequence(logit_rows logits, plan const& closed,
                                   std::span<index_t const> sequences = {}, token_mask mask = {}) {
    return detail::sequence_mean(
        logits.rows, sequences, mask, [&](index_t first, index_t count, token_mask own) {
            detail::numbers counts(detail::at(logits.cols));
            detail::each_present(count, own, [&](index_t t) {
                for (slot const& s : closed.slots_of(first + t))
                    if (s.tier == 0) counts[detail::at(s.expert)] += 1;
            });
            double const slots = detail::sum(counts);
            return balance(logits.part(first, count), detail::over(std::move(counts), slots), own);
        });
}

/// The mean over sequences of Σ_i f_i P_i,   P_i = mean_t σ(s_ti) / Σ_j σ(s_tj).
///
///     f_i = E / (k N) · #{t: s_ti among the k largest of t}
///
/// It counts the best logits, not a plan: a correction that chooses takes no part in this loss.
/// Source    DeepSeek-V3, eq. 17–20, arXiv:2412.19437
/// Pre       1 ≤ k ≤ experts
/// Ties      the lower expert number wins
/// Writes    1 for uniform shares; 0 for one expert or no token
/// Test      tests/grad/loss/deepseek.test.cpp
inline double deepseek_v3_sequence(logit_rows logits, index_t k,
                                   std::span<index_t const> sequences = {}, token_mask mask = {}) {
    if (logits.cols <= 1) return 0;
    return detail::sequence_mean(
        logits.rows, sequences, mask, [&](index_t first, index_t count, token_mask own) {
            auto const some = logits.part(first, count);
            detail::numbers counts(detail::at(logits.cols));
            std::vector<std::uint64_t> keys(counts.size()), best(counts.size());
            index_t const tokens = detail::each_present(count, own, [&](index_t t) {
                for (index_t e = 0; e < some.cols; ++e)
                    keys[detail::at(e)] = kernel::rank_key(some.row(t)[e], e);
                kernel::largest(keys.data(), some.cols, k, best.data());
                for (index_t j = 0; j < k; ++j)
                    counts[detail::at(kernel::index_of(best[detail::at(j)]))] += 1;
            });
            auto const f = detail::over(std::move(counts), static_cast<double>(k * tokens));
            return static_cast<double>(some.cols) *
                   detail::product(f, detail::mean_shares(some, own, detail::sigmoid_shares));
        });
}

} // namespace grad::loss
} // namespace prytany::inline PRYTANY_ABI
