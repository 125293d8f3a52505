// SPDX-License-Identifier: MIT
// All experts: the dense mixture.
#pragma once

#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/choosing.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Keeps all experts of every token, weighed by softmax: what sparse routers are compared with.
///
///     S = all;   w = softmax(s)
///
/// Nothing is chosen, so rankings and biases change nothing.
/// Source    Jacobs, Jordan, Nowlan, Hinton 1991, "Adaptive mixtures of local experts", eq. 1
/// Models    router_policy
/// Writes    `experts` slots a token, by expert number; weights sum to 1 within 1e-6
/// Ties      none; +inf shares with +inf alone, -inf is listed, weighs 0, is not run; NaN stays NaN
/// Cost      O(experts) a token; no allocation
/// Compile   –        Run   –
/// Throws    never
/// Test      tests/router/every_expert.test.cpp
struct every_expert {
    struct params {};

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const&) const { return size.experts; }
    constexpr promises promise() const { return {.unit_sum = true}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.logits.rows; ++t) {
            float const* const logits = in.logits.row(t);
            kernel::softmax const weight(logits, in.logits.cols);
            for (index_t e = 0; e < in.logits.cols; ++e)
                out.put(t, e, weight(logits[e]), detail::idle_tier(logits[e]));
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
