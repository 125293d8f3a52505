// SPDX-License-Identifier: MIT
// Rows times panels of plain numbers.
#pragma once

#include <concepts>
#include <cstddef>

#include "prytany/format/dense.hpp"
#include "prytany/kernel/detail/tile.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {
namespace detail {

/// Every output is one chain of fused multiply-adds over a block of 512 inputs; blocks are added.
template <class T, dense<T> Format>
struct micro_kernel<Format> {
    static constexpr index_t most_rows = lanes >= 16 ? 12 : 6;
    static constexpr index_t block = 512, unit = 1;

    template <std::size_t Rows, std::size_t Panels, bool Ahead>
    [[gnu::noinline]] static void run(tile<float, T> const& t) noexcept {
        float const* x[Rows];
        T const* w[Panels];
        each<Rows>([&](auto r) { x[r] = t.row(r); });
        each<Panels>([&](auto p) { w[p] = t.panel(p); });
        simd::float_pair sum[Rows][Panels];
        if (t.first % block == 0)
            each_sum<Rows, Panels>([&](auto r, auto p) { sum[r][p] = zero_pair(); });
        else
            each_sum<Rows, Panels>([&](auto r, auto p) { sum[r][p] = (&t.sum(r, p))[t.capacity]; });
        index_t const last = t.last, ask_step = t.ask_step;
        char const* ask = t.ask;
        for (index_t k = t.first; k < last; ++k) {
            if constexpr (Ahead) simd::prefetch(ask);
            ask += ask_step;
            if constexpr (Rows == 1 && std::same_as<T, f16>) { // widened to a register of its own
                auto const input = simd::fill(x[0][k]);
                each<Panels>([&](auto p) {
                    auto const weights = simd::widen(w[p] + k * panel_lanes);
                    sum[0][p].low = simd::fma(input, weights.low, sum[0][p].low);
                    sum[0][p].high = simd::fma(input, weights.high, sum[0][p].high);
                });
            } else {
                simd::float_pair weights[Panels];
                each<Panels>([&](auto p) { weights[p] = simd::widen(w[p] + k * panel_lanes); });
                each<Rows>([&](auto r) {
                    auto const input = simd::fill(x[r][k]);
                    each<Panels>([&](auto p) {
                        sum[r][p].low = simd::fma(input, weights[p].low, sum[r][p].low);
                        sum[r][p].high = simd::fma(input, weights[p].high, sum[r][p].high);
                    });
                });
            }
        }
        if (last % block != 0 && last != t.cols)
            each_sum<Rows, Panels>([&](auto r, auto p) { (&t.sum(r, p))[t.capacity] = sum[r][p]; });
        else if (last <= block)
            each_sum<Rows, Panels>([&](auto r, auto p) { t.sum(r, p) = sum[r][p]; });
        else
            each_sum<Rows, Panels>(
                [&](auto r, auto p) { t.sum(r, p) = add(t.sum(r, p), sum[r][p]); });
    }
};

} // namespace detail
} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
