// SPDX-License-Identifier: MIT
// One expert for tokens without a condition, a router for the others.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

#include "prytany/core/error.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// A scorer of all experts but the last, whose logit is -inf.
///
/// Models    scorer
/// Test      tests/router/two_step.test.cpp
template <scorer S>
struct all_but_last {
    S score_rest;

    using params = params_of<S>;
    using weights = weights_of<S>;
    using scratch = scratch_of<S>;
    void check(shape const& size, params const& own) const {
        check_router(score_rest, rest_of(size), own);
    }
    void require(input const& in, shape const& size, params const& own) const {
        require_input(score_rest, in, rest_of(size), own);
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        score_rest.tensors(own, rest_of(size), visit);
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        matrix_view<float> rest = logits;
        --rest.cols;
        S::score(in, kit<My.score_rest>{own.params, own.weights, own.scratch}, rest);
        for (index_t t = 0; t < logits.rows; ++t)
            logits.row(t)[rest.cols] = -std::numeric_limits<float>::infinity();
    }

private:
    static constexpr shape rest_of(shape size) {
        --size.experts;
        return size;
    }
};

/// Sends tokens without a condition to the last expert, the others to the experts before it.
///
///     label_t = null_label:  S = {E - 1}, w = 1;   else S, w by the inner router over 0 … E - 2
///
/// Unconditional tokens are no part of what the inner router sees: it takes them for padding.
/// Source    ProMoE ("Routing Matters in MoE"): conditional routing, then prototypical routing
/// Models    router_policy
/// Writes    one slot, or what the inner router writes
/// Ties      those of the inner router
/// Cost      that of the inner router; no allocation
/// Compile   the inner router        Run   null_label; the inner params, as `router`
/// Throws    error at construction: one expert alone, inner params that do not suit E - 1 experts;
///           error in a call: no labels
/// Test      tests/router/two_step.test.cpp
template <router_policy R>
struct two_step {
    R router;

    struct params {
        std::int32_t null_label = 1000; ///< as many as there are classes: those of ImageNet
        params_of<R> router{};
    };
    struct scratch {
        std::span<std::uint8_t> conditional;
        [[no_unique_address]] scratch_of<R> router{};
        void lay_out(arena& memory, shape const&, index_t tokens) {
            conditional = memory.take<std::uint8_t>(tokens);
        }
    };
    constexpr auto scorer() const {
        constexpr bool scores = !std::is_same_v<decltype(scorer_of(router)), nothing>;
        if constexpr (scores) return all_but_last<decltype(scorer_of(router))>{scorer_of(router)};
        else return nothing{};
    }
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(rest_of(size), own.router);
    }
    constexpr promises promise() const { return router.promise(); }
    void check(shape const& size, params const& own) const {
        if (size.experts < 2) throw error("two_step.experts", "at least 2", "1");
        shape const rest = rest_of(size);
        if (slots(size, own) > rest.experts)
            throw error("two_step.router", "at most " + std::to_string(rest.experts) + " slots",
                        std::to_string(slots(size, own)));
        check_router(router, rest, own.router);
    }
    void require(input const& in) const {
        if (static_cast<index_t>(in.labels.size()) != in.tokens())
            throw error("input.labels (two_step)", std::to_string(in.tokens()) + ", one a token",
                        std::to_string(in.labels.size()));
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        index_t const last = (in.logits.data != nullptr ? in.logits.cols : out.experts()) - 1;
        seen some = in;
        for (index_t t = 0; t < in.tokens(); ++t)
            own.scratch.conditional[static_cast<std::size_t>(t)] =
                in.present(t) && !unconditional(in, t, own.params);
        some.mask = own.scratch.conditional.first(static_cast<std::size_t>(in.tokens()));
        if (in.logits.data != nullptr) --some.logits.cols;
        if (in.ranking.data != nullptr) --some.ranking.cols;
        if (!in.bias.empty()) some.bias = in.bias.first(in.bias.size() - 1);
        R::select(some, own.router(), out);
        for (index_t t = 0; t < in.tokens(); ++t)
            if (unconditional(in, t, own.params)) {
                out.cut(t, 0);
                out.put(t, last, 1.0f);
            }
    }

private:
    static constexpr shape rest_of(shape size) {
        if (size.experts != dynamic) --size.experts;
        return size;
    }
    static bool unconditional(seen const& in, index_t token, params const& own) noexcept {
        return !in.labels.empty() && in.labels[static_cast<std::size_t>(token)] == own.null_label;
    }
};
template <router_policy R>
two_step(R) -> two_step<R>;
template <router_policy R>
two_step(two_step<R>) -> two_step<two_step<R>>;

} // namespace prytany::inline PRYTANY_ABI
