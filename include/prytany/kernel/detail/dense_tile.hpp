// SPDX-License-Identifier: MIT
// Rows times panels of plain numbers.
#pragma once

#include <algorithm>
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
    static constexpr index_t most_rows_by_two = 3;
    static constexpr asking by_four = asking::none; // four streams keep the memory busy
    static constexpr index_t block = 512, unit = 4;
    static constexpr index_t step_bytes = panel_lanes * index_t{sizeof(T)};

    template <std::size_t Rows, std::size_t Panels, asking Ask>
    [[gnu::noinline]] static void run(tile<float, T> const& t) noexcept {
        float const* x[Rows];
        T const* w[Panels];
        each<Rows>([&](auto r) { x[r] = t.row(r); });
        each<Panels>([&](auto p) { w[p] = t.panel(p); });
        index_t const ask_step = t.ask_step;
        char const* ask = t.ask;
        for (index_t k = t.first; k < t.last;) {
            simd::float_pair sum[Rows][Panels];
            if (k % block == 0)
                each_sum<Rows, Panels>([&](auto r, auto p) { sum[r][p] = zero_pair(); });
            else
                each_sum<Rows, Panels>(
                    [&](auto r, auto p) { sum[r][p] = (&t.sum(r, p))[t.capacity]; });
            index_t const last = std::min(t.last, k - k % block + block);
            auto const step = [&](index_t i, index_t = 0) __attribute__((always_inline)) {
                add_input<Rows, Panels>(x, w, i, sum);
            };
            constexpr index_t run = Panels == 1 ? run_of_steps : 1; // more are bound by memory
            k = runs_of_steps<Ask, run, 1, step_bytes>(k, last, ask, ask_step, step);
            PRYTANY_ROLLED
            for (; k < last; ++k) step(k);
            if (last % block != 0 && last != t.cols)
                each_sum<Rows, Panels>(
                    [&](auto r, auto p) { (&t.sum(r, p))[t.capacity] = sum[r][p]; });
            else if (last <= block)
                each_sum<Rows, Panels>([&](auto r, auto p) { t.sum(r, p) = sum[r][p]; });
            else
                each_sum<Rows, Panels>(
                    [&](auto r, auto p) { t.sum(r, p) = add(t.sum(r, p), sum[r][p]); });
        }
    }

private:
    template <std::size_t Rows, std::size_t Panels>
    static PRYTANY_INLINE void add_input(float const* const (&x)[Rows], T const* const (&w)[Panels],
                                         index_t k,
                                         simd::float_pair (&sum)[Rows][Panels]) noexcept {
        if constexpr (Rows == 1 && std::same_as<T, f16>) { // widened to a register of its own
            auto const input = simd::fill(x[0][k]);
            each<Panels>([&](auto p) {
                auto const weights = simd::widen(w[p] + k * panel_lanes);
                sum[0][p].low = simd::fma(input, weights.low, sum[0][p].low);
                sum[0][p].high = simd::fma(input, weights.high, sum[0][p].high);
            });
        } else
            each<Panels>([&](auto p) {
                auto weights = simd::widen(w[p] + k * panel_lanes);
                if constexpr (Rows > 1) weights = simd::pin(weights);
                each<Rows>([&](auto r) {
                    auto const input = simd::fill(
                        Rows == 3 && Panels == 2 ? *simd::again(x[r] + k, w[p]) : x[r][k]);
                    sum[r][p] = {simd::fma(input, weights.low, sum[r][p].low),
                                 simd::fma(input, weights.high, sum[r][p].high)};
                    if constexpr (Rows > 1) sum[r][p] = simd::pin(sum[r][p]);
                });
            });
    }
};

} // namespace detail
} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
