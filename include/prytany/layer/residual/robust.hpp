// SPDX-License-Identifier: MIT
// A residual connection with momentum that asks the layer at a point ahead.
#pragma once

#include <cmath>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/layer/residual/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Momentum whose numbers come from one rate: the layer is routed and run at y, ahead of x.
///
///     y = x - α γ m,   m ← μ m + f(y),   x ← x - γ m      residual_sign::plus: x + …, both times
///
///     γ = κ (1 - ρ)² (1 + ρ) / L,   μ = κ ρ³ / (κ - 1),   α = ρ³ / ((κ - 1) (1 - ρ)² (1 + ρ))
///
/// Source    Cyrus et al. 2018, arXiv:1710.04753; Teo and Nguyen 2024, arXiv:2410.14574
/// Models    residual_policy; it enters
/// Cost      two passes over the rows, besides the layer
/// Compile   sign        Run   kappa, rho, smoothness (L)
/// Throws    check: error, unless κ > 1, L > 0 and 1 - 1/√κ ≤ ρ ≤ 1 - 1/κ
/// Test      tests/layer/residual/robust.test.cpp
struct robust {
    residual_sign sign = residual_sign::minus;

    struct params {
        double kappa = 10, rho = 0.8, smoothness = 1;

        double gamma() const { return kappa * (1 - rho) * (1 - rho) * (1 + rho) / smoothness; }
        double mu() const { return kappa * rho * rho * rho / (kappa - 1); }
        double alpha() const {
            return rho * rho * rho / ((kappa - 1) * (1 - rho) * (1 - rho) * (1 + rho));
        }
    };
    struct carry : carry_sizes {
        matrix_view<float> momentum, ahead; ///< m, y

        void lay_out(arena& memory, index_t tokens_of, index_t model_of) noexcept {
            tokens = tokens_of;
            model = model_of;
            momentum = memory.take<float>(tokens, model);
            ahead = memory.take<float>(tokens, model);
        }
        void start() noexcept {
            depth = 0;
            detail::clear(momentum);
        }
        carry part(index_t first, index_t count) const noexcept {
            carry some = *this;
            some.tokens = count;
            some.momentum = momentum.part(first, count);
            some.ahead = ahead.part(first, count);
            return some;
        }
    };

    static void check(params const& own) {
        auto const text = [](double x) { return std::to_string(x); };
        if (!(own.kappa > 1 && std::isfinite(own.kappa)))
            throw error("robust.kappa", "a finite number > 1", text(own.kappa));
        if (!(own.smoothness > 0 && std::isfinite(own.smoothness)))
            throw error("robust.smoothness", "a finite number > 0", text(own.smoothness));
        double const least = 1 - 1 / std::sqrt(own.kappa), most = 1 - 1 / own.kappa;
        if (!(own.rho >= least && own.rho <= most))
            throw error("robust.rho", "a number in [" + text(least) + ", " + text(most) + "]",
                        text(own.rho));
    }
    void enter(params const& own, matrix_view<float const> input, carry& state,
               matrix_view<float> rows) const noexcept {
        auto const ahead = simd::fill(signed_by(own.alpha() * own.gamma()));
        detail::over_registers(rows, [&](index_t t, index_t i, index_t left) {
            simd::store_first(rows.row(t) + i,
                              simd::fma(ahead, simd::load_first(state.momentum.row(t) + i, left),
                                        simd::load_first(input.row(t) + i, left)),
                              left);
        });
    }
    void combine(params const& own, matrix_view<float const> input, matrix_view<float const> sum,
                 carry& state, matrix_view<float> output) const noexcept {
        auto const mu = simd::fill(static_cast<float>(own.mu())),
                   gamma = simd::fill(signed_by(own.gamma()));
        detail::over_registers(output, [&](index_t t, index_t i, index_t left) {
            float* const m = state.momentum.row(t) + i;
            auto const next =
                simd::fma(mu, simd::load_first(m, left), simd::load_first(sum.row(t) + i, left));
            simd::store_first(m, next, left);
            simd::store_first(output.row(t) + i,
                              simd::fma(gamma, next, simd::load_first(input.row(t) + i, left)),
                              left);
        });
    }

private:
    float signed_by(double x) const noexcept {
        return static_cast<float>(sign == residual_sign::plus ? x : -x);
    }
};

} // namespace prytany::inline PRYTANY_ABI
