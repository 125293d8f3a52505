// SPDX-License-Identifier: MIT
// Causal attention of some query rows over a cache of keys and values.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "prytany/core/matrix_view.hpp"
#include "prytany/simd/math.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// The keys and values of one head.
///
/// Keys lie in blocks of `lanes` positions, feature-major, so that scores of `lanes` positions are
/// one chain of fused multiply-adds; values lie row by row, each row filled up to whole registers.
///
///     key (position s, feature c)   = keys[(s / W) · W · size + c · W + s mod W]
///     value (position s, feature c) = values[s · value_stride + c]
struct cached_head {
    float* keys = nullptr;
    float* values = nullptr;
    index_t size = 0;         ///< features of a head
    index_t value_stride = 0; ///< a multiple of `lanes`

    void put(index_t position, float const* key, float const* value) const noexcept {
        float* const k = keys + position / lanes * lanes * size + position % lanes;
        for (index_t c = 0; c < size; ++c) k[c * lanes] = key[c];
        std::copy_n(value, size, values + position * value_stride);
    }
};

namespace detail {

/// Turns scores into exp(s - max) in place and gives the factor that makes them sum to 1.
inline float raise(float* scores, index_t count) noexcept {
    constexpr float lowest = -std::numeric_limits<float>::infinity();
    auto most = simd::fill(lowest);
    for (index_t i = 0; i < count; i += lanes)
        most = xsimd::max(simd::first_of(simd::load(scores + i), count - i, lowest), most);
    auto const top = simd::fill(simd::greatest(most));
    auto total = simd::fill(0.0f);
    for (index_t i = 0; i < count; i += lanes) {
        auto const e = simd::first_of(simd::exp(simd::load(scores + i) - top), count - i);
        simd::store(scores + i, e);
        total += e;
    }
    return 1.0f / simd::sum(total);
}

/// Writes the scores of Rows queries against Blocks whole blocks of positions.
template <std::size_t Rows, std::size_t Blocks>
PRYTANY_INLINE void score_blocks(float const* const (&queries)[Rows], cached_head const& head,
                                 index_t block, float scale, matrix_view<float> scores) noexcept {
    index_t const step = lanes * head.size;
    float const* const keys = head.keys + block * step;
    simd::floats sum[Rows][Blocks];
    PRYTANY_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
        PRYTANY_UNROLL
        for (std::size_t b = 0; b < Blocks; ++b) sum[r][b] = simd::fill(0.0f);
    }
    for (index_t c = 0; c < head.size; ++c) {
        simd::floats key[Blocks];
        PRYTANY_UNROLL
        for (std::size_t b = 0; b < Blocks; ++b)
            key[b] = simd::load(keys + static_cast<index_t>(b) * step + c * lanes);
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) {
            auto const query = simd::fill(queries[r][c]);
            PRYTANY_UNROLL
            for (std::size_t b = 0; b < Blocks; ++b)
                sum[r][b] = simd::fma(query, key[b], sum[r][b]);
        }
    }
    auto const factor = simd::fill(scale);
    PRYTANY_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
        float* const to = scores.row(static_cast<index_t>(r)) + block * lanes;
        PRYTANY_UNROLL
        for (std::size_t b = 0; b < Blocks; ++b)
            simd::store(to + static_cast<index_t>(b) * lanes, sum[r][b] * factor);
    }
}

/// Adds p_s · value_s for the positions [first, last) to Rows sums of Registers registers.
template <std::size_t Rows, std::size_t Registers>
PRYTANY_INLINE void mix(float const* const (&weights)[Rows], float const* values, index_t stride,
                        index_t first, index_t last,
                        simd::floats (&sum)[Rows][Registers]) noexcept {
    for (index_t s = first; s < last; ++s) {
        float const* const value = values + s * stride;
        simd::floats v[Registers];
        PRYTANY_UNROLL
        for (std::size_t j = 0; j < Registers; ++j)
            v[j] = simd::load(value + static_cast<index_t>(j) * lanes);
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) {
            auto const p = simd::fill(weights[r][s]);
            PRYTANY_UNROLL
            for (std::size_t j = 0; j < Registers; ++j) sum[r][j] = simd::fma(p, v[j], sum[r][j]);
        }
    }
}

/// Rows neighbouring queries: what all see is done together, what only the later see alone.
template <std::size_t Rows>
void attend_rows(float const* const (&queries)[Rows], index_t const (&seen)[Rows],
                 cached_head const& head, float scale, float* const (&out)[Rows],
                 matrix_view<float> scores) noexcept {
    index_t most = 0, least = seen[0];
    for (index_t const count : seen) {
        most = std::max(most, count);
        least = std::min(least, count);
    }
    constexpr std::size_t together = std::max<std::size_t>(1, 8 / Rows); // enough sums in flight
    index_t const blocks = (most + lanes - 1) / lanes;
    index_t b = 0;
    for (; b + static_cast<index_t>(together) <= blocks; b += static_cast<index_t>(together))
        score_blocks<Rows, together>(queries, head, b, scale, scores);
    for (; b < blocks; ++b) score_blocks<Rows, 1>(queries, head, b, scale, scores);
    float const* weights[Rows];
    float factor[Rows];
    for (std::size_t r = 0; r < Rows; ++r) {
        factor[r] = raise(scores.row(static_cast<index_t>(r)), seen[r]);
        weights[r] = scores.row(static_cast<index_t>(r));
    }
    constexpr index_t pair = 2;
    for (index_t c = 0; c < head.size; c += pair * lanes) {
        auto const columns =
            [&]<std::size_t Registers>(std::integral_constant<std::size_t, Registers>) {
                simd::floats sum[Rows][Registers];
                PRYTANY_UNROLL
                for (std::size_t r = 0; r < Rows; ++r) {
                    PRYTANY_UNROLL
                    for (std::size_t j = 0; j < Registers; ++j) sum[r][j] = simd::fill(0.0f);
                }
                mix(weights, head.values + c, head.value_stride, 0, least, sum);
                PRYTANY_UNROLL
                for (std::size_t r = 0; r < Rows; ++r) {
                    float const* const one[1] = {weights[r]};
                    simd::floats rest[1][Registers];
                    PRYTANY_UNROLL
                    for (std::size_t j = 0; j < Registers; ++j) rest[0][j] = sum[r][j];
                    mix(one, head.values + c, head.value_stride, least, seen[r], rest);
                    PRYTANY_UNROLL
                    for (std::size_t j = 0; j < Registers; ++j) {
                        index_t const column = c + static_cast<index_t>(j) * lanes;
                        simd::store_first(out[r] + column, rest[0][j] * simd::fill(factor[r]),
                                          head.size - column);
                    }
                }
            };
        if (head.size - c > lanes) columns(std::integral_constant<std::size_t, 2>{});
        else columns(std::integral_constant<std::size_t, 1>{});
    }
}

template <std::size_t Rows, std::size_t... R>
PRYTANY_INLINE void attend_from(float const* const* queries, index_t const* seen,
                                cached_head const& head, float scale, float* const* out,
                                matrix_view<float> scores, std::index_sequence<R...>) noexcept {
    attend_rows<Rows>({queries[R]...}, {seen[R]...}, head, scale, {out[R]...}, scores);
}

} // namespace detail

/// Queries that `attend` runs together, as many as registers hold, and rows of scores it needs.
inline constexpr index_t attend_together = lanes >= 16 ? 8 : 4;

/// Scaled dot-product attention of query rows that share one head of keys and values.
///
///     out_r = Σ_s softmax_s(scale · q_r·k_s) · v_s     over the positions s < seen[r]
///
/// The order of every sum depends on `seen[r]` alone, so a row has the same bits in any company.
/// Pre       1 ≤ seen[r]; `scores` has `attend_together` rows of at least max(seen) rounded up
///           to `lanes`
/// Error     NMSE ≤ 1e-12 against double
/// Reads     keys and values once for every `attend_together` rows
/// Source    Vaswani et al. 2017, eq. 1, arXiv:1706.03762
/// Test      tests/kernel/attention.test.cpp
inline void attend(float const* const* queries, index_t const* seen, index_t count,
                   cached_head const& head, float scale, float* const* out,
                   matrix_view<float> scores) noexcept {
    auto const some = [&]<std::size_t Rows>(std::integral_constant<std::size_t, Rows>, index_t r) {
        detail::attend_from<Rows>(queries + r, seen + r, head, scale, out + r, scores,
                                  std::make_index_sequence<Rows>{});
    };
    index_t r = 0;
    constexpr auto most = static_cast<std::size_t>(attend_together);
    for (; r + attend_together <= count; r += attend_together)
        some(std::integral_constant<std::size_t, most>{}, r);
    for (; r + 2 <= count; r += 2) some(std::integral_constant<std::size_t, 2>{}, r);
    if (r < count) some(std::integral_constant<std::size_t, 1>{}, r);
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
