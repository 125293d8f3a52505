// SPDX-License-Identifier: MIT
// Weights as 4-bit floats with a power of two for every 32 inputs: gpt-oss's format.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

#include "prytany/core/scalar.hpp"
#include "prytany/format/activations.hpp"
#include "prytany/format/codes.hpp"
#include "prytany/format/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// OCP MXFP4: E2M1 codes (0, ½, 1, 1½, 2, 3, 4, 6 and their negatives), E8M0 scales.
///
///     e = floor(log2 max|w|) - 2 over 32 inputs,   w ≈ 2^e · v,   v = the E2M1 nearest to w / 2^e
///
/// Numbers that were widened from MXFP4 come back exactly, a zero as +0. A scale takes 16 bits
/// here, so that codes stay aligned: 4.5 bits a weight.
/// Models    weight_format, layer_option
/// Error     at most max(max|w| / 4, 2^-126) a weight; ties to the even code, 6 and above to 6
/// Compile   activations (float32 or int8)
/// Source    Open Compute Project, Microscaling Formats specification 1.0, §5.3, §5.4, §6.3
/// Test      tests/format/mxfp4.test.cpp
struct mxfp4 {
    enum activations activations = activations::float32;

    using aspect = format_aspect;
    using scale = bf16; ///< every E8M0 is one
    static constexpr std::string_view name() noexcept { return "mxfp4"; }
    static constexpr code_layout layout() noexcept { return {4, 32, sizeof(scale), false}; }
    static constexpr float unit = 0.5f;
    /// What each code stands for, in units of the scale.
    static constexpr std::array<std::int8_t, 16> levels() noexcept {
        return {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    }

    static float factor(std::span<float const> row) noexcept {
        float const most = detail::magnitude(row);
        return most * 0 == 0 ? 1.0f : most * 0;
    }
    static detail::group_numbers<scale> round(std::span<float const> from, float,
                                              std::uint8_t* codes) noexcept {
        float const most = detail::magnitude(from);
        int const power =
            most > 0 && std::isfinite(most) ? std::max(std::ilogb(most) - 2, -127) : 0;
        float const up = std::ldexp(1.0f, -power);
        constexpr std::size_t together = 32; // a fixed inner loop becomes vectors, at -O2 too
        std::size_t i = 0;
        for (; i + together <= from.size(); i += together) {
            int some[together];
            for (std::size_t c = 0; c < together; ++c) some[c] = nearest(from[i + c] * up);
            for (std::size_t c = 0; c < together; ++c)
                codes[i + c] = static_cast<std::uint8_t>(some[c]);
        }
        for (; i < from.size(); ++i) codes[i] = static_cast<std::uint8_t>(nearest(from[i] * up));
        return {scale(std::ldexp(1.0f, power)), 0};
    }
    static constexpr std::uint8_t zero_code(int) noexcept { return 0; }
    static constexpr float value(std::uint8_t code, scale s, int) noexcept {
        return static_cast<float>(levels()[code]) * (unit * static_cast<float>(s));
    }

private:
    static constexpr int nearest(float x) noexcept {
        float const v = x < 0 ? -x : x;
        int const code = int{v > 0.25f} + int{v >= 0.75f} + int{v > 1.25f} + int{v >= 1.75f} +
                         int{v > 2.5f} + int{v >= 3.5f} + int{v > 5.0f};
        return code + (x < 0 ? 8 : 0);
    }
};

template <mxfp4 Format>
class packed<Format> : public coded_matrix<Format> {
    static_assert(Format.activations != activations::int16,
                  "mxfp4: activations are float32 or int8");
    using coded_matrix<Format>::coded_matrix;
};

} // namespace prytany::inline PRYTANY_ABI
