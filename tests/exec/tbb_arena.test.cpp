// SPDX-License-Identifier: MIT
#include "prytany/exec/tbb_arena.hpp"

#include "exec/executor_held.hpp"
#include "prytany/exec/thread_pool.hpp"
#if defined(PRYTANY_TEST_TBB)
#include <tbb/global_control.h>
#endif

using namespace prytany;

TEST_CASE("tbb_arena: a model of executor, with oneTBB or without") {
    STATIC_REQUIRE(executor<tbb_arena>);
}

#if defined(PRYTANY_TEST_TBB) && PRYTANY_KNOWN_THREADS

namespace {

// oneTBB gives no more threads than cores, unless it is told to.
struct allowed {
    ::tbb::global_control most{::tbb::global_control::max_allowed_parallelism, 8};
};
tbb_arena made(index_t width) { return tbb_arena(width); }

} // namespace

TEST_CASE_METHOD(allowed, "tbb_arena: every item once, whatever the width and the count") {
    held::every_item_once(made);
}

TEST_CASE("tbb_arena: a width below 1 is an error, the default is oneTBB's") {
    CHECK_THROWS_AS(tbb_arena(0), error);
    try {
        tbb_arena const pool(-3);
    } catch (error const& e) {
        CHECK(std::string(e.what()) == "tbb_arena.width: expected at least 1, got -3");
    }
    CHECK(tbb_arena().width() == ::tbb::this_task_arena::max_concurrency());
}

TEST_CASE_METHOD(allowed, "tbb_arena: all workers work at the same time") {
    tbb_arena pool(4);
    for (int again = 0; again < 20; ++again) CHECK(held::all_meet(pool, 4));
}

TEST_CASE("tbb_arena: fewer threads than asked for still run every item") {
    ::tbb::global_control const two{::tbb::global_control::max_allowed_parallelism, 2};
    tbb_arena pool(4);
    CHECK(held::runs_all(pool, 1000));
}

TEST_CASE_METHOD(allowed,
                 "tbb_arena: what items wrote is seen by the caller, what it wrote by the items") {
    held::memory_is_seen(made);
}

TEST_CASE_METHOD(allowed,
                 "tbb_arena: an exception at any item reaches the caller, the arena is usable") {
    held::any_item_may_throw(made);
}

TEST_CASE_METHOD(allowed, "tbb_arena: one exception of many reaches the caller, the rest is "
                          "cancelled") {
    held::one_exception_cancels(made);
}

TEST_CASE_METHOD(allowed, "tbb_arena: a loop inside a loop runs where it is, also elsewhere") {
    tbb_arena pool(4), other(3);
    thread_pool threads(3);
    held::nested_stays(pool, other);
    held::nested_stays(other, pool);
    held::nested_stays(pool, threads);
    held::nested_stays(threads, pool);
}

TEST_CASE_METHOD(allowed, "tbb_arena: an exception inside a nested loop reaches the caller") {
    held::nested_may_throw(made);
}

TEST_CASE_METHOD(allowed, "tbb_arena: an item that waits for tasks of its own runs no other item") {
    tbb_arena pool(4);
    for (int again = 0; again < 50; ++again) {
        std::vector<std::atomic<int>> inside(4);
        std::atomic<bool> sound{true};
        std::atomic<index_t> total{0};
        pool.for_each(40, [&](index_t, index_t worker) {
            auto& mine = inside[static_cast<std::size_t>(worker)];
            if (mine.fetch_add(1) != 0) sound = false;
            ::tbb::parallel_for(0, 50, [&](int i) { total += i; });
            mine.fetch_sub(1);
        });
        REQUIRE(sound);
        REQUIRE(total == 40 * 1225);
    }
}

TEST_CASE_METHOD(allowed, "tbb_arena: several callers at the same time all finish") {
    tbb_arena pool(4), narrow(2);
    held::callers_all_finish(pool);
    held::callers_all_finish(narrow); // one of them finds no place in it
}

TEST_CASE_METHOD(allowed, "tbb_arena: many short loops") {
    tbb_arena pool(2);
    held::many_short_loops(pool, 20'000);
}

TEST_CASE_METHOD(allowed, "tbb_arena: takes what is called as it is, without a copy") {
    tbb_arena pool(2);
    held::takes_what_is_called(pool);
}

#endif
