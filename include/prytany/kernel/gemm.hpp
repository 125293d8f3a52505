// SPDX-License-Identifier: MIT
// Rows times packed panels: the one product of the library.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "prytany/kernel/detail/byte_tile.hpp"
#include "prytany/kernel/detail/dense_tile.hpp"
#include "prytany/kernel/detail/float_tile.hpp"
#include "prytany/kernel/detail/pair_tile.hpp"
#include "prytany/kernel/loops.hpp"
#include "prytany/kernel/rounded.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

namespace detail {

/// Calls f(integral constant) with `value`, one of Least … Most.
template <std::size_t Least, std::size_t Most, class F>
PRYTANY_INLINE void with_constant(index_t value, F&& f) noexcept {
    if constexpr (Least < Most) {
        if (value != static_cast<index_t>(Least)) return with_constant<Least + 1, Most>(value, f);
    }
    f(std::integral_constant<std::size_t, Least>{});
}

/// What a finished sum is multiplied by: the factors of its outputs, the scale of its row.
template <auto Format>
PRYTANY_INLINE simd::float_pair finish(simd::float_pair sum, packed<Format> const& weights,
                                       index_t panel, input_of<Format> const* row) noexcept {
    if constexpr (coded<Format>) {
        index_t const cols = weights.cols();
        auto const factor = simd::widen(reinterpret_cast<float const*>(
            weights.panel(panel) + packed<Format>::layout.factors_at(cols)));
        sum = {sum.low * factor.low, sum.high * factor.high};
        if constexpr (rounds<Format>()) {
            auto const scale = simd::fill(rounded_row<Format>::scale(row, cols));
            sum = {sum.low * scale, sum.high * scale};
        }
    }
    return sum;
}

/// The sums of some rows and some panels, and the walk over inputs that makes them.
template <auto Format>
class product {
    using kernel = micro_kernel<Format>;
    using rows_type = picked<input_of<Format>>;
    static constexpr index_t most_sums = 128;

public:
    product(rows_type rows, packed<Format> const& weights) : rows_(rows), weights_(weights) {
        depth_ = weights.cols();
        if constexpr (coded<Format>) depth_ = packed<Format>::layout.depth(depth_);
    }
    /// Computes rows [first, first + count) times `together` panels from `panel` on.
    template <std::size_t InRegisters, class Sink>
    void walk(loop const& how, index_t first, index_t count, index_t panel, index_t together,
              Sink& sink) noexcept {
        constexpr auto in_registers = static_cast<index_t>(InRegisters);
        index_t const tiles = (count + how.rows - 1) / how.rows;
        for (index_t k = 0; k < depth_; k += how.inputs)
            for (index_t p = 0; p < together; p += in_registers)
                for (index_t t = 0; t < tiles; ++t) {
                    index_t const begin = count * t / tiles;
                    run<InRegisters>(how, first, begin, count * (t + 1) / tiles - begin, count,
                                     panel, p, k, t, tiles);
                }
        for (index_t p = 0; p < together; ++p)
            for (index_t r = 0; r < count; ++r)
                sink(first + r, panel + p,
                     finish<Format>(sums_[p * count + r], weights_, panel + p, rows_[first + r]));
    }

private:
    /// Bytes from the start of a panel to input k, and of one step.
    static constexpr index_t place(index_t k) noexcept {
        if constexpr (coded<Format>) return packed<Format>::layout.at(k);
        else return k * panel_lanes * index_t{sizeof(typename packed<Format>::element)};
    }
    static constexpr index_t step_bytes() noexcept {
        return coded<Format> ? 2 * panel_lanes : place(1);
    }

    rows_type rows_;
    packed<Format> const& weights_;
    index_t depth_;
    simd::float_pair sums_[2 * most_sums];

    template <std::size_t InRegisters>
    PRYTANY_INLINE void run(loop const& how, index_t first, index_t begin, index_t rows,
                            index_t count, index_t panel, index_t p, index_t k, index_t t,
                            index_t tiles) noexcept {
        auto const* const weights = weights_.panel(panel + p);
        tile<input_of<Format>, std::remove_cvref_t<decltype(*weights_.panel(0))>> const here{
            rows_.from(first + begin),
            weights,
            weights_.stride(),
            k,
            std::min(depth_, k + how.inputs),
            weights_.cols(),
            sums_ + p * count + begin,
            count,
            most_sums,
            reinterpret_cast<char const*>(weights) + place(k) + how.ahead +
                place(how.inputs) * t / tiles,
            (step_bytes() + tiles - 1) / tiles};
        constexpr std::size_t least = 1, alone = kernel::most_rows;
        constexpr std::size_t most = InRegisters == 4 ? 1 : InRegisters == 2 ? 2 : alone;
        with_constant<least, most>(
            rows, [&]<std::size_t Rows>(std::integral_constant<std::size_t, Rows>) {
                if (how.ahead != 0) kernel::template run<Rows, InRegisters, true>(here);
                else kernel::template run<Rows, InRegisters, false>(here);
            });
    }
};

/// Rows [from, from + count) times the panels [first, last), walked as `how` says.
template <auto Format, class Sink>
void multiply_as(loop const& how, picked<input_of<Format>> rows, index_t from, index_t count,
                 packed<Format> const& weights, index_t first, index_t last, Sink& sink) noexcept {
    product<Format> all(rows, weights);
    index_t p = first;
    auto const walk = [&]<std::size_t Panels>(std::integral_constant<std::size_t, Panels>) {
        constexpr auto step = static_cast<index_t>(Panels);
        while (p + step <= last) {
            index_t const together = std::min(how.together, (last - p) / step * step);
            all.template walk<Panels>(how, from, count, p, together, sink);
            p += together;
        }
    };
    if (how.panels == 4) walk(std::integral_constant<std::size_t, 4>{});
    if (how.panels >= 2) walk(std::integral_constant<std::size_t, 2>{});
    walk(std::integral_constant<std::size_t, 1>{});
}

} // namespace detail

/// Multiplies `count` rows with the panels [first, last) of a packed matrix.
///
///     sink(i, p, sums)   sums = x_i · W[p]^T, two registers of outputs p · panel_lanes …
///
/// Every output is summed in one order that the format alone decides, whatever the number of rows:
/// one token alone and the same token among many get the same bits.
/// Pre       rows hold w.cols() floats, or are rounded by `rounded_row<Format>`; nothing written
///           aliases them
/// Error     dense, in u Σ|x w|: ≤ 8 for zero-mean data, ≤ 4 but for one output in 10⁵; ≤ 64 for
///           random data of one sign (K ≤ 16384); never above min(K, 512) + ⌈K / 512⌉. Integer
///           sums are exact; they are scaled and added as floats.
/// Reads     the panels once for every `loops.hpp` group of rows
/// Test      tests/kernel/gemm.test.cpp        Bench   bench/kernel/gemm.bench.cpp
template <auto Format, class Sink>
void multiply(picked<input_of<Format>> rows, index_t count, packed<Format> const& weights,
              index_t first, index_t last, Sink&& sink) noexcept {
    index_t const group = group_of<Format>(weights.cols());
    for (index_t from = 0; from < count; from += group)
        detail::multiply_as(loop_of<Format>(std::min(group, count - from)), rows, from,
                            std::min(group, count - from), weights, first, last, sink);
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
