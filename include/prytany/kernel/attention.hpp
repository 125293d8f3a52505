// SPDX-License-Identifier: MIT
// Causal attention of some query rows over a cache of keys and values.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

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

/// Turns scores into probabilities in place: exp(s - max) / sum, sums in a fixed order.
inline void softmax(float* scores, index_t count) noexcept {
    auto const lowest = simd::fill(-std::numeric_limits<float>::infinity());
    auto most = lowest;
    index_t const whole = count / lanes * lanes;
    for (index_t i = 0; i < whole; i += lanes) most = xsimd::max(simd::load(scores + i), most);
    alignas(64) float each[static_cast<std::size_t>(lanes)];
    most.store_aligned(each);
    float top = *std::max_element(each, each + lanes);
    for (index_t i = whole; i < count; ++i) top = std::max(top, scores[i]);
    auto total = simd::fill(0.0f);
    for (index_t i = 0; i < count; i += lanes) {
        auto e = simd::exp(simd::load(scores + i) - simd::fill(top));
        if (count - i < lanes) e = simd::first_of(e, count - i);
        simd::store(scores + i, e);
        total += e;
    }
    auto const factor = simd::fill(1.0f / simd::sum(total));
    for (index_t i = 0; i < count; i += lanes)
        simd::store(scores + i, simd::load(scores + i) * factor);
}

/// Scores of Rows queries against whole blocks of positions.
template <std::size_t Rows>
PRYTANY_INLINE void score_block(float const* const (&queries)[Rows], cached_head const& head,
                                index_t block, simd::floats (&sum)[Rows]) noexcept {
    float const* const keys = head.keys + block * lanes * head.size;
    PRYTANY_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) sum[r] = simd::fill(0.0f);
    for (index_t c = 0; c < head.size; ++c) {
        auto const key = simd::load(keys + c * lanes);
        PRYTANY_UNROLL
        for (std::size_t r = 0; r < Rows; ++r)
            sum[r] = simd::fma(simd::fill(queries[r][c]), key, sum[r]);
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
    auto const factor = simd::fill(scale);
    for (index_t b = 0; b * lanes < most; ++b) {
        simd::floats sum[Rows];
        score_block(queries, head, b, sum);
        for (std::size_t r = 0; r < Rows; ++r)
            simd::store(scores.row(static_cast<index_t>(r)) + b * lanes, sum[r] * factor);
    }
    float const* weights[Rows];
    for (std::size_t r = 0; r < Rows; ++r) {
        softmax(scores.row(static_cast<index_t>(r)), seen[r]);
        weights[r] = scores.row(static_cast<index_t>(r));
    }
    constexpr index_t pair = 2;
    for (index_t c = 0; c < head.size; c += pair * lanes) {
        auto const columns =
            [&]<std::size_t Registers>(std::integral_constant<std::size_t, Registers>) {
                simd::floats sum[Rows][Registers];
                for (auto& row : sum)
                    for (auto& register_ : row) register_ = simd::fill(0.0f);
                mix(weights, head.values + c, head.value_stride, 0, least, sum);
                for (std::size_t r = 0; r < Rows; ++r) {
                    float const* const one[1] = {weights[r]};
                    simd::floats rest[1][Registers];
                    for (std::size_t j = 0; j < Registers; ++j) rest[0][j] = sum[r][j];
                    mix(one, head.values + c, head.value_stride, least, seen[r], rest);
                    for (std::size_t j = 0; j < Registers; ++j) {
                        index_t const column = c + static_cast<index_t>(j) * lanes;
                        simd::store_first(out[r] + column, rest[0][j], head.size - column);
                    }
                }
            };
        if (head.size - c > lanes) columns(std::integral_constant<std::size_t, 2>{});
        else columns(std::integral_constant<std::size_t, 1>{});
    }
}

} // namespace detail

/// Scaled dot-product attention of query rows that share one head of keys and values.
///
///     out_r = Σ_s softmax_s(scale · q_r·k_s) · v_s     over the positions s < seen[r]
///
/// The order of every sum depends on `seen[r]` alone, so a row has the same bits in any company.
/// Pre       1 ≤ seen[r]; `scores` has 4 rows of at least max(seen) rounded up to `lanes`
/// Error     NMSE ≤ 1e-12 against double
/// Reads     keys and values once for every 4 rows
/// Source    Vaswani et al. 2017, eq. 1, arXiv:1706.03762
/// Test      tests/kernel/attention.test.cpp
inline void attend(float const* const* queries, index_t const* seen, index_t count,
                   cached_head const& head, float scale, float* const* out,
                   matrix_view<float> scores) noexcept {
    index_t r = 0;
    for (; r + 4 <= count; r += 4)
        detail::attend_rows<4>({queries[r], queries[r + 1], queries[r + 2], queries[r + 3]},
                               {seen[r], seen[r + 1], seen[r + 2], seen[r + 3]}, head, scale,
                               {out[r], out[r + 1], out[r + 2], out[r + 3]}, scores);
    for (; r < count; ++r)
        detail::attend_rows<1>({queries[r]}, {seen[r]}, head, scale, {out[r]}, scores);
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
