// SPDX-License-Identifier: MIT
// Arithmetic that says so when it does not fit.
#include "support/catch.hpp"

#include <limits>
#include <vector>

#include "prytany/io/checked.hpp"

using namespace prytany;

namespace {
constexpr index_t most = std::numeric_limits<index_t>::max(),
                  least = std::numeric_limits<index_t>::min();
}

TEST_CASE("sums and products that fit") {
    CHECK(io::sum(2, 3) == 5);
    CHECK(io::sum(most, 0) == most);
    CHECK(io::sum(most - 1, 1) == most);
    CHECK(io::product(6, 7) == 42);
    CHECK(io::product(most, 1) == most);
    CHECK(io::product(0, most) == 0);
    CHECK(io::product(index_t{1} << 31, index_t{1} << 31) == index_t{1} << 62);
}

TEST_CASE("sums and products that do not fit, and negative operands") {
    CHECK_FALSE(io::sum(most, 1));
    CHECK_FALSE(io::sum(most, most));
    CHECK_FALSE(io::sum(-1, 3));
    CHECK_FALSE(io::sum(3, -1));
    CHECK_FALSE(io::product(most, 2));
    CHECK_FALSE(io::product(index_t{1} << 32, index_t{1} << 32)); // 0 in 64 bits
    CHECK_FALSE(io::product(index_t{1} << 32, index_t{1} << 31));
    CHECK_FALSE(io::product(-1, 0));
    CHECK_FALSE(io::product(-1, -1));
    CHECK_FALSE(io::product(least, -1));
}

TEST_CASE("the count of elements is the product of the sizes, and zero where one is") {
    using dims = std::vector<index_t>;
    CHECK(io::count_of(dims{}) == 1);
    CHECK(io::count_of(dims{3, 4, 5}) == 60);
    CHECK(io::count_of(dims{3, 0, 5}) == 0);
    CHECK(io::count_of(dims{0, most}) == 0);
    CHECK_FALSE(io::count_of(dims{0, most, 2})); // also beside a zero
    CHECK_FALSE(io::count_of(dims{most, 2, 0}));
    CHECK_FALSE(io::count_of(dims{index_t{1} << 32, index_t{1} << 32}));
    CHECK_FALSE(io::count_of(dims{3, -1}));
    CHECK_FALSE(io::count_of(dims{0, -1}));
}
