// SPDX-License-Identifier: MIT
// What makes one logit a score, and the ratio of two scores where both are too small or too large.
#pragma once

#include <algorithm>
#include <cmath>

#include "prytany/simd/mask.hpp"
#include "prytany/simd/math.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

inline float sigmoid(float z) noexcept { return 1.0f / (1.0f + std::exp(-z)); }
/// log σ(z), exact where σ(z) itself is 0 or 1.
inline float log_sigmoid(float z) noexcept {
    return std::min(z, 0.0f) - std::log1p(std::exp(-std::abs(z)));
}
/// max(z, 0); NaN stays NaN.
inline float relu(float z) noexcept { return z < 0 ? 0.0f : z; }
/// √log(1 + e^z), in float e^(z / 2) below -17.
inline float sqrt_softplus(float z) noexcept {
    if (z < -17.0f) return std::exp(0.5f * z);
    return std::sqrt(std::max(z, 0.0f) + std::log1p(std::exp(-std::abs(z))));
}

/// e^((z - top) / t), where +inf shares with +inf alone.
inline float softmax_ratio(float z, float top, float temperature) noexcept {
    if (z == top) return 1.0f;
    return std::exp((z - top) / temperature);
}
/// The softmax_ratio of every number of a row, and the sum of those that are numbers. A ratio is
/// within 5e-7 of its value, 0 below 2^-126, and depends on its own number and the largest alone.
inline double softmax_ratios(float const* z, index_t count, float top, float temperature,
                             float* ratios) noexcept {
    auto const highest = simd::fill(top), width = simd::fill(temperature);
    for (index_t i = 0; i < count; i += lanes) {
        auto const x = simd::load_first(z + i, count - i);
        auto const power = simd::exp((x - highest) / width);
        simd::store_first(ratios + i, simd::where_equal(x, highest, simd::fill(1.0f), power),
                          count - i);
    }
    double sums[4] = {}; // a float would lose many small ones one by one
    for (index_t i = 0; i < count; ++i) sums[i % 4] += ratios[i] > 0 ? double{ratios[i]} : 0.0;
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}
/// σ(z) / σ(top), z ≤ top.
inline float sigmoid_ratio(float z, float top) noexcept {
    return z == top ? 1.0f : std::exp(log_sigmoid(z) - log_sigmoid(top));
}
/// relu(z) / relu(top), z ≤ top; 0 where there is nothing to share.
inline float relu_ratio(float z, float top) noexcept {
    if (z <= 0) return 0.0f;
    return z == top ? 1.0f : z / top;
}
/// √log(1 + e^z) / √log(1 + e^top), z ≤ top.
inline float sqrt_softplus_ratio(float z, float top) noexcept {
    if (z == top) return 1.0f;
    if (top < -17.0f) return std::exp(0.5f * (z - top));
    return sqrt_softplus(z) / sqrt_softplus(top);
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
