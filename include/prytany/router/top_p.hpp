// SPDX-License-Identifier: MIT
// As many experts as a token needs to be sure of.
#pragma once

#include "prytany/router/detail/prefix.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Keeps, for every token, the most probable experts until their probabilities sum to more than p.
///
///     P = softmax(s);   r = min{ r : P₍₁₎ + … + P₍ᵣ₎ > p };   S = the first r;   w_e = P_e
///
/// Source    Huang et al. 2024, arXiv:2403.07652
/// Models    router_policy
/// Writes    1 to `cap` slots a token, best first
/// Ties      the lower expert number wins; NaN is taken only where it comes first
/// Cost      O(experts · slots) a token; no allocation
/// Compile   –        Run   p, inclusive, cap, renormalise
/// Throws    error at construction: p outside 0 to 1, cap outside 1 to experts
/// Test      tests/router/top_p.test.cpp
///
/// A ranking or a bias changes the order, the sum stays that of P. `inclusive` is run-time: a sum
/// reaches p exactly if it is more than the float below p, so neither rule has code of its own.
struct top_p {
    struct params {
        float p = 0.4f;           ///< 0: the best alone; 1: all
        bool inclusive = false;   ///< a sum of exactly p is enough
        index_t cap = dynamic;    ///< the most experts of a token; `dynamic`: all
        bool renormalise = false; ///< softmax over the chosen alone
    };
    using scratch = detail::prefix::scratch;

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const& own) const {
        return detail::prefix::most(size, own.cap);
    }
    constexpr promises promise() const { return {}; }
    void check(shape const& size, params const& own) const {
        detail::prefix::check("top_p", "p", own.p, own.cap, size);
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        auto const& with = own.params;
        float const bar =
            with.inclusive ? detail::prefix::reaching(with.p) : detail::prefix::above(with.p);
        detail::prefix{bar, with.cap, with.renormalise}.select(in, own.scratch, out);
    }
};

} // namespace prytany::inline PRYTANY_ABI
