// SPDX-License-Identifier: MIT
// Four-bit floats with a power of two for every 32 of them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// Widens one row of MXFP4 to floats, exactly.
///
///     x[32 b + 2 i]     = e2m1(low nibble of codes[16 b + i])  · 2^(scales[b] - 127)
///     x[32 b + 2 i + 1] = e2m1(high nibble of codes[16 b + i]) · 2^(scales[b] - 127)
///
/// A scale of 255 is NaN; what lies beyond the range of float (scales of 253 and 254) is infinite.
/// Pre       to.size() = 2 · codes.size() = 32 · scales.size()
/// Source    Open Compute Project, Microscaling Formats specification 1.0, §5.3 and §5.4
/// Test      tests/io/mxfp4.test.cpp
inline void widen_mxfp4(std::span<std::byte const> codes, std::span<std::byte const> scales,
                        std::span<float> to) noexcept {
    constexpr float value[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                 -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
    for (std::size_t b = 0; b < scales.size(); ++b) {
        auto const power = std::to_integer<int>(scales[b]);
        float const scale = power == 255 ? NAN : std::ldexp(1.0f, power - 127);
        for (std::size_t i = 0; i < 16; ++i) {
            auto const code = std::to_integer<std::uint8_t>(codes[16 * b + i]);
            to[32 * b + 2 * i] = value[code & 15u] * scale;
            to[32 * b + 2 * i + 1] = value[code >> 4] * scale;
        }
    }
}

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
