// SPDX-License-Identifier: MIT
// The number types that weights may have: float, double, bf16, f16.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "prytany/core/config.hpp"
#include "prytany/core/text.hpp"

namespace prytany::inline PRYTANY_ABI {

/// bfloat16: the upper half of a float. Rounds to nearest even; NaN stays NaN.
struct bf16 {
    std::uint16_t bits = 0;

    bf16() = default;
    constexpr explicit bf16(float x) noexcept {
        auto const u = std::bit_cast<std::uint32_t>(x);
        bool const nan = (u & 0x7fffffffu) > 0x7f800000u;
        auto const rounded = nan ? (u | 0x00400000u) : u + 0x7fffu + ((u >> 16) & 1u);
        bits = static_cast<std::uint16_t>(rounded >> 16);
    }
    constexpr explicit operator float() const noexcept {
        return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
    }
    friend constexpr bool operator==(bf16, bf16) = default;
};

/// IEEE binary16. Rounds to nearest even, overflows to infinity; NaN stays NaN.
struct f16 {
    std::uint16_t bits = 0;

    f16() = default;
    constexpr explicit f16(float x) noexcept {
        auto const u = std::bit_cast<std::uint32_t>(x);
        auto const sign = static_cast<std::uint16_t>((u >> 16) & 0x8000u);
        auto const magnitude = u & 0x7fffffffu;
        std::uint32_t half = 0;
        if (magnitude > 0x7f800000u) {
            half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
        } else if (magnitude >= 0x477ff000u) { // 65520 and above round to infinity
            half = 0x7c00u;
        } else if (magnitude >= 0x38800000u) { // normal
            half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
        } else if (magnitude > 0x33000000u) { // subnormal: shift the mantissa by what is missing
            auto const shift = 126u - (magnitude >> 23);
            auto const mantissa = (magnitude & 0x7fffffu) | 0x800000u;
            auto const kept = mantissa >> shift;
            auto const rest = mantissa & ((1u << shift) - 1u), tie = 1u << (shift - 1u);
            half = kept + ((rest > tie || (rest == tie && (kept & 1u))) ? 1u : 0u);
        }
        bits = static_cast<std::uint16_t>(sign | half);
    }
    constexpr explicit operator float() const noexcept {
        auto const sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
        auto const exponent = static_cast<std::uint32_t>(bits >> 10) & 0x1fu;
        auto const mantissa = static_cast<std::uint32_t>(bits & 0x3ffu);
        if (exponent == 0x1fu) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
        if (exponent != 0)
            return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
        float const tiny = static_cast<float>(mantissa) * 0x1p-24f; // exact
        return sign ? -tiny : tiny;
    }
    friend constexpr bool operator==(f16, f16) = default;
};

template <class T>
concept plain_value = std::is_trivially_copyable_v<T> ||
    unsatisfied<"a scalar is trivially copyable: weights of it are read straight from a file">();

template <class T>
concept through_float =
    (std::constructible_from<T, float> && requires(T x) { static_cast<float>(x); }) ||
    unsatisfied<"a scalar converts from float (rounding to nearest even) and to float">();

/// A number type that weights may be stored in.
///
/// Models    float, double, bf16, f16
/// Test      tests/core/scalar.test.cpp
template <class T>
concept scalar = plain_value<T> && through_float<T>;

} // namespace prytany::inline PRYTANY_ABI
