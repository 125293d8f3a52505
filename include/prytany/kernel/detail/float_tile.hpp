// SPDX-License-Identifier: MIT
// Rows of floats times panels of codes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "prytany/kernel/codes.hpp"
#include "prytany/kernel/detail/tile.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {
namespace detail {

/// Codes become floats in registers. A chain of fused multiply-adds runs over the inputs that share
/// a scale, or over 512 where a whole row does; such sums are scaled and added.
template <auto Format>
requires(coded<Format> && !rounds<Format>()) struct micro_kernel<Format> {
    static constexpr code_layout layout = packed<Format>::layout;
    static constexpr index_t most_rows = lanes >= 16 ? 8 : layout.zeros ? 3 : 4;
    static constexpr index_t most_rows_by_two = 2;
    static constexpr asking by_four = asking::none;
    static constexpr index_t unit = layout.group > 0 ? layout.group : 512;

    template <std::size_t Rows, std::size_t Panels, asking Ask>
    [[gnu::noinline]] static void run(tile<float, std::byte> const& t) noexcept {
        float const* x[Rows];
        each<Rows>([&](auto r) __attribute__((always_inline)) { x[r] = t.row(r); });
        char const* ask = t.ask;
        for (index_t k = t.first; k < t.last; k += unit) {
            index_t const end = std::min({t.last, k + unit, t.cols});
            simd::float_pair sum[Rows][Panels];
            each_sum<Rows, Panels>([&](auto r, auto p)
                                       __attribute__((always_inline)) { sum[r][p] = zero_pair(); });
            std::byte const* codes[Panels];
            each<Panels>([&](auto p) __attribute__((always_inline)) {
                codes[p] = t.panel(p) + layout.at(k);
            });
            index_t i = k;
            for (; i + layout.step() <= end; i += layout.step()) {
                if constexpr (Ask != asking::none) simd::prefetch(ask);
                ask += t.ask_step;
                each<Panels>([&](auto p) __attribute__((always_inline)) {
                    float const* from[Rows];
                    each<Rows>([&](auto r) __attribute__((always_inline)) {
                        from[r] = Panels == 1 ? x[r] + i : simd::again(x[r] + i, codes[p]);
                    });
                    auto const add = [&](auto s, simd::float_pair weights)
                        __attribute__((always_inline)) {
                        each<Rows>([&](auto r) __attribute__((always_inline)) {
                            add_product(from[r][s()], weights, sum[r][p]);
                            if constexpr (layout.bits < 8) hold(sum[r][p]);
                        });
                    };
                    numbers(codes[p], zeros<Panels>(t, p, k, codes[p]), add);
                    codes[p] += step_bytes;
                });
            }
            if (i < end)
                each<Panels>([&](auto p) __attribute__((always_inline)) {
                    auto const add = [&](auto s, simd::float_pair weights)
                        __attribute__((always_inline)) {
                        if (i + s() < end)
                            each<Rows>([&](auto r) __attribute__((always_inline)) {
                                add_product(x[r][i + s()], weights, sum[r][p]);
                            });
                    };
                    numbers(codes[p], zeros<Panels>(t, p, k, codes[p]), add);
                });
            each_sum<Rows, Panels>([&](auto r, auto p) __attribute__((always_inline)) {
                auto& total = t.sum(r, p);
                auto const before = k == 0 ? zero_pair() : total;
                if constexpr (layout.group > 0) total = fma(sum[r][p], scales(t, p, k), before);
                else total = add(before, sum[r][p]);
            });
        }
    }

private:
    static constexpr auto step_bytes = static_cast<std::size_t>(2 * panel_lanes);

    static PRYTANY_INLINE void add_product(float x, simd::float_pair weights,
                                           simd::float_pair& sum) noexcept {
        auto const input = simd::fill(x);
        sum.low = simd::fma(input, weights.low, sum.low);
        sum.high = simd::fma(input, weights.high, sum.high);
    }
    static PRYTANY_INLINE simd::float_pair scales(tile<float, std::byte> const& t, std::size_t p,
                                                  index_t k) noexcept {
        return group_scales<Format>(t.panel(p) + layout.at(k));
    }
    template <std::size_t Panels>
    static PRYTANY_INLINE simd::float_pair zeros(tile<float, std::byte> const& t, std::size_t p,
                                                 index_t k,
                                                 [[maybe_unused]] std::byte const* now) noexcept {
        auto const* const group = t.panel(p) + layout.at(k);
        if constexpr (layout.zeros)
            return group_zeros<Format>(Panels == 1 ? group : simd::again(group, now));
        else return zero_pair();
    }
    /// Calls f(input, two registers of weights) for the inputs of one register of codes.
    template <class F>
    static PRYTANY_INLINE void numbers(std::byte const* from, simd::float_pair zeros,
                                       F&& f) noexcept {
        if constexpr (layout.bits == 8) {
            auto const* const bytes = reinterpret_cast<std::int8_t const*>(from);
            auto const low = simd::widen_bytes(bytes), high = simd::widen_bytes(bytes + 2 * lanes);
            f(std::integral_constant<index_t, 0>{},
              simd::float_pair{simd::to_floats(simd::lower(low)),
                               simd::to_floats(simd::lower(high))});
            f(std::integral_constant<index_t, 1>{},
              simd::float_pair{simd::to_floats(simd::upper(low)),
                               simd::to_floats(simd::upper(high))});
        } else {
            four<0>(from, zeros, f);
            if constexpr (layout.bits == 2) four<1>(from, zeros, f);
        }
    }
    /// A register full of masks of one code in every byte.
    struct masks {
        alignas(64) std::int32_t words[static_cast<std::size_t>(lanes)];
        constexpr masks() : words() {
            for (auto& one : words) one = layout.bits == 4 ? 0x0f0f0f0f : 0x03030303;
        }
    };
    static constexpr masks mask{};
    /// The same for the `Four`-th four inputs. Codes, masks and the table come from memory each
    /// time: AVX2 has no registers for them beside the sums.
    template <std::size_t Four, class F>
    static PRYTANY_INLINE void four(std::byte const* from, simd::float_pair zeros, F& f) noexcept {
        auto const all = simd::load_words(simd::again(from, from));
        auto const& table = simd::again(&meaning<Format>::signed_of, from)->of;
        auto const only = simd::load_words(simd::again(&mask, from)->words);
        constexpr int shift = layout.bits * int{2 * Four};
        auto const codes = Four == 0 ? all : simd::shift_right<shift>(all);
        auto const low = simd::look_up(table, codes & only);
        auto const high = simd::look_up(table, simd::shift_right<layout.bits>(codes) & only);
        four_bytes<Four>(low, high, zeros, f);
    }
    template <std::size_t Four, std::size_t Byte = 0, class F>
    static PRYTANY_INLINE void four_bytes(simd::words low, simd::words high, simd::float_pair zeros,
                                          F& f) noexcept {
        f(std::integral_constant<index_t, index_t{4 * Four + Byte}>{},
          less(simd::float_pair{signed_byte<Byte>(low), signed_byte<Byte>(high)}, zeros));
        if constexpr (Byte < 3) four_bytes<Four, Byte + 1>(low, high, zeros, f);
    }
    static PRYTANY_INLINE simd::float_pair less(simd::float_pair x,
                                                simd::float_pair zeros) noexcept {
        if constexpr (layout.zeros) return {x.low - zeros.low, x.high - zeros.high};
        else return x;
    }
};

} // namespace detail
} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
