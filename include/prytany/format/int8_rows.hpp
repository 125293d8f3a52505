// SPDX-License-Identifier: MIT
// Weights in 8 bits with one scale for each output.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "prytany/format/activations.hpp"
#include "prytany/format/codes.hpp"
#include "prytany/format/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// One byte a weight and one float a row.
///
///     s = max|w| / 127 over the row,   w ≈ s · q,   q = nearest(w / s)
///
///     moe<…, int8_rows{}>     moe<…, int8_rows{.activations = activations::int16}>
///
/// Models    weight_format, layer_option
/// Error     at most s / 2 a weight
/// Compile   activations
/// Test      tests/format/int8_rows.test.cpp
struct int8_rows {
    enum activations activations = activations::float32;

    using aspect = format_aspect;
    using scale = float; ///< of groups; there are none
    static constexpr std::string_view name() noexcept { return "int8_rows"; }
    static constexpr code_layout layout() noexcept { return {8, 0, 0, false}; }

    static float factor(std::span<float const> row) noexcept {
        float const most = detail::magnitude(row);
        return most * 0 == 0 ? most / 127.0f : most * 0;
    }
    static detail::group_numbers<scale> round(std::span<float const> from, float factor,
                                              std::uint8_t* codes) noexcept {
        detail::round_to(from, factor, 127, codes);
        return {};
    }
    static constexpr std::uint8_t zero_code(int) noexcept { return 0; }
    static constexpr float value(std::uint8_t code, scale, int) noexcept {
        return static_cast<float>(static_cast<std::int8_t>(code));
    }
};

template <int8_rows Format>
class packed<Format> : public coded_matrix<Format> {
    using coded_matrix<Format>::coded_matrix;
};

} // namespace prytany::inline PRYTANY_ABI
