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

/// A loop that keeps a unit busy, and how many operations it does; none, where this machine has no
/// such instruction.
struct probe {
    void (*loop)() = nullptr;
    double operations = 0;
};
probe probe_of(bound unit) {
    constexpr double products = double{chains} * steps;
    if (unit == bound::fma) return {multiply_add, 2 * products * static_cast<double>(lanes)};
#if defined(__AVX2__)
    if (unit == bound::madd)
        return {[] {
                    integer_loop([](auto x, auto y) { return madd(x, y); },
                                 [](auto x, auto y) { return add32(x, y); });
                },
                products * integer_bytes};
    return {[] {
                integer_loop([](auto x, auto y) { return maddubs(x, y); },
                             [](auto x, auto y) { return add16(x, y); });
            },
            2 * products * integer_bytes};
#else
    return {};
#endif
}

double greatest(std::vector<double> const& values) {
    return *std::max_element(values.begin(), values.end());
}

} // namespace

meter::meter(index_t threads, bool pin)
    : pool_(threads), quarter_((index_t{64} << 20) / index_t{sizeof(float)}),
      memory_(4 * quarter_ * threads) { // 256 MiB a thread
    pinned const own_cores(pool_, pin); // the workers stay where they are now
}

/// Billions of work a second of all workers together, in several short rounds.
template <class F>
std::vector<double> meter::rates(double work_of_one, double seconds, F const& f) {
    std::vector<double> all;
    std::vector<clock::time_point> start(static_cast<std::size_t>(pool_.width())), end = start;
    auto const begin = clock::now();
    while (all.size() < 3 || seconds_since(begin) < seconds) {
        on_every_worker(pool_, [&](index_t worker) {
            auto const w = static_cast<std::size_t>(worker);
            start[w] = clock::now();
            f(worker);
            end[w] = clock::now();
        });
        double const spent =
            std::chrono::duration<double>(*std::max_element(end.begin(), end.end()) -
                                          *std::min_element(start.begin(), start.end()))
                .count();
        all.push_back(1e-9 * work_of_one * static_cast<double>(pool_.width()) / spent);
    }
    return all;
}
std::vector<double> meter::operation_rates(bound unit, double seconds) {
    auto const it = probe_of(unit);
    if (it.loop == nullptr) return {0};
    return rates(it.operations, seconds, [&](index_t) { it.loop(); });
}
std::vector<double> meter::reading_rates(index_t quarter, double seconds) {
    return rates(16.0 * static_cast<double>(quarter), seconds, [&](index_t worker) {
        read_streams(memory_.data() + 4 * quarter_ * worker, quarter);
    });
}

limits meter::best() {
    constexpr double seconds = 0.05;
    limits found;
    auto const better = [](double& best, std::vector<double> const& rates) {
        best = std::max(best, greatest(rates));
    };
    for (int round = 0; round < 4; ++round) {
        better(found.fma_gflops, operation_rates(bound::fma, seconds));
        better(found.madd_gops, operation_rates(bound::madd, seconds));
        better(found.maddubs_gops, operation_rates(bound::maddubs, seconds));
        better(found.dram_gbytes, reading_rates(quarter_, seconds));
    }
    return found;
}
meter::moment meter::now(bound unit) {
    constexpr double seconds = 0.02;
    double const own = median(operation_rates(unit, seconds));
    return {own > 0 ? own : median(operation_rates(bound::fma, seconds)),
            median(reading_rates(quarter_ / 4, seconds))};
}

} // namespace bench
