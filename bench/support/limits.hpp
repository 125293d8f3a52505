// SPDX-License-Identifier: MIT
// What this machine can do at most, measured in the process that measures everything else.
#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

#include "prytany/exec/thread_pool.hpp"
#include "support/machine.hpp"

namespace bench {

/// The unit that arithmetic is bound by: multiply-adds of floats, vpmaddwd, vpmaddubsw.
enum class bound { fma, madd, maddubs };

/// Calls f(worker) on all workers of a pool at once: none may take the item of another.
template <class F>
void on_every_worker(thread_pool& pool, F&& f) {
    std::atomic<index_t> here{0};
    pool.for_each(pool.width(), [&](index_t, index_t worker) {
        here.fetch_add(1);
        while (here.load() < pool.width()) {}
        f(worker);
    });
}

/// Gives every worker of a pool a core of its own for a while, the caller the first one.
class pinned {
public:
#if defined(__linux__)
    pinned(thread_pool& pool, bool wanted) {
        if (!wanted || pthread_getaffinity_np(pthread_self(), sizeof before_, &before_) != 0)
            return;
        pins_ = CPU_COUNT(&before_) >= pool.width();
        if (!pins_) return;
        on_every_worker(pool, [&](index_t worker) {
            std::size_t cpu = 0;
            for (index_t left = worker; !CPU_ISSET(cpu, &before_) || left-- > 0;) ++cpu;
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        });
    }
    ~pinned() {
        if (pins_) pthread_setaffinity_np(pthread_self(), sizeof before_, &before_);
    }

private:
    cpu_set_t before_;
    bool pins_ = false;
#else
    pinned(thread_pool&, bool) {}
#endif
public:
    pinned(pinned const&) = delete;
    pinned& operator=(pinned const&) = delete;
};

/// The limits of some threads; zero, where this machine has no such instruction.
struct limits {
    double fma_gflops = 0;   ///< in registers alone
    double madd_gops = 0;    ///< vpmaddwd + vpaddd, two operations a multiply-add
    double maddubs_gops = 0; ///< vpmaddubsw + vpaddw
    double dram_gbytes = 0;  ///< reading memory, four streams a thread
};

/// Measures what some threads can do, at once or again and again; in between its threads sleep.
class meter {
public:
    meter(index_t threads, bool pin);

    /// The best of several rounds, so that a moment of another process does not lower one of them.
    limits best();
    /// What a call measured at this moment should be held against: medians of some milliseconds,
    /// of one unit and of reading.
    struct moment {
        double operations, bytes; ///< billions a second
    };
    moment now(bound unit);

private:
    thread_pool pool_;
    index_t quarter_; ///< floats of one stream
    buffer<float> memory_;

    template <class F>
    std::vector<double> rates(double work_of_one, double seconds, F const& f);
    std::vector<double> operation_rates(bound unit, double seconds);
    std::vector<double> reading_rates(index_t quarter, double seconds);
};

} // namespace bench
