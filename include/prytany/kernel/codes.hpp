// SPDX-License-Identifier: MIT
// How stored codes become numbers that a micro-kernel multiplies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "prytany/format/dense.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"
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
struct meaning;

template <int4_blocks Format>
struct meaning<Format> {
    static constexpr float unit = 1;
    static constexpr int offset = Format.zero_point ? 0 : 8;
    static constexpr index_t chunk = Format.zero_point || Format.size == 32 ? 32 : 64;
    static constexpr std::int8_t signed_of[16] = {
        0 - offset,  1 - offset,  2 - offset,  3 - offset, 4 - offset,  5 - offset,
        6 - offset,  7 - offset,  8 - offset,  9 - offset, 10 - offset, 11 - offset,
        12 - offset, 13 - offset, 14 - offset, 15 - offset};
    static PRYTANY_INLINE simd::words unsigned_bytes(simd::words codes) noexcept { return codes; }
};
template <mxfp4 Format>
struct meaning<Format> {
    static constexpr float unit = 0.5f;
    static constexpr int offset = 12;
    static constexpr index_t chunk = 32;
    static constexpr std::int8_t signed_of[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                                  0, -1, -2, -3, -4, -6, -8, -12};
    static PRYTANY_INLINE simd::words unsigned_bytes(simd::words codes) noexcept {
        static constexpr std::int8_t of[16] = {12, 13, 14, 15, 16, 18, 20, 24,
                                               12, 11, 10, 9,  8,  6,  4,  0};
        return simd::look_up(of, codes);
    }
};
template <ternary Format>
struct meaning<Format> {
    static constexpr float unit = 1;
    static constexpr int offset = 1;
    static constexpr index_t chunk = 512;
    static constexpr std::int8_t signed_of[16] = {-1, 0, 1};
    static PRYTANY_INLINE simd::words unsigned_bytes(simd::words codes) noexcept { return codes; }
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
        auto const unit = simd::fill(meaning<Format>::unit);
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
