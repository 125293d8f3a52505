// SPDX-License-Identifier: MIT
// What makes one logit a score, and the ratio of two scores where both are too small or too large.
#pragma once

#include <algorithm>
#include <cmath>

#include "prytany/core/config.hpp"

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
