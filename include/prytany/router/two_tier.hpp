// SPDX-License-Identifier: MIT
// Strong experts in full, weak ones cheaper.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/by_weight.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Moves a token's weak experts to tier 1.
///
///     tier 1 where w_e < share · max w, or where `full` or more slots of the token weigh more
///
/// Weights stay as they are. `moe` runs tier 0 alone, so in it a slot of tier 1 adds nothing.
/// Models    router_policy
/// Writes    what the inner router writes, with other tiers; what it does not run stays so
/// Ties      at the share a slot stays in tier 0; of equal weights the lower expert number is first
/// Cost      that of the inner router, and O(slots²) a token if `full` is given; no allocation
/// Compile   the inner router        Run   share, full; the inner params, as `router`
/// Throws    error at construction: share outside 0 to 1, full < 0
/// Test      tests/router/two_tier.test.cpp
template <router_policy R>
struct two_tier {
    R router;

    struct params {
        float share = 0.0f;     ///< of the largest weight of the token; 0: all are strong
        index_t full = dynamic; ///< the most slots a token has in tier 0; left out: all
        params_of<R> router{};
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const { return router.promise(); }
    void check(shape const&, params const& own) const {
        if (!(own.share >= 0 && own.share <= 1))
            throw error("two_tier.share", "0 to 1", std::to_string(own.share));
        if (own.full != dynamic && own.full < 0)
            throw error("two_tier.full", "at least 0", std::to_string(own.full));
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        R::select(in, own.router(), out);
        for (index_t t = 0; t < in.tokens(); ++t) {
            auto const slots = out.open_slots_of(t);
            float top = 0;
            for (slot const& s : slots) top = s.tier == 0 ? std::max(top, s.weight) : top;
            for (slot& s : slots) {
                if (s.tier != 0) continue;
                bool const late =
                    own.params.full != dynamic && rank_of(s, slots) >= own.params.full;
                if (late || s.weight < own.params.share * top) s.tier = weak;
            }
            for (slot& s : slots) s.tier = s.tier == weak ? 1 : s.tier;
        }
    }

private:
    static constexpr std::int32_t weak = -1; // until all of a token are ranked

    /// How many slots that run, or did when ranking began, come before this one.
    static index_t rank_of(slot const& one, std::span<slot const> slots) noexcept {
        index_t before = 0;
        for (slot const& s : slots)
            before +=
                (s.tier == 0 || s.tier == weak) && detail::weight_key(s) > detail::weight_key(one);
        return before;
    }
};
template <router_policy R>
two_tier(R) -> two_tier<R>;
template <router_policy R>
two_tier(two_tier<R>) -> two_tier<two_tier<R>>;

} // namespace prytany::inline PRYTANY_ABI
