// SPDX-License-Identifier: MIT
#include "prytany/core/rounded_up.hpp"

#include <limits>

#include "support/catch.hpp"

using namespace prytany;

TEST_CASE("rounded_up: whole numbers stay, parts go up") {
    CHECK(rounded_up(1, 2.0) == 2);
    CHECK(rounded_up(1, 2.25) == 3);
    CHECK(rounded_up(2, 1.0 / 64) == 1);
    CHECK(rounded_up(0, 5.0) == 0);
    CHECK(rounded_up(1, 0.0) == 0);
}

TEST_CASE("rounded_up: a float factor is the decimal it was written as") {
    REQUIRE(double{1.2f} * 12.5 > 15); // what a plain ceil would see
    CHECK(rounded_up(1.2f, 12.5) == 15);
    CHECK(rounded_up(1.1f, 10) == 11);
    for (int tenths = 1; tenths <= 40; ++tenths)
        for (int share = 1; share <= 1000; ++share) {
            int const wanted = (tenths * share + 9) / 10;
            REQUIRE(rounded_up(static_cast<float>(tenths) / 10, share) == wanted);
        }
}

TEST_CASE("rounded_up: what is past every count is a count") {
    CHECK(rounded_up(std::numeric_limits<float>::max(), 1e30) == index_t{1} << 62);
}
