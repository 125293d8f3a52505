// SPDX-License-Identifier: MIT
// Experts turned off, turned on or amplified by hand.
#pragma once

#include <limits>
#include <span>

#include "prytany/format/tensor.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/refused.hpp"
#include "prytany/router/detail/weighed_set.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Turns experts off or on, or multiplies their weights, after the inner router has chosen.
///
///     c_e < 0 off: w_e = 0, the rest weighed anew;   c_e = +inf on: e ∈ S in place of the lowest;
///     0 < c_e < inf: w_e ← c_e · w_e;   c_e = 0 as it is
///
/// c is the tensor "router" "steering", all 0 until loaded: which experts are steered belongs to a
/// checkpoint and a layer, so it is loaded, saved and owned like one, not pointed to from params.
/// Source    off, on: MoTE 2025, arXiv:2502.11096; multiplied: RICE 2025, arXiv:2505.14681
/// Models    router_policy
/// Writes    the inner router's slots; those turned off have weight 0 and tier 1
/// Ties      of too many turned on, and of equal lowest, the lower expert number stays
/// Cost      that of the inner router, again for a token that is turned off or on; no allocation
/// Compile   the inner router        Run   the flags of params, c        Throws    never
/// Test      tests/router/steered.test.cpp
template <router_policy R>
struct steered {
    static constexpr float off = -1, on = std::numeric_limits<float>::infinity();

    R router;

    struct params {
        bool pre_select = false; ///< off before experts are chosen: the next one takes the slot
        bool renormalise = true; ///< what is left takes over the share of what is off
        bool full_score = false; ///< what is on has a logit of +inf: score 1 under a sigmoid
        bool keep_sum = false;   ///< multiplied weights are scaled back to their old sum
        params_of<R> router{};
    };
    struct weights {
        column steering;
        [[no_unique_address]] weights_of<R> router{};
    };
    struct scratch {
        detail::refusal view;
        detail::weighed_set weighed;
        std::span<slot> set;
        [[no_unique_address]] scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            view.lay_out(memory, size, tokens);
            weighed.lay_out(memory, size, tokens);
            set = memory.take<slot>(size.experts);
        }
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const {
        promises said = router.promise();
        said.unit_sum = false;
        return said;
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "steering"}, size.experts, index_t{1}, &own.steering,
                     row_map{}, true});
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        float const* const codes = own.weights.steering.data();
        auto const is_off = [codes](index_t e) { return codes[e] < 0; };
        bool forces = false;
        for (index_t e = 0; e < out.experts(); ++e) forces = forces || codes[e] == on;
        seen const view =
            own.params.pre_select ? own.scratch.view.template of<R>(in, out.experts(), is_off) : in;
        R::select(view, own.router(), out);
        for (index_t t = 0; t < in.tokens(); ++t) {
            switch_token(view, own, t, forces, out);
            multiply(codes, own.params.keep_sum, out.open_slots_of(t));
        }
    }

private:
    /// Turns experts off and on; a token that has neither stays as it is.
    template <auto My>
    static void switch_token(seen const& in, kit<My> own, index_t token, bool forces,
                             plan& out) noexcept {
        float const* const codes = own.weights.steering.data();
        auto const chosen = out.open_slots_of(token);
        auto const set = own.scratch.set;
        bool anew = false;
        std::size_t count = 0;
        for (slot s : chosen) {
            if (codes[s.expert] < 0 && own.params.renormalise) {
                s.tier = detail::weighed_set::outside;
                anew = true;
            }
            anew = anew || (codes[s.expert] == on && own.params.full_score);
            set[count++] = s;
        }
        auto const most = static_cast<std::size_t>(out.most());
        for (index_t e = 0; forces && e < out.experts(); ++e) {
            if (codes[e] != on) continue;
            std::size_t place = count < most ? count : most;
            std::uint64_t least = ~std::uint64_t{0};
            bool has = false;
            for (std::size_t j = 0; j < count; ++j) {
                has = has || set[j].expert == e;
                if (count < most || codes[set[j].expert] == on) continue;
                bool const lost = codes[set[j].expert] < 0; // a slot that is off is given up first
                auto const key = lost ? 0 : kernel::rank_key(set[j].weight, set[j].expert);
                if (key < least) {
                    least = key;
                    place = j;
                }
            }
            if (has || place == most) continue;
            set[place] = {static_cast<std::int32_t>(e), 0.0f, 0};
            if (place == count) ++count;
            anew = true;
        }
        if (anew)
            own.scratch.weighed.write(in, token, own.router(), out, set.first(count),
                                      [&](index_t e, float logit) {
                                          bool const full = own.params.full_score && codes[e] == on;
                                          return full ? on : logit;
                                      });
        for (slot& s : out.open_slots_of(token))
            if (codes[s.expert] < 0) s = {s.expert, 0.0f, 1};
    }

    static void multiply(float const* codes, bool keep_sum, std::span<slot> slots) noexcept {
        double before = 0, after = 0;
        bool changed = false;
        for (slot& s : slots) {
            float const factor = codes[s.expert];
            before += double{s.weight};
            if (factor > 0 && factor < on && factor != 1) {
                s.weight *= factor;
                changed = true;
            }
            after += double{s.weight};
        }
        if (keep_sum && changed && after > 0)
            for (slot& s : slots) s.weight = static_cast<float>(s.weight / after * before);
    }
};
template <router_policy R>
steered(R) -> steered<R>;
template <router_policy R>
steered(steered<R>) -> steered<steered<R>>;

} // namespace prytany::inline PRYTANY_ABI
