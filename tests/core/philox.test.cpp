// SPDX-License-Identifier: MIT
#include "prytany/core/philox.hpp"

#include <vector>

#include "support/catch.hpp"

using namespace prytany;

TEST_CASE("philox: the known answers of its authors") {
    using words = std::array<std::uint32_t, 4>;
    constexpr std::uint32_t all = 0xffffffffu;
    CHECK(philox({0, 0, 0, 0}, {0, 0}) == words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(philox({all, all, all, all}, {all, all}) ==
          words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
          words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("draws: a function of seed, token, stream and number") {
    draws const one(7, 3, 1);
    CHECK(one.uniform(5) == draws(7, 3, 1).uniform(5));
    CHECK(one.uniform(5) != one.uniform(6));
    CHECK(one.uniform(5) != draws(8, 3, 1).uniform(5));
    CHECK(one.uniform(5) != draws(7, 4, 1).uniform(5));
    CHECK(one.uniform(5) != draws(7, 3, 2).uniform(5));
}

TEST_CASE("draws: in the open interval, with the moments of their distributions") {
    double uniform = 0, normal = 0, square = 0, gumbel = 0;
    index_t const tokens = 2000, each = 50;
    for (index_t t = 0; t < tokens; ++t) {
        draws const own(1, t, 0);
        for (index_t i = 0; i < each; ++i) {
            float const u = own.uniform(i);
            REQUIRE(u > 0);
            REQUIRE(u < 1);
            uniform += u;
            normal += own.normal(i);
            square += double{own.normal(i)} * own.normal(i);
            gumbel += own.gumbel(i);
        }
    }
    double const count = tokens * each; // five standard errors of 100,000 draws
    CHECK(std::abs(uniform / count - 0.5) < 0.005);
    CHECK(std::abs(normal / count) < 0.016);
    CHECK(std::abs(square / count - 1) < 0.023);
    CHECK(std::abs(gumbel / count - 0.577216) < 0.021);
}
