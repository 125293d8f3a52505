// SPDX-License-Identifier: MIT
// One expert a token, the same number of tokens for every expert.
#pragma once

#include <algorithm>
#include <cstdint>

#include "prytany/router/concept.hpp"
#include "prytany/router/detail/assignment.hpp"
#include "prytany/router/detail/choosing.hpp"
#include "prytany/router/detail/score_functions.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Assigns every token to one expert: in training so that all experts get the same number.
///
///     training   e = the assignment with the largest Σ_t s_te whose loads differ by at most 1
///     otherwise  e = argmax s_t;        w = σ(s_te) in both
///
/// Where s is not finite the assignment counts the smallest finite score of the call.
/// Source    Lewis et al. 2021 (BASE), arXiv:2103.16716; there an auction, here the optimum
/// Models    router_policy
/// Writes    one slot a token, weights in 0 to 1; in training no slot for padding
/// Ties      argmax: the lower expert wins, NaN comes last; -inf is listed, weighs 0, is not run
/// Cost      argmax: O(tokens · experts); training: what the assignment costs; no allocation
/// Compile   –        Run   training
/// Throws    never
/// Test      tests/router/balanced.test.cpp
struct balanced {
    struct params {
        bool training = false; ///< not: the largest logit, as in decoding
    };
    struct scratch {
        detail::assignment found;
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            found.lay_out(memory, tokens, size.experts);
        }
    };

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const&, params const&) const { return 1; }
    constexpr promises promise() const { return {.sees = scope::batch, .causal = false}; }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        if (own.params.training) own.scratch.found.solve(in);
        for (index_t t = 0; t < in.logits.rows; ++t) {
            index_t const e = own.params.training ? own.scratch.found.expert_of(t) : best(in, t);
            if (e == dynamic) continue;
            float const logit = in.logits.row(t)[e];
            out.put(t, e, detail::sigmoid(logit), detail::idle_tier(logit));
        }
    }

private:
    static index_t best(seen const& in, index_t token) noexcept {
        std::uint64_t top = 0;
        for (index_t e = 0; e < in.logits.cols; ++e)
            top = std::max(top, kernel::rank_key(detail::affinity(in, token, e), e));
        return kernel::index_of(top);
    }
};

} // namespace prytany::inline PRYTANY_ABI
