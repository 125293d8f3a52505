// SPDX-License-Identifier: MIT
// Every expert with a positive score.
#pragma once

#include "prytany/router/detail/choosing.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Keeps, for every token, the experts with a logit above 0, weighed by it: any number, also none.
///
///     S = { e : s_e > 0 };   w_e = max(0, s_e)
///
/// Differentiable almost everywhere: an expert enters and leaves at weight 0. A ranking in place of
/// the logits, or a bias added to what chooses, decides who is above 0; the weight stays that of s.
/// Source    Wang, Zhu, Chen 2024 (ReMoE), arXiv:2412.14711
/// Models    router_policy
/// Writes    0 to `experts` slots a token, by expert number; weights ≥ 0 of any sum
/// Ties      none: 0 of either sign, NaN and -inf are not above 0
/// Cost      O(experts) a token; no allocation
/// Compile   –        Run   –
/// Throws    never
/// Test      tests/router/remoe.test.cpp
struct remoe {
    struct params {};

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const&) const { return size.experts; }
    constexpr promises promise() const { return {}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        bool const ranked = in.ranking.data != nullptr;
        for (index_t t = 0; t < in.logits.rows; ++t) {
            float const* const logits = in.logits.row(t);
            float const* const chosen_by = ranked ? in.ranking.row(t) : logits;
            for (index_t e = 0; e < in.logits.cols; ++e) {
                float const bias = in.bias.empty() ? 0.0f : in.bias[static_cast<std::size_t>(e)];
                if (!(chosen_by[e] + bias > 0)) continue;
                float const weight = logits[e] < 0 ? 0.0f : logits[e]; // NaN stays NaN
                out.put(t, e, weight, detail::idle_tier(logits[e]));
            }
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
