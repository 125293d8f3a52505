// SPDX-License-Identifier: MIT
// Scores by the angle to one learned prototype for each expert.
#pragma once

#include "prytany/router/concept.hpp"
#include "prytany/router/detail/cosines.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Scores every expert by the cosine of the token and the expert's prototype.
///
///     s_i = x · c_i / (max(‖x‖, 10^-12) max(‖c_i‖, 10^-12)),   C [experts, model]
///
/// As released the score is the weight:
/// `scored{prototypes{}, top_k{.k = 1, .score = scoring::identity}}`, not renormalised.
/// Source    ProMoE, "Routing Matters in MoE", the released code
/// Models    scorer
/// Writes    all logits, in [-1, 1] but for rounding; a row or prototype of zeros scores 0
/// Cost      O(tokens · experts · model); no allocation
/// Compile   –        Run   –
/// Throws    never
/// Test      tests/router/score/prototypes.test.cpp
struct prototypes {
    struct params {};
    struct weights {
        detail::measured_rows matrix;
    };
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "prototypes"}, size.experts, size.model, &own.matrix});
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        detail::cosines(in.rows, own.weights.matrix, 1.0f, logits);
    }
};

} // namespace prytany::inline PRYTANY_ABI
