// SPDX-License-Identifier: MIT
// A residual connection with Adam's step in the first layer, momentum in all others.
#pragma once

#include <cmath>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/layer/residual/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Scales the first layer's step by how large it is, and lets momentum build up after it.
///
///     first:  p ← β₁ p + (1 - β₁) c,   v ← β₂ v + (1 - β₂) c²,   m ← μ m + γ₂ c
///             x ← (1 - κ) x - γ₁ p / √(v + 1e-8)
///     later:  m ← μ m + γ₂ c,   x ← x - m                 residual_sign::plus adds both steps
///
/// No correction of the bias of p and v; epsilon stands inside the root. κ = 1 leaves nothing of x:
/// a second residual around the layer keeps it.
/// Source    Teo and Nguyen 2024 (AdamSMoE), arXiv:2410.14574, and its code
/// Models    residual_policy
/// Compile   sign        Run   mu, gamma1, gamma2, beta1, beta2, kappa
/// Throws    check: error, if mu or a beta is not in [0, 1), or another number not finite
/// Test      tests/layer/residual/adam.test.cpp
struct adam {
    residual_sign sign = residual_sign::minus;

    struct params {
        float mu = 0.7f;
        float gamma1 = 1.0f, gamma2 = 1.0f;
        double beta1 = 0.9, beta2 = 0.999; ///< in double: 1 - β₂ would lose digits
        float kappa = 1.0f;                ///< decay of x
    };
    struct carry : carry_sizes {
        matrix_view<float> mean, square, momentum; ///< p, v, m

        void lay_out(arena& memory, index_t tokens_of, index_t model_of) noexcept {
            tokens = tokens_of;
            model = model_of;
            for (auto* rows : {&mean, &square, &momentum})
                *rows = memory.take<float>(tokens, model);
        }
        void start() noexcept {
            depth = 0;
            for (auto const& rows : {mean, square, momentum}) detail::clear(rows);
        }
        carry part(index_t first, index_t count) const noexcept {
            carry some = *this;
            some.tokens = count;
            for (auto* rows : {&some.mean, &some.square, &some.momentum})
                *rows = rows->part(first, count);
            return some;
        }
    };

    static void check(params const& own) {
        auto const in_unit = [](char const* name, double value) {
            if (!(value >= 0 && value < 1))
                throw error(name, "a number in [0, 1)", std::to_string(value));
        };
        in_unit("adam.mu", double{own.mu});
        in_unit("adam.beta1", own.beta1);
        in_unit("adam.beta2", own.beta2);
        auto const finite = [](char const* name, float value) {
            if (!std::isfinite(value)) throw error(name, "a finite number", std::to_string(value));
        };
        finite("adam.gamma1", own.gamma1);
        finite("adam.gamma2", own.gamma2);
        finite("adam.kappa", own.kappa);
    }
    void combine(params const& own, matrix_view<float const> input, matrix_view<float const> sum,
                 carry& state, matrix_view<float> output) const noexcept {
        bool const minus = sign == residual_sign::minus;
        if (minus) step<residual_sign::minus>(own, input, sum, state, output);
        else step<residual_sign::plus>(own, input, sum, state, output);
    }

private:
    template <residual_sign Sign>
    static void step(params const& own, matrix_view<float const> input,
                     matrix_view<float const> sum, carry& state,
                     matrix_view<float> output) noexcept {
        auto const number = [](double x) { return simd::fill(static_cast<float>(x)); };
        auto const mu = simd::fill(own.mu), gamma1 = simd::fill(own.gamma1),
                   gamma2 = simd::fill(own.gamma2), kept = simd::fill(1.0f - own.kappa);
        auto const beta1 = number(own.beta1), rest1 = number(1 - own.beta1),
                   beta2 = number(own.beta2), rest2 = number(1 - own.beta2);
        bool const first = state.depth == 0, keeps = own.kappa != 1;
        detail::over_registers(output, [&](index_t t, index_t i, index_t left) {
            auto const c = simd::load_first(sum.row(t) + i, left);
            auto const old = [&](matrix_view<float> rows) {
                return simd::load_first(rows.row(t) + i, left);
            };
            auto const m = simd::fma(mu, old(state.momentum), gamma2 * c);
            simd::store_first(state.momentum.row(t) + i, m, left);
            auto x = simd::load_first(input.row(t) + i, left), by = m;
            if (first) {
                auto const p = simd::fma(beta1, old(state.mean), rest1 * c);
                auto const v = simd::fma(beta2, old(state.square), rest2 * (c * c));
                simd::store_first(state.mean.row(t) + i, p, left);
                simd::store_first(state.square.row(t) + i, v, left);
                by = gamma1 * p / xsimd::sqrt(v + simd::fill(1e-8f));
                x = keeps ? kept * x : simd::fill(0.0f);
            }
            simd::store_first(output.row(t) + i, detail::signed_sum<Sign>(x, by), left);
        });
    }
};

} // namespace prytany::inline PRYTANY_ABI
