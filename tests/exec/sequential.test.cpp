// SPDX-License-Identifier: MIT
#include "prytany/exec/sequential.hpp"

#include <stdexcept>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

TEST_CASE("sequential: every item once, in order, on the calling thread as worker 0") {
    sequential const pool;
    CHECK(pool.width() == 1);
    auto const here = std::this_thread::get_id();
    for (index_t const count : {0, 1, 2, 1000}) {
        std::vector<index_t> seen;
        pool.for_each(count, [&](index_t item, index_t worker) {
            REQUIRE(worker == 0);
            REQUIRE(std::this_thread::get_id() == here);
            seen.push_back(item);
        });
        REQUIRE(static_cast<index_t>(seen.size()) == count);
        for (index_t i = 0; i < count; ++i) REQUIRE(seen[static_cast<std::size_t>(i)] == i);
    }
}

TEST_CASE("sequential: an exception reaches the caller and no later item begins") {
    sequential const pool;
    for (index_t bad = 0; bad < 20; ++bad) {
        index_t begun = 0;
        CHECK_THROWS_AS(pool.for_each(20,
                                      [&](index_t item, index_t) {
                                          ++begun;
                                          if (item == bad) throw std::runtime_error("item");
                                      }),
                        std::runtime_error);
        CHECK(begun == bad + 1);
    }
}

TEST_CASE("sequential: a loop inside a loop") {
    sequential const pool;
    index_t total = 0;
    pool.for_each(10, [&](index_t, index_t) {
        pool.for_each(10, [&](index_t item, index_t) { total += item; });
    });
    CHECK(total == 450);
}
