// SPDX-License-Identifier: MIT
// The nonlinearities of a feed-forward expert, on one register.
#pragma once

#include "prytany/simd/math.hpp"

namespace prytany::inline PRYTANY_ABI {

/// x · σ(x). Error: NMSE ≤ 1e-12 against double. Test: tests/kernel/activation.test.cpp
struct silu_t {
    static constexpr bool gated = false;
    struct params {};
    static PRYTANY_INLINE simd::floats of(params const&, simd::floats x, simd::floats) noexcept {
        return x * simd::logistic(x);
    }
};

/// x · Φ(x) = x/2 · (1 + erf(x/√2)).
struct gelu_t {
    static constexpr bool gated = false;
    struct params {};
    static PRYTANY_INLINE simd::floats of(params const&, simd::floats x, simd::floats) noexcept {
        simd::floats const half = x * simd::fill(0.5f);
        return simd::fma(half, simd::erf(x * simd::fill(0.70710678118654752f)), half);
    }
};

/// x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
struct gelu_tanh_t {
    static constexpr bool gated = false;
    struct params {};
    static PRYTANY_INLINE simd::floats of(params const&, simd::floats x, simd::floats) noexcept {
        simd::floats const half = x * simd::fill(0.5f);
        simd::floats const inner = simd::fma(x * x * x, simd::fill(0.044715f), x);
        return simd::fma(half, simd::tanh(inner * simd::fill(0.79788456080286536f)), half);
    }
};

/// max(x, 0); NaN stays NaN.
struct relu_t {
    static constexpr bool gated = false;
    struct params {};
    static PRYTANY_INLINE simd::floats of(params const&, simd::floats x, simd::floats) noexcept {
        return xsimd::select(x < simd::fill(0.0f), simd::fill(0.0f), x);
    }
};

/// max(x, 0)².
struct relu_squared_t {
    static constexpr bool gated = false;
    struct params {};
    static PRYTANY_INLINE simd::floats of(params const&, simd::floats x, simd::floats) noexcept {
        simd::floats const positive = relu_t::of({}, x, x);
        return positive * positive;
    }
};

/// A(gate) · up: the gated linear unit of a plain activation A.
template <class A>
struct gated_t {
    static constexpr bool gated = true;
    struct params {};
    static PRYTANY_INLINE simd::floats of(params const&, simd::floats gate,
                                          simd::floats up) noexcept {
        return A::of({}, gate, gate) * up;
    }
};

/// gpt-oss:  g = min(gate, limit),  u = clamp(up, ±limit),  (u + 1) · g · σ(alpha · g).
struct swiglu_clamped_t {
    static constexpr bool gated = true;
    struct params {
        float alpha = 1.702f;
        float limit = 7.0f;
    };
    static PRYTANY_INLINE simd::floats of(params const& own, simd::floats gate,
                                          simd::floats up) noexcept {
        simd::floats const limit = simd::fill(own.limit);
        simd::floats const g = xsimd::select(gate > limit, limit, gate);
        simd::floats const below = xsimd::select(up > limit, limit, up);
        simd::floats const u = xsimd::select(below < -limit, -limit, below);
        return (u + simd::fill(1.0f)) * (g * simd::logistic(g * simd::fill(own.alpha)));
    }
};

/// The activations by the names of the field; `ffn{swiglu}` takes one.
inline constexpr silu_t silu{};
inline constexpr gelu_t gelu{};
inline constexpr gelu_tanh_t gelu_tanh{};
inline constexpr relu_t relu{};
inline constexpr relu_squared_t relu_squared{};
inline constexpr gated_t<silu_t> swiglu{};
inline constexpr gated_t<gelu_t> geglu{};
inline constexpr gated_t<gelu_tanh_t> geglu_tanh{};
inline constexpr gated_t<relu_t> reglu{};
inline constexpr swiglu_clamped_t swiglu_clamped{};

} // namespace prytany::inline PRYTANY_ABI
