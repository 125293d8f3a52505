// SPDX-License-Identifier: MIT
// Scores on a low-dimensional sphere, as X-MoE was released.
#pragma once

#include <cmath>

#include "prytany/router/concept.hpp"
#include "prytany/router/detail/cosines.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Scores every expert by the length of the projected token along the expert's direction.
///
///     s_i = P x · e_i / ‖e_i‖,   a score that is not finite: the least finite one of its row
///
/// P [width, model], E [experts, width]. The token is not brought to length 1, and a row without a
/// finite score becomes zeros. A true cosine with a temperature is `cosine`.
/// Source    Chi et al. 2022, arXiv:2204.09179, as released in torchscale
/// Models    scorer
/// Writes    all logits, finite
/// Cost      O(tokens · width · (model + experts)); no allocation, 32 KiB of stack or one row
/// Compile   width        Run   –
/// Throws    never
/// Test      tests/router/score/x_moe.test.cpp
struct x_moe {
    index_t width = 16;

    struct params {};
    struct weights {
        packed<dense<float>{}> projection;
        detail::measured_rows matrix;
    };
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "projection"}, width, size.model, &own.projection});
        visit(tensor{tensor_name{"router", "weight"}, size.experts, width, &own.matrix});
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        static_assert(My.width > 0, "x_moe: the width of the projection is at least 1");
        detail::each_projected<My.width>(
            in.rows, own.weights.projection, nullptr, [](simd::floats x) { return x; },
            [&](matrix_view<float const> inner, index_t first) {
                detail::along(inner, own.weights.matrix, 0.0f, logits.part(first, inner.rows));
            });
        for (index_t t = 0; t < logits.rows; ++t) make_finite(logits.row(t), logits.cols);
    }

private:
    static void make_finite(float* scores, index_t count) noexcept {
        float least = 0;
        bool found = false;
        for (index_t e = 0; e < count; ++e) {
            if (!std::isfinite(scores[e]) || (found && scores[e] >= least)) continue;
            least = scores[e];
            found = true;
        }
        for (index_t e = 0; e < count; ++e)
            if (!std::isfinite(scores[e])) scores[e] = least;
    }
};

} // namespace prytany::inline PRYTANY_ABI
