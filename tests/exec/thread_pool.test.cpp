// SPDX-License-Identifier: MIT
#include "prytany/exec/thread_pool.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

#if defined(__SANITIZE_THREAD__)
#define FORK_TAG "[.fork]" // the thread sanitizer does not follow a fork
constexpr int shorter = 20;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FORK_TAG "[.fork]"
constexpr int shorter = 20;
#endif
#endif
#if !defined(FORK_TAG)
#define FORK_TAG "[fork]"
constexpr int shorter = 1;
#endif

namespace {

// Runs a loop and says whether every item ran once, each under a worker number nobody else had.
bool runs_all(thread_pool& pool, index_t count) {
    std::vector<std::atomic<int>> hits(static_cast<std::size_t>(count));
    std::vector<std::atomic<int>> inside(static_cast<std::size_t>(pool.width()));
    std::atomic<bool> sound{true};
    pool.for_each(count, [&](index_t item, index_t worker) {
        if (worker < 0 || worker >= pool.width() || item < 0 || item >= count) {
            sound = false;
            return;
        }
        auto& mine = inside[static_cast<std::size_t>(worker)];
        if (mine.fetch_add(1) != 0) sound = false;
        hits[static_cast<std::size_t>(item)].fetch_add(1);
        mine.fetch_sub(1);
    });
    for (auto const& h : hits)
        if (h != 1) sound = false;
    return sound;
}

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

struct numbered : std::runtime_error {
    index_t item;
    explicit numbered(index_t i) : std::runtime_error("item"), item(i) {}
};

} // namespace

TEST_CASE("thread_pool: every item once, whatever the width and the count") {
    for (index_t const width : {1, 2, 4, 8}) {
        thread_pool pool(width);
        REQUIRE(pool.width() == width);
        for (index_t const count : {0, 1, 2, 3, 7, 8, 9, 100, 5000})
            for (int again = 0; again < 20; ++again) REQUIRE(runs_all(pool, count));
    }
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

TEST_CASE("thread_pool: all workers work at the same time") {
    thread_pool pool(4);
    std::atomic<int> here{0};
    auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    pool.for_each(4,
                  [&](index_t, index_t) { // each waits for the others: one thread could not do it
                      ++here;
                      while (here < 4 && std::chrono::steady_clock::now() < end)
                          std::this_thread::yield();
                  });
    CHECK(here == 4);
    CHECK(std::chrono::steady_clock::now() < end);
}

TEST_CASE("thread_pool: what items wrote is seen by the caller, what it wrote by the items") {
    thread_pool pool(4);
    std::vector<index_t> a(257), b(257); // plain memory: the thread sanitizer would object
    for (int round = 0; round < 200; ++round) {
        for (auto& x : a) x = round;
        pool.for_each(257, [&](index_t i, index_t) {
            auto const at = static_cast<std::size_t>(i);
            b[at] = a[at] + i;
        });
        index_t wrong = 0;
        for (index_t i = 0; i < 257; ++i) wrong += b[static_cast<std::size_t>(i)] != round + i;
        REQUIRE(wrong == 0);
    }
}

TEST_CASE("thread_pool: an exception at any item reaches the caller and the pool stays usable") {
    constexpr index_t count = 64;
    for (index_t const width : {1, 2, 4, 8}) {
        thread_pool pool(width);
        for (index_t bad = 0; bad < count; ++bad) {
            index_t caught = -1;
            try {
                pool.for_each(count, [&](index_t item, index_t) {
                    if (item == bad) throw numbered(item);
                });
            } catch (numbered const& e) {
                caught = e.item;
            }
            REQUIRE(caught == bad);
            REQUIRE(runs_all(pool, 50));
        }
    }
}

TEST_CASE(
    "thread_pool: one exception of many reaches the caller, what has not begun is cancelled") {
    thread_pool pool(4);
    for (int round = 0; round < 50; ++round) {
        std::atomic<int> begun{0};
        bool caught = false;
        try {
            pool.for_each(100'000, [&](index_t item, index_t) {
                ++begun;
                throw numbered(item);
            });
        } catch (numbered const&) {
            caught = true;
        }
        REQUIRE(caught);
        REQUIRE(begun < 100'000);
    }
    CHECK(runs_all(pool, 100));
}

TEST_CASE("thread_pool: a loop inside a loop runs where it is, also on another pool") {
    thread_pool pool(4), other(3);
    std::atomic<index_t> total{0};
    std::atomic<bool> moved{false};
    pool.for_each(20, [&](index_t, index_t) {
        auto const here = std::this_thread::get_id();
        auto const add = [&](index_t item, index_t) {
            if (std::this_thread::get_id() != here) moved = true;
            total += item;
        };
        pool.for_each(50, add);
        other.for_each(50, add);
        pool.for_each(2, [&](index_t, index_t) { pool.for_each(2, add); });
    });
    CHECK(total == 20 * (2 * 1225 + 2 * 1));
    CHECK(!moved);
}

TEST_CASE("thread_pool: an exception inside a nested loop reaches the outermost caller") {
    thread_pool pool(4);
    CHECK_THROWS_AS(pool.for_each(8,
                                  [&](index_t, index_t) {
                                      pool.for_each(8, [](index_t i, index_t) {
                                          if (i == 5) throw numbered(i);
                                      });
                                  }),
                    numbered);
    CHECK(runs_all(pool, 100));
    // the caller is no longer inside a loop: its next one is shared again
    std::atomic<int> here{0};
    auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    pool.for_each(2, [&](index_t, index_t) {
        ++here;
        while (here < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    });
    CHECK(here == 2);
    CHECK(std::chrono::steady_clock::now() < end);
}

TEST_CASE("thread_pool: several callers at the same time all finish") {
    thread_pool pool(4);
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int c = 0; c < 3; ++c)
        callers.emplace_back([&, c] {
            for (int round = 0; round < 2000 / shorter; ++round) {
                std::vector<index_t> out(static_cast<std::size_t>(10 + c));
                try {
                    pool.for_each(10 + c, [&](index_t i, index_t) {
                        out[static_cast<std::size_t>(i)] = i * i;
                        if (round % 100 == 99 && i == 3) throw numbered(i);
                    });
                    if (round % 100 == 99) ++wrong;
                    for (index_t i = 0; i < 10 + c; ++i)
                        if (out[static_cast<std::size_t>(i)] != i * i) ++wrong;
                } catch (numbered const&) {
                    if (round % 100 != 99) ++wrong;
                }
            }
        });
    for (auto& caller : callers) caller.join();
    CHECK(wrong == 0);
}

TEST_CASE("thread_pool: many short loops") {
    thread_pool pool(2);
    std::atomic<index_t> total{0};
    index_t const loops = 100'000 / shorter;
    for (index_t l = 0; l < loops; ++l)
        pool.for_each(2, [&](index_t, index_t) { total.fetch_add(1, std::memory_order_relaxed); });
    CHECK(total == 2 * loops);
}

TEST_CASE("thread_pool: workers that sleep wake up") {
    thread_pool pool(3);
    for (int round = 0; round < 5; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        CHECK(runs_all(pool, 30));
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
    struct counter {
        std::atomic<int> hits{0};
        void operator()(index_t, index_t) { ++hits; }
    } counts;
    pool.for_each(100, counts);
    CHECK(counts.hits == 100);
    auto const constant = [&](index_t, index_t) { ++counts.hits; };
    pool.for_each(100, constant);
    CHECK(counts.hits == 200);
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
