// SPDX-License-Identifier: MIT
// One block of positions for some query rows: scores, weights, and the weighted sum of values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "prytany/kernel/cached_head.hpp"
#include "prytany/simd/math.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// Positions between two looks at the running maximum, a multiple of `lanes`.
inline constexpr index_t attend_block = 256;

/// Rows that registers hold together: 2 · rows sums, 2 keys or values, 1 number of a row.
inline constexpr index_t attend_rows = lanes >= 16 ? 12 : 6;

namespace detail {

/// A query row on its way through the blocks.
struct running_row {
    float const* query;
    float* out;
    index_t seen;
    float weight;
    float top;          ///< the largest score so far
    simd::floats total; ///< Σ w_s so far, lane by lane
    float* sum;         ///< Σ w_s · v_s so far, in whole registers, right after the row before
};

/// sum[r][j] += scalar(r) · vector(j), with the fewer operands kept in registers.
template <std::size_t Rows, std::size_t Columns, class Scalar, class Vector>
PRYTANY_INLINE void add_outer(simd::floats (&sum)[Rows][Columns], Scalar const& scalar,
                              Vector const& vector) noexcept {
    if constexpr (Rows < Columns) {
        simd::floats a[Rows];
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) a[r] = simd::fill(scalar(r));
        PRYTANY_UNROLL
        for (std::size_t j = 0; j < Columns; ++j) {
            simd::floats const b = vector(j);
            PRYTANY_UNROLL
            for (std::size_t r = 0; r < Rows; ++r) sum[r][j] = simd::fma(a[r], b, sum[r][j]);
        }
    } else {
        simd::floats b[Columns];
        PRYTANY_UNROLL
        for (std::size_t j = 0; j < Columns; ++j) b[j] = vector(j);
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) {
            simd::floats const a = simd::fill(scalar(r));
            PRYTANY_UNROLL
            for (std::size_t j = 0; j < Columns; ++j) sum[r][j] = simd::fma(a, b[j], sum[r][j]);
        }
    }
}

/// Registers that Rows rows take side by side: enough sums in flight, and all in registers.
template <std::size_t Rows>
inline constexpr std::size_t side_by_side = Rows == 1 ? 8 : (Rows < 4 ? 4 : 2);

/// Cuts `count` registers into pieces of side_by_side<Rows> and smaller powers of two.
template <std::size_t Rows, std::size_t Columns = side_by_side<Rows>, class F>
PRYTANY_INLINE void over_registers(index_t count, F&& f, index_t from = 0) noexcept {
    constexpr auto step = static_cast<index_t>(Columns);
    for (; from + step <= count; from += step)
        f(std::integral_constant<std::size_t, Columns>{}, from);
    if constexpr (Columns > 1) {
        if (from < count) over_registers<Rows, Columns / 2>(count, f, from);
    }
}

/// q_r · k_s of Rows rows with `count` · lanes positions from `start` on.
template <std::size_t Rows>
void score_block(running_row const* rows, cached_head const& head, index_t start, index_t count,
                 float* scores) noexcept {
    float const* query[Rows];
    for (std::size_t r = 0; r < Rows; ++r) query[r] = rows[r].query;
    index_t const size = head.size, step = lanes * size;
    over_registers<Rows>(count, [&]<class Columns>(Columns, index_t from) {
        float const* key = head.keys + start * size + from * step;
        simd::floats sum[Rows][Columns::value];
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) {
            PRYTANY_UNROLL
            for (std::size_t j = 0; j < Columns::value; ++j) sum[r][j] = simd::fill(0.0f);
        }
#pragma GCC unroll 4 // for the few rows of decode
        for (index_t c = 0; c < size; ++c, key += lanes)
            add_outer(
                sum, [&](std::size_t r) { return query[r][c]; },
                [&](std::size_t j) { return simd::load(key + static_cast<index_t>(j) * step); });
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) {
            float* const to = scores + static_cast<index_t>(r) * attend_block + from * lanes;
            PRYTANY_UNROLL
            for (std::size_t j = 0; j < Columns::value; ++j)
                simd::store(to + static_cast<index_t>(j) * lanes, sum[r][j]);
        }
    });
}

/// Which lanes of a register lie before `count`.
PRYTANY_INLINE auto before(index_t count) noexcept {
    static constexpr float places[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return simd::load(places) < simd::fill(static_cast<float>(count));
}

/// The largest of `top` and the first `count` scores.
PRYTANY_INLINE float top_of(float const* scores, index_t count, float top) noexcept {
    auto most = simd::fill(top);
    index_t i = 0;
    for (; i + lanes <= count; i += lanes) most = xsimd::max(simd::load(scores + i), most);
    if (i < count)
        most = xsimd::max(xsimd::select(before(count - i), simd::load(scores + i), most), most);
    return simd::greatest(most);
}

/// Turns `count` scores into weights 2^(rate · (s - top)) and gives their sum, lane by lane.
PRYTANY_INLINE simd::floats weigh(float* scores, index_t count, float top,
                                  simd::floats rate) noexcept {
    auto const high = simd::fill(top);
    auto total = simd::fill(0.0f);
    index_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        auto const w = simd::decay(simd::load(scores + i) - high, rate);
        simd::store(scores + i, w);
        total += w;
    }
    if (i < count) {
        auto const w = simd::decay(simd::load(scores + i) - high, rate);
        simd::store(scores + i, w);
        total += xsimd::select(before(count - i), w, simd::fill(0.0f));
    }
    return total;
}

/// Σ w_s · v_s of one block for Rows rows, from position `from` on: what all of them see is done
/// together, what only later rows see by parts of them. Sums lie `registers` · lanes apart.
template <std::size_t Rows>
void mix_block(running_row const* rows, cached_head const& head, float const* weights,
               index_t start, index_t from, index_t end, float* sums, index_t registers) noexcept {
    index_t const to = std::min(rows[0].seen, end);
    if (from < to)
        over_registers<Rows>(registers, [&]<class Columns>(Columns, index_t first) {
            auto const of = [&](std::size_t r, std::size_t j) {
                return sums +
                       (static_cast<index_t>(r) * registers + first + static_cast<index_t>(j)) *
                           lanes;
            };
            simd::floats sum[Rows][Columns::value];
            PRYTANY_UNROLL
            for (std::size_t r = 0; r < Rows; ++r) {
                PRYTANY_UNROLL
                for (std::size_t j = 0; j < Columns::value; ++j)
                    sum[r][j] = from == start ? simd::fill(0.0f) : simd::load(of(r, j));
            }
            float const* value = head.values + from * head.value_stride + first * lanes;
            float const* weight = weights + (from - start);
#pragma GCC unroll 4 // for the few rows of decode
            for (index_t s = from; s < to; ++s, ++weight, value += head.value_stride)
                add_outer(
                    sum,
                    [&](std::size_t r) { return weight[static_cast<index_t>(r) * attend_block]; },
                    [&](std::size_t j) {
                        return simd::load(value + static_cast<index_t>(j) * lanes);
                    });
            PRYTANY_UNROLL
            for (std::size_t r = 0; r < Rows; ++r) {
                PRYTANY_UNROLL
                for (std::size_t j = 0; j < Columns::value; ++j) simd::store(of(r, j), sum[r][j]);
            }
        });
    if constexpr (Rows > 1) {
        if (to == std::min(rows[Rows - 1].seen, end)) return;
        constexpr std::size_t part = Rows > 6 ? Rows / 2 : (Rows > 2 ? 2 : 1);
        constexpr auto next = static_cast<index_t>(part);
        mix_block<part>(rows, head, weights, start, to, end, sums, registers);
        mix_block<Rows - part>(rows + part, head, weights + next * attend_block, start, to, end,
                               sums + next * registers * lanes, registers);
    }
}

/// One block of positions from `start` on, for Rows rows that see some of it, ascending by `seen`.
/// The sums of a block are made by themselves and then added to those so far, which first shrink to
/// the new top: so errors grow with the number of blocks, not of positions.
template <std::size_t Rows>
void step_block(running_row* rows, cached_head const& head, index_t start, float rate,
                float* scratch) noexcept {
    index_t const registers = (head.size + lanes - 1) / lanes,
                  end = std::min(rows[Rows - 1].seen, start + attend_block);
    auto const count = [&](std::size_t r) { return std::min(rows[r].seen, end) - start; };
    auto const scores = [&](std::size_t r) {
        return scratch + static_cast<index_t>(r) * attend_block;
    };
    score_block<Rows>(rows, head, start, (end - start + lanes - 1) / lanes, scratch);
    float top[Rows]; // all of them first: no row waits for its own
    for (std::size_t r = 0; r < Rows; ++r) top[r] = top_of(scores(r), count(r), rows[r].top);
    simd::floats const factor = simd::fill(rate);
    simd::floats shrink[Rows];
    for (std::size_t r = 0; r < Rows; ++r) {
        shrink[r] = simd::decay(simd::fill(rows[r].top) - simd::fill(top[r]), factor);
        auto const total = weigh(scores(r), count(r), top[r], factor);
        rows[r].total = start == 0 ? total : simd::fma(rows[r].total, shrink[r], total);
        rows[r].top = top[r];
    }
    float* const sums = start == 0 ? rows[0].sum : scratch + attend_rows * attend_block;
    mix_block<Rows>(rows, head, scratch, start, start, end, sums, registers);
    if (start == 0) return;
    for (std::size_t r = 0; r < Rows; ++r)
        for (index_t i = 0; i < registers * lanes; i += lanes)
            simd::store(
                rows[r].sum + i,
                simd::fma(simd::load(rows[r].sum + i), shrink[r],
                          simd::load(sums + static_cast<index_t>(r) * registers * lanes + i)));
}

} // namespace detail
} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
