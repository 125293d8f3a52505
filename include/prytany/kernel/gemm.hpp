// SPDX-License-Identifier: MIT
// Rows times packed panels: the one product of the library.
#pragma once

#include <algorithm>
#include <cstdint>

#include "prytany/format/dense.hpp"
#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// Rows that a product reads where they lie: row i is `base + pick[i] · stride`, without a pick
/// `base + i · stride`. Nothing is copied together.
struct picked_rows {
    float const* base = nullptr;
    index_t stride = 0;
    std::int32_t const* pick = nullptr;

    float const* operator[](index_t i) const noexcept {
        return base + (pick == nullptr ? i : static_cast<index_t>(pick[i])) * stride;
    }
    picked_rows from(index_t first) const noexcept {
        return pick == nullptr ? picked_rows{base + first * stride, stride, nullptr}
                               : picked_rows{base, stride, pick + first};
    }
};

namespace detail {

/// Sums run over fixed blocks of k, so that rounding does not depend on the path.
inline constexpr index_t k_block = 512;

template <std::size_t Rows, std::size_t Panels, class T>
PRYTANY_INLINE void add_block(float const* const (&x)[Rows], T const* const (&w)[Panels],
                              index_t first, index_t last, simd::float_pair (&sum)[Rows][Panels]) {
    PRYTANY_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
        PRYTANY_UNROLL
        for (std::size_t p = 0; p < Panels; ++p) sum[r][p] = {simd::fill(0.0f), simd::fill(0.0f)};
    }
    for (index_t k = first; k < last; ++k) {
        simd::float_pair weights[Panels];
        PRYTANY_UNROLL
        for (std::size_t p = 0; p < Panels; ++p) weights[p] = simd::widen(w[p] + k * panel_lanes);
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) {
            auto const input = simd::fill(x[r][k]);
            PRYTANY_UNROLL
            for (std::size_t p = 0; p < Panels; ++p) {
                sum[r][p].low = simd::fma(input, weights[p].low, sum[r][p].low);
                sum[r][p].high = simd::fma(input, weights[p].high, sum[r][p].high);
            }
        }
    }
}

/// The micro-kernel: all k of Rows rows and Panels panels, the sums in registers.
template <std::size_t Rows, std::size_t Panels, index_t Depth, class T>
[[gnu::noinline]] void tile(picked_rows rows, T const* panels, index_t panel_stride, index_t depth,
                            simd::float_pair* out) noexcept {
    if constexpr (Depth != dynamic) depth = Depth;
    float const* x[Rows];
    T const* w[Panels];
    for (std::size_t r = 0; r < Rows; ++r) x[r] = rows[static_cast<index_t>(r)];
    for (std::size_t p = 0; p < Panels; ++p) w[p] = panels + static_cast<index_t>(p) * panel_stride;
    simd::float_pair sum[Rows][Panels];
    add_block(x, w, 0, std::min(depth, k_block), sum);
    for (index_t k = k_block; k < depth; k += k_block) {
        simd::float_pair more[Rows][Panels];
        add_block(x, w, k, std::min(depth, k + k_block), more);
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) {
            PRYTANY_UNROLL
            for (std::size_t p = 0; p < Panels; ++p)
                sum[r][p] = {sum[r][p].low + more[r][p].low, sum[r][p].high + more[r][p].high};
        }
    }
    PRYTANY_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
        PRYTANY_UNROLL
        for (std::size_t p = 0; p < Panels; ++p) out[r * Panels + p] = sum[r][p];
    }
}

/// Runs a tile and hands its sums to the sink.
template <std::size_t Rows, std::size_t Panels, index_t Depth, class T, class Sink>
PRYTANY_INLINE void run_tile(picked_rows rows, T const* panels, index_t stride, index_t depth,
                             index_t row, index_t panel, Sink& sink) {
    simd::float_pair out[Rows * Panels];
    tile<Rows, Panels, Depth>(rows.from(row), panels + panel * stride, stride, depth, out);
    for (std::size_t r = 0; r < Rows; ++r)
        for (std::size_t p = 0; p < Panels; ++p)
            sink(row + static_cast<index_t>(r), panel + static_cast<index_t>(p),
                 out[r * Panels + p]);
}

/// One to three rows: several panels at once, each a stream of its own from memory.
template <std::size_t Rows, std::size_t Panels, index_t Depth, class T, class Sink>
void few_rows(picked_rows rows, T const* panels, index_t stride, index_t depth, index_t first,
              index_t last, Sink& sink) {
    constexpr auto step = static_cast<index_t>(Panels);
    index_t p = first;
    for (; p + step <= last; p += step)
        run_tile<Rows, Panels, Depth>(rows, panels, stride, depth, 0, p, sink);
    if constexpr (Panels == 4) {
        for (; p + 2 <= last; p += 2)
            run_tile<Rows, 2, Depth>(rows, panels, stride, depth, 0, p, sink);
    }
    for (; p < last; ++p) run_tile<Rows, 1, Depth>(rows, panels, stride, depth, 0, p, sink);
}

/// The tile with a number of rows known only now, 4 … block_rows.
template <std::size_t Rows, index_t Depth, class T, class Sink>
PRYTANY_INLINE void some_rows(index_t count, picked_rows rows, T const* panels, index_t stride,
                              index_t depth, index_t row, index_t panel, Sink& sink) {
    if (count == static_cast<index_t>(Rows))
        return run_tile<Rows, 1, Depth>(rows, panels, stride, depth, row, panel, sink);
    if constexpr (Rows > 4)
        some_rows<Rows - 1, Depth>(count, rows, panels, stride, depth, row, panel, sink);
}

} // namespace detail

/// Multiplies `count` rows with the panels [first, last) of a packed matrix.
///
///     sink(i, p, sums)   sums = x_i · W[p]^T, two registers of outputs p · panel_lanes …
///
/// Each output is one chain of fused multiply-adds over k in blocks of 512, whatever the number of
/// rows: one token alone and the same token among many get the same bits.
/// Pre       rows hold w.cols() floats; nothing written aliases them
/// Error     in u Σ|x w|: ≤ 8 for zero-mean data, ≤ 4 but for one output in 10⁵; ≤ 64 for random
///           data of one sign (K ≤ 16384); never above min(K, 512) + ⌈K / 512⌉
/// Reads     the panels once for ≤ 3 rows, else once for every `block_rows` rows
/// Test      tests/kernel/gemm.test.cpp        Bench   bench/kernel/gemm.bench.cpp
template <index_t Depth = dynamic, auto Format, class Sink>
void multiply(picked_rows rows, index_t count, packed<Format> const& weights, index_t first,
              index_t last, Sink&& sink) {
    constexpr index_t most = simd::block_rows;
    index_t const depth = weights.cols(), stride = depth * panel_lanes;
    auto const* const panels = weights.panel(0);
    if (count == 1)
        return detail::few_rows<1, 4, Depth>(rows, panels, stride, depth, first, last, sink);
    if (count == 2)
        return detail::few_rows<2, 2, Depth>(rows, panels, stride, depth, first, last, sink);
    if (count == 3)
        return detail::few_rows<3, 2, Depth>(rows, panels, stride, depth, first, last, sink);
    // rows in groups that stay in the second-level cache, each cut into nearly equal tiles
    index_t const cached = (index_t{384} << 10) / (depth * index_t{sizeof(float)} + 1);
    index_t const group = std::clamp<index_t>(cached / most * most, 2 * most, 16 * most);
    for (index_t from = 0; from < count; from += group) {
        index_t const here = std::min(group, count - from), tiles = (here + most - 1) / most;
        for (index_t p = first; p < last; ++p)
            for (index_t t = 0; t < tiles; ++t) {
                index_t const begin = here * t / tiles, size = here * (t + 1) / tiles - begin;
                if (size < 4)
                    for (index_t r = begin; r < begin + size; ++r)
                        detail::run_tile<1, 1, Depth>(rows, panels, stride, depth, from + r, p,
                                                      sink);
                else
                    detail::some_rows<static_cast<std::size_t>(most), Depth>(
                        size, rows, panels, stride, depth, from + begin, p, sink);
            }
    }
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
