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

/// The factors of the outputs of a panel.
template <auto Format>
PRYTANY_INLINE simd::float_pair factors(packed<Format> const& weights, index_t panel) noexcept {
    if constexpr (coded<Format>)
        return simd::widen(reinterpret_cast<float const*>(
            weights.panel(panel) + packed<Format>::layout.factors_at(weights.cols())));
    else return {};
}
/// A finished sum, multiplied by the factors of its outputs and the scale of its row.
template <auto Format>
PRYTANY_INLINE simd::float_pair finish(simd::float_pair sum, simd::float_pair factor, index_t cols,
                                       input_of<Format> const* row) noexcept {
    if constexpr (coded<Format>) {
        sum = {sum.low * factor.low, sum.high * factor.high};
        if constexpr (rounds<Format>()) {
            auto const scale = simd::fill(rounded_row<Format>::scale(row, cols));
            sum = {sum.low * scale, sum.high * scale};
        }
    }
    return sum;
}

/// Some rows times a matrix, walked as a `loop` says: the sums of a few panels at a time.
template <auto Format>
class product {
    using kernel = micro_kernel<Format>;
    using rows_type = picked<input_of<Format>>;

public:
    static constexpr index_t most_sums = 128; ///< rows · panels of one walk

    product(loop const& how, rows_type rows, index_t count, packed<Format> const& weights) noexcept
        : how_(how), count_(count), weights_(weights), depth_(weights.cols()) {
        if constexpr (coded<Format>) depth_ = packed<Format>::layout.depth(depth_);
        constexpr index_t unit = kernel::unit;
        index_t const turns = std::max<index_t>(1, (depth_ + how.inputs / 2) / how.inputs);
        turn_ = std::max(unit, (depth_ + turns * unit - 1) / (turns * unit) * unit);
        tiles_ = (count + how.rows - 1) / how.rows;
        least_ = count / tiles_;
        ask_ = place(turn_) / tiles_;
        ask_step_ = (step_bytes() + tiles_ - 1) / tiles_;
        for (index_t r = 0; r < count; ++r) rows_[r] = rows[r];
    }
    /// Makes the sums of all rows and `together` panels, `Panels` of them in one tile.
    template <std::size_t Panels>
    [[gnu::noinline]] void walk(index_t panel, index_t together) noexcept {
        for (index_t k = 0; k < depth_; k += turn_)
            for (index_t p = 0; p < together; p += static_cast<index_t>(Panels))
                for (index_t t = 0, begin = 0; t < tiles_; ++t) {
                    index_t const rows = least_ + (t < count_ - least_ * tiles_ ? 1 : 0);
                    run<Panels>(panel, p, k, t, begin, rows);
                    begin += rows;
                }
    }
    /// Hands out what `walk` has made.
    template <class Sink>
    void hand_out(index_t first, index_t panel, index_t together, Sink& sink) const noexcept {
        for (index_t p = 0; p < together; ++p) {
            auto const factor = factors<Format>(weights_, panel + p);
            for (index_t r = 0; r < count_; ++r)
                sink(first + r, panel + p,
                     finish<Format>(sums_[p * count_ + r], factor, weights_.cols(), rows_[r]));
        }
    }

private:
    loop const& how_;
    index_t count_;
    packed<Format> const& weights_;
    index_t depth_, turn_;   ///< inputs, of one turn
    index_t tiles_, least_;  ///< how many, rows of the smaller ones
    index_t ask_, ask_step_; ///< bytes that one tile asks for, and at each step
    input_of<Format> const* rows_[most_sums];
    simd::float_pair sums_[2 * most_sums];

    /// Bytes from the start of a panel to input k.
    static constexpr index_t place(index_t k) noexcept {
        if constexpr (coded<Format>) return packed<Format>::layout.at(k);
        else return k * panel_lanes * index_t{sizeof(typename packed<Format>::element)};
    }
    static constexpr index_t step_bytes() noexcept {
        if constexpr (coded<Format>) return packed<Format>::layout.step_bytes();
        else return place(1);
    }
    /// Tile t, `rows` rows from `begin` on, with the inputs from k on.
    template <std::size_t Panels>
    PRYTANY_INLINE void run(index_t panel, index_t p, index_t k, index_t t, index_t begin,
                            index_t rows) noexcept {
        auto const* const weights = weights_.panel(panel + p);
        tile<input_of<Format>, std::remove_cvref_t<decltype(*weights)>> const here{
            rows_ + begin,
            weights,
            weights_.stride(),
            k,
            std::min(depth_, k + turn_),
            weights_.cols(),
            sums_ + p * count_ + begin,
            count_,
            most_sums,
            reinterpret_cast<char const*>(weights) + place(k) + how_.ahead + t * ask_,
            ask_step_};
        constexpr index_t most = most_rows<Format>(Panels);
        if constexpr (Panels == 4) run_rows<kernel::by_four, Panels, 1>(here, rows);
        else if constexpr (Panels > 1) run_rows<asking::none, Panels, 1>(here, rows);
        else if (how_.rows < most || tiles_ < 4) run_rows<asking::alone, Panels, 1>(here, rows);
        else run_rows<asking::shared, Panels, (3 * most + 1) / 4>(here, rows);
    }
    /// A tile of `rows` rows, at least `Least`.
    template <asking Ask, std::size_t Panels, index_t Least, class Tile>
    static PRYTANY_INLINE void run_rows(Tile const& tile, index_t rows) noexcept {
        constexpr auto least = static_cast<std::size_t>(Least),
                       most = static_cast<std::size_t>(most_rows<Format>(Panels));
        with_constant<least, most>(
            rows, [&]<std::size_t Rows>(std::integral_constant<std::size_t, Rows>) {
                kernel::template run<Rows, Panels, Ask>(tile);
            });
    }
};

/// Rows [from, from + count) times the panels [first, last), walked as `how` says.
template <auto Format, class Sink>
void multiply_as(loop const& how, picked<input_of<Format>> rows, index_t from, index_t count,
                 packed<Format> const& weights, index_t first, index_t last, Sink& sink) noexcept {
    product<Format> all(how, rows.from(from), count, weights);
    index_t p = first;
    auto const walk = [&]<std::size_t Panels>(std::integral_constant<std::size_t, Panels>) {
        constexpr auto step = static_cast<index_t>(Panels);
        while (p + step <= last) {
            index_t const together = std::min(how.together, (last - p) / step * step);
            all.template walk<Panels>(p, together);
            all.hand_out(from, p, together, sink);
            p += together;
        }
    };
    if (how.panels == 4) walk(std::integral_constant<std::size_t, 4>{});
    if (how.panels >= 2 && count <= most_rows<Format>(2))
        walk(std::integral_constant<std::size_t, 2>{});
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
    index_t const group = group_of<Format>(weights.cols(), count);
    for (index_t from = 0; from < count; from += group)
        detail::multiply_as(loop_of<Format>(std::min(group, count - from)), rows, from,
                            std::min(group, count - from), weights, first, last, sink);
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
