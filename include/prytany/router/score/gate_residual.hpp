// SPDX-License-Identifier: MIT
// Scores that go on from those of the layer before.
#pragma once

#include <string>

#include "prytany/core/error.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/kernel/gemm.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Adds what a map makes of the previous layer's logits, which are sums of this kind themselves.
///
///     s = score(x) + s_before · G^T,   G [experts, experts]
///     scored{gate_residual{linear{}}, light_experts{top_k{.k = 2}}}
///
/// The call names `previous_logits`; those of a layer are what `routing` shows its observer. The
/// first layer of a stack is without this wrapper.
/// Source    Jin et al. 2024 (MoE++), arXiv:2410.07348, and its released code
/// Models    scorer
/// Writes    all logits, computed in float32
/// Cost      that of the scorer, and O(tokens · experts²); no allocation
/// Compile   the scorer        Run   the scorer's params, as `scorer`
/// Throws    error in a call: no logits of the layer before, or for another number of experts
/// Test      tests/router/score/gate_residual.test.cpp
template <scorer S>
struct gate_residual {
    S scorer;

    struct params {
        [[no_unique_address]] params_of<S> scorer{};
    };
    struct weights {
        packed<dense<float>{}> map;
        [[no_unique_address]] weights_of<S> scorer{};
    };
    using scratch = scratch_of<S>;
    void check(shape const& size, params const& own) const {
        check_router(scorer, size, own.scorer);
    }
    void require(input const& in, shape const& size, params const& own) const {
        auto const& before = in.previous_logits;
        if (in.tokens() > 0 && before.data == nullptr)
            throw error("gate_residual: input.previous_logits",
                        dims_text(in.tokens(), size.experts), "none");
        if (in.tokens() > 0 && (before.rows != in.tokens() || before.cols != size.experts))
            throw error("gate_residual: input.previous_logits",
                        dims_text(in.tokens(), size.experts), dims_text(before.rows, before.cols));
        require_input(scorer, in, size, own.scorer);
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "residual"}, size.experts, size.experts, &own.map});
        scorer.tensors(own.scorer, size, visit);
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        S::score(in, kit<My.scorer>{own.params.scorer, own.weights.scorer, own.scratch}, logits);
        auto const& before = in.previous_logits;
        auto const& map = own.weights.map;
        auto const add = [&](index_t row, index_t panel, simd::float_pair sum) {
            index_t const first = panel * panel_lanes, left = logits.cols - first;
            float* const to = logits.row(row) + first;
            sum.low += simd::load_first(to, left);
            if (left > lanes) sum.high += simd::load_first(to + lanes, left - lanes);
            simd::store_pair(to, sum, left);
        };
        kernel::multiply(kernel::picked_rows{before.data, before.stride}, before.rows, map, 0,
                         map.panels(), add);
    }
};
template <scorer S>
gate_residual(S) -> gate_residual<S>;
template <scorer S>
gate_residual(gate_residual<S>) -> gate_residual<gate_residual<S>>; // without it, a copy

} // namespace prytany::inline PRYTANY_ABI
