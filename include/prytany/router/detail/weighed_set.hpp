// SPDX-License-Identifier: MIT
// The weights that a router gives to experts which it did not choose itself.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// Lets experts of all groups be chosen.
template <class Params>
constexpr void open_groups(Params& own) {
    if constexpr (requires { own.kept_groups = own.groups; }) own.kept_groups = own.groups;
    if constexpr (requires { own.router; }) open_groups(own.router);
}
/// Whether weights are shares of what is chosen; else they are shares of all experts, or of none.
template <class Params>
constexpr bool renormalises(Params const& own) {
    if constexpr (requires { own.renormalise == true; }) {
        if (!own.renormalise) return false;
    }
    if constexpr (requires { own.router; }) return renormalises(own.router);
    else return true;
}

/// Asks a router that sees single tokens for the weights of a set.
struct weighed_set {
    static constexpr std::int32_t outside = -1; ///< the tier of what is listed, but not in the set

    std::span<float> logits, ranking;

    void lay_out(arena& memory, shape const& size, index_t) {
        logits = memory.take<float>(size.experts);
        ranking = memory.take<float>(size.experts);
    }
    /// Writes the slots `set` of one token in their order: the weights are the router's, whose
    /// ranking is the set and whose logits are logit(expert, logit). What the router will not have,
    /// and what is outside, weighs 0 and is not run.
    ///
    /// Pre       set.size() ≤ out.most(); no expert is in it twice
    template <auto Router, class Logit>
    void write(seen const& in, index_t token, kit<Router> own, plan& out, std::span<slot> set,
               Logit&& logit) const noexcept {
        static_assert(Router.promise().sees == scope::token,
                      "a set can only be weighed by a router that sees single tokens");
        constexpr float infinity = std::numeric_limits<float>::infinity();
        seen one = in.part(token, 1);
        bool asks = false;
        for (slot const s : set) asks = asks || s.tier != outside;
        if (index_t const experts = in.logits.cols; in.logits.data != nullptr) {
            float const* const from = in.logits.row(token);
            bool const shares = renormalises(own.params);
            for (index_t e = 0; e < experts; ++e) {
                logits[at(e)] = shares ? -infinity : from[e];
                ranking[at(e)] = -infinity;
            }
            for (slot const s : set) {
                if (s.tier == outside) continue;
                logits[at(s.expert)] = logit(index_t{s.expert}, from[s.expert]);
                ranking[at(s.expert)] = infinity;
            }
            one.logits = {logits.data(), 1, experts};
            one.ranking = {ranking.data(), 1, experts};
            one.bias = {};
        }
        out.cut(token, 0);
        plan part = out.part(token, 1);
        auto params = own.params;
        open_groups(params);
        if (asks) kind_of<Router>::select(one, kit<Router>{params, own.weights, own.scratch}, part);
        for (slot& s : set) {
            bool const member = s.tier != outside;
            s.weight = 0;
            s.tier = 1;
            if (!member) continue;
            for (slot const got : part.open_slots_of(0))
                if (got.expert == s.expert) s = got;
        }
        out.cut(token, 0);
        for (slot const s : set) out.put(token, s.expert, s.weight, s.tier);
    }

private:
    static constexpr std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }
};

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
