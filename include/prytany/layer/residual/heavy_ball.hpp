// SPDX-License-Identifier: MIT
// A residual connection with momentum over depth.
#pragma once

#include <cmath>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/layer/residual/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Lets the layers' sums build up momentum from layer to layer.
///
///     m ← μ m + γ c,   x ← x - m,   with residual_sign::plus  x ← x + m
///
/// Minus is how momentum models are trained; plus continues a model that was trained plain. With
/// μ = 0 and γ = 1 it is `plain` of the same sign, bit for bit.
/// Source    Teo and Nguyen 2024 (MomentumSMoE), arXiv:2410.14574
/// Models    residual_policy
/// Cost      one pass over input, sum, momentum and output
/// Compile   sign        Run   mu, gamma
/// Throws    check: error, if mu is not in [0, 1) or gamma not finite
/// Test      tests/layer/residual/heavy_ball.test.cpp
struct heavy_ball {
    residual_sign sign = residual_sign::minus;

    struct params {
        float mu = 0.7f;
        float gamma = 1.0f;
    };
    struct carry : carry_sizes {
        matrix_view<float> momentum; ///< m

        void lay_out(arena& memory, index_t tokens_of, index_t model_of) noexcept {
            tokens = tokens_of;
            model = model_of;
            momentum = memory.take<float>(tokens, model);
        }
        void start() noexcept {
            depth = 0;
            detail::clear(momentum);
        }
        carry part(index_t first, index_t count) const noexcept {
            carry some = *this;
            some.tokens = count;
            some.momentum = momentum.part(first, count);
            return some;
        }
    };

    static void check(params const& own) {
        if (!(own.mu >= 0 && own.mu < 1))
            throw error("heavy_ball.mu", "a number in [0, 1)", std::to_string(own.mu));
        if (!std::isfinite(own.gamma))
            throw error("heavy_ball.gamma", "a finite number", std::to_string(own.gamma));
    }
    void combine(params const& own, matrix_view<float const> input, matrix_view<float const> sum,
                 carry& state, matrix_view<float> output) const noexcept {
        bool const minus = sign == residual_sign::minus;
        if (minus) step<residual_sign::minus>(own, input, sum, state.momentum, output);
        else step<residual_sign::plus>(own, input, sum, state.momentum, output);
    }

private:
    template <residual_sign Sign>
    static void step(params const& own, matrix_view<float const> input,
                     matrix_view<float const> sum, matrix_view<float> momentum,
                     matrix_view<float> output) noexcept {
        auto const mu = simd::fill(own.mu), gamma = simd::fill(own.gamma);
        bool const forgets = own.mu == 0; // nothing of m stays, whatever it holds
        detail::over_registers(output, [&](index_t t, index_t i, index_t left) {
            float* const m = momentum.row(t) + i;
            auto next = gamma * simd::load_first(sum.row(t) + i, left);
            if (!forgets) next = simd::fma(mu, simd::load_first(m, left), next);
            simd::store_first(m, next, left);
            auto const x = simd::load_first(input.row(t) + i, left);
            simd::store_first(output.row(t) + i, detail::signed_sum<Sign>(x, next), left);
        });
    }
};

} // namespace prytany::inline PRYTANY_ABI
