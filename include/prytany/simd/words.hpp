// SPDX-License-Identifier: MIT
// One register of 32-bit words that are also pairs of 16 bits or four bytes, and its multiply-adds.
#pragma once

#include <cstddef>
#include <cstdint>

#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace simd {

/// One register of `lanes` words. A word is two int16 (a pair) or four bytes, low end first.
///
/// xsimd has no multiply-add of pairs or bytes and no load that widens bytes: the functions below
/// wrap the instruction where the machine has one, and say the same word by word where not.
/// Test      tests/simd/words.test.cpp
using words = xsimd::batch<std::int32_t>;

namespace detail {

/// f(word of a, word of b) for every word: what a machine without the instruction does.
template <class F>
PRYTANY_INLINE words each(words a, words b, F&& f) noexcept {
    alignas(64) std::int32_t left[static_cast<std::size_t>(lanes)];
    alignas(64) std::int32_t right[static_cast<std::size_t>(lanes)];
    a.store_aligned(left);
    b.store_aligned(right);
    for (std::size_t i = 0; i < static_cast<std::size_t>(lanes); ++i)
        left[i] = f(left[i], right[i]);
    return words::load_aligned(left);
}
/// The i-th part of a word, as a T.
template <class T>
constexpr T part(std::int32_t word, std::size_t i) noexcept {
    return static_cast<T>(static_cast<std::uint32_t>(word) >> (8 * sizeof(T) * i));
}
constexpr std::int32_t pair(std::int32_t low, std::int32_t high) noexcept {
    return static_cast<std::int32_t>((static_cast<std::uint32_t>(low) & 0xffffu) |
                                     static_cast<std::uint32_t>(high) << 16);
}

} // namespace detail

PRYTANY_INLINE words repeat(std::int32_t word) noexcept { return words(word); }
/// Pre       `from` is aligned to a register
PRYTANY_INLINE words load_words(void const* from) noexcept {
    return words::load_aligned(static_cast<std::int32_t const*>(from));
}
PRYTANY_INLINE floats to_floats(words x) noexcept { return xsimd::to_float(x); }

/// x itself, in a register: compilers that regroup integer additions break a register block.
PRYTANY_INLINE words pin(words x) noexcept {
#if defined(__AVX2__) || defined(__AVX512F__)
    asm("" : "+v"(x.data));
#endif
    return x;
}
/// sum + more modulo 2^32, in the register that sum has: g++ moves a sum to another register with
/// each addition, until a block of sums does not fit.
PRYTANY_INLINE words add_to(words sum, words more) noexcept {
#if defined(__AVX2__) || defined(__AVX512F__)
    asm("vpaddd {%1, %0, %0|%0, %0, %1}" : "+v"(sum.data) : "v"(more.data));
    return sum;
#else
    return sum + more;
#endif
}

/// a₀·b₀ + a₁·b₁ of the pairs of every word, exact but for -32768 four times.
PRYTANY_INLINE words dot_pairs(words a, words b) noexcept {
#if defined(__AVX512BW__)
    return words(_mm512_madd_epi16(a, b));
#elif defined(__AVX2__) && !defined(__AVX512F__)
    return words(_mm256_madd_epi16(a, b));
#else
    return detail::each(a, b, [](std::int32_t x, std::int32_t y) {
        return std::int32_t{detail::part<std::int16_t>(x, 0)} * detail::part<std::int16_t>(y, 0) +
               std::int32_t{detail::part<std::int16_t>(x, 1)} * detail::part<std::int16_t>(y, 1);
    });
#endif
}
/// (a₀·b₀ + a₁·b₁, a₂·b₂ + a₃·b₃) as a pair, of unsigned bytes a and signed bytes b.
///
/// Pre       both sums fit 16 bits (a machine with the instruction would saturate)
PRYTANY_INLINE words dot_bytes(words a, words b) noexcept {
#if defined(__AVX512BW__)
    return words(_mm512_maddubs_epi16(a, b));
#elif defined(__AVX2__) && !defined(__AVX512F__)
    return words(_mm256_maddubs_epi16(a, b));
#else
    return detail::each(a, b, [](std::int32_t x, std::int32_t y) {
        auto const product = [&](std::size_t i) {
            return std::int32_t{detail::part<std::uint8_t>(x, i)} * detail::part<std::int8_t>(y, i);
        };
        return detail::pair(product(0) + product(1), product(2) + product(3));
    });
#endif
}
/// The sums of the pairs, each modulo 2^16, where no compiler regroups additions.
PRYTANY_INLINE words add_pairs_to(words sum, words more) noexcept {
#if defined(__AVX512BW__)
    return pin(words(_mm512_add_epi16(sum, more)));
#elif defined(__AVX2__) && !defined(__AVX512F__)
    return pin(words(_mm256_add_epi16(sum, more)));
#else
    return detail::each(sum, more, [](std::int32_t x, std::int32_t y) {
        return detail::pair(detail::part<std::int16_t>(x, 0) + detail::part<std::int16_t>(y, 0),
                            detail::part<std::int16_t>(x, 1) + detail::part<std::int16_t>(y, 1));
    });
#endif
}
/// The products of the pairs, each modulo 2^16.
PRYTANY_INLINE words multiply_pairs(words a, words b) noexcept {
#if defined(__AVX512BW__)
    return words(_mm512_mullo_epi16(a, b));
#elif defined(__AVX2__) && !defined(__AVX512F__)
    return words(_mm256_mullo_epi16(a, b));
#else
    return detail::each(a, b, [](std::int32_t x, std::int32_t y) {
        return detail::pair(detail::part<std::int16_t>(x, 0) * detail::part<std::int16_t>(y, 0),
                            detail::part<std::int16_t>(x, 1) * detail::part<std::int16_t>(y, 1));
    });
#endif
}
/// 2 · lanes signed bytes as pairs.
///
/// Pre       `from` is aligned to half a register
PRYTANY_INLINE words widen_bytes(std::int8_t const* from) noexcept {
#if defined(__AVX512BW__)
    return words(_mm512_cvtepi8_epi16(_mm256_load_si256(reinterpret_cast<__m256i const*>(from))));
#elif defined(__AVX2__) && !defined(__AVX512F__)
    return words(_mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<__m128i const*>(from))));
#else
    alignas(64) std::int16_t all[static_cast<std::size_t>(2 * lanes)];
    for (index_t i = 0; i < 2 * lanes; ++i) all[i] = from[i];
    return load_words(all);
#endif
}
/// Every one of `lanes` numbers twice, as a pair.
///
/// Pre       `from` is aligned to half a register
PRYTANY_INLINE words repeat_pairs(std::int16_t const* from) noexcept {
#if defined(__AVX512F__)
    words const low(
        _mm512_cvtepu16_epi32(_mm256_load_si256(reinterpret_cast<__m256i const*>(from))));
    return low | (low << 16);
#elif defined(__AVX2__)
    words const low(_mm256_cvtepu16_epi32(_mm_load_si128(reinterpret_cast<__m128i const*>(from))));
    return low | (low << 16);
#else
    alignas(64) std::int32_t all[static_cast<std::size_t>(lanes)];
    for (index_t i = 0; i < lanes; ++i) all[i] = detail::pair(from[i], from[i]);
    return load_words(all);
#endif
}
/// Looks every byte of x up in a table of 16.
///
/// Pre       all bytes of x are below 16
PRYTANY_INLINE words look_up(std::int8_t const (&table)[16], words x) noexcept {
#if defined(__AVX512BW__)
    auto const all = _mm_loadu_si128(reinterpret_cast<__m128i const*>(table));
    return words(_mm512_shuffle_epi8(_mm512_broadcast_i32x4(all), x));
#elif defined(__AVX2__) && !defined(__AVX512F__)
    auto const all = _mm_loadu_si128(reinterpret_cast<__m128i const*>(table));
    return words(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(all), x));
#else
    return detail::each(x, x, [&](std::int32_t word, std::int32_t) {
        std::uint32_t all = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            auto const byte = static_cast<std::uint8_t>(table[detail::part<std::uint8_t>(word, i)]);
            all |= std::uint32_t{byte} << (8 * i);
        }
        return static_cast<std::int32_t>(all);
    });
#endif
}
/// Shifts every word right by N bits; bits that cross from one byte to the next are the caller's.
template <int N>
PRYTANY_INLINE words shift_right(words x) noexcept {
    return xsimd::bitwise_cast<words>(xsimd::bitwise_cast<xsimd::batch<std::uint32_t>>(x) >> N);
}
/// The signed number in the upper or lower half of every word.
PRYTANY_INLINE words upper(words x) noexcept { return x >> 16; }
PRYTANY_INLINE words lower(words x) noexcept { return (x << 16) >> 16; }

/// Stores every word, a number that fits, as an int16 or an int8.
PRYTANY_INLINE void store_narrow(std::int16_t* to, words x) noexcept {
#if defined(__AVX512F__)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(x));
#elif defined(__AVX2__)
    auto const both = _mm256_permute4x64_epi64(_mm256_packs_epi32(x, x), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(both));
#else
    alignas(64) std::int32_t all[static_cast<std::size_t>(lanes)];
    x.store_aligned(all);
    for (index_t i = 0; i < lanes; ++i) to[i] = static_cast<std::int16_t>(all[i]);
#endif
}
PRYTANY_INLINE void store_narrow(std::int8_t* to, words x) noexcept {
#if defined(__AVX512F__)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(x));
#elif defined(__AVX2__)
    auto const pairs = _mm256_packs_epi32(x, x);
    auto const both = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(pairs, pairs),
                                                  _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(both));
#else
    alignas(64) std::int32_t all[static_cast<std::size_t>(lanes)];
    x.store_aligned(all);
    for (index_t i = 0; i < lanes; ++i) to[i] = static_cast<std::int8_t>(all[i]);
#endif
}
/// The nearest whole numbers, ties to even; |x| < 2^22.
PRYTANY_INLINE words nearest(floats x) noexcept {
    return xsimd::bitwise_cast<words>(x + fill(12582912.0f)) - repeat(0x4b400000);
}

/// The same pointer, to be read from once more at every new `now`: what compilers would keep in a
/// register until the next use takes the place of a sum.
template <class T>
PRYTANY_INLINE T* again(T* from, [[maybe_unused]] void const* now) noexcept {
    asm("" : "+r"(from) : "r"(now));
    return from;
}
template <class T>
PRYTANY_INLINE T* again(T* from, [[maybe_unused]] words now) noexcept {
#if defined(__AVX2__) || defined(__AVX512F__)
    asm("" : "+r"(from) : "v"(now.data));
#endif
    return from;
}
/// Asks for a line that will be read soon, into the first-level cache.
PRYTANY_INLINE void prefetch(void const* line) noexcept { __builtin_prefetch(line, 0, 3); }

} // namespace simd
} // namespace prytany::inline PRYTANY_ABI
