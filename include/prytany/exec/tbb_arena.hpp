// SPDX-License-Identifier: MIT
// The executor on the threads of oneTBB. Not in the umbrella: it needs oneTBB.
#pragma once

#include "prytany/exec/concept.hpp"

#if __has_include(<tbb/task_arena.h>) && __has_include(<tbb/parallel_for.h>)

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/exec/detail/inside_loop.hpp"

namespace prytany::inline PRYTANY_ABI {

/// A task arena of oneTBB: a program that uses oneTBB keeps its one set of threads.
///
/// Items are claimed one by one. The first exception of a loop cancels the items not yet begun and
/// reaches the caller. A loop inside a loop runs on the calling thread; callers at the same time
/// share the arena. Tasks that an item spawns and waits for run no other item meanwhile. oneTBB
/// decides how many threads come: more than cores only with tbb::global_control.
/// Pre       linked with oneTBB (in CMake TBB::tbb)
/// Models    executor
/// Throws    error, if width < 1
/// Test      tests/exec/tbb_arena.test.cpp        Bench   bench/exec/thread_pool.bench.cpp
class tbb_arena {
public:
    /// At most `width` threads, the caller among them; by default as many as oneTBB has.
    explicit tbb_arena(index_t width = ::tbb::this_task_arena::max_concurrency())
        : width_(width), arena_(checked(width)) {}
    index_t width() const noexcept { return width_; }

    template <class F>
    void for_each(index_t count, F&& f) {
        index_t const team = std::min(width_, count);
        if (team <= 1 || detail::inside_loop()) {
            for (index_t i = 0; i < count; ++i) f(i, index_t{0});
            return;
        }
        std::atomic<index_t> next{0};
        auto const serve = [&] {
            detail::loop_mark const mark;
            index_t const worker = ::tbb::this_task_arena::current_thread_index(); // its slot
            try {
                for (index_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;)
                    f(i, worker);
            } catch (...) {
                next.store(count, std::memory_order_relaxed);
                throw; // oneTBB hands the first one to the caller
            }
        };
        arena_.execute([&] {
            ::tbb::parallel_for(
                index_t{0}, team, [&](index_t) { ::tbb::this_task_arena::isolate(serve); },
                ::tbb::simple_partitioner{});
        });
    }

private:
    index_t width_;
    ::tbb::task_arena arena_;

    static int checked(index_t width) {
        constexpr index_t most = std::numeric_limits<int>::max();
        if (width < 1) throw error("tbb_arena.width", "at least 1", std::to_string(width));
        return static_cast<int>(std::min(width, most));
    }
};

} // namespace prytany::inline PRYTANY_ABI

#else

namespace prytany::inline PRYTANY_ABI {

/// Without oneTBB the header can be included; every use says what is missing.
class tbb_arena {
public:
    template <class Width = index_t>
    explicit tbb_arena(Width = {}) {
        missing<Width>();
    }
    index_t width() const noexcept { return 1; }
    template <class F>
    void for_each(index_t, F&&) {
        missing<F>();
    }

private:
    template <class Use>
    static void missing() {
        static_assert(std::same_as<Use, void>,
                      "tbb_arena: oneTBB is not installed (no tbb/task_arena.h)");
    }
};

} // namespace prytany::inline PRYTANY_ABI

#endif
