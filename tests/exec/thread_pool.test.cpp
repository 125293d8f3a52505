// SPDX-License-Identifier: MIT
#include "prytany/exec/thread_pool.hpp"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "exec/executor_held.hpp"

using namespace prytany;
using held::runs_all, held::shorter;

#if PRYTANY_KNOWN_THREADS
#define FORK_TAG "[fork]"
#else
#define FORK_TAG "[.fork]" // the thread sanitizer does not follow a fork
#endif

namespace {

thread_pool made(index_t width) { return thread_pool(width); }

// Runs f in a forked child, which is killed after five seconds, and says whether it returned true.
template <class F>
bool in_child(F const& f) {
    pid_t const child = ::fork();
    if (child == 0) {
        ::alarm(5);
        ::_exit(f() ? 0 : 1);
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child) return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

using seconds = std::chrono::duration<double>;

// The clocks of processor time of the workers, the caller left out.
std::vector<clockid_t> clocks_of(thread_pool& pool) {
    std::vector<clockid_t> clocks(static_cast<std::size_t>(pool.width()));
    std::atomic<index_t> here{0};
    pool.for_each(pool.width(), [&](index_t, index_t worker) { // they meet, so all take part
        ::pthread_getcpuclockid(::pthread_self(), &clocks[static_cast<std::size_t>(worker)]);
        ++here;
        while (here < pool.width()) std::this_thread::yield();
    });
    clocks.erase(clocks.begin());
    return clocks;
}
double used(std::vector<clockid_t> const& clocks) {
    double sum = 0;
    for (clockid_t const clock : clocks) {
        timespec now{};
        REQUIRE(::clock_gettime(clock, &now) == 0);
        sum += static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
    }
    return sum;
}

} // namespace

TEST_CASE("thread_pool: every item once, whatever the width and the count") {
    held::every_item_once(made);
}

TEST_CASE("thread_pool: a width below 1 is an error, the default is one for each core") {
    CHECK_THROWS_AS(thread_pool(0), error);
    CHECK_THROWS_AS(thread_pool(-3), error);
    try {
        thread_pool const pool(0);
    } catch (error const& e) {
        CHECK(std::string(e.what()) == "thread_pool.width: expected at least 1, got 0");
    }
    CHECK(thread_pool::cores() >= 1);
    CHECK(thread_pool().width() == thread_pool::cores());
}

TEST_CASE("thread_pool: all workers work at the same time, also more than there are cores") {
    for (index_t const width : {index_t{4}, 4 * thread_pool::cores()}) {
        thread_pool pool(width);
        for (int again = 0; again < 20; ++again)
            CHECK(held::all_meet(pool, static_cast<int>(width)));
    }
}

TEST_CASE("thread_pool: what items wrote is seen by the caller, what it wrote by the items") {
    held::memory_is_seen(made);
}

TEST_CASE("thread_pool: an exception at any item reaches the caller and the pool stays usable") {
    held::any_item_may_throw(made);
}

TEST_CASE(
    "thread_pool: one exception of many reaches the caller, what has not begun is cancelled") {
    held::one_exception_cancels(made);
}

TEST_CASE("thread_pool: a loop inside a loop runs where it is, also on another pool") {
    thread_pool pool(4), other(3);
    held::nested_stays(pool, other);
}

TEST_CASE("thread_pool: an exception inside a nested loop reaches the outermost caller") {
    held::nested_may_throw(made);
}

TEST_CASE("thread_pool: several callers at the same time all finish") {
    thread_pool pool(4);
    held::callers_all_finish(pool);
}

TEST_CASE("thread_pool: many short loops") {
    thread_pool pool(2);
    held::many_short_loops(pool, 100'000 / shorter);
}

TEST_CASE("thread_pool: a loop of two threads that are awake costs microseconds") {
    thread_pool pool(2);
    std::vector<double> us;
    for (int loop = 0; loop < 2000; ++loop) {
        auto const start = std::chrono::steady_clock::now();
        pool.for_each(2, [](index_t, index_t) {});
        us.push_back(1e6 * seconds(std::chrono::steady_clock::now() - start).count());
    }
    std::nth_element(us.begin(), us.begin() + 1000, us.end());
    CHECK(us[1000] < 10.0 * shorter); // what it is: bench/exec
}

TEST_CASE("thread_pool: workers without a loop sleep: they use no processor time") {
    for (index_t const width : {index_t{2}, index_t{3}, 2 * thread_pool::cores()}) {
        thread_pool pool(width);
        auto const clocks = clocks_of(pool);
        for (int again = 0; again < 3; ++again) {
            REQUIRE(runs_all(pool, 100));
            double const before = used(clocks);
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            double const after = used(clocks); // all that waiting cost: spinning, then sleep
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            CHECK(after - before < 0.010 * static_cast<double>(width - 1));
            CHECK(used(clocks) - after < 0.001); // of 0.1 s for each worker that spins
        }
    }
}

TEST_CASE("thread_pool: workers that sleep wake up") {
    thread_pool pool(3);
    for (int round = 0; round < 5; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        CHECK(runs_all(pool, 30));
    }
}

TEST_CASE("thread_pool: a loop that begins while workers fall asleep is not missed") {
    thread_pool pool(3);
    for (int round = 0; round < 2000 / shorter; ++round) { // pauses around the end of spinning
        auto const end = std::chrono::steady_clock::now() + std::chrono::microseconds(round % 500);
        while (std::chrono::steady_clock::now() < end) {}
        REQUIRE(held::all_meet(pool, 3)); // would wait for ever without one of them
    }
}

TEST_CASE("thread_pool: made and ended without a loop, and in great number") {
    for (int round = 0; round < 200 / shorter; ++round) {
        thread_pool pool(1 + round % 8);
        if (round % 2 == 0) REQUIRE(runs_all(pool, 5));
    }
}

TEST_CASE("thread_pool: takes what is called as it is, without a copy") {
    thread_pool pool(2);
    held::takes_what_is_called(pool);
}

TEST_CASE("thread_pool: a forked child computes, and so does its own child", FORK_TAG) {
    thread_pool pool(4);
    REQUIRE(runs_all(pool, 100));
    for (int round = 0; round < 10; ++round)
        REQUIRE(in_child([&] {
            bool good = runs_all(pool, 100);
            good = good && in_child([&] { return runs_all(pool, 100); });
            thread_pool fresh(2); // a pool made after the fork has threads of its own
            return good && runs_all(fresh, 100) && in_child([&] { return runs_all(fresh, 10); });
        }));
    CHECK(runs_all(pool, 100)); // the parent's threads are still there
}

TEST_CASE("thread_pool: a child may end the pool of its parent", FORK_TAG) {
    auto pool = std::make_unique<thread_pool>(4);
    REQUIRE(runs_all(*pool, 100));
    REQUIRE(in_child([&] {
        pool.reset();
        return true;
    }));
    CHECK(runs_all(*pool, 100));
}

TEST_CASE("thread_pool: a fork while another thread is in a loop", FORK_TAG) {
    thread_pool pool(4);
    std::atomic<bool> end{false};
    std::thread other([&] {
        while (!end) pool.for_each(100, [](index_t, index_t) {});
    });
    for (int round = 0; round < 10; ++round) CHECK(in_child([&] { return runs_all(pool, 50); }));
    end = true;
    other.join();
}
