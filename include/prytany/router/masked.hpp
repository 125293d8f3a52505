// SPDX-License-Identifier: MIT
// Experts that are pruned away.
#pragma once

#include "prytany/format/tensor.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/refused.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Refuses pruned experts before any is chosen, and never runs them.
///
///     s_e = -inf in logits and ranking where pruned_e > 0;   masked{top_k{.k = 2}}
///
/// The mask is a tensor, "router" "pruned": one number for each expert, all 0 (none pruned) until
/// it is loaded. With nothing pruned the slots are those of the inner router, bit for bit.
/// Models    router_policy
/// Writes    what the inner router writes; a pruned expert it lists has weight 0 and tier 1
/// Ties      those of the inner router
/// Cost      that of the inner router, and a copy of the logits; no allocation
/// Compile   the inner router        Run   its params, as `router`; the mask
/// Throws    never
/// Test      tests/router/masked.test.cpp
template <router_policy R>
struct masked {
    R router;

    struct params {
        params_of<R> router{};
    };
    struct weights {
        column pruned;
        [[no_unique_address]] weights_of<R> router{};
    };
    struct scratch {
        detail::refusal view;
        [[no_unique_address]] scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            view.lay_out(memory, size, tokens);
        }
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const {
        promises said = router.promise();
        said.unit_sum = false; // with every expert pruned the sum is 0
        return said;
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "pruned"}, size.experts, index_t{1}, &own.pruned,
                     row_map{}, true});
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        float const* const mask = own.weights.pruned.data();
        auto const pruned = [mask](index_t e) { return mask[e] > 0; };
        R::select(own.scratch.view.template of<R>(in, out.experts(), pruned), own.router(), out);
        for (index_t t = 0; t < in.tokens(); ++t)
            for (slot& s : out.open_slots_of(t))
                if (pruned(s.expert)) s = {s.expert, 0.0f, 1};
    }
};
template <router_policy R>
masked(R) -> masked<R>;
template <router_policy R>
masked(masked<R>) -> masked<masked<R>>; // without it, masked{masked{…}} would be a copy

} // namespace prytany::inline PRYTANY_ABI
