// SPDX-License-Identifier: MIT
// Weights in 4 bits with a scale, and where asked a zero point, for every few inputs.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>

#include "prytany/core/scalar.hpp"
#include "prytany/format/activations.hpp"
#include "prytany/format/codes.hpp"
#include "prytany/format/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Half a byte a weight, one f16 scale for every `size` inputs of an output.
///
///     symmetric:    s = max|w| / 7,        w ≈ s · (q - 8),   q = nearest(w / s) + 8
///     zero_point:   s = (high - low) / 15,   w ≈ s · (q - z),   z = nearest(-low / s),
///                   low = min(w, 0), high = max(w, 0) over the block
///
/// Models    weight_format, layer_option
/// Error     at most s / 2 (with a zero point 0.51 s) + 2^-33 max|row| a weight, s with 11 bits
/// Compile   size (32, 64 or 128), zero_point, activations (float32 or int8)
/// Test      tests/format/int4_blocks.test.cpp
struct int4_blocks {
    index_t size = 32;
    bool zero_point = false;
    enum activations activations = activations::float32;

    using aspect = format_aspect;
    using scale = f16;
    static constexpr std::string_view name() noexcept { return "int4_blocks"; }
    constexpr code_layout layout() const noexcept { return {4, size, sizeof(scale), zero_point}; }
    static constexpr float unit = 1;
    /// What each code stands for, in units of the scale, without the zero point.
    constexpr std::array<std::int8_t, 16> levels() const noexcept {
        std::array<std::int8_t, 16> all{};
        std::iota(all.begin(), all.end(), static_cast<std::int8_t>(zero_point ? 0 : -8));
        return all;
    }

    static float factor(std::span<float const> row) noexcept {
        return detail::scale_unit(detail::magnitude(row));
    }
    detail::group_numbers<scale> round(std::span<float const> from, float factor,
                                       std::uint8_t* codes) const noexcept {
        if (!zero_point) {
            scale const s(detail::magnitude(from) / 7.0f / factor);
            detail::round_to(from, static_cast<float>(s) * factor, 7, codes, 8);
            return {s, 8};
        }
        float low = 0, high = 0;
        for (float const w : from) {
            low = std::min(low, w);
            high = std::max(high, w);
        }
        scale const s((high / 15.0f - low / 15.0f) / factor);
        float const step = static_cast<float>(s) * factor;
        int const zero = step > 0 ? std::clamp(detail::nearest(-low / step), 0, 15) : 0;
        detail::round_between(from, step, -zero, 15 - zero, codes, zero);
        return {s, zero};
    }
    static constexpr std::uint8_t zero_code(int zero) noexcept {
        return static_cast<std::uint8_t>(zero);
    }
    constexpr float value(std::uint8_t code, scale s, int zero) const noexcept {
        return static_cast<float>(s) * static_cast<float>(int{code} - (zero_point ? zero : 8));
    }
};

template <int4_blocks Format>
class packed<Format> : public coded_matrix<Format> {
    static_assert(Format.size == 32 || Format.size == 64 || Format.size == 128,
                  "int4_blocks: a block has 32, 64 or 128 inputs");
    static_assert(Format.activations != activations::int16,
                  "int4_blocks: activations are float32 or int8");
    using coded_matrix<Format>::coded_matrix;
};

} // namespace prytany::inline PRYTANY_ABI
