// SPDX-License-Identifier: MIT
#include "prytany/simd/arch.hpp"

#include "support/catch.hpp"

using namespace prytany;

TEST_CASE("arch: a register of ours is a register of xsimd") {
    STATIC_REQUIRE(lanes == static_cast<index_t>(xsimd::batch<float>::size));
    STATIC_REQUIRE(sizeof(xsimd::batch<float>) == static_cast<std::size_t>(lanes) * sizeof(float));
}

TEST_CASE("arch: the sums, the weights and the input of a block fit the registers there are") {
#if defined(__AVX512F__)
    constexpr index_t registers = 32;
#else
    constexpr index_t registers = 16;
#endif
    STATIC_REQUIRE(2 * simd::block_rows + 2 + 1 <= registers);
    STATIC_REQUIRE(simd::block_rows >= 4); // fewer rows take another path
}
