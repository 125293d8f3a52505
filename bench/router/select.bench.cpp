// SPDX-License-Identifier: MIT
// The k best experts of one row of scores: the kernel beside std::partial_sort.
//
//     select/<contender>/E<experts>_k<kept>
//
// Scores are normal; every row is another one, so no branch is learned by heart. `keys` is what a
// full row of integer keys costs with `kernel::largest`.
#include <algorithm>
#include <functional>
#include <numeric>

#include "prytany/core/buffer.hpp"
#include "prytany/core/philox.hpp"
#include "prytany/kernel/select.hpp"
#include "support/session.hpp"

namespace {

using namespace bench;

constexpr index_t row_count = 1024;

struct sizes {
    index_t experts, keep;
};

buffer<float> scores(index_t experts) {
    buffer<float> all(row_count * experts);
    for (index_t r = 0; r < row_count; ++r) {
        draws const random(1, r, 0);
        for (index_t e = 0; e < experts; ++e) all[r * experts + e] = random.normal(e);
    }
    return all;
}
/// Times choose(row) on one row after the other.
template <class Choose>
void time_rows(benchmark::State& state, sizes const& of, Choose&& choose) {
    auto const all = scores(of.experts);
    index_t next = 0;
    for (auto _ : state) {
        choose(all.data() + next * of.experts);
        next = next + 1 == row_count ? 0 : next + 1;
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations());
}

void ours(benchmark::State& state, sizes const& of) {
    buffer<std::uint64_t> best(of.keep);
    time_rows(state, of, [&](float const* row) {
        kernel::best_of(row, of.experts, of.keep, best.data());
        benchmark::DoNotOptimize(best.data());
    });
}
void by_keys(benchmark::State& state, sizes const& of) {
    buffer<std::uint64_t> best(of.keep), keys(of.experts);
    time_rows(state, of, [&](float const* row) {
        for (index_t e = 0; e < of.experts; ++e) keys[e] = kernel::rank_key(row[e], e);
        kernel::largest(keys.data(), of.experts, of.keep, best.data());
        benchmark::DoNotOptimize(best.data());
    });
}
void sorted_keys(benchmark::State& state, sizes const& of) {
    buffer<std::uint64_t> keys(of.experts);
    time_rows(state, of, [&](float const* row) {
        for (index_t e = 0; e < of.experts; ++e) keys[e] = kernel::rank_key(row[e], e);
        std::partial_sort(keys.data(), keys.data() + of.keep, keys.data() + of.experts,
                          std::greater<>());
        benchmark::DoNotOptimize(keys.data());
    });
}
void sorted_numbers(benchmark::State& state, sizes const& of) {
    buffer<std::int32_t> order(of.experts);
    time_rows(state, of, [&](float const* row) {
        std::iota(order.data(), order.data() + of.experts, 0);
        std::partial_sort(order.data(), order.data() + of.keep, order.data() + of.experts,
                          [&](std::int32_t a, std::int32_t b) { return row[a] > row[b]; });
        benchmark::DoNotOptimize(order.data());
    });
}

int const added = add_later([] {
    for (sizes const of :
         {sizes{8, 2}, {64, 6}, {128, 8}, {256, 8}, {256, 16}, {512, 8}, {512, 16}, {512, 22}}) {
        auto const add = [&](std::string const& contender, auto run) {
            std::string const name = joined({"select/", contender, "/E", std::to_string(of.experts),
                                             "_k", std::to_string(of.keep)});
            benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
                run(state, of);
            })->Unit(benchmark::kNanosecond);
        };
        add("ours", ours);
        add("keys", by_keys);
        add("partial_sort_keys", sorted_keys);
        add("partial_sort_numbers", sorted_numbers);
    }
});

} // namespace
