// SPDX-License-Identifier: MIT
// One register of floats, and how stored numbers become one.
#pragma once

#include <concepts>
#include <cstdint>

#include "prytany/core/panel.hpp"
#include "prytany/core/scalar.hpp"
#include "prytany/simd/arch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace simd {

/// One register of floats.
using floats = xsimd::batch<float>;
/// Two registers: the outputs of one panel, in order.
struct float_pair {
    floats low, high;
};

PRYTANY_INLINE floats fill(float x) noexcept { return floats(x); }
PRYTANY_INLINE floats load(float const* from) noexcept { return floats::load_unaligned(from); }
PRYTANY_INLINE void store(float* to, floats x) noexcept { x.store_unaligned(to); }
/// a · b + c with one rounding where the machine has it.
PRYTANY_INLINE floats fma(floats a, floats b, floats c) noexcept {
#if defined(__AVX512F__) // where xsimd 8.1 multiplies and adds
    return floats(_mm512_fmadd_ps(a, b, c));
#else
    return xsimd::fma(a, b, c);
#endif
}

/// The same numbers, in registers: else compilers read them from memory at every use, and loads
/// become what a loop waits for.
PRYTANY_INLINE float_pair pin(float_pair x) noexcept {
#if defined(__AVX2__) || defined(__AVX512F__)
    asm("" : "+v"(x.low.data), "+v"(x.high.data));
#endif
    return x;
}

/// Writes the first `count` elements, 0 ≤ count ≤ lanes.
PRYTANY_INLINE void store_first(float* to, floats x, index_t count) noexcept {
    if (count >= lanes) return store(to, x);
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1u), x);
#else
    alignas(64) float all[static_cast<std::size_t>(lanes)];
    x.store_aligned(all);
    for (index_t i = 0; i < count; ++i) to[i] = all[i];
#endif
}
/// Writes the first `count` elements of two registers.
PRYTANY_INLINE void store_pair(float* to, float_pair x, index_t count) noexcept {
    store_first(to, x.low, count);
    if (count > lanes) store_first(to + lanes, x.high, count - lanes);
}
/// Reads the first `count` elements, the rest is zero.
PRYTANY_INLINE floats load_first(float const* from, index_t count) noexcept {
    if (count >= lanes) return load(from);
#if defined(__AVX512F__)
    return floats(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), from));
#else
    alignas(64) float all[static_cast<std::size_t>(lanes)] = {};
    for (index_t i = 0; i < count; ++i) all[i] = from[i];
    return floats::load_aligned(all);
#endif
}
/// Keeps the first `count` elements, the rest becomes `rest`.
PRYTANY_INLINE floats first_of(floats x, index_t count, float rest = 0.0f) noexcept {
    if (count >= lanes) return x;
#if defined(__AVX512F__)
    return floats(
        _mm512_mask_mov_ps(_mm512_set1_ps(rest), static_cast<__mmask16>((1u << count) - 1u), x));
#else
    alignas(64) float all[static_cast<std::size_t>(lanes)];
    x.store_aligned(all);
    for (index_t i = count; i < lanes; ++i) all[i] = rest;
    return floats::load_aligned(all);
#endif
}
/// Folds all elements to one: element i with i + half, then halves of halves.
template <class F>
PRYTANY_INLINE float fold(floats x, F&& f) noexcept {
    alignas(64) float all[static_cast<std::size_t>(lanes)];
    x.store_aligned(all);
#if defined(__AVX512F__) // the first step is half a register wide
    using halves = xsimd::batch<float, xsimd::avx2>;
    f(halves::load_aligned(all), halves::load_aligned(all + lanes / 2)).store_aligned(all);
    constexpr index_t first = lanes / 4;
#else
    constexpr index_t first = lanes / 2;
#endif
    for (index_t half = first; half > 0; half /= 2)
        for (index_t i = 0; i < half; ++i) all[i] = f(all[i], all[i + half]);
    return all[0];
}
/// The sum of all elements in a fixed order.
PRYTANY_INLINE float sum(floats x) noexcept {
    return fold(x, [](auto a, auto b) { return a + b; });
}
/// The largest element; any number where one is NaN.
PRYTANY_INLINE float greatest(floats x) noexcept {
    return fold(x, []<class T>(T a, T b) {
        if constexpr (std::same_as<T, float>) return a > b ? a : b;
        else return xsimd::max(a, b);
    });
}

/// One k-step of a panel: `panel_lanes` stored numbers, widened to two registers.
///
/// The order is that of `lane_place`. f16 is widened by the machine where it can.
/// Test      tests/simd/batch.test.cpp
PRYTANY_INLINE float_pair widen(float const* step) noexcept {
    return {floats::load_aligned(step), floats::load_aligned(step + lanes)};
}
PRYTANY_INLINE float_pair widen(bf16 const* step) noexcept { // zeros below every number
#if defined(__AVX512BW__)
    auto const all = _mm512_load_si512(step), zero = _mm512_setzero_si512();
    return {floats(_mm512_castsi512_ps(_mm512_unpacklo_epi16(zero, all))),
            floats(_mm512_castsi512_ps(_mm512_unpackhi_epi16(zero, all)))};
#elif defined(__AVX2__) && !defined(__AVX512F__)
    auto const all = _mm256_load_si256(reinterpret_cast<__m256i const*>(step)),
               zero = _mm256_setzero_si256();
    return {floats(_mm256_castsi256_ps(_mm256_unpacklo_epi16(zero, all))),
            floats(_mm256_castsi256_ps(_mm256_unpackhi_epi16(zero, all)))};
#else
    alignas(64) std::uint32_t all[static_cast<std::size_t>(panel_lanes)];
    for (index_t lane = 0; lane < panel_lanes; ++lane)
        all[lane] = std::uint32_t{step[lane_place<bf16>(lane)].bits} << 16;
    auto const half = [&](index_t from) {
        return xsimd::bitwise_cast<floats>(xsimd::batch<std::uint32_t>::load_aligned(all + from));
    };
    return {half(0), half(lanes)};
#endif
}
PRYTANY_INLINE float_pair widen(f16 const* step) noexcept {
#if defined(__AVX512F__)
    auto const* const from = reinterpret_cast<__m256i const*>(step);
    return {floats(_mm512_maskz_cvtph_ps(0xffff, _mm256_load_si256(from))),
            floats(_mm512_maskz_cvtph_ps(0xffff, _mm256_load_si256(from + 1)))};
#elif defined(__F16C__) && defined(__AVX__)
    auto const* const from = reinterpret_cast<__m128i const*>(step);
    return {floats(_mm256_cvtph_ps(_mm_load_si128(from))),
            floats(_mm256_cvtph_ps(_mm_load_si128(from + 1)))};
#else
    alignas(64) float all[static_cast<std::size_t>(panel_lanes)];
    for (index_t i = 0; i < panel_lanes; ++i) all[i] = static_cast<float>(step[i]);
    return widen(all);
#endif
}

} // namespace simd
} // namespace prytany::inline PRYTANY_ABI
