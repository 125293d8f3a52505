// SPDX-License-Identifier: MIT
// A second expert only where it weighs enough.
#pragma once

#include <cmath>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/by_weight.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Drops the second of two experts where it weighs too little beside the first.
///
///     w₁ ≥ w₂;   e₂ is dropped where w₂ < beta · w₁,   renormalised: then w₁ ← w₁ + w₂
///
/// Source    Online Dynamic Pruning (MC-MoE): beta is measured for each layer, 0.4 to 0.6
/// Models    router_policy
/// Writes    one or two slots a token, the heavier first
/// Ties      at equality both stay; of equal weights the lower expert number is first
/// Cost      that of the inner router; no allocation
/// Compile   the inner router        Run   beta, renormalise; the inner params, as `router`
/// Throws    error at construction: an inner router with other than two slots, beta < 0 or not
///           finite
/// Test      tests/router/dropped_second.test.cpp
template <router_policy R>
struct dropped_second {
    R router;

    struct params {
        float beta = 0.5f;
        bool renormalise = true;
        params_of<R> router{};
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const {
        promises said = router.promise();
        said.unit_sum = false;
        return said;
    }
    void check(shape const& size, params const& own) const {
        if (slots(size, own) != 2)
            throw error("dropped_second.router", "two slots a token",
                        std::to_string(slots(size, own)));
        if (!(own.beta >= 0 && std::isfinite(own.beta)))
            throw error("dropped_second.beta", "a finite number ≥ 0", std::to_string(own.beta));
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        R::select(in, own.router(), out);
        for (index_t t = 0; t < in.tokens(); ++t) {
            auto const pair = out.open_slots_of(t);
            detail::sort_by_weight(pair);
            if (pair.size() < 2 || !(pair[1].weight < own.params.beta * pair[0].weight)) continue;
            if (own.params.renormalise) pair[0].weight += pair[1].weight;
            out.cut(t, 1);
        }
    }
};
template <router_policy R>
dropped_second(R) -> dropped_second<R>;
template <router_policy R>
dropped_second(dropped_second<R>) -> dropped_second<dropped_second<R>>;

} // namespace prytany::inline PRYTANY_ABI
