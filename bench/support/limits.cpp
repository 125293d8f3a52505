// SPDX-License-Identifier: MIT
// Loops that do nothing but keep one unit of the machine busy.
#include "support/limits.hpp"

#include <vector>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace bench {
namespace {

// Twelve chains hide the latency and leave room in sixteen registers.
constexpr std::size_t chains = 12;
constexpr int steps = 200000;

[[gnu::noinline]] void multiply_add() {
    simd::floats const a = simd::fill(0.999f), b = simd::fill(0.001f);
    simd::floats sums[chains];
    PRYTANY_UNROLL
    for (std::size_t i = 0; i < chains; ++i) sums[i] = simd::fill(static_cast<float>(i));
    for (int s = 0; s < steps; ++s) {
        PRYTANY_UNROLL
        for (std::size_t i = 0; i < chains; ++i) sums[i] = simd::fma(sums[i], a, b);
    }
    PRYTANY_UNROLL
    for (std::size_t i = 0; i < chains; ++i) keep(sums[i]);
}
#if defined(__AVX512BW__)
using integers = __m512i;
constexpr double integer_bytes = 64;
PRYTANY_INLINE integers ones() { return _mm512_set1_epi8(1); }
PRYTANY_INLINE integers add16(integers a, integers b) { return _mm512_add_epi16(a, b); }
PRYTANY_INLINE integers add32(integers a, integers b) { return _mm512_add_epi32(a, b); }
PRYTANY_INLINE integers madd(integers a, integers b) { return _mm512_madd_epi16(a, b); }
PRYTANY_INLINE integers maddubs(integers a, integers b) { return _mm512_maddubs_epi16(a, b); }
#define BENCH_REGISTER "v"
#elif defined(__AVX2__)
using integers = __m256i;
constexpr double integer_bytes = 32;
PRYTANY_INLINE integers ones() { return _mm256_set1_epi8(1); }
PRYTANY_INLINE integers add16(integers a, integers b) { return _mm256_add_epi16(a, b); }
PRYTANY_INLINE integers add32(integers a, integers b) { return _mm256_add_epi32(a, b); }
PRYTANY_INLINE integers madd(integers a, integers b) { return _mm256_madd_epi16(a, b); }
PRYTANY_INLINE integers maddubs(integers a, integers b) { return _mm256_maddubs_epi16(a, b); }
#define BENCH_REGISTER "x"
#endif
#if defined(BENCH_REGISTER)
/// Products summed in registers. The empty asm makes an operand new to the compiler each time, so
/// that no product is computed once and reused, nor sums regrouped.
template <class Multiply, class Add>
[[gnu::noinline]] void integer_loop(Multiply multiply, Add add) {
    integers sums[chains], x = ones(), y = ones();
    PRYTANY_UNROLL
    for (std::size_t i = 0; i < chains; ++i) sums[i] = ones();
    for (int s = 0; s < steps; ++s) {
        PRYTANY_UNROLL
        for (std::size_t i = 0; i < chains; ++i) {
            asm("" : "+" BENCH_REGISTER(x), "+" BENCH_REGISTER(y));
            sums[i] = add(sums[i], multiply(x, y));
            asm("" : "+" BENCH_REGISTER(sums[i]));
        }
    }
    PRYTANY_UNROLL
    for (std::size_t i = 0; i < chains; ++i) asm volatile("" : : BENCH_REGISTER(sums[i]));
}
#undef BENCH_REGISTER
#endif

/// Work a second of all workers together, the best of several short runs.
template <class F>
double best_rate(thread_pool& pool, double work_of_one, double seconds, F&& f) {
    double best = 0;
    auto const begin = clock::now();
    for (int round = 0; round < 3 || seconds_since(begin) < seconds; ++round) {
        std::vector<clock::time_point> start(static_cast<std::size_t>(pool.width())), end = start;
        on_every_worker(pool, [&](index_t worker) {
            auto const w = static_cast<std::size_t>(worker);
            start[w] = clock::now();
            f(worker);
            end[w] = clock::now();
        });
        double const spent =
            std::chrono::duration<double>(*std::max_element(end.begin(), end.end()) -
                                          *std::min_element(start.begin(), start.end()))
                .count();
        best = std::max(best, 1e-9 * work_of_one * static_cast<double>(pool.width()) / spent);
    }
    return best;
}

} // namespace

limits measure_limits(index_t threads, bool pin) {
    thread_pool pool(threads);
    pinned const own_cores(pool, pin);
    constexpr double products = double{chains} * steps, seconds = 0.05;
    index_t const quarter = (index_t{64} << 20) / index_t{sizeof(float)}; // 256 MiB a thread
    buffer<float> memory(4 * quarter * threads);
    limits found;
    auto const better = [&](double& best, double work, auto const& f) {
        best = std::max(best, best_rate(pool, work, seconds, f));
    };
    for (int round = 0; round < 4; ++round) {
        better(found.fma_gflops, 2 * products * static_cast<double>(lanes),
               [](index_t) { multiply_add(); });
#if defined(__AVX2__)
        better(found.madd_gops, products * integer_bytes, [](index_t) {
            integer_loop([](auto x, auto y) { return madd(x, y); },
                         [](auto x, auto y) { return add32(x, y); });
        });
        better(found.maddubs_gops, 2 * products * integer_bytes, [](index_t) {
            integer_loop([](auto x, auto y) { return maddubs(x, y); },
                         [](auto x, auto y) { return add16(x, y); });
        });
#endif
        better(found.dram_gbytes, 16.0 * static_cast<double>(quarter), [&](index_t worker) {
            read_streams(memory.data() + 4 * quarter * worker, quarter);
        });
    }
    return found;
}

} // namespace bench
