// SPDX-License-Identifier: MIT
// What all micro-kernels are given, and where their sums go.
#pragma once

#include <algorithm>
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

/// How a tile asks for weights that will be read soon: not at all; for every line of them, alone;
/// once in four steps, beside three other tiles or more that ask for the lines between; or for the
/// same lines of the panels that follow those of the tile.
enum class asking { none, alone, shared, next };

/// Whether step s of some, of `Bytes` weights each, asks.
template <asking Ask, index_t Bytes>
constexpr bool asks_in(index_t s) noexcept {
    constexpr index_t line = 64,
                      steps = Ask == asking::shared ? 4 : std::max(line / Bytes, index_t{1});
    return Ask != asking::none && s % steps == 0;
}
/// Steps of a kernel that are worth unrolling, so that counting and asking take few of the
/// instructions: a core may share its decoders with another thread.
inline constexpr index_t run_of_steps = lanes >= 16 ? 2 : 4;

/// Calls step(i, s) for the inputs i = first, first + By, … below last, as many as make whole runs
/// of `Run`; the input after them. s counts in a run; `Bytes` are the weights of one step.
template <asking Ask, index_t Run, index_t By, index_t Bytes, class Step>
PRYTANY_INLINE index_t runs_of_steps(index_t first, index_t last, char const*& ask,
                                     index_t ask_step, Step&& step) noexcept {
    for (; first + Run * By <= last; first += Run * By, ask += Run * ask_step) {
        PRYTANY_UNROLL
        for (index_t s = 0; s < Run; ++s) {
            if (Ask != asking::next && asks_in<Ask, Bytes>(s)) simd::prefetch(ask + s * ask_step);
            step(first + s * By, s);
        }
    }
    return first;
}

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
/// The kernel of a format: `run<Rows, Panels, Ask>(tile)` adds a stretch of inputs to the sums;
/// tiles of four panels ask as `by_four` says.
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
