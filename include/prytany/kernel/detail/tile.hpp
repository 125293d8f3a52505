// SPDX-License-Identifier: MIT
// What all micro-kernels are given, and where their sums go.
#pragma once

#include <cstddef>

#include "prytany/simd/words.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {
namespace detail {

/// Some rows times some panels, over the inputs [first, last) of `cols`.
template <class Input, class Panel>
struct tile {
    Input const* const* rows;
    Panel const* panels; ///< the first of them
    index_t stride;      ///< to the next one, in elements of Panel
    index_t first, last, cols;
    simd::float_pair* sums; ///< of row r and panel p: sums[p · panel_sums + r]
    index_t panel_sums;
    index_t capacity; ///< sums of a block that goes on lie so much further
    char const* ask;  ///< weights that will be read soon; tiles of one panel share in asking
    index_t ask_step; ///< bytes to ask for at each step

    Panel const* panel(std::size_t p) const noexcept {
        return panels + static_cast<index_t>(p) * stride;
    }
    Input const* row(std::size_t r) const noexcept { return rows[r]; }
    simd::float_pair& sum(std::size_t r, std::size_t p) const noexcept {
        return sums[static_cast<index_t>(p) * panel_sums + static_cast<index_t>(r)];
    }
};

/// Calls f(row, panel) for all; unrolled, so that what is indexed stays in registers. Long lambdas
/// say `always_inline`: clang would call them, with what they capture in memory.
template <std::size_t Rows, std::size_t Panels, class F>
PRYTANY_INLINE void each_sum(F&& f) noexcept {
    PRYTANY_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
        PRYTANY_UNROLL
        for (std::size_t p = 0; p < Panels; ++p) f(r, p);
    }
}
template <std::size_t Count, class F>
PRYTANY_INLINE void each(F&& f) noexcept {
    PRYTANY_UNROLL
    for (std::size_t i = 0; i < Count; ++i) f(i);
}

/// The same pointer, to be read from once more at every new `now`: what compilers would keep in a
/// register until the next use takes the place of a sum.
template <class T>
PRYTANY_INLINE T* again(T* from, [[maybe_unused]] void const* now) noexcept {
    asm("" : "+r"(from) : "r"(now));
    return from;
}

/// x itself, in registers, before anything that is held later: sums that are held one by one leave
/// compilers no room to make numbers long before their use.
PRYTANY_INLINE void hold([[maybe_unused]] simd::float_pair& x) noexcept {
#if defined(__AVX2__) || defined(__AVX512F__)
    asm volatile("" : "+v"(x.low.data), "+v"(x.high.data));
#endif
}

PRYTANY_INLINE simd::float_pair zero_pair() noexcept { return {simd::fill(0), simd::fill(0)}; }
PRYTANY_INLINE simd::float_pair add(simd::float_pair a, simd::float_pair b) noexcept {
    return {a.low + b.low, a.high + b.high};
}
PRYTANY_INLINE simd::float_pair fma(simd::float_pair a, simd::float_pair b,
                                    simd::float_pair c) noexcept {
    return {simd::fma(a.low, b.low, c.low), simd::fma(a.high, b.high, c.high)};
}
/// The kernel of a format: `run<Rows, Panels, Ahead>(tile)` adds a stretch of inputs to the sums.
template <auto Format>
struct micro_kernel;

/// The rows of one tile, by the number of its panels.
template <auto Format>
constexpr index_t most_rows(std::size_t panels) noexcept {
    using kernel = micro_kernel<Format>;
    return panels == 1 ? kernel::most_rows : panels == 2 ? kernel::most_rows_by_two : 1;
}

} // namespace detail
} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
