// SPDX-License-Identifier: MIT
// How stored codes become numbers that a micro-kernel multiplies.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "prytany/format/activations.hpp"
#include "prytany/format/codes.hpp"
#include "prytany/format/concept.hpp"
#include "prytany/simd/words.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// A format of codes with scales; any other keeps its weights as plain numbers.
template <auto Format>
constexpr bool coded = requires {
    packed<Format>::layout;
};

/// Whether products with a format see activations rounded to integers.
template <auto Format>
constexpr bool rounds() {
    if constexpr (requires { Format.activations; })
        return Format.activations != activations::float32;
    else return false;
}

namespace detail {

template <auto Format>
struct input_element {
    using type = float;
};
template <auto Format>
requires(rounds<Format>()) struct input_element<Format> {
    // the pairs that 8-bit weights are widened to meet activations of 16 bits, also rounded to 8
    using type = std::conditional_t<packed<Format>::layout.bits == 8, std::int16_t, std::int8_t>;
};

} // namespace detail

/// The element of the rows that a product with this format reads.
template <auto Format>
using input_of = typename detail::input_element<Format>::type;

/// What the codes of a format below 8 bits mean:
///
///     weight / scale = unit · signed_of[code] = unit · (unsigned code - offset)
///
/// `chunk` inputs are the most whose products with int8 activations one register of pairs sums:
/// 127 · chunk / 2 · max |unsigned code - offset| < 2^15.
template <auto Format>
class meaning {
    static constexpr auto levels = Format.levels();
    struct table {
        std::int8_t of[16] = {};
        constexpr explicit table(int more) {
            for (std::size_t i = 0; i < levels.size(); ++i)
                of[i] = static_cast<std::int8_t>(levels[i] + more);
        }
    };

public:
    static constexpr float unit = Format.unit;
    static constexpr int offset = -std::ranges::min(levels);
    static constexpr table signed_of{0}, unsigned_of{offset};
    static constexpr index_t chunk = [] {
        int const most = std::max(offset, int{std::ranges::max(levels)});
        auto const fits = std::bit_floor(static_cast<unsigned>(((2 << 15) - 1) / (127 * most)));
        constexpr index_t group = packed<Format>::layout.group;
        return group > 0 ? std::min<index_t>(fits, group) : index_t{fits};
    }();
    static PRYTANY_INLINE simd::words unsigned_bytes(simd::words codes) noexcept {
        if constexpr (in_order()) return codes;
        else return simd::look_up(simd::again(&unsigned_of, codes)->of, codes);
    }

private:
    static constexpr bool in_order() {
        for (std::size_t i = 0; i < levels.size(); ++i)
            if (unsigned_of.of[i] != static_cast<int>(i)) return false;
        return true;
    }
};

namespace detail {

/// The codes of one set in a register, a byte each. With 4 bits, set 0 and 1 are the outputs of the
/// lower and upper half of a panel; with 2 bits, sets 2 and 3 are the same of the next 4 inputs.
template <int Bits, std::size_t Set>
PRYTANY_INLINE simd::words code_bytes(simd::words all) noexcept {
    constexpr std::int32_t mask = Bits == 4 ? 0x0f0f0f0f : 0x03030303;
    if constexpr (Set == 0) return all & simd::repeat(mask);
    else return simd::shift_right<static_cast<int>(Set) * Bits>(all) & simd::repeat(mask);
}
/// The scales of a group that begins at `group`, times the unit of the codes.
template <auto Format>
PRYTANY_INLINE simd::float_pair group_scales(std::byte const* group) noexcept {
    using scale = typename packed<Format>::scale;
    auto const s =
        simd::widen(reinterpret_cast<scale const*>(group + packed<Format>::layout.scales_at(0)));
    if constexpr (packed<Format>::layout.bits == 8) return s;
    else if constexpr (meaning<Format>::unit == 1) return s;
    else {
        auto const unit = simd::fill(*simd::again(&meaning<Format>::unit, group));
        return {s.low * unit, s.high * unit};
    }
}
/// Its zero points, each twice as a pair: lower and upper half of the panel.
template <auto Format>
PRYTANY_INLINE std::array<simd::words, 2> zero_pairs(std::byte const* group) noexcept {
    auto const* const z =
        reinterpret_cast<std::int16_t const*>(group + packed<Format>::layout.zeros_at(0));
    return {simd::repeat_pairs(z), simd::repeat_pairs(z + lanes)};
}
template <auto Format>
PRYTANY_INLINE simd::float_pair group_zeros(std::byte const* group) noexcept {
    auto const z = zero_pairs<Format>(group);
    return {simd::to_floats(simd::lower(z[0])), simd::to_floats(simd::lower(z[1]))};
}
/// Byte `Byte` of every word, a signed number, as a float.
template <std::size_t Byte>
PRYTANY_INLINE simd::floats signed_byte(simd::words x) noexcept {
    if constexpr (Byte == 3) return simd::to_floats(x >> 24);
    else return simd::to_floats((x << (24 - 8 * static_cast<int>(Byte))) >> 24);
}

} // namespace detail

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
