// SPDX-License-Identifier: MIT
// What one parallel loop costs: our pool, Eigen's, fresh std::threads, and where they are found our
// executors on OpenMP's and oneTBB's threads.
//
// The work of an item is a chain of dependent multiply-adds of fixed length, so a worker that waits
// for a core is not counted as working. The items of `meet` wait for each other: what a loop costs in
// which all workers take part. Counters in µs: "median" of the loops' times, and "over", what
// it has beyond total work / width; width is at most the number of cores. Time is the mean.
#define EIGEN_USE_THREADS
#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <unsupported/Eigen/CXX11/ThreadPool>
#if defined(PRYTANY_BENCH_TBB)
#include <tbb/global_control.h>
#endif

#include "prytany/exec/openmp.hpp"
#include "prytany/exec/sequential.hpp"
#include "prytany/exec/tbb_arena.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "support/machine.hpp"

namespace {

using namespace bench;

/// A parallel loop on Eigen's pool: the caller and width − 1 closures claim items, a barrier ends it.
class eigen_pool {
public:
    explicit eigen_pool(index_t width) : width_(width), pool_(static_cast<int>(width) - 1) {}
    index_t width() const noexcept { return width_; }
    template <class F>
    void for_each(index_t count, F&& f) {
        std::atomic<index_t> next{0};
        auto const serve = [&](index_t worker) {
            for (index_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;)
                f(i, worker);
        };
        index_t const others = std::min(width_, count) - 1;
        Eigen::Barrier barrier(static_cast<unsigned>(std::max<index_t>(others, 0)));
        for (index_t w = 1; w <= others; ++w)
            pool_.Schedule([&serve, &barrier, w] {
                serve(w);
                barrier.Notify();
            });
        serve(0);
        barrier.Wait();
    }

private:
    index_t width_;
    Eigen::ThreadPool pool_;
};

#if defined(PRYTANY_BENCH_TBB)
class tbb_pool : // else more threads than cores are refused
                 tbb::global_control,
                 public tbb_arena {
public:
    explicit tbb_pool(index_t width)
        : tbb::global_control(max_allowed_parallelism, static_cast<std::size_t>(width)),
          tbb_arena(width) {}
};
#endif

/// Threads made for each loop.
class fresh_threads {
public:
    explicit fresh_threads(index_t width) : width_(width) {}
    index_t width() const noexcept { return width_; }
    template <class F>
    void for_each(index_t count, F&& f) {
        std::atomic<index_t> next{0};
        auto const serve = [&](index_t worker) {
            for (index_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;)
                f(i, worker);
        };
        std::vector<std::thread> threads;
        for (index_t w = 1; w < width_; ++w) threads.emplace_back(serve, w);
        serve(0);
        for (auto& thread : threads) thread.join();
    }

private:
    index_t width_;
};

struct one_thread : prytany::sequential {
    explicit one_thread(index_t) {}
};

float chain(index_t steps) {
    float x = 1.0f;
    for (index_t i = 0; i < steps; ++i) {
        x = x * 0.999f + 0.001f;
        benchmark::DoNotOptimize(x);
    }
    return x;
}
/// Steps of the chain in one microsecond: the best of many.
double steps_per_us() {
    static double const rate = [] {
        double best = 0;
        for (int round = 0; round < 200; ++round) {
            auto const start = clock::now();
            chain(20000);
            best = std::max(best, 20000 / (1e6 * seconds_since(start)));
        }
        return best;
    }();
    return rate;
}

/// The items of a loop, by their microseconds.
struct load {
    char const* name;
    std::vector<double> us;
    double pause_us = 0; ///< between loops
    bool meet = false;   ///< every item waits until all have begun: all workers take part
};

template <class Pool>
void run(benchmark::State& state, load const& items, index_t width) {
    std::vector<index_t> steps;
    double total = 0;
    for (double const us : items.us) {
        steps.push_back(static_cast<index_t>(us * steps_per_us()));
        total += us;
    }
    Pool pool(width);
    std::atomic<index_t> here{0};
    auto const item = [&](index_t i, index_t) {
        if (items.meet) {
            here.fetch_add(1, std::memory_order_relaxed);
            while (here.load(std::memory_order_relaxed) < std::ssize(steps)) {}
        }
        if (index_t const n = steps[static_cast<std::size_t>(i)]; n > 0) chain(n);
    };
    std::vector<double> times; // of the first loops, for their median
    times.reserve(1 << 16);
    for (auto _ : state) {
        if (items.pause_us > 0) { // as between two layers, or two requests
            auto const until =
                clock::now() + std::chrono::nanoseconds(static_cast<long>(1e3 * items.pause_us));
            if (items.pause_us > 1000) std::this_thread::sleep_until(until);
            while (clock::now() < until) {}
        }
        here.store(0, std::memory_order_relaxed);
        auto const start = clock::now();
        pool.for_each(std::ssize(steps), item);
        double const took = seconds_since(start);
        state.SetIterationTime(took);
        if (times.size() < times.capacity()) times.push_back(1e6 * took);
    }
    double const cores = static_cast<double>(std::min(width, thread_pool::cores()));
    double const middle = median(times);
    state.counters["median"] = middle;
    state.counters["over"] = middle - total / cores;
}

std::vector<double> same(std::size_t count, double us) { return std::vector<double>(count, us); }
/// Loads of experts: a few large, many small (1/rank), in no order.
std::vector<double> uneven() {
    std::vector<double> us;
    for (int i = 0; i < 32; ++i) us.push_back(160.0 / (1 + i * 13 % 32));
    return us;
}

int const registered = [] {
    auto const with = [](auto make, std::string const& pool) {
        for (index_t const width : {1, 2, 4}) {
            if (pool == "sequential" && width > 1) continue;
            for (load const& items :
                 {load{"empty", same(static_cast<std::size_t>(width), 0)},
                  load{"meet", same(static_cast<std::size_t>(width), 0), 0, true},
                  load{"17x2us", same(17, 2)}, load{"64x20us", same(64, 20)},
                  load{"uneven", uneven()}, load{"2x2us_after_50us", same(2, 2), 50},
                  load{"2x2us_after_2ms", same(2, 2), 2000}}) {
                if (items.meet && width > thread_pool::cores()) continue;
                auto* const one =
                    benchmark::RegisterBenchmark(
                        (std::string(items.name) + "/" + pool + "/" + std::to_string(width))
                            .c_str(),
                        [=](benchmark::State& state) { make(state, items, width); })
                        ->UseManualTime()
                        ->Unit(benchmark::kMicrosecond);
                if (items.pause_us > 0) one->Iterations(static_cast<long>(4e5 / items.pause_us));
                else one->MinTime(0.2);
            }
        }
    };
    with([](auto&... args) { run<one_thread>(args...); }, "sequential");
    with([](auto&... args) { run<thread_pool>(args...); }, "prytany");
    with([](auto&... args) { run<eigen_pool>(args...); }, "eigen");
#if defined(PRYTANY_BENCH_TBB)
    with([](auto&... args) { run<tbb_pool>(args...); }, "tbb");
#endif
#if defined(_OPENMP)
    with([](auto&... args) { run<openmp>(args...); }, "openmp");
#endif
    with([](auto&... args) { run<fresh_threads>(args...); }, "threads");
    return 0;
}();

} // namespace
