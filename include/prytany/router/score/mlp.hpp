// SPDX-License-Identifier: MIT
// Scores by a small network with one hidden layer.
#pragma once

#include "prytany/kernel/activation.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/project.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Scores by two linear maps with an activation between them.
///
///     s = act(x · H^T + h) · G^T + g,   H [width, model], G [experts, width]
///
/// `mlp{gelu, 64}`; h and g unless `.biases = false`.
/// Models    scorer
/// Writes    all logits, computed in float32
/// Cost      O(tokens · width · (model + experts)); no allocation, 32 KiB of stack or one row
/// Compile   activation, width, biases        Run   –
/// Throws    never
/// Test      tests/router/score/mlp.test.cpp
template <class A>
struct mlp {
    static_assert(!A::gated, "mlp: an activation of one number; a gated one takes two");

    A activation;
    index_t width = 256;
    bool biases = true;

    struct params {};
    struct weights {
        packed<dense<float>{}> hidden, matrix;
        column hidden_bias, bias;
    };
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        auto const named = [](std::string_view role) { return tensor_name{"router", role}; };
        visit(tensor{named("hidden"), width, size.model, &own.hidden});
        visit(tensor{named("weight"), size.experts, width, &own.matrix});
        if (!biases) return;
        visit(tensor{named("hidden_bias"), width, index_t{1}, &own.hidden_bias, row_map{}, true});
        visit(tensor{named("bias"), size.experts, index_t{1}, &own.bias, row_map{}, true});
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        static_assert(My.width > 0, "mlp: the hidden layer has at least one number");
        auto const& with = own.weights;
        detail::each_projected<My.width>(
            in.rows, with.hidden, My.biases ? &with.hidden_bias : nullptr,
            [](simd::floats x) { return A::of({}, x, x); },
            [&](matrix_view<float const> inner, index_t first) {
                detail::project(inner, with.matrix, My.biases ? &with.bias : nullptr,
                                logits.part(first, inner.rows));
            });
    }
};
template <class A>
mlp(A) -> mlp<A>;
template <class A>
mlp(A, index_t) -> mlp<A>;
template <class A>
mlp(A, index_t, bool) -> mlp<A>;

} // namespace prytany::inline PRYTANY_ABI
