// SPDX-License-Identifier: MIT
// Experts that somebody else chose.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/weighed_set.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Slots given from outside, as a CSR by token: `offsets` has one number more than there are
/// tokens; without `weights`, experts alone are given.
struct forced_slots {
    std::span<index_t const> offsets;
    std::span<std::int32_t const> experts;
    std::span<float const> weights{};
};

/// Gives every token the experts that a recorded plan lists.
///
///     S = experts[offsets[t]] … ;   w given, or those of the inner router when it chooses S
///
/// Token t of a call is token first + t of the plan. `params.plan` points to what the caller owns
/// and may change between calls; without it the inner router chooses. A router replayed with the
/// experts it chose gives its own weights.
/// Models    router_policy
/// Writes    the slots of the plan in its order
/// Ties      none: nothing is compared
/// Cost      O(experts) a token and that of the inner router, O(slots) with weights; no allocation
/// Compile   the inner router        Run   plan; the inner params, as `router`
/// Throws    error in a call: a plan of other sizes, too many experts for a token, an expert out of
///           range or twice
/// Test      tests/router/replayed.test.cpp
template <router_policy R>
struct replayed {
    R router;

    struct params {
        forced_slots const* plan = nullptr;
        params_of<R> router{};
    };
    struct scratch {
        detail::weighed_set weighed;
        std::span<slot> set;
        [[no_unique_address]] scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            weighed.lay_out(memory, size, tokens);
            set = memory.take<slot>(size.experts);
        }
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const {
        promises said = router.promise();
        said.positive = said.unit_sum = false; // weights are what they are
        return said;
    }
    /// Throws what is wrong with the plan for this call.
    void require(input const& in, shape const& size, params const& own) const {
        if (own.plan == nullptr) return;
        forced_slots const& given = *own.plan;
        auto const text = [](auto n) { return std::to_string(n); };
        auto const wanted = static_cast<std::size_t>(in.first + in.tokens() + 1);
        if (given.offsets.size() != wanted)
            throw error("replayed.offsets", text(wanted) + ", one more than tokens",
                        text(given.offsets.size()));
        for (std::size_t t = 0; t < wanted; ++t) {
            index_t const from = t == 0 ? 0 : given.offsets[t - 1], to = given.offsets[t];
            if (to < from || (t == 0 && to != 0))
                throw error("replayed.offsets", "0, then never falling", text(to));
            if (to - from > slots(size, own))
                throw error("replayed.offsets", "at most " + text(slots(size, own)) + " a token",
                            text(to - from));
        }
        auto const all = static_cast<std::size_t>(given.offsets.back());
        if (given.experts.size() != all)
            throw error("replayed.experts", text(all) + ", the last offset",
                        text(given.experts.size()));
        if (!given.weights.empty() && given.weights.size() != all)
            throw error("replayed.weights", text(all) + ", the last offset",
                        text(given.weights.size()));
        for (std::size_t t = 1; t < wanted; ++t)
            for (index_t i = given.offsets[t - 1]; i < given.offsets[t]; ++i) {
                auto const expert = given.experts[static_cast<std::size_t>(i)];
                if (expert < 0 || expert >= size.experts)
                    throw error("replayed.experts", "0 to " + text(size.experts - 1), text(expert));
                for (index_t j = given.offsets[t - 1]; j < i; ++j)
                    if (given.experts[static_cast<std::size_t>(j)] == expert)
                        throw error("replayed.experts", "each expert of a token once",
                                    "twice " + text(expert));
            }
    }
    /// Pre       require(in, size, params) does not throw
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        if (own.params.plan == nullptr) return R::select(in, own.router(), out);
        forced_slots const& given = *own.params.plan;
        for (index_t t = 0; t < in.tokens(); ++t) {
            auto const token = static_cast<std::size_t>(in.first + t);
            auto const from = static_cast<std::size_t>(given.offsets[token]);
            auto const count = static_cast<std::size_t>(given.offsets[token + 1]) - from;
            if (!given.weights.empty()) {
                for (std::size_t i = from; i < from + count; ++i)
                    out.put(t, given.experts[i], given.weights[i]);
                continue;
            }
            auto const set = own.scratch.set.first(count);
            for (std::size_t i = 0; i < count; ++i) set[i] = {given.experts[from + i], 0.0f, 0};
            own.scratch.weighed.write(in, t, own.router(), out, set,
                                      [](index_t, float logit) { return logit; });
        }
    }
};
template <router_policy R>
replayed(R) -> replayed<R>;
template <router_policy R>
replayed(replayed<R>) -> replayed<replayed<R>>;

} // namespace prytany::inline PRYTANY_ABI
