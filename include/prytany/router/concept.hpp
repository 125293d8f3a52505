// SPDX-License-Identifier: MIT
// What chooses experts: rows in, a plan out.
#pragma once

#include <concepts>
#include <span>
#include <string>

#include "prytany/core/input.hpp"
#include "prytany/core/kit.hpp"
#include "prytany/core/plan.hpp"
#include "prytany/core/text.hpp"

namespace prytany::inline PRYTANY_ABI {

/// What a router sees: the input and its scores. A wrapper copies it, changes a view and asks its
/// inner router.
///
/// `logits` is [tokens, experts], empty for a router without scores. `ranking`, of the same size or
/// empty, chooses in their place; `bias` is one number for each expert, added to what chooses. Both
/// leave alone what weighs.
struct seen : input {
    matrix_view<float const> logits{};
    matrix_view<float const> ranking{};
    std::span<float const> bias{};

    seen() = default;
    explicit seen(input const& in) : input(in) {}
    seen part(index_t from, index_t count) const noexcept {
        seen some = *this;
        static_cast<input&>(some) = input::part(from, count);
        if (logits.data != nullptr) some.logits = logits.part(from, count);
        if (ranking.data != nullptr) some.ranking = ranking.part(from, count);
        return some;
    }
};

/// How far a router looks to place one token.
enum class scope { token, sequence, batch };

/// What a router carries from call to call: nothing, or numbers that training updates.
enum class carried { nothing, training };

/// What a router promises of every plan it writes.
struct promises {
    scope sees = scope::token;
    bool causal = true;    ///< no token's slots depend on later tokens
    bool positive = true;  ///< weights are ≥ 0
    bool unit_sum = false; ///< the weights of a token sum to 1 within 1e-6
    carried state = carried::nothing;
};

template <class P>
concept has_params = requires {
    typename P::params;
}
|| unsatisfied<"a router needs a nested params struct: its run-time numbers, all defaulted">();

template <class P>
concept has_slots = requires(P const policy, shape const& size, params_of<P> const& own) {
    { policy.slots(size, own) } -> std::same_as<index_t>;
}
|| unsatisfied<"a router needs slots(shape, params): the most slots one token may get">();

template <class P>
concept has_promise = requires(P const policy) {
    { policy.promise() } -> std::same_as<promises>;
}
|| unsatisfied<"a router needs promise(): what it sees, and how its weights behave">();

template <class P>
concept has_select = requires(seen const& in, kit<P{}> own, plan& out) {
    { P::select(in, own, out) }
    noexcept;
}
|| unsatisfied<"a router needs template <auto My> static void select(seen, kit<My>, plan&) "
               "noexcept: put each token's experts into the plan">();

/// A structural value that chooses experts.
///
/// Optional: `scorer()`, the policy that makes its logits; `scratch` with `lay_out(arena, shape,
/// tokens)`; `check(shape, params)`, which throws what is wrong with run-time numbers; `require(
/// input)` or `require(input, shape, params)`, which throws what a call lacks.
/// Models    everything in router/ that chooses
/// Test      tests/router/concept.test.cpp, tests/conformance/router.test.cpp
template <class P>
concept router_policy = has_params<P> && has_slots<P> && has_promise<P> && has_select<P>;

template <class S>
concept has_score = requires(input const& in, kit<S{}> own, matrix_view<float> logits) {
    { S::score(in, own, logits) }
    noexcept;
}
|| unsatisfied<"a scorer needs template <auto My> static void score(input, kit<My>, logits) "
               "noexcept: one logit for each token and expert">();

/// A structural value that turns rows into logits: [tokens, model] → [tokens, experts].
///
/// It is asked for parts of a call, so a token's logits are its own. Optional, as for a router:
/// `params`, all defaulted; `scratch` with `lay_out`; `check(shape, params)`; `require(…)`. With
/// `panels(kit)` and `score_panels(input, kit, logits, first, last)` it is cut by experts too.
/// Models    everything in router/score/
/// Test      tests/router/score/linear.test.cpp
template <class S>
concept scorer = has_score<S>;

/// The scorer of a router: its own, or that of what it wraps; `nothing` for hashes and labels.
template <class P>
constexpr auto scorer_of(P const& policy) {
    if constexpr (requires { policy.scorer(); }) return policy.scorer();
    else if constexpr (wraps_router<P>) return scorer_of(policy.router);
    else return nothing{};
}

/// Visits the tensors of a router and of what it wraps.
template <class P, class Weights, class Visit>
void router_tensors(P const& policy, Weights& own, shape const& size, Visit&& visit) {
    if constexpr (requires { policy.tensors(own, size, visit); }) policy.tensors(own, size, visit);
    if constexpr (wraps_router<P>) router_tensors(policy.router, own.router, size, visit);
}

/// Throws what is wrong with the run-time numbers of a router and of what it wraps, or of a scorer.
template <class P>
void check_router(P const& policy, shape const& size, params_of<P> const& own) {
    if constexpr (requires { policy.check(size, own); }) policy.check(size, own);
    if constexpr (wraps_router<P>) check_router(policy.router, size, own.router);
}

/// Throws what a call lacks that a router, what it wraps, or a scorer needs.
template <class P>
void require_input(P const& policy, input const& in, shape const& size, params_of<P> const& own) {
    if constexpr (requires { policy.require(in, size, own); }) policy.require(in, size, own);
    else if constexpr (requires { policy.require(in); }) policy.require(in);
    if constexpr (wraps_router<P>) require_input(policy.router, in, size, own.router);
}

} // namespace prytany::inline PRYTANY_ABI
