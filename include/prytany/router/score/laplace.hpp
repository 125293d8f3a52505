// SPDX-License-Identifier: MIT
// Scores by the distance to one point for each expert.
#pragma once

#include <cmath>

#include "prytany/router/concept.hpp"
#include "prytany/router/detail/measured_rows.hpp"
#include "prytany/router/detail/project.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Scores every expert by how near its point is: the softmax of it is a Laplace kernel.
///
///     s_i = -‖x - w_i‖,   ‖x - w‖² = ‖x‖² + ‖w‖² - 2 x · w,   W [experts, model]
///
/// The product is one for all tokens; where it would cancel, the differences are squared and added.
/// Source    Han et al. 2024, FuseMoE, arXiv:2402.03226 (the Laplace gate)
/// Models    scorer
/// Writes    all logits, ≤ 0
/// Cost      O(tokens · experts · model); no allocation
/// Compile   –        Run   –
/// Throws    never
/// Test      tests/router/score/laplace.test.cpp
struct laplace {
    struct params {};
    struct weights {
        detail::measured_rows matrix;
    };
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "weight"}, size.experts, size.model, &own.matrix});
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        constexpr double near = 1.0 / 16; // of ‖x‖² + ‖w‖²: four bits of the sum are lost there
        auto const& points = own.weights.matrix;
        detail::project(in.rows, points.matrix(), nullptr, logits);
        for (index_t t = 0; t < in.rows.rows; ++t) {
            double const x = detail::length_of(in.rows.row(t), in.rows.cols);
            for (index_t e = 0; e < logits.cols; ++e) {
                float& logit = logits.row(t)[e];
                double const w = points.lengths()[e], whole = x * x + w * w;
                double squared = whole - 2 * double{logit};
                if (squared < near * whole) squared = points.distance_squared(in.rows.row(t), e);
                logit = -static_cast<float>(std::sqrt(squared));
            }
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
