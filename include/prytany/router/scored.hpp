// SPDX-License-Identifier: MIT
// A router with another scorer than its own.
#pragma once

#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Lets a router choose by the logits of another scorer.
///
///     scored{linear{.biases = true}, top_k{.k = 4}}
///
/// The numbers of the scorer are the layer's params, as `scorer`.
/// Models    router_policy
/// Writes    what the inner router writes
/// Compile   the scorer, the inner router        Run   its params, as `router`
/// Throws    never
/// Test      tests/router/scored.test.cpp
template <scorer S, router_policy R>
struct scored {
    S score;
    R router;

    struct params {
        params_of<R> router{};
    };
    constexpr S scorer() const { return score; }
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const { return router.promise(); }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        R::select(in, own.router(), out);
    }
};
template <scorer S, router_policy R>
scored(S, R) -> scored<S, R>;

} // namespace prytany::inline PRYTANY_ABI
