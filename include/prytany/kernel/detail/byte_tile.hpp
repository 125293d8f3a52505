// SPDX-License-Identifier: MIT
// Rows of 8-bit integers times panels of codes of 4 or 2 bits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "prytany/kernel/codes.hpp"
#include "prytany/kernel/detail/tile.hpp"
#include "prytany/kernel/rounded.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {
namespace detail {

/// Codes are unsigned bytes; what their offset adds is taken off beforehand: the 16-bit sums of a
/// chunk of inputs begin at -offset · (its activations), which every row carries. So they never
/// leave 16 bits, are exact, and are widened, scaled and added as floats once a chunk.
template <auto Format>
requires(coded<Format>&& rounds<Format>() &&
         packed<Format>::layout.bits < 8) struct micro_kernel<Format> {
    static constexpr code_layout layout = packed<Format>::layout;
    static constexpr index_t most_rows = lanes >= 16 ? 8 : 4;
    static constexpr index_t most_rows_by_two = 1;
    // Streams of 2-bit codes end before the memory runs ahead of them by itself.
    static constexpr asking by_four = layout.bits == 2 ? asking::next : asking::none;
    static constexpr index_t unit = layout.group > 0 ? layout.group : meaning<Format>::chunk;

    template <std::size_t Rows, std::size_t Panels, asking Ask>
    [[gnu::noinline]] static void run(tile<std::int8_t, std::byte> const& t) noexcept {
        std::int8_t const* x[Rows];
        std::int32_t const* begin[Rows]; // what the sums of the next chunk begin at
        each<Rows>([&](auto r) __attribute__((always_inline)) {
            x[r] = t.row(r) + t.first;
            begin[r] = rounded_row<Format>::sums(t.row(r), t.cols) + t.first / chunk;
        });
        std::byte const* at[Panels];
        each<Panels>([&](auto p) __attribute__((always_inline)) {
            at[p] = t.panel(p) + layout.at(t.first);
        });
        if (t.first == 0)
            each_sum<Rows, Panels>([&](auto r, auto p) __attribute__((always_inline)) {
                t.sum(r, p) = zero_pair();
            });
        if constexpr (layout.group > 0) groups<Rows, Panels, Ask>(t, x, begin, at);
        else rows<Rows, Panels, Ask>(t, x, begin, at);
    }

private:
    static constexpr index_t chunk = meaning<Format>::chunk;
    static constexpr index_t step_bytes = 2 * panel_lanes;
    using bytes = std::int8_t const*;
    using target = tile<std::int8_t, std::byte>;

    /// Group by group: the loops over a chunk have a fixed length.
    template <std::size_t Rows, std::size_t Panels, asking Ask>
    static PRYTANY_INLINE void groups(target const& t, bytes (&x)[Rows],
                                      std::int32_t const* (&begin)[Rows],
                                      std::byte const* (&at)[Panels]) noexcept {
        char const* ask = t.ask;
        index_t const ask_step = t.ask_step, panel_sums = t.panel_sums;
        for (index_t left = t.last - t.first; left > 0; left -= layout.group) {
            PRYTANY_UNROLL
            for (index_t c = 0; c < layout.group; c += chunk) {
                simd::words sum[Panels][Rows][2];
                each_sum<Rows, Panels>([&](auto r, auto p) __attribute__((always_inline)) {
                    sum[p][r][0] = sum[p][r][1] = simd::repeat(begin[r][c / chunk]);
                    if constexpr (layout.zeros) {
                        auto const zeros = zero_pairs<Format>(at[p]);
                        sum[p][r][0] = simd::pin(simd::multiply_pairs(sum[p][r][0], zeros[0]));
                        sum[p][r][1] = simd::pin(simd::multiply_pairs(sum[p][r][1], zeros[1]));
                    }
                });
                PRYTANY_UNROLL
                for (index_t i = c; i < c + chunk; i += layout.step()) {
                    index_t const step = i / layout.step();
                    if (asks_in<Ask, layout.step_bytes()>(step))
                        simd::prefetch(ask + step * ask_step);
                    each<Panels>([&](auto p) __attribute__((always_inline)) {
                        auto const* const codes = at[p] + i / layout.step() * step_bytes;
                        add_fours<Rows>(simd::load_words(codes), x, i, sum[p]);
                    });
                }
                each<Panels>([&](auto p) __attribute__((always_inline)) {
                    auto const scales = group_scales<Format>(at[p]);
                    auto* const sums = simd::again(t.sums, at[p]);
                    each<Rows>([&](auto r) __attribute__((always_inline)) {
                        auto& total =
                            sums[static_cast<index_t>(p) * panel_sums + static_cast<index_t>(r)];
                        total = fma(whole(sum[p][r]), scales, total);
                    });
                });
            }
            ask += layout.group / layout.step() * ask_step;
            each<Panels>([&](auto p)
                             __attribute__((always_inline)) { at[p] += layout.group_bytes(); });
            each<Rows>([&](auto r) __attribute__((always_inline)) {
                x[r] += layout.group;
                begin[r] += layout.group / chunk;
            });
        }
    }
    /// Chunk by chunk of rows with one scale.
    template <std::size_t Rows, std::size_t Panels, asking Ask>
    static PRYTANY_INLINE void rows(target const& t, bytes (&x)[Rows],
                                    std::int32_t const* (&begin)[Rows],
                                    std::byte const* (&at)[Panels]) noexcept {
        char const* ask = t.ask;
        index_t const ask_step = t.ask_step, stride = t.stride;
        for (index_t left = t.last - t.first; left > 0; left -= chunk) {
            simd::words sum[Panels][Rows][2];
            each_sum<Rows, Panels>([&](auto r, auto p) __attribute__((always_inline)) {
                sum[p][r][0] = sum[p][r][1] = simd::repeat(*begin[r]);
            });
            index_t const here = std::min(left, chunk);
            auto const step = [&](index_t i, index_t s) __attribute__((always_inline)) {
                each<Panels>([&](auto p) __attribute__((always_inline)) {
                    if (Ask == asking::next && asks_in<Ask, step_bytes>(s))
                        simd::prefetch(at[p] + index_t{Panels} * stride);
                    add_fours<Rows>(simd::load_words(at[p]), x, i, sum[p]);
                    at[p] += step_bytes;
                });
            };
            runs_of_steps<Ask, run_of_steps, layout.step(), step_bytes>(0, here, ask, ask_step,
                                                                        step);
            each_sum<Rows, Panels>([&](auto r, auto p) __attribute__((always_inline)) {
                t.sum(r, p) = add(t.sum(r, p), whole(sum[p][r]));
            });
            each<Rows>([&](auto r) __attribute__((always_inline)) {
                x[r] += here;
                ++begin[r];
            });
        }
    }
    static PRYTANY_INLINE simd::float_pair whole(simd::words const (&sum)[2]) noexcept {
        auto const ones = simd::repeat(0x00010001);
        return {simd::to_floats(simd::dot_pairs(sum[0], ones)),
                simd::to_floats(simd::dot_pairs(sum[1], ones))};
    }
    /// Adds the products of one register of codes: both halves of a panel, the same four inputs.
    template <std::size_t Rows, std::size_t Four = 0>
    static PRYTANY_INLINE void add_fours(simd::words all, bytes const (&x)[Rows], index_t i,
                                         simd::words (&sum)[Rows][2]) noexcept {
        auto const low = meaning<Format>::unsigned_bytes(code_bytes<layout.bits, 2 * Four>(all));
        auto const high =
            meaning<Format>::unsigned_bytes(code_bytes<layout.bits, 2 * Four + 1>(all));
        each<Rows>([&](auto r) __attribute__((always_inline)) {
            std::int32_t four;
            std::memcpy(&four, x[r] + i + 4 * Four, sizeof four);
            auto const inputs = simd::repeat(four);
            sum[r][0] = simd::add_pairs_to(sum[r][0], simd::dot_bytes(low, inputs));
            sum[r][1] = simd::add_pairs_to(sum[r][1], simd::dot_bytes(high, inputs));
        });
        if constexpr (Four + 1 < 4 / layout.bits) add_fours<Rows, Four + 1>(all, x, i, sum);
    }
};

} // namespace detail
} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
