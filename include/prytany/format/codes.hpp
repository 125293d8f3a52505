// SPDX-License-Identifier: MIT
// Weights kept as small integer codes with scales, in panels: what the integer formats share.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <type_traits>

#include "prytany/core/buffer.hpp"
#include "prytany/core/panel.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Where the codes, scales and zero points of one panel lie, in bytes from its start.
///
///     panel   group 0, group 1, …, factors (one float an output)
///     group   codes, scales (one an output), zero points (one int16 an output)
///     codes   a register holds `step()` inputs of all outputs of the panel:
///             8 bits   byte   2 · lane + k mod 2                              k mod 2
///             4 bits   byte   4 · (lane mod W) + k mod 4,  nibble lane / W
///             2 bits   byte   4 · (lane mod W) + k mod 4,  pair   2 · (k mod 8 / 4) + lane / W
///
/// `group` inputs share a scale; 0 means that the whole row has only its factor.
/// Test      tests/format/codes.test.cpp
struct code_layout {
    int bits;
    index_t group;
    index_t scale_bytes;
    bool zeros;

    constexpr index_t step() const noexcept { return 16 / bits; }
    /// Inputs filled up with zeros to whole groups, or to 32 where there are none.
    constexpr index_t depth(index_t cols) const noexcept {
        index_t const unit = group > 0 ? group : 32;
        return (cols + unit - 1) / unit * unit;
    }
    constexpr index_t code_bytes(index_t inputs) const noexcept {
        return inputs * panel_lanes * bits / 8;
    }
    constexpr index_t group_bytes() const noexcept {
        return code_bytes(group) + panel_lanes * (scale_bytes + (zeros ? 2 : 0));
    }
    /// Where the codes of input k begin; k is a multiple of `step()`.
    constexpr index_t at(index_t k) const noexcept {
        return group > 0 ? k / group * group_bytes() + code_bytes(k % group) : code_bytes(k);
    }
    /// Bytes of one step, its share of scales and zero points included.
    constexpr index_t step_bytes() const noexcept {
        return group > 0 ? group_bytes() / (group / step()) : code_bytes(step());
    }
    constexpr index_t scales_at(index_t k) const noexcept {
        return k / group * group_bytes() + code_bytes(group);
    }
    constexpr index_t zeros_at(index_t k) const noexcept {
        return scales_at(k) + panel_lanes * scale_bytes;
    }
    constexpr index_t factors_at(index_t cols) const noexcept { return at(depth(cols)); }
    constexpr index_t panel_bytes(index_t cols) const noexcept {
        constexpr index_t line = 64;
        index_t const all = factors_at(cols) + panel_lanes * index_t{sizeof(float)};
        return (all + line - 1) / line * line;
    }
};

namespace detail {

/// The nearest whole number, ties to even; |x| < 2^22.
constexpr std::int32_t nearest(float x) noexcept {
    return static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x + 12582912.0f) - 0x4b400000u);
}
/// max |x|; NaN if one is. Magnitudes of floats are in the order of their bits.
inline float magnitude(std::span<float const> x) noexcept {
    constexpr std::size_t chains = 16; // fixed inner loops become vectors, at -O2 too
    std::uint32_t most[chains] = {};
    auto const raise = [&](std::size_t chain, float value) {
        auto const bits = std::bit_cast<std::uint32_t>(value) & 0x7fffffffu;
        most[chain] = bits > most[chain] ? bits : most[chain];
    };
    std::size_t i = 0;
    for (; i + chains <= x.size(); i += chains)
        for (std::size_t c = 0; c < chains; ++c) raise(c, x[i + c]);
    for (; i < x.size(); ++i) raise(0, x[i]);
    for (std::size_t c = 1; c < chains; ++c) raise(0, std::bit_cast<float>(most[c]));
    return std::bit_cast<float>(most[0]);
}
/// codes = clamp(nearest(x / step), low, high) + shift; `shift` where the step is not a normal
/// number. Pre: |x / step| < 2^22, or the codes do not matter.
inline void round_between(std::span<float const> from, float step, int low, int high,
                          std::uint8_t* codes, int shift) noexcept {
    if (!(step >= std::numeric_limits<float>::min() && std::isfinite(step))) {
        std::fill_n(codes, from.size(), static_cast<std::uint8_t>(shift));
        return;
    }
    float const inverse = 1.0f / step;
    auto const code = [&](float x) {
        return std::max(low, std::min(high, nearest(x * inverse))) + shift;
    };
    constexpr std::size_t together = 32;
    std::size_t i = 0;
    for (; i + together <= from.size(); i += together) {
        std::int32_t some[together];
        for (std::size_t c = 0; c < together; ++c) some[c] = code(from[i + c]);
        for (std::size_t c = 0; c < together; ++c)
            codes[i + c] = static_cast<std::uint8_t>(some[c]);
    }
    for (; i < from.size(); ++i) codes[i] = static_cast<std::uint8_t>(code(from[i]));
}
inline void round_to(std::span<float const> from, float step, int most, std::uint8_t* codes,
                     int shift = 0) noexcept {
    round_between(from, step, -most, most, codes, shift);
}
/// The power of two that brings scales of a row with this largest weight into the range of f16.
inline float scale_unit(float magnitude) noexcept {
    if (!(magnitude > 0)) return magnitude == 0 ? 1.0f : magnitude;
    if (std::isinf(magnitude)) return std::numeric_limits<float>::quiet_NaN();
    return std::ldexp(1.0f, std::max(std::ilogb(magnitude) - 17, -126));
}

/// What a format makes of some weights that share a scale: codes, and the scale as it is stored.
template <class Scale>
struct group_numbers {
    Scale scale{};
    int zero = 0;
};

} // namespace detail

/// A matrix [rows = outputs, cols = inputs] of codes; each integer format derives its `packed` from
/// it.
///
///     weight (r, k) = Format.value(code, scale of its group, zero point) · factor of row r
///
/// A row with a weight that is not finite gets a factor of NaN: all of its outputs are NaN.
/// Throws    std::bad_alloc
/// Test      tests/format/codes.test.cpp
template <auto Format>
class coded_matrix {
public:
    using format = std::remove_const_t<decltype(Format)>;
    using scale = typename format::scale;
    static constexpr code_layout layout = Format.layout();

    coded_matrix() = default;
    coded_matrix(index_t rows, index_t cols) { resize(rows, cols); }

    /// Sets the sizes; all weights become zero.
    void resize(index_t rows, index_t cols) {
        rows_ = rows;
        cols_ = cols;
        panels_ = (rows + panel_lanes - 1) / panel_lanes;
        constexpr index_t most = std::numeric_limits<index_t>::max() / (64 * panel_lanes);
        if (cols > most || (cols > 0 && panels_ > most / cols)) throw std::bad_alloc();
        stride_ = cols > 0 ? layout.panel_bytes(cols) : 0;
        bytes_ = buffer<std::byte>(panels_ * stride_);
    }
    /// Writes one row, rounding each weight once as the format says.
    void pack(index_t row, std::span<float const> from) noexcept {
        std::byte* const to = panel_of(row);
        index_t const lane = row % panel_lanes;
        float const factor = Format.factor(from);
        store(to + layout.factors_at(cols_) + lane * index_t{sizeof(float)}, factor);
        constexpr index_t most = 512;
        std::uint8_t codes[most];
        index_t const depth = layout.depth(cols_);
        for (index_t k = 0; k < depth; k += most) {
            index_t const here = std::min(most, depth - k);
            index_t const step = layout.group > 0 ? layout.group : here;
            for (index_t g = 0; g < here; g += step) {
                index_t const known = std::clamp<index_t>(cols_ - k - g, 0, step);
                auto const numbers =
                    Format.round(from.subspan(static_cast<std::size_t>(std::min(k + g, cols_)),
                                              static_cast<std::size_t>(known)),
                                 factor, codes + g);
                std::fill(codes + g + known, codes + g + step, Format.zero_code(numbers.zero));
                if constexpr (layout.group > 0) {
                    store(to + layout.scales_at(k + g) + scale_place(lane), numbers.scale);
                    if constexpr (layout.zeros)
                        store(to + layout.zeros_at(k + g) + lane * 2,
                              static_cast<std::int16_t>(numbers.zero));
                }
            }
            scatter(to, lane, k, {codes, static_cast<std::size_t>(here)});
        }
    }
    void unpack(index_t row, std::span<float> to) const noexcept {
        std::byte const* const from = const_cast<coded_matrix*>(this)->panel_of(row);
        index_t const lane = row % panel_lanes;
        auto const factor =
            read<float>(from + layout.factors_at(cols_) + lane * index_t{sizeof(float)});
        for (index_t k = 0; k < cols_; ++k) {
            scale s{};
            int zero = 0;
            if constexpr (layout.group > 0) {
                s = read<scale>(from + layout.scales_at(k) + scale_place(lane));
                if constexpr (layout.zeros)
                    zero = read<std::int16_t>(from + layout.zeros_at(k) + lane * 2);
            }
            to[static_cast<std::size_t>(k)] = Format.value(code(from, lane, k), s, zero) * factor;
        }
    }
    std::byte const* panel(index_t p) const noexcept { return bytes_.data() + p * stride_; }
    /// From one panel to the next.
    index_t stride() const noexcept { return stride_; }
    index_t rows() const noexcept { return rows_; }
    index_t cols() const noexcept { return cols_; }
    index_t panels() const noexcept { return panels_; }
    /// What streaming the whole matrix reads.
    index_t bytes() const noexcept { return bytes_.size(); }

private:
    buffer<std::byte> bytes_;
    index_t rows_ = 0, cols_ = 0, panels_ = 0, stride_ = 0;

    std::byte* panel_of(index_t row) noexcept {
        return bytes_.data() + row / panel_lanes * stride_;
    }
    static constexpr index_t scale_place(index_t lane) noexcept {
        return lane_place<scale>(lane) * layout.scale_bytes;
    }
    template <class T>
    static void store(std::byte* to, T value) noexcept {
        std::memcpy(to, &value, sizeof value);
    }
    template <class T>
    static T read(std::byte const* from) noexcept {
        T value;
        std::memcpy(&value, from, sizeof value);
        return value;
    }
    /// Where code k of a lane lies within its byte, in bits.
    static constexpr int shift(index_t lane, index_t k) noexcept {
        if constexpr (layout.bits == 8) return 0;
        else if constexpr (layout.bits == 4) return static_cast<int>(4 * (lane / lanes));
        else return static_cast<int>(2 * (2 * (k % 8 / 4) + lane / lanes));
    }
    static constexpr index_t byte(index_t lane, index_t k) noexcept {
        index_t const first = layout.at(k / layout.step() * layout.step());
        return first + (layout.bits == 8 ? 2 * lane + k % 2 : 4 * (lane % lanes) + k % 4);
    }
    static std::uint8_t code(std::byte const* from, index_t lane, index_t k) noexcept {
        constexpr unsigned mask = (1u << layout.bits) - 1u;
        auto const all = std::to_integer<unsigned>(from[byte(lane, k)]);
        return static_cast<std::uint8_t>(all >> shift(lane, k) & mask);
    }
    /// Writes codes of inputs [first, …), a word at a time where a word holds several.
    static void scatter(std::byte* to, index_t lane, index_t first,
                        std::span<std::uint8_t const> codes) noexcept {
        constexpr index_t unit = layout.bits == 8 ? 2 : 4;
        constexpr unsigned mask = (1u << layout.bits) - 1u;
        auto const count = static_cast<index_t>(codes.size());
        for (index_t k = 0; k < count; k += unit) {
            std::byte* const place = to + byte(lane, first + k);
            std::uint8_t const* const from = codes.data() + k;
            if constexpr (layout.bits == 8) {
                std::memcpy(place, from, 2);
            } else {
                std::uint32_t all, some;
                std::memcpy(&all, place, 4);
                std::memcpy(&some, from, 4);
                int const by = shift(lane, first + k);
                all = (all & ~(mask * 0x01010101u << by)) | some << by;
                std::memcpy(place, &all, 4);
            }
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
