// SPDX-License-Identifier: MIT
// Weights in 8 bits with a scale for every few inputs.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "prytany/core/scalar.hpp"
#include "prytany/format/activations.hpp"
#include "prytany/format/codes.hpp"
#include "prytany/format/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// One byte a weight, one f16 scale for every `size` inputs of an output.
///
///     s = max|w| / 127 over the block,   w ≈ s · q,   q = nearest(w / s)
///
/// Scales are stored over a power of two of their row, so that f16 holds them whatever the row's
/// size; the product of scale and code is exact in a float.
/// Models    weight_format, layer_option
/// Error     at most s / 2 + 2^-33 max|row| a weight, s with 11 bits
/// Compile   size (32, 64 or 128), activations
/// Test      tests/format/int8_blocks.test.cpp
struct int8_blocks {
    index_t size = 32;
    enum activations activations = activations::float32;

    using aspect = format_aspect;
    using scale = f16;
    static constexpr std::string_view name() noexcept { return "int8_blocks"; }
    constexpr code_layout layout() const noexcept { return {8, size, sizeof(scale), false}; }

    static float factor(std::span<float const> row) noexcept {
        return detail::scale_unit(detail::magnitude(row));
    }
    static detail::group_numbers<scale> round(std::span<float const> from, float factor,
                                              std::uint8_t* codes) noexcept {
        scale const s(detail::magnitude(from) / 127.0f / factor);
        detail::round_to(from, static_cast<float>(s) * factor, 127, codes);
        return {s, 0};
    }
    static constexpr std::uint8_t zero_code(int) noexcept { return 0; }
    static constexpr float value(std::uint8_t code, scale s, int) noexcept {
        return static_cast<float>(s) * static_cast<float>(static_cast<std::int8_t>(code));
    }
};

template <int8_blocks Format>
class packed<Format> : public coded_matrix<Format> {
    static_assert(Format.size == 32 || Format.size == 64 || Format.size == 128,
                  "int8_blocks: a block has 32, 64 or 128 inputs");
    using coded_matrix<Format>::coded_matrix;
};

} // namespace prytany::inline PRYTANY_ABI
