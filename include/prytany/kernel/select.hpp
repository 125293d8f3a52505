// SPDX-License-Identifier: MIT
// The largest of a row of scores, safe for every bit pattern.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "prytany/core/config.hpp"
#include "prytany/simd/mask.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// A score and its number as one integer: larger integers are better.
///
///     a number beats NaN, the larger number wins, equal numbers (also -0 and +0): the lower index
///
/// Integers have a total order for every bit pattern, where floats with NaN have none.
/// Test      tests/kernel/select.test.cpp
constexpr std::uint64_t rank_key(float score, index_t index) noexcept {
    constexpr std::uint32_t nan_rank = 1;
    auto const bits = std::bit_cast<std::uint32_t>(score);
    auto const magnitude = bits & 0x7fffffffu;
    bool const nan = magnitude > 0x7f800000u, negative = bits >> 31 != 0 && magnitude != 0;
    auto const rank = nan ? nan_rank : negative ? ~bits : magnitude | 0x80000000u;
    return std::uint64_t{rank} << 32 | (0xffffffffu - static_cast<std::uint32_t>(index));
}
/// The key of what may not be chosen while anything else is left.
constexpr std::uint64_t refused_key(index_t index) noexcept {
    return 0xffffffffu - static_cast<std::uint32_t>(index);
}
constexpr index_t index_of(std::uint64_t key) noexcept {
    return static_cast<index_t>(0xffffffffu - static_cast<std::uint32_t>(key));
}

namespace detail {

/// Puts a key among the `have` best so far, at most `keep`, largest first.
PRYTANY_INLINE void insert(std::uint64_t key, index_t keep, index_t& have,
                           std::uint64_t* best) noexcept {
    if (have == keep && (keep == 0 || key <= best[keep - 1])) return;
    index_t at = have < keep ? have++ : keep - 1;
    for (; at > 0 && best[at - 1] < key; --at) best[at] = best[at - 1];
    best[at] = key;
}

} // namespace detail

/// Writes the `keep` largest keys to the front of `best`, largest first.
///
/// Pre       0 ≤ keep ≤ count; `best` has room for `keep`
/// Cost      O(count · keep) at worst, O(count) when the order is random and keep small
/// Test      tests/kernel/select.test.cpp
inline void largest(std::uint64_t const* keys, index_t count, index_t keep,
                    std::uint64_t* best) noexcept {
    index_t have = 0;
    for (index_t i = 0; i < count; ++i) detail::insert(keys[i], keep, have, best);
}

namespace detail {

constexpr float below_all = -std::numeric_limits<float>::infinity();

/// Calls f(register, first) for a row, the last register filled up with -inf.
template <class F>
PRYTANY_INLINE void each_register(float const* row, index_t count, F&& f) noexcept {
    index_t i = 0;
    for (; i + lanes <= count; i += lanes) f(simd::load(row + i), i);
    if (i < count) f(simd::first_of(simd::load_first(row + i, count - i), count - i, below_all), i);
}
/// A number that about `keep` of a row reach: the keep-th largest of the largest of each column.
///
/// The row is dealt out to `Registers · lanes` columns, at least 2 · keep of them.
template <std::size_t Registers>
PRYTANY_INLINE float bar_of(float const* row, index_t count, index_t keep) noexcept {
    constexpr std::size_t chains = std::max<std::size_t>(Registers, 4); // of dependent maxima
    constexpr auto wide = static_cast<index_t>(chains) * lanes;
    simd::floats top[chains];
    PRYTANY_UNROLL
    for (auto& t : top) t = simd::fill(below_all);
    index_t const whole = count / wide * wide;
    for (index_t i = 0; i < whole; i += wide) {
        PRYTANY_UNROLL
        for (std::size_t c = 0; c < chains; ++c)
            top[c] = simd::larger(simd::load(row + i + static_cast<index_t>(c) * lanes), top[c]);
    }
    each_register(row + whole, count - whole, [&](simd::floats x, index_t i) {
        auto& own = top[static_cast<std::size_t>(i / lanes) % chains];
        own = simd::larger(x, own);
    });
    for (std::size_t c = Registers; c < chains; ++c)
        top[c % Registers] = simd::larger(top[c], top[c % Registers]);
    alignas(64) float all[Registers * static_cast<std::size_t>(lanes)];
    simd::floats above[Registers];
    PRYTANY_UNROLL
    for (std::size_t c = 0; c < Registers; ++c) {
        simd::store(all + static_cast<index_t>(c) * lanes, top[c]);
        above[c] = simd::fill(0.0f);
    }
    PRYTANY_UNROLL
    for (float const other : all) {
        PRYTANY_UNROLL
        for (std::size_t c = 0; c < Registers; ++c)
            above[c] = simd::count_above(above[c], simd::fill(other), top[c]);
    }
    auto const limit = simd::fill(static_cast<float>(keep));
    auto least = simd::fill(below_all); // of what fewer than `keep` are above, negated
    PRYTANY_UNROLL
    for (std::size_t c = 0; c < Registers; ++c)
        least =
            simd::larger(simd::where_below(above[c], limit, -top[c], simd::fill(below_all)), least);
    return -simd::greatest(least);
}
/// The keys of what reaches the bar, in order; more than `most` of them: `most` + 1.
inline index_t reaching(float const* row, index_t count, float bar, std::uint64_t* keys,
                        index_t most) noexcept {
    index_t have = 0;
    auto const limit = simd::fill(bar);
    constexpr index_t bits = 64;
    for (index_t from = 0; from < count; from += bits) {
        std::uint64_t found = 0;
        each_register(row + from, std::min(bits, count - from), [&](simd::floats x, index_t i) {
            found |= std::uint64_t{simd::at_least(x, limit)} << i;
        });
        if (index_t const rest = count - from; rest < bits) found &= ~(~std::uint64_t{0} << rest);
        if (have + std::popcount(found) > most) return most + 1;
        for (; found != 0; found &= found - 1) {
            index_t const i = from + std::countr_zero(found);
            keys[have++] = rank_key(row[i], i);
        }
    }
    return have;
}
/// Writes the `keep` largest of a few keys, each to the place that the number of larger ones says.
inline void place(std::uint64_t const* keys, index_t count, index_t keep,
                  std::uint64_t* best) noexcept {
    for (index_t i = 0; i < count; ++i) {
        index_t above = 0;
        for (index_t j = 0; j < count; ++j) above += keys[j] > keys[i] ? 1 : 0;
        if (above < keep) best[above] = keys[i];
    }
}

} // namespace detail

/// Writes the keys of the `keep` best of a row of scores, best first: what `largest` makes of the
/// `rank_key` of all.
///
/// A bar is found that at least `keep` scores reach and few others; only they become keys. A row
/// where too few or too many do, of ties or of NaN, is looked at number by number.
/// Pre       0 ≤ keep ≤ count; `best` has room for `keep`
/// Cost      O(count + keep²) for keep ≤ 16 and random order; else that of `largest`
/// Test      tests/kernel/select.test.cpp        Bench   bench/router/select.bench.cpp
inline void best_of(float const* scores, index_t count, index_t keep,
                    std::uint64_t* best) noexcept {
    constexpr index_t most = 48, columns = 2; // to every one of the best
    if (keep >= 1 && keep <= 16 && count >= 4 * keep && count >= 4 * lanes) {
        std::uint64_t keys[most];
        float const bar = columns * keep <= lanes       ? detail::bar_of<1>(scores, count, keep)
                          : columns * keep <= 2 * lanes ? detail::bar_of<2>(scores, count, keep)
                          : columns * keep <= 4 * lanes ? detail::bar_of<4>(scores, count, keep)
                                                        : detail::bar_of<8>(scores, count, keep);
        index_t const found = detail::reaching(scores, count, bar, keys, most);
        if (found >= keep && found <= most) return detail::place(keys, found, keep, best);
    }
    index_t have = 0;
    float last = std::numeric_limits<float>::quiet_NaN(); // of the best, once there are enough
    for (index_t i = 0; i < count; ++i) {
        if (scores[i] <= last) continue; // equal ones lose by their index
        detail::insert(rank_key(scores[i], i), keep, have, best);
        if (have == keep && keep > 0) last = scores[index_of(best[keep - 1])];
    }
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
