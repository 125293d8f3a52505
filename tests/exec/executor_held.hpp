// SPDX-License-Identifier: MIT
// What every executor with threads is held to. `make(width)` gives one.
#pragma once

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "prytany/exec/concept.hpp"
#include "support/catch.hpp"

namespace held {

using namespace prytany;

// A library whose threads the thread sanitizer does not know is not run under it.
#if defined(__SANITIZE_THREAD__)
#define PRYTANY_KNOWN_THREADS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PRYTANY_KNOWN_THREADS 0
#endif
#endif
#if !defined(PRYTANY_KNOWN_THREADS)
#define PRYTANY_KNOWN_THREADS 1
#endif
inline constexpr int shorter = PRYTANY_KNOWN_THREADS ? 1 : 20;

struct numbered : std::runtime_error {
    index_t item;
    explicit numbered(index_t i) : std::runtime_error("item"), item(i) {}
};

/// Runs a loop and says whether every item ran once, each under a worker number nobody else had.
template <class Pool>
bool runs_all(Pool& pool, index_t count) {
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

/// Whether `count` items are once all begun and none ended: one thread could not do it.
template <class Pool>
bool all_meet(Pool& pool, int count) {
    std::atomic<int> here{0};
    auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    pool.for_each(count, [&](index_t, index_t) {
        ++here;
        while (here < count && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    });
    return here == count && std::chrono::steady_clock::now() < end;
}

template <class Make>
void every_item_once(Make const& make) {
    for (index_t const width : {1, 2, 4, 8}) {
        auto&& pool = make(width);
        REQUIRE(pool.width() == width);
        for (index_t const count : {0, 1, 2, 3, 7, 8, 9, 100, 5000})
            for (int again = 0; again < 20; ++again) REQUIRE(runs_all(pool, count));
    }
}

template <class Make>
void memory_is_seen(Make const& make) {
    auto&& pool = make(4);
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

template <class Make>
void any_item_may_throw(Make const& make) {
    constexpr index_t count = 64;
    for (index_t const width : {1, 2, 4, 8}) {
        auto&& pool = make(width);
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

template <class Make>
void one_exception_cancels(Make const& make) {
    auto&& pool = make(4);
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

/// A loop inside a loop runs where it is, also on `other`, of whatever type.
template <class Pool, class Other>
void nested_stays(Pool& pool, Other& other) {
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

template <class Make>
void nested_may_throw(Make const& make) {
    auto&& pool = make(4);
    CHECK_THROWS_AS(pool.for_each(8,
                                  [&](index_t, index_t) {
                                      pool.for_each(8, [](index_t i, index_t) {
                                          if (i == 5) throw numbered(i);
                                      });
                                  }),
                    numbered);
    CHECK(runs_all(pool, 100));
    CHECK(all_meet(pool, 2)); // the caller is no longer inside a loop: its next one is shared again
}

template <class Pool>
void callers_all_finish(Pool& pool) {
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

template <class Pool>
void many_short_loops(Pool& pool, index_t loops) {
    std::atomic<index_t> total{0};
    for (index_t l = 0; l < loops; ++l)
        pool.for_each(2, [&](index_t, index_t) { total.fetch_add(1, std::memory_order_relaxed); });
    CHECK(total == 2 * loops);
}

template <class Pool>
void takes_what_is_called(Pool& pool) {
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

} // namespace held
