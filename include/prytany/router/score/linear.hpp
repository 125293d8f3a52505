// SPDX-License-Identifier: MIT
// Scores by one linear map.
#pragma once

#include "prytany/format/tensor.hpp"
#include "prytany/kernel/gemm.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Scores every expert by the dot product of the token with the expert's row.
///
///     s = x · G^T + b,   G [experts, model], b [experts] only with `biases`
///
/// Source    Shazeer et al. 2017, eq. 2, arXiv:1701.06538; the bias: gpt-oss
/// Models    scorer
/// Writes    all logits, computed in float32
/// Cost      O(tokens · experts · model); no allocation
/// Compile   biases        Run   –
/// Throws    never
/// Test      tests/router/score/linear.test.cpp
struct linear {
    bool biases = false;

    struct params {};
    struct weights {
        packed<dense<float>{}> matrix;
        column bias;
    };
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "weight"}, size.experts, size.model, &own.matrix});
        if (biases)
            visit(tensor{tensor_name{"router", "bias"}, size.experts, index_t{1}, &own.bias,
                         row_map{}, true});
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        score_panels(in, own, logits, 0, panels(own));
    }
    template <auto My>
    static index_t panels(kit<My> own) noexcept {
        return own.weights.matrix.panels();
    }
    template <auto My>
    static void score_panels(input const& in, kit<My> own, matrix_view<float> logits, index_t first,
                             index_t last) noexcept {
        auto const write = [&](index_t row, index_t panel, simd::float_pair sum) {
            index_t const column = panel * panel_lanes;
            if constexpr (My.biases) {
                sum.low += simd::load(own.weights.bias.data() + column);
                sum.high += simd::load(own.weights.bias.data() + column + lanes);
            }
            simd::store_pair(logits.row(row) + column, sum, logits.cols - column);
        };
        kernel::multiply(kernel::picked_rows{in.rows.data, in.rows.stride}, in.rows.rows,
                         own.weights.matrix, first, last, write);
    }
};

} // namespace prytany::inline PRYTANY_ABI
