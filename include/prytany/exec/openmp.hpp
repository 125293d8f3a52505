// SPDX-License-Identifier: MIT
// The executor on the threads of OpenMP. Not in the umbrella: it needs -fopenmp.
#pragma once

#include "prytany/exec/concept.hpp"

#if defined(_OPENMP)

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/exec/detail/inside_loop.hpp"

namespace prytany::inline PRYTANY_ABI {

/// A parallel region of OpenMP for every loop: a program that uses OpenMP keeps its one set of
/// threads, with its places and its wait policy.
///
/// Items are claimed one by one. The first exception of a loop cancels the items not yet begun and
/// reaches the caller. A loop inside a loop or inside a parallel region runs on the calling thread;
/// two callers at the same time have a team each.
/// Pre       compiled and linked with OpenMP; a child after fork() runs no loop (libgomp's threads
///           do not survive)
/// Models    executor
/// Throws    error, if width < 1
/// Test      tests/exec/openmp.test.cpp        Bench   bench/exec/thread_pool.bench.cpp
class openmp {
public:
    /// At most `width` threads, the caller among them; by default what OpenMP would take.
    explicit openmp(index_t width = omp_get_max_threads()) : width_(width) {
        if (width < 1) throw error("openmp.width", "at least 1", std::to_string(width));
    }
    index_t width() const noexcept { return width_; }

    template <class F>
    void for_each(index_t count, F&& f) const {
        constexpr index_t most = std::numeric_limits<int>::max();
        auto const team = static_cast<int>(std::min({width_, count, most}));
        if (team <= 1 || detail::inside_loop() || omp_in_parallel() != 0) {
            for (index_t i = 0; i < count; ++i) f(i, index_t{0});
            return;
        }
        std::atomic<index_t> next{0};
        std::atomic<bool> failed{false};
        std::exception_ptr failure; // none may leave the region
#pragma omp parallel num_threads(team)
        {
            detail::loop_mark const mark;
            try {
                for (index_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;)
                    f(i, index_t{omp_get_thread_num()});
            } catch (...) {
                next.store(count, std::memory_order_relaxed);
                if (!failed.exchange(true)) failure = std::current_exception();
            }
        }
        if (failure) std::rethrow_exception(std::move(failure));
    }

private:
    index_t width_;
};

} // namespace prytany::inline PRYTANY_ABI

#else

namespace prytany::inline PRYTANY_ABI {

/// Without OpenMP the header can be included; every use says what is missing.
class openmp {
public:
    template <class Width = index_t>
    explicit openmp(Width = {}) {
        missing<Width>();
    }
    index_t width() const noexcept { return 1; }
    template <class F>
    void for_each(index_t, F&&) const {
        missing<F>();
    }

private:
    template <class Use>
    static void missing() {
        static_assert(
            std::same_as<Use, void>,
            "openmp: compile and link with OpenMP (-fopenmp; in CMake OpenMP::OpenMP_CXX)");
    }
};

} // namespace prytany::inline PRYTANY_ABI

#endif
