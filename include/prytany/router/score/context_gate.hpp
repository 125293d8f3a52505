// SPDX-License-Identifier: MIT
// Scores of the environment that a row describes.
#pragma once

#include <span>

#include "prytany/format/tensor.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/project.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Scores the experts by a map of the context and a constant one.
///
///     s = W^T [ξ; 1],   W [model + 1, experts], kept as W^T, its last column the constant's
///
/// Every row is the context ξ of its token; tokens of one environment have equal rows. W is solved,
/// not descended. One expert and no weight: `top_k{.k = 1, .weight = weighing::unit}`.
/// Source    MixER, the released code
/// Models    scorer
/// Writes    all logits, computed in float32
/// Cost      O(tokens · experts · model); no allocation
/// Compile   –        Run   –
/// Throws    never
/// Test      tests/router/score/context_gate.test.cpp
struct context_gate {
    struct params {};
    /// The matrix of the context and the constants, one tensor to the outside.
    class solved {
    public:
        void resize(index_t rows, index_t cols) {
            matrix_.resize(rows, cols - 1);
            constants_.resize(rows, 1);
        }
        void pack(index_t row, std::span<float const> from) noexcept {
            matrix_.pack(row, from.first(from.size() - 1));
            constants_.pack(row, from.last(1));
        }
        void unpack(index_t row, std::span<float> to) const noexcept {
            matrix_.unpack(row, to.first(to.size() - 1));
            constants_.unpack(row, to.last(1));
        }
        index_t rows() const noexcept { return matrix_.rows(); }
        index_t cols() const noexcept { return matrix_.cols() + 1; }
        index_t bytes() const noexcept { return matrix_.bytes() + constants_.bytes(); }
        auto const& matrix() const noexcept { return matrix_; }
        auto const& constants() const noexcept { return constants_; }

    private:
        packed<dense<float>{}> matrix_;
        column constants_;
    };
    struct weights {
        solved gate;
    };
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "gate"}, size.experts, size.model + 1, &own.gate});
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        auto const& gate = own.weights.gate;
        detail::project(in.rows, gate.matrix(), &gate.constants(), logits);
    }
};

} // namespace prytany::inline PRYTANY_ABI
