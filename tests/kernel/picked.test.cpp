// SPDX-License-Identifier: MIT
#include "prytany/kernel/picked.hpp"

#include <cstdint>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

TEST_CASE("picked: without a pick rows follow each other by the stride") {
    std::vector<float> const x(100);
    kernel::picked_rows const all{x.data(), 7};
    for (index_t i = 0; i < 14; ++i) CHECK(all[i] == x.data() + 7 * i);
    CHECK(all.from(5)[2] == x.data() + 49);
    CHECK(all.from(5).from(3)[0] == x.data() + 56);
    CHECK(all.from(0)[1] == all[1]);
    CHECK(kernel::picked_rows{}.base == nullptr);
}

TEST_CASE("picked: a pick names rows in any order, more than once too") {
    std::vector<std::int8_t> const x(1000);
    std::vector<std::int32_t> const pick{4, 1, 1, 0, 9};
    kernel::picked<std::int8_t> const some{x.data(), 100, pick.data()};
    for (std::size_t i = 0; i < pick.size(); ++i)
        CHECK(some[static_cast<index_t>(i)] == x.data() + 100 * pick[i]);
    CHECK(some.from(2)[0] == x.data() + 100);
    CHECK(some.from(1).from(3)[0] == x.data() + 900);
    CHECK(some.from(4).base == x.data());
}
