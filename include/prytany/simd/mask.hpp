// SPDX-License-Identifier: MIT
// What a comparison of two registers finds.
#pragma once

#include <cstdint>

#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace simd {

/// Bit i is set where x_i ≥ y_i; NaN is in no order.
///
/// Test      tests/simd/mask.test.cpp
PRYTANY_INLINE std::uint32_t at_least(floats x, floats y) noexcept {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(x, y, _CMP_GE_OQ);
#elif defined(__AVX__)
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(x, y, _CMP_GE_OQ)));
#elif defined(__SSE2__)
    return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_cmpge_ps(x, y)));
#else
    alignas(64) float a[static_cast<std::size_t>(lanes)], b[static_cast<std::size_t>(lanes)];
    x.store_aligned(a);
    y.store_aligned(b);
    std::uint32_t bits = 0;
    for (index_t i = 0; i < lanes; ++i) bits |= std::uint32_t{a[i] >= b[i]} << i;
    return bits;
#endif
}
/// The larger elements; y where one is NaN, but on machines whose maximum is NaN.
PRYTANY_INLINE floats larger(floats x, floats y) noexcept { return xsimd::max(x, y); }
/// count + 1 where x > y.
PRYTANY_INLINE floats count_above(floats count, floats x, floats y) noexcept {
    return count + xsimd::select(x > y, fill(1.0f), fill(0.0f));
}
/// x where a < b, else y.
PRYTANY_INLINE floats where_below(floats a, floats b, floats x, floats y) noexcept {
    return xsimd::select(a < b, x, y);
}
/// x where a = b, else y.
PRYTANY_INLINE floats where_equal(floats a, floats b, floats x, floats y) noexcept {
    return xsimd::select(a == b, x, y);
}

} // namespace simd
} // namespace prytany::inline PRYTANY_ABI
