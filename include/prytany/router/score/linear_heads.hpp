// SPDX-License-Identifier: MIT
// Scores of attention heads: one linear map for shared heads, one for routed ones.
#pragma once

#include "prytany/format/tensor.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/project.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Scores the first `shared` heads by one matrix and all others by a second.
///
///     s = [x · S^T, x · R^T],   S [shared, model],   R [heads - shared, model]
///
/// One shared head needs no score: S is left out, its logit is 0.
/// Source    Jin et al. 2024 (MoH), arXiv:2410.11842
/// Models    scorer
/// Writes    all logits, computed in float32
/// Cost      O(tokens · heads · model); no allocation
/// Compile   shared        Run   –
/// Throws    never
/// Test      tests/router/score/linear_heads.test.cpp
struct linear_heads {
    index_t shared = 0;

    struct params {};
    struct weights {
        packed<dense<float>{}> shared, routed;
    };
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        if (shared > 1)
            visit(tensor{tensor_name{"router", "shared"}, shared, size.model, &own.shared});
        if (size.experts > shared)
            visit(tensor{tensor_name{"router", "weight"}, size.experts - shared, size.model,
                         &own.routed});
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        if constexpr (My.shared == 1)
            for (index_t t = 0; t < logits.rows; ++t) logits.row(t)[0] = 0.0f;
        if constexpr (My.shared > 1) multiply(in.rows, own.weights.shared, logits, 0, My.shared);
        multiply(in.rows, own.weights.routed, logits, My.shared, logits.cols);
    }

private:
    /// The logits of heads [first, last).
    static void multiply(matrix_view<float const> rows, packed<dense<float>{}> const& matrix,
                         matrix_view<float> logits, index_t first, index_t last) noexcept {
        detail::project(rows, matrix, nullptr, logits.columns(first, last - first));
    }
};

} // namespace prytany::inline PRYTANY_ABI
