// SPDX-License-Identifier: MIT
#include "prytany/kernel/cached_head.hpp"

#include "kernel/attention_held.hpp"
#include "support/catch.hpp"

using namespace prytany;
using held::at;

TEST_CASE("cached_head: put writes the stated places, in any order of positions") {
    index_t const size = 5, positions = 3 * lanes + 1;
    held::head_test const t(size, positions, 1); // puts them backwards
    for (index_t s = 0; s < positions; ++s)
        for (index_t c = 0; c < size; ++c) {
            REQUIRE(t.head.keys[s / lanes * lanes * size + c * lanes + s % lanes] ==
                    static_cast<float>(t.keys(at(s), at(c))));
            REQUIRE(t.head.values[s * t.head.value_stride + c] ==
                    static_cast<float>(t.values(at(s), at(c))));
        }
}
