// SPDX-License-Identifier: MIT
// The residual connection that carries nothing.
#pragma once

#include "prytany/layer/residual/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Adds the layer's sum to its input.
///
///     x ← x + c,   with residual_sign::minus  x ← x - c
///
/// Models    residual_policy
/// Cost      one pass over input, sum and output
/// Compile   sign        Run   –
/// Throws    never
/// Test      tests/layer/residual/plain.test.cpp
struct plain {
    residual_sign sign = residual_sign::plus;

    struct params {};
    struct carry : carry_sizes {
        void lay_out(arena&, index_t tokens_of, index_t model_of) noexcept {
            tokens = tokens_of;
            model = model_of;
        }
        void start() noexcept { depth = 0; }
        carry part(index_t, index_t count) const noexcept {
            carry some = *this;
            some.tokens = count;
            return some;
        }
    };

    void combine(params const&, matrix_view<float const> input, matrix_view<float const> sum,
                 carry&, matrix_view<float> output) const noexcept {
        if (sign == residual_sign::plus) add<residual_sign::plus>(input, sum, output);
        else add<residual_sign::minus>(input, sum, output);
    }

private:
    template <residual_sign Sign>
    static void add(matrix_view<float const> input, matrix_view<float const> sum,
                    matrix_view<float> output) noexcept {
        detail::over_registers(output, [&](index_t t, index_t i, index_t left) {
            simd::store_first(output.row(t) + i,
                              detail::signed_sum<Sign>(simd::load_first(input.row(t) + i, left),
                                                       simd::load_first(sum.row(t) + i, left)),
                              left);
        });
    }
};

} // namespace prytany::inline PRYTANY_ABI
