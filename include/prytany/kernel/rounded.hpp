// SPDX-License-Identifier: MIT
// Activations rounded to integers, once for all products that read them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "prytany/kernel/codes.hpp"
#include "prytany/kernel/picked.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// One row as the products of a format read it: codes, then the sums that they begin with, then the
/// scale.
///
///     s = max|x| / most,   q = nearest(x / s),   most = 32767 or 127
///
/// Formats of codes with an offset find -offset · Σ q for every chunk of inputs, apart for the two
/// halves of a pair: inputs 0, 1 and 2, 3 of every four.
/// Error     at most s / 2 an element; a row below 1e-30 becomes zero
/// Test      tests/kernel/rounded.test.cpp
template <auto Format>
struct rounded_row {
    using element = input_of<Format>;
    static constexpr code_layout layout = packed<Format>::layout;
    static constexpr bool sums_chunks = layout.bits < 8;
    static constexpr int most = Format.activations == activations::int16 ? 32767 : 127;

    /// Elements from one row to the next: whole cache lines, and one more, since rows a power of
    /// two apart share the sets of a cache.
    static constexpr index_t stride(index_t cols) noexcept {
        constexpr index_t line = 64, size = sizeof(element);
        index_t const bytes = layout.depth(cols) * size + 4 * chunks(cols) + 4;
        return ((bytes + line - 1) / line + 1) * line / size;
    }
    static std::int32_t const* sums(element const* row, index_t cols) noexcept {
        return reinterpret_cast<std::int32_t const*>(row + layout.depth(cols));
    }
    static float scale(element const* row, index_t cols) noexcept {
        return *reinterpret_cast<float const*>(sums(row, cols) + chunks(cols));
    }
    /// Rounds `cols` floats; a row with a NaN or an infinity gets a scale of NaN.
    static void write(float const* from, index_t cols, element* to) noexcept {
        float const largest = magnitude(from, cols);
        bool const sound = largest >= 1e-30f && largest <= std::numeric_limits<float>::max();
        auto const up = simd::fill(sound ? static_cast<float>(most) / largest : 0.0f);
        index_t const depth = layout.depth(cols);
        for (index_t k = 0; k < depth; k += lanes) {
            index_t const known = std::clamp<index_t>(cols - k, 0, lanes);
            auto const x = known > 0 && sound ? simd::load_first(from + k, known) : simd::fill(0);
            simd::store_narrow(to + k, simd::nearest(x * up));
        }
        auto* const after = const_cast<std::int32_t*>(sums(to, cols));
        if constexpr (sums_chunks)
            for (index_t c = 0; c < chunks(cols); ++c)
                after[c] = chunk_sums(to + c * chunk(), std::min(chunk(), depth - c * chunk()));
        *reinterpret_cast<float*>(after + chunks(cols)) =
            sound ? largest / static_cast<float>(most)
                  : largest * 0; // 0, or NaN for what is not finite
    }

private:
    static constexpr index_t chunk() noexcept {
        if constexpr (sums_chunks) return meaning<Format>::chunk;
        else return 1;
    }
    static constexpr index_t chunks(index_t cols) noexcept {
        return sums_chunks ? (layout.depth(cols) + chunk() - 1) / chunk() : 0;
    }
    /// max |x|; NaN where one is. Magnitudes of floats are in the order of their bits.
    static float magnitude(float const* x, index_t count) noexcept {
        auto most_bits = simd::repeat(0);
        auto const mask = simd::repeat(0x7fffffff);
        for (index_t i = 0; i < count; i += lanes) {
            auto const v = simd::load_first(x + i, count - i);
            most_bits = xsimd::max(most_bits, xsimd::bitwise_cast<simd::words>(v) & mask);
        }
        alignas(64) std::int32_t all[static_cast<std::size_t>(lanes)];
        most_bits.store_aligned(all);
        return std::bit_cast<float>(*std::max_element(all, all + lanes));
    }
    static std::int32_t chunk_sums(element const* q, index_t count) noexcept {
        constexpr int offset = layout.zeros ? 1 : meaning<Format>::offset;
        std::int32_t low = 0, high = 0;
        auto total_low = simd::repeat(0), total_high = simd::repeat(0);
        for (index_t i = 0; i < count; i += 4 * lanes) {
            auto const pairs =
                simd::dot_bytes(simd::repeat(0x01010101), words_at(q + i, count - i));
            total_low += simd::lower(pairs);
            total_high += simd::upper(pairs);
        }
        alignas(64) std::int32_t lows[static_cast<std::size_t>(lanes)];
        alignas(64) std::int32_t highs[static_cast<std::size_t>(lanes)];
        total_low.store_aligned(lows);
        total_high.store_aligned(highs);
        for (index_t i = 0; i < lanes; ++i) {
            low += lows[i];
            high += highs[i];
        }
        return simd::detail::pair(-offset * low, -offset * high);
    }
    /// 4 · lanes bytes, zeros where a chunk is shorter.
    static simd::words words_at(element const* q, index_t count) noexcept {
        alignas(64) std::int8_t all[static_cast<std::size_t>(4 * lanes)] = {};
        std::copy_n(q, std::min(count, 4 * lanes), all);
        return simd::load_words(all);
    }
};

/// Elements from one row to the next as products of a format read them: whole cache lines, and one
/// more.
template <auto Format>
constexpr index_t read_stride(index_t cols) noexcept {
    constexpr index_t line = 64 / index_t{sizeof(float)};
    if constexpr (rounds<Format>()) return rounded_row<Format>::stride(cols);
    else return (cols + line - 1) / line * line + line;
}
/// The rows as products of a format read them: where they lie, or rounded into `memory`.
///
/// Pre       memory is aligned to a cache line and holds count · read_stride elements
template <auto Format>
picked<input_of<Format>> as_read(picked_rows rows, index_t count, index_t cols,
                                 void* memory) noexcept {
    if constexpr (rounds<Format>()) {
        auto* const to = static_cast<input_of<Format>*>(memory);
        index_t const stride = read_stride<Format>(cols);
        for (index_t i = 0; i < count; ++i)
            rounded_row<Format>::write(rows[i], cols, to + i * stride);
        return {to, stride};
    } else return rows;
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
