// SPDX-License-Identifier: MIT
// How a product walks its panels, for each format and number of rows: the calibrated table.
#pragma once

#include <algorithm>

#include "prytany/kernel/codes.hpp"
#include "prytany/kernel/detail/tile.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// One way to walk over packed panels; all give the same bits.
struct loop {
    index_t rows;     ///< of one tile, at most
    index_t panels;   ///< of one tile: 1, 2 or 4
    index_t together; ///< panels walked side by side, a multiple of `panels`: streams from memory
    index_t inputs;   ///< taken from one panel before the next one's turn, about
    index_t
        ahead; ///< bytes from a weight being read to the one that tiles of 1 or 2 panels ask for
};

/// The walk for a product with so many rows, by measurement (bench/kernel/loops.bench.cpp).
///
/// One row is bound by memory: four panels in one tile are four streams, and asking ahead does not
/// help, but for the short streams of 2-bit codes, which kernels ask for by themselves. With more
/// rows there is time to ask for what comes next, a page or some ahead. Wide weights and few rows
/// are still bound by memory, so two panels take turns page by page; narrow weights want long
/// stretches, since a stretch has a cost of its own.
/// Test      tests/kernel/loops.test.cpp
template <auto Format>
constexpr loop loop_of(index_t rows) noexcept {
    using kernel = detail::micro_kernel<Format>;
    constexpr index_t most = kernel::most_rows, page = 4096;
    constexpr index_t all = index_t{1} << 20;
    if (rows == 1) return {1, 4, 4, all, 0};
    if constexpr (coded<Format>) {
        constexpr index_t stretch = packed<Format>::layout.at(512);
        return {most, 1, 1, 512, std::max(page, stretch)};
    } else {
        constexpr index_t step = panel_lanes * index_t{sizeof(typename packed<Format>::element)};
        constexpr bool wide = sizeof(typename packed<Format>::element) == 4;
        constexpr index_t many = 24;
        if (rows == 2 || (wide && rows == 3)) return {rows, 2, 4, all, 0};
        if (wide && rows <= most) return {most, 1, 2, page / step, page};
        if (rows < many) return {most, 1, 1, 4 * page / step, 4 * page};
        return {most, 1, 1, 8 * page / step, 8 * page};
    }
}
/// Rows that are walked together, of so many: their inputs stay in the second-level cache while all
/// panels pass by. As even as tiles allow.
template <auto Format>
constexpr index_t group_of(index_t cols, index_t rows) noexcept {
    constexpr index_t cache = index_t{512} << 10, element = sizeof(input_of<Format>);
    constexpr index_t tile = detail::micro_kernel<Format>::most_rows, largest = 96 / tile * tile;
    index_t const most = std::clamp(cache / (cols * element + 1) / tile * tile, 2 * tile, largest);
    index_t const groups = std::max<index_t>(1, (rows + most - 1) / most);
    return (rows + groups * tile - 1) / (groups * tile) * tile;
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
