// SPDX-License-Identifier: MIT
// Weights of -1, 0 and 1 in 2 bits with one scale for each output.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>

#include "prytany/format/activations.hpp"
#include "prytany/format/codes.hpp"
#include "prytany/format/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// The absmean quantiser of BitNet b1.58, by rows.
///
///     s = max(mean|w|, 1e-5) over the row,   w ≈ s · t,   t = clamp(nearest(w / s), -1, 1)
///
/// Models    weight_format, layer_option
/// Error     at most max(s / 2, |w| - s) a weight. Weights that are already s · t keep their values
///           where no t is 0: zeros make the mean smaller than s
/// Compile   activations (float32 or int8)
/// Source    Ma et al. 2024, eq. 1-3, arXiv:2402.17764
/// Test      tests/format/ternary.test.cpp
struct ternary {
    enum activations activations = activations::float32;

    using aspect = format_aspect;
    using scale = float; ///< of groups; there are none
    static constexpr std::string_view name() noexcept { return "ternary"; }
    static constexpr code_layout layout() noexcept { return {2, 0, 0, false}; }
    static constexpr float unit = 1;
    /// What each code stands for, in units of the factor.
    static constexpr std::array<std::int8_t, 3> levels() noexcept { return {-1, 0, 1}; }

    static float factor(std::span<float const> row) noexcept { return absmean(row); }
    static detail::group_numbers<scale> round(std::span<float const> from, float factor,
                                              std::uint8_t* codes) noexcept {
        detail::round_to(from, factor, 1, codes, 1);
        return {};
    }
    static constexpr std::uint8_t zero_code(int) noexcept { return 1; }
    static constexpr float value(std::uint8_t code, scale, int) noexcept {
        return static_cast<float>(int{code} - 1);
    }

    /// max(mean|w|, 1e-5), NaN where a weight is not finite.
    static float absmean(std::span<float const> row) noexcept {
        constexpr std::size_t chains = 8;
        double sum[chains] = {};
        std::size_t i = 0;
        for (; i + chains <= row.size(); i += chains)
            for (std::size_t c = 0; c < chains; ++c)
                sum[c] += static_cast<double>(std::abs(row[i + c]));
        for (; i < row.size(); ++i) sum[0] += static_cast<double>(std::abs(row[i]));
        double const all = std::accumulate(sum, sum + chains, 0.0);
        if (all * 0 != 0) return static_cast<float>(all * 0);
        double const mean = row.empty() ? 0 : all / static_cast<double>(row.size());
        return std::max(static_cast<float>(mean), 1e-5f);
    }
};

template <ternary Format>
class packed<Format> : public coded_matrix<Format> {
    static_assert(Format.activations != activations::int16,
                  "ternary: activations are float32 or int8");
    using coded_matrix<Format>::coded_matrix;
};

} // namespace prytany::inline PRYTANY_ABI
