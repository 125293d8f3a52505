// SPDX-License-Identifier: MIT
// RMSNorm and LayerNorm of one row.
#pragma once

#include <cmath>

#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

namespace detail {

/// The sum of f(x_i) over a row, in a fixed order that only the length decides.
template <class F>
PRYTANY_INLINE float sum_over(index_t count, F&& add) noexcept {
    simd::floats total = simd::fill(0.0f);
    for (index_t i = 0; i < count; i += lanes) total = add(total, i, count - i);
    return simd::sum(total);
}

} // namespace detail

/// y = x / √(mean(x²) + epsilon) · weight.
///
/// Pre       x, weight, y hold `count` floats; y may be x
/// Error     NMSE ≤ 1e-12 against double
/// Source    Zhang and Sennrich 2019, eq. 4, arXiv:1910.07467
/// Test      tests/kernel/norm.test.cpp
inline void rms_norm(float const* x, float const* weight, float* y, index_t count,
                     float epsilon) noexcept {
    float const squares = detail::sum_over(count, [&](auto total, index_t i, index_t left) {
        auto const v = simd::load_first(x + i, left);
        return simd::fma(v, v, total);
    });
    float const mean = squares / static_cast<float>(count);
    auto const factor = simd::fill(1.0f / std::sqrt(mean + epsilon));
    for (index_t i = 0; i < count; i += lanes)
        simd::store_first(y + i,
                          simd::load_first(x + i, count - i) * factor *
                              simd::load_first(weight + i, count - i),
                          count - i);
}

/// y = (x - mean) / √(variance + epsilon) · weight + bias; the bias may be null.
///
/// Pre       x, weight, y hold `count` floats; y may be x
/// Error     NMSE ≤ 1e-12 against double
/// Source    Ba et al. 2016, eq. 4, arXiv:1607.06450
/// Test      tests/kernel/norm.test.cpp
inline void layer_norm(float const* x, float const* weight, float const* bias, float* y,
                       index_t count, float epsilon) noexcept {
    auto const n = static_cast<float>(count);
    float const mean = detail::sum_over(count,
                                        [&](auto total, index_t i, index_t left) {
                                            return total + simd::load_first(x + i, left);
                                        }) /
                       n;
    // what rounding took from the mean: without it a mean far from zero costs digits
    float const rest = detail::sum_over(count,
                                        [&](auto total, index_t i, index_t left) {
                                            auto const v =
                                                simd::load_first(x + i, left) - simd::fill(mean);
                                            return total + simd::first_of(v, left);
                                        }) /
                       n;
    auto const centred = [&](index_t i, index_t left) {
        return simd::load_first(x + i, left) - simd::fill(mean) - simd::fill(rest);
    };
    float const squares = detail::sum_over(count, [&](auto total, index_t i, index_t left) {
        auto const v = simd::first_of(centred(i, left), left);
        return simd::fma(v, v, total);
    });
    auto const factor = simd::fill(1.0f / std::sqrt(squares / n + epsilon));
    for (index_t i = 0; i < count; i += lanes) {
        index_t const left = count - i;
        auto const v = centred(i, left) * factor;
        auto const shift = bias == nullptr ? simd::fill(0.0f) : simd::load_first(bias + i, left);
        simd::store_first(y + i, simd::fma(v, simd::load_first(weight + i, left), shift), left);
    }
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
