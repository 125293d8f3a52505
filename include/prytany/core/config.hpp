// SPDX-License-Identifier: MIT
// The version, what the flags of this translation unit decide, and the only macros of the library.
#pragma once

#include <cstddef>

#define PRYTANY_VERSION_MAJOR 0
#define PRYTANY_VERSION_MINOR 1
#define PRYTANY_VERSION_PATCH 0

// Every flag that changes the code we generate is part of the name of the inline namespace, so two
// translation units built with different -m flags never share a symbol of ours.
#if defined(__FAST_MATH__)
#define PRYTANY_DETAIL_MATH fast
#else
#define PRYTANY_DETAIL_MATH strict
#endif
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define PRYTANY_DETAIL_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define PRYTANY_DETAIL_ISA avx2_fma_f16c
#elif defined(__AVX2__) && defined(__FMA__)
#define PRYTANY_DETAIL_ISA avx2_fma
#elif defined(__AVX2__)
#define PRYTANY_DETAIL_ISA avx2
#elif defined(__AVX__) && defined(__FMA__)
#define PRYTANY_DETAIL_ISA avx_fma
#elif defined(__AVX__)
#define PRYTANY_DETAIL_ISA avx
#elif defined(__SSE4_2__)
#define PRYTANY_DETAIL_ISA sse4_2
#elif defined(__SSE4_1__)
#define PRYTANY_DETAIL_ISA sse4_1
#elif defined(__SSSE3__)
#define PRYTANY_DETAIL_ISA ssse3
#elif defined(__SSE3__)
#define PRYTANY_DETAIL_ISA sse3
#elif defined(__SSE2__)
#define PRYTANY_DETAIL_ISA sse2
#elif defined(__ARM_NEON)
#define PRYTANY_DETAIL_ISA neon
#else
#define PRYTANY_DETAIL_ISA scalar
#endif
#define PRYTANY_DETAIL_JOIN(isa, math) v0_##isa##_##math
#define PRYTANY_DETAIL_NAME(isa, math) PRYTANY_DETAIL_JOIN(isa, math)
#define PRYTANY_ABI PRYTANY_DETAIL_NAME(PRYTANY_DETAIL_ISA, PRYTANY_DETAIL_MATH)

// Sums of a register block stay in registers only if every loop over them is unrolled: without this
// g++ 12 leaves them in memory and a micro-kernel runs at a third of its speed.
#define PRYTANY_UNROLL _Pragma("GCC unroll 32")
#define PRYTANY_ROLLED _Pragma("GCC unroll 1") // a loop that is not worth more code
#define PRYTANY_INLINE __attribute__((always_inline)) inline

namespace prytany::inline PRYTANY_ABI {

/// Every count, size and stride of the library: signed, so that differences are safe, and 64 bits.
using index_t = std::ptrdiff_t;

/// Floats in one register of the instruction set: the W of all layouts.
#if defined(__AVX512F__)
inline constexpr index_t lanes = 16;
#elif defined(__AVX__)
inline constexpr index_t lanes = 8;
#else
inline constexpr index_t lanes = 4;
#endif

/// Outputs in one panel of packed weights: two registers.
inline constexpr index_t panel_lanes = 2 * lanes;

/// Stands for "known only at run time" in a shape or a policy.
inline constexpr index_t dynamic = -1;

} // namespace prytany::inline PRYTANY_ABI
