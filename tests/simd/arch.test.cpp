// SPDX-License-Identifier: MIT
#include "prytany/simd/arch.hpp"

#include "support/catch.hpp"

using namespace prytany;

TEST_CASE("arch: a register of ours is a register of xsimd") {
    STATIC_REQUIRE(lanes == static_cast<index_t>(xsimd::batch<float>::size));
    STATIC_REQUIRE(sizeof(xsimd::batch<float>) == static_cast<std::size_t>(lanes) * sizeof(float));
}
