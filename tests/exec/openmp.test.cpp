// SPDX-License-Identifier: MIT
#include "prytany/exec/openmp.hpp"

#include "exec/executor_held.hpp"
#include "prytany/exec/thread_pool.hpp"

using namespace prytany;

TEST_CASE("openmp: a model of executor, with OpenMP or without") {
    STATIC_REQUIRE(executor<openmp>);
    STATIC_REQUIRE(executor<openmp const>);
}

#if defined(_OPENMP) && PRYTANY_KNOWN_THREADS

// LLVM's runtime keeps what belongs to threads that began a parallel region and ended.
extern "C" char const* __lsan_default_suppressions() { return "leak:libomp"; }

namespace {

openmp made(index_t width) { return openmp(width); }

} // namespace

TEST_CASE("openmp: every item once, whatever the width and the count") {
    held::every_item_once(made);
}

TEST_CASE("openmp: a width below 1 is an error, the default is OpenMP's") {
    CHECK_THROWS_AS(openmp(0), error);
    try {
        openmp const pool(-3);
    } catch (error const& e) {
        CHECK(std::string(e.what()) == "openmp.width: expected at least 1, got -3");
    }
    CHECK(openmp().width() == omp_get_max_threads());
}

TEST_CASE("openmp: all workers work at the same time") {
    openmp pool(4);
    for (int again = 0; again < 20; ++again) CHECK(held::all_meet(pool, 4));
}

TEST_CASE("openmp: fewer threads than asked for still run every item") {
    omp_set_dynamic(1);
    openmp pool(64);
    CHECK(held::runs_all(pool, 1000));
    omp_set_dynamic(0);
}

TEST_CASE("openmp: what items wrote is seen by the caller, what it wrote by the items") {
    held::memory_is_seen(made);
}

TEST_CASE("openmp: an exception at any item reaches the caller, who may go on") {
    held::any_item_may_throw(made);
}

TEST_CASE("openmp: one exception of many reaches the caller, what has not begun is cancelled") {
    held::one_exception_cancels(made);
}

TEST_CASE("openmp: a loop inside a loop runs where it is, also on another executor") {
    openmp pool(4), other(3);
    thread_pool threads(3);
    held::nested_stays(pool, other);
    held::nested_stays(pool, threads);
    held::nested_stays(threads, pool);
}

TEST_CASE("openmp: a loop inside a parallel region of the caller runs where it is") {
    openmp const pool(4);
    std::atomic<index_t> total{0};
    std::atomic<int> moved{0};
#pragma omp parallel num_threads(3)
    {
        int const here = omp_get_thread_num();
        pool.for_each(100, [&](index_t i, index_t worker) {
            total += i;
            moved += omp_get_thread_num() != here || worker != 0;
        });
#pragma omp single
        total += 4950 * (3 - omp_get_num_threads()); // of a team that was smaller
    }
    CHECK(total == 3 * 4950);
    CHECK(moved == 0);
}

TEST_CASE("openmp: an exception inside a nested loop reaches the outermost caller") {
    held::nested_may_throw(made);
}

TEST_CASE("openmp: several callers at the same time all finish") {
    openmp pool(4);
    held::callers_all_finish(pool);
}

TEST_CASE("openmp: many short loops") {
    openmp pool(2);
    held::many_short_loops(pool, 2000);
}

TEST_CASE("openmp: takes what is called as it is, without a copy") {
    openmp pool(2);
    held::takes_what_is_called(pool);
}

#endif
