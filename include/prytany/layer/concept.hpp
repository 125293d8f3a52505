// SPDX-License-Identifier: MIT
// What everything above a layer may ask of it.
#pragma once

#include <concepts>

#include "prytany/core/arena.hpp"
#include "prytany/core/input.hpp"
#include "prytany/core/plan.hpp"
#include "prytany/core/shape.hpp"
#include "prytany/core/text.hpp"
#include "prytany/core/workspace.hpp"
#include "prytany/exec/sequential.hpp"

namespace prytany::inline PRYTANY_ABI {

/// What an observer of a call is shown once the experts are chosen; valid during the call.
struct routing {
    input const& in;
    matrix_view<float const> logits; ///< [tokens, experts], empty without a scorer
    prytany::plan const& plan;
};

/// The observer that looks at nothing.
struct unobserved {
    constexpr void operator()(routing const&) const noexcept {}
};

template <class L>
concept has_sizes = requires(L const& layer) {
    { layer.sizes() } -> std::same_as<shape>;
} || unsatisfied<"a layer needs sizes(): its shape as plain data">();

template <class L>
concept has_visits = requires(L& layer, L const& fixed) {
    layer.for_each_tensor([](auto const&) {});
    fixed.for_each_tensor([](auto const&) {});
} || unsatisfied<"a layer needs for_each_tensor(visit): its logical matrices by name">();

template <class L>
concept has_layer_scratch = requires(L const& layer, typename L::scratch& room, arena& memory) {
    layer.lay_out(room, memory, index_t{}, index_t{});
} || unsatisfied<"a layer needs scratch and lay_out(scratch, arena, tokens, workers): the memory "
                 "of a call">();

template <class L>
concept has_forward = requires(L const& layer, input const& in, matrix_view<float> out,
                               workspace& ws, sequential& pool) {
    layer.forward(in, out, ws, pool);
    layer.forward(in, out, ws, pool, unobserved{});
} || unsatisfied<"a layer needs forward(input, rows, workspace, pool[, observer]) const">();

/// A Mixture-of-Experts layer: rows in, rows out, its weights by name.
///
/// Models    moe, any_layer, mixed, soft, merged
/// Test      tests/layer/concept.test.cpp, tests/conformance/layer.test.cpp
template <class L>
concept moe_layer = has_sizes<L> && has_visits<L> && has_layer_scratch<L> && has_forward<L>;

} // namespace prytany::inline PRYTANY_ABI
