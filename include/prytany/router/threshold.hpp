// SPDX-License-Identifier: MIT
// As many experts as it takes to reach a threshold.
#pragma once

#include "prytany/router/detail/prefix.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Keeps an expert while those before it have not reached the threshold t.
///
///     P = softmax(s);   S = { e of rank r : P₍₁₎ + … + P₍ᵣ₋₁₎ < t }, at least one;   w_e = P_e
///
/// The same experts as top_p's whose rule is `inclusive`.
/// Source    Yang et al. 2024 (XMoE), arXiv:2403.18926
/// Models    router_policy
/// Writes    1 to `cap` slots a token, best first
/// Ties      the lower expert number wins; NaN is taken only where it comes first
/// Cost      O(experts · slots) a token; no allocation
/// Compile   –        Run   t, cap
/// Throws    error at construction: t outside 0 to 1, cap outside 1 to experts
/// Test      tests/router/threshold.test.cpp
struct threshold {
    struct params {
        float t = 0.9f;        ///< 0: the best alone; 1: all
        index_t cap = dynamic; ///< the most experts of a token; `dynamic`: all
    };
    using scratch = detail::prefix::scratch;

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const& own) const {
        return detail::prefix::most(size, own.cap);
    }
    constexpr promises promise() const { return {}; }
    void check(shape const& size, params const& own) const {
        detail::prefix::check("threshold", "t", own.t, own.cap, size);
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        float const bar = detail::prefix::reaching(own.params.t);
        detail::prefix{bar, own.params.cap, false}.select(in, own.scratch, out);
    }
};

} // namespace prytany::inline PRYTANY_ABI
