// SPDX-License-Identifier: MIT
// exp, tanh, erf and the logistic function on one register, with stated bounds.
#pragma once

#include <cstdint>
#include <limits>

#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace simd {

/// e^x.
///
///     n = round(x / ln 2),   r = x - n ln 2,   e^x = 2^n · p(r),   |r| ≤ ln 2 / 2
///
/// Error     ≤ 2 ulp on [-87, 88]; 0 below -87.33, +inf above 88.72; NaN stays NaN
/// Test      tests/simd/math.test.cpp
PRYTANY_INLINE floats exp(floats x) noexcept {
    floats const log2e(1.44269504088896341f), magic(12582912.0f); // 1.5 · 2^23 rounds to an integer
    floats const shifted = fma(x, log2e, magic), n = shifted - magic;
    floats const r =
        fma(n, floats(2.12194440e-4f), fma(n, floats(-0.693359375f), x)); // ln 2 in two
    floats p(1.9875691500e-4f);
    p = fma(p, r, floats(1.3981999507e-3f));
    p = fma(p, r, floats(8.3334519073e-3f));
    p = fma(p, r, floats(4.1665795894e-2f));
    p = fma(p, r, floats(1.6666665459e-1f));
    p = fma(p, r, floats(5.0000001201e-1f));
    p = fma(fma(p, r, floats(1.0f)), r, floats(1.0f));
    floats const highest(88.72283f), infinity(std::numeric_limits<float>::infinity());
#if defined(__AVX512F__)
    floats const scaled(_mm512_maskz_scalef_ps(0xffff, p, n));
#else // n into the exponent of p, where the result is a normal number
    using bits = xsimd::batch<std::uint32_t>;
    floats const scaled = xsimd::bitwise_cast<floats>(xsimd::bitwise_cast<bits>(p) +
                                                      (xsimd::bitwise_cast<bits>(shifted) << 23));
#endif
    floats const low = xsimd::select(x < floats(-87.33654f), floats(0.0f), scaled);
    return xsimd::select(x <= highest, low, x + infinity);
}

/// 2^(rate · x) for x ≤ 0 and rate ≥ 0: what a softmax needs, in half the time of exp.
///
///     n = round(rate · x),   r = rate · x - n,   2^(rate · x) = 2^n · p(r),   |r| ≤ 1 / 2
///
/// Error     ≤ 3 ulp where the result is ≥ 2^-126, without FMA ≤ 3 + |rate · x| ulp; 0 below
///           2^-126.5; 1 for x = 0; NaN stays NaN
/// Test      tests/simd/math.test.cpp
PRYTANY_INLINE floats decay(floats x, floats rate) noexcept {
    using bits = xsimd::batch<std::uint32_t>;
    floats const magic(12583039.0f); // 1.5 · 2^23 + 127: its last bits become the exponent of 2^n
    x = xsimd::max(floats(-127.0f) / rate, x); // in this order NaN passes
    floats const shifted = fma(x, rate, magic);
    floats const r = fma(x, rate, magic - shifted);
    floats p(1.326472741e-3f);
    p = fma(p, r, floats(9.671512918e-3f));
    p = fma(p, r, floats(5.550733745e-2f));
    p = fma(p, r, floats(2.402224208e-1f));
    p = fma(p, r, floats(6.931469776e-1f));
    p = fma(p, r, floats(1.0f));
    return p * xsimd::bitwise_cast<floats>(xsimd::bitwise_cast<bits>(shifted) << 23);
}

/// 1 / (1 + e^-x).
///
/// Error     ≤ 4 ulp for x ≥ -88.72; 0 below -88.73; NaN stays NaN
/// Test      tests/simd/math.test.cpp
PRYTANY_INLINE floats logistic(floats x) noexcept {
    return floats(1.0f) / (floats(1.0f) + exp(-x));
}

/// tanh x = 1 - 2 / (1 + e^2x), by a polynomial near zero where that cancels.
///
/// Error     ≤ 4 ulp; NaN stays NaN
/// Test      tests/simd/math.test.cpp
PRYTANY_INLINE floats tanh(floats x) noexcept {
    floats const magnitude = xsimd::abs(x), z = x * x;
    floats p(-5.70498872745e-3f);
    p = fma(p, z, floats(2.06390887954e-2f));
    p = fma(p, z, floats(-5.37397155531e-2f));
    p = fma(p, z, floats(1.33314422036e-1f));
    p = fma(p, z, floats(-3.33332819422e-1f));
    floats const near = fma(p * z, x, x);
    floats const far = floats(1.0f) - floats(2.0f) / (floats(1.0f) + exp(magnitude + magnitude));
    return xsimd::select(magnitude < floats(0.625f), near, xsimd::copysign(far, x));
}

/// The error function.
///
/// Error     ≤ 4 ulp; NaN stays NaN
/// Test      tests/simd/math.test.cpp
PRYTANY_INLINE floats erf(floats x) noexcept { return xsimd::erf(x); }

} // namespace simd
} // namespace prytany::inline PRYTANY_ABI
