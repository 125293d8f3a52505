// SPDX-License-Identifier: MIT
// Losses that are least when experts get equal shares of slots and of softmax.
#pragma once

#include "prytany/grad/loss/detail/tokens.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad::loss {

/// What the slots of an expert are divided by: tokens (k experts a token sum to k), or slots.
enum class per { token, slot };

/// E Σ_e f_e P̄_e with fractions that the caller has, such as those of all ranks of a machine.
///
///     P̄_e = mean over the tokens present of softmax(s_t)_e
///
/// Writes    the sum of f for f uniform; 0 for one expert or no token
/// Test      tests/grad/loss/balance.test.cpp
inline double balance(logit_rows logits, std::span<double const> fractions, token_mask mask = {}) {
    if (logits.cols == 1) return 0;
    auto const shares = detail::mean_shares(logits, mask, detail::softmax);
    return static_cast<double>(logits.cols) * detail::product(fractions, shares);
}

/// E Σ_e f_e P̄_e,   f_e = n_e / slots or n_e / tokens,   n_e = slots of e that run.
///
/// Source    per slot: Megatron, DeepSpeed; per token: flaxformer, dynamic top-p (L_b), Mixtral
/// Writes    1 per slot, k per token, for uniform shares; 0 for one expert or no token
/// Pre       logits of all experts of the plan, or of the last ones, which alone count
/// Test      tests/grad/loss/balance.test.cpp
inline double balance(logit_rows logits, plan const& closed, per divisor = per::slot,
                      token_mask mask = {}) {
    auto counts = detail::counts(logits, closed, mask, closed.most());
    index_t const tokens = detail::each_present(logits.rows, mask, [](index_t) {});
    double const by = divisor == per::slot ? detail::sum(counts) : static_cast<double>(tokens);
    return balance(logits, detail::over(std::move(counts), by), mask);
}

/// The balance loss of Switch Transformers: `balance` per token, for one expert a token.
///
/// Source    Fedus, Zoph, Shazeer 2021, eq. 4–6, arXiv:2101.03961
/// Test      tests/grad/loss/balance.test.cpp
inline double switch_balance(logit_rows logits, plan const& closed, token_mask mask = {}) {
    return balance(logits, closed, per::token, mask);
}

/// The balance loss of GShard: `balance` per token that counts the first choice of a token alone.
///
/// Source    Lepikhin et al. 2020, algorithm 1, arXiv:2006.16668
/// Test      tests/grad/loss/balance.test.cpp
inline double gshard(logit_rows logits, plan const& closed, token_mask mask = {}) {
    index_t const tokens = detail::each_present(logits.rows, mask, [](index_t) {});
    auto const firsts =
        detail::over(detail::counts(logits, closed, mask, 1), static_cast<double>(tokens));
    return balance(logits, firsts, mask);
}

/// How the balance loss of heads is scaled: by the number of heads, as released, or not.
enum class head_scale { heads, none };

/// The balance loss of Mixture-of-Head: `balance` per token over the routed heads.
///
///     h Σ_i f_i P̄_i, or Σ_i f_i P̄_i
///
/// `logits` are those of the h routed heads, the last of the plan's: shared ones do not count.
/// Source    Jin et al. 2024, MoH, arXiv:2410.11842, and its code (`heads`)
/// Pre       h ≤ the experts of the plan
/// Test      tests/grad/loss/balance.test.cpp
inline double moh(logit_rows logits, plan const& closed, head_scale scale = head_scale::heads,
                  token_mask mask = {}) {
    double const scaled = balance(logits, closed, per::token, mask);
    return scale == head_scale::heads ? scaled : scaled / static_cast<double>(logits.cols);
}

} // namespace grad::loss
} // namespace prytany::inline PRYTANY_ABI
