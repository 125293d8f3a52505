// SPDX-License-Identifier: MIT
// Experts that add nothing, the token itself, or a learned row.
#pragma once

#include <cstdint>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// What a slot's tier says of its expert: full ones run, of the others the layer adds what is due.
enum class light : std::int32_t {
    full = 0,
    zero = 1,     ///< adds nothing
    copy = 2,     ///< adds w · x
    constant = 3, ///< adds w · (a₁ x + a₂ v)
};

/// Makes the last experts of a router light: zeros, then copies, then constants.
///
///     experts   0 … | zeros | copies | constants        light_experts{top_k{.k = 2}}
///
/// They are chosen and weighed like all others; a slot's tier says which kind it is. `mixed` is the
/// layer that adds their rows.
/// Source    Jin et al. 2024 (MoE++), arXiv:2410.07348
/// Models    router_policy
/// Writes    what the inner router writes, with tiers 1, 2 and 3 for zero, copy and constant
/// Cost      that of the inner router; no allocation
/// Compile   the inner router        Run   zeros, copies, constants; its params, as `router`
/// Throws    error at construction: a negative number of them, or no full expert left
/// Test      tests/router/light_experts.test.cpp
template <router_policy R>
struct light_experts {
    R router;

    struct params {
        index_t zeros = 1, copies = 1, constants = 0;
        params_of<R> router{};

        constexpr index_t full(index_t experts) const noexcept {
            return experts - zeros - copies - constants;
        }
        constexpr light kind(index_t expert, index_t experts) const noexcept {
            index_t const past = expert - full(experts);
            if (past < 0) return light::full;
            if (past < zeros) return light::zero;
            return past < zeros + copies ? light::copy : light::constant;
        }
    };

    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const { return router.promise(); }
    void check(shape const& size, params const& own) const {
        auto const counted = [](char const* name, index_t count) {
            if (count < 0)
                throw error(std::string("light_experts.") + name, "at least 0",
                            std::to_string(count));
        };
        counted("zeros", own.zeros);
        counted("copies", own.copies);
        counted("constants", own.constants);
        if (own.full(size.experts) < 1)
            throw error("light_experts",
                        "fewer than the " + std::to_string(size.experts) + " experts",
                        std::to_string(own.zeros + own.copies + own.constants));
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        R::select(in, own.router(), out);
        for (index_t t = 0; t < in.tokens(); ++t)
            for (slot& s : out.open_slots_of(t))
                if (s.tier == 0)
                    s.tier = static_cast<std::int32_t>(own.params.kind(s.expert, out.experts()));
    }
};
template <router_policy R>
light_experts(R) -> light_experts<R>;
template <router_policy R>
light_experts(light_experts<R>) -> light_experts<light_experts<R>>; // else a copy

} // namespace prytany::inline PRYTANY_ABI
