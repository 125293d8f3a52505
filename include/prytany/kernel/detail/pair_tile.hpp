// SPDX-License-Identifier: MIT
// Rows of 16-bit integers times panels of 8-bit weights.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "prytany/kernel/codes.hpp"
#include "prytany/kernel/detail/tile.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {
namespace detail {

/// Pairs of inputs are multiplied and added in 32 bits, exactly, over the inputs that share a scale
/// or over 512 (127 · 32767 · 512 < 2^31); such sums are scaled and added as floats.
template <auto Format>
requires(coded<Format>&& rounds<Format>() &&
         packed<Format>::layout.bits == 8) struct micro_kernel<Format> {
    static constexpr code_layout layout = packed<Format>::layout;
    static constexpr index_t most_rows = lanes >= 16 ? 12 : 6;
    static constexpr index_t most_rows_by_two = 2;
    static constexpr asking by_four = asking::none;
    static constexpr index_t unit = layout.group > 0 ? layout.group : 512;

    template <std::size_t Rows, std::size_t Panels, asking Ask>
    [[gnu::noinline]] static void run(tile<std::int16_t, std::byte> const& t) noexcept {
        std::int16_t const* x[Rows];
        std::byte const* at[Panels];
        each<Rows>([&](auto r) { x[r] = t.row(r) + t.first; });
        each<Panels>([&](auto p) { at[p] = t.panel(p) + layout.at(t.first); });
        if (t.first == 0)
            each_sum<Rows, Panels>([&](auto r, auto p) { t.sum(r, p) = zero_pair(); });
        index_t const ask_step = t.ask_step;
        char const* ask = t.ask;
        for (index_t left = t.last - t.first; left > 0; left -= unit) {
            simd::words sum[Rows][Panels][2];
            each_sum<Rows, Panels>(
                [&](auto r, auto p) { sum[r][p][0] = sum[r][p][1] = simd::repeat(0); });
            index_t const here = layout.group > 0 ? unit : std::min(left, unit);
            auto const step = [&](index_t i, index_t) __attribute__((always_inline)) {
                each<Panels>([&](auto p) __attribute__((always_inline)) {
                    auto const* const codes =
                        reinterpret_cast<std::int8_t const*>(at[p] + i * panel_lanes);
                    auto const low = simd::widen_bytes(codes),
                               high = simd::widen_bytes(codes + 2 * lanes);
                    each<Rows>([&](auto r) __attribute__((always_inline)) {
                        std::int32_t pair;
                        std::memcpy(&pair, x[r] + i, sizeof pair);
                        auto const inputs = simd::repeat(pair);
                        sum[r][p][0] = simd::add_to(sum[r][p][0], simd::dot_pairs(inputs, low));
                        sum[r][p][1] = simd::add_to(sum[r][p][1], simd::dot_pairs(inputs, high));
                    });
                });
            };
            runs_of_steps<Ask, run_of_steps, 2, layout.step_bytes()>(0, here, ask, ask_step, step);
            each_sum<Rows, Panels>([&](auto r, auto p) {
                simd::float_pair const whole{simd::to_floats(sum[r][p][0]),
                                             simd::to_floats(sum[r][p][1])};
                if constexpr (layout.group > 0)
                    t.sum(r, p) = fma(whole, group_scales<Format>(at[p]), t.sum(r, p));
                else t.sum(r, p) = add(t.sum(r, p), whole);
            });
            each<Panels>([&](auto p) {
                at[p] += layout.group > 0 ? layout.group_bytes() : layout.code_bytes(unit);
            });
            each<Rows>([&](auto r) { x[r] += unit; });
        }
    }
};

} // namespace detail
} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
