// SPDX-License-Identifier: MIT
// Scores by the angle between a projected token and the expert, with a learned temperature.
#pragma once

#include <algorithm>
#include <cmath>

#include "prytany/router/concept.hpp"
#include "prytany/router/detail/cosines.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Scores every expert by the cosine of the projected token and the expert's row.
///
///     s_i = cos(P x + b, e_i) · e^min(θ, log 100)
///
/// P [width, model], b [width], E [experts, width], θ one number; lengths are at least 10^-12.
/// Source    the cosine gate of Tutel, released code; Chi et al. 2022, arXiv:2204.09179
/// Models    scorer
/// Writes    all logits, computed in float32
/// Cost      O(tokens · width · (model + experts)); no allocation, 32 KiB of stack or one row
/// Compile   width        Run   –
/// Throws    never
/// Test      tests/router/score/cosine.test.cpp
struct cosine {
    index_t width = 256;

    struct params {};
    struct weights {
        packed<dense<float>{}> projection;
        column bias, temperature;
        detail::measured_rows matrix;
    };
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        auto const named = [](std::string_view role) { return tensor_name{"router", role}; };
        visit(tensor{named("projection"), width, size.model, &own.projection});
        visit(tensor{named("projection_bias"), width, index_t{1}, &own.bias, row_map{}, true});
        visit(tensor{named("weight"), size.experts, width, &own.matrix});
        visit(tensor{named("temperature"), index_t{1}, index_t{1}, &own.temperature, row_map{},
                     true});
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        static_assert(My.width > 0, "cosine: the width of the projection is at least 1");
        constexpr float log_100 = 4.60517019f;
        float const factor = std::exp(std::min(own.weights.temperature.data()[0], log_100));
        detail::each_projected<My.width>(
            in.rows, own.weights.projection, &own.weights.bias, [](simd::floats x) { return x; },
            [&](matrix_view<float const> inner, index_t first) {
                detail::cosines(inner, own.weights.matrix, factor, logits.part(first, inner.rows));
            });
    }
};

} // namespace prytany::inline PRYTANY_ABI
