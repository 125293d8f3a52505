// SPDX-License-Identifier: MIT
// A layer on every executor: the same bits, and work for all of its workers.
#include <algorithm>
#include <vector>

#include "exec/executor_held.hpp"
#include "layer/moe_held.hpp"
#include "prytany/exec/openmp.hpp"
#include "prytany/exec/tbb_arena.hpp"
#include "prytany/exec/thread_pool.hpp"
#if defined(PRYTANY_TEST_TBB)
#include <tbb/global_control.h>
#endif

using namespace prytany;
using numbers::rows, numbers::run, numbers::same_bits;

namespace {

using layer = moe<shape{40, 56, 12, 2, 24}, top_k{.k = 3}, ffn{swiglu}, dense<bf16>{}>;
using untiled = moe<shape{33, 17, 7}, top_k{.k = 2}, written::untiled{ffn{gelu, biases}}>;

template <class Layer, class Make>
void same_bits_on(Make const& make) {
    Layer held;
    numbers::fill(held, 3);
    for (index_t const tokens : {1, 5, 16, 64}) {
        auto const x = rows::normal(tokens, held.sizes().model, 6);
        workspace ws;
        auto const right = run(held, x, ws, sequential{});
        auto const plan = numbers::slots_of(ws.plan());
        for (index_t const width : {1, 2, 3}) {
            auto&& pool = make(width);
            for (int again = 0; again < 10; ++again) {
                REQUIRE(same_bits(run(held, x, ws, pool), right));
                REQUIRE(numbers::same_slots(numbers::slots_of(ws.plan()), plan));
            }
        }
    }
}

/// The longest that a worker has, over an equal share, if items go to whoever is free first.
double imbalance(std::vector<index_t> const& rows, index_t panels, index_t workers) {
    auto const experts = static_cast<index_t>(rows.size());
    std::vector<detail::unit> room(numbers::at(detail::most_units(experts, panels, panels)));
    auto const units = detail::cut_units(
        std::span(room), experts, [&](index_t e) { return rows[numbers::at(e)]; },
        [&](index_t) { return panels; }, workers);
    std::vector<index_t> busy(numbers::at(workers));
    index_t all = 0, wanted = 0;
    for (auto const& u : units) {
        index_t const work = rows[numbers::at(u.expert)] * (u.last - u.first);
        *std::min_element(busy.begin(), busy.end()) += work;
        all += work;
    }
    for (index_t const r : rows) wanted += r * panels;
    REQUIRE(all == wanted);
    auto const most = static_cast<double>(*std::max_element(busy.begin(), busy.end()));
    return most * static_cast<double>(workers) / static_cast<double>(all);
}

/// Runs items in turn and counts them.
struct counting {
    std::vector<index_t>* loops;
    index_t width() const noexcept { return 2; }
    template <class F>
    void for_each(index_t count, F&& f) const {
        loops->push_back(count);
        for (index_t i = 0; i < count; ++i) f(i, i % 2);
    }
};

} // namespace

TEST_CASE("moe: workers share the experts of a few tokens that a large router scores") {
    using wide = moe<shape{1024, 8, 90}, top_k{.k = 4}, ffn{silu}>;
    wide held;
    numbers::fill(held, 5);
    for (index_t const tokens : {1, 7, 8}) {
        auto const x = rows::normal(tokens, held.sizes().model, 6);
        workspace ws;
        std::vector<index_t> loops;
        auto const right = run(held, x, ws, sequential{});
        auto const plan = numbers::slots_of(ws.plan());
        REQUIRE(same_bits(run(held, x, ws, counting{&loops}), right));
        REQUIRE(numbers::same_slots(numbers::slots_of(ws.plan()), plan));
        CHECK(loops.size() == (tokens < 8 ? 3 : 2)); // its own, and the two of the experts
        CHECK(loops.front() >= 2);
    }
}

TEST_CASE("moe: workers share the work of the one expert that all tokens go to") {
    std::vector<std::vector<index_t>> loads{{512, 0, 0, 0, 0, 0, 0, 0},
                                            {0, 0, 0, 12},
                                            {490, 3, 3, 4, 3, 3, 3, 3},
                                            {3, 3, 3, 120, 3},
                                            {64, 64, 64, 64, 64, 64, 64, 64}};
    for (auto const& rows : loads)
        for (index_t const panels : {16, 24, 48, 88, 96, 112, 176, 224, 448})
            CHECK(imbalance(rows, panels, 2) <= 1.2);
    for (auto const& rows : loads)
        for (index_t const panels : {48, 88, 96, 112, 176, 224, 448})
            CHECK(imbalance(rows, panels, 4) <= 1.25);

    moe<shape{.model = 8 * 2 * lanes, .hidden = 16 * lanes, .experts = 6}, top_k{.k = 1},
        ffn{swiglu}>
        layer;
    numbers::fill(layer);
    rows router(6, layer.sizes().model);
    for (index_t c = 0; c < router.cols; ++c) router.row(4)[c] = 1.0f;
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.part == "router") t.pack(router.view());
    });
    rows const x(64, router.cols, 1.0f);
    std::vector<index_t> loops;
    workspace ws;
    auto const y = run(layer, x, ws, counting{&loops});
    CHECK(ws.plan().tokens_of(4).size() == 64);
    CHECK(loops.size() == 3);
    for (index_t const items : loops) CHECK(items >= 4); // two or more for each worker
    CHECK(same_bits(y, run(layer, x)));
}

TEST_CASE("moe: the same bits on a thread_pool") {
    same_bits_on<layer>([](index_t width) { return thread_pool(width); });
    same_bits_on<untiled>([](index_t width) { return thread_pool(width); });
}

#if defined(_OPENMP) && PRYTANY_KNOWN_THREADS
TEST_CASE("moe: the same bits on OpenMP's threads") {
    same_bits_on<layer>([](index_t width) { return openmp(width); });
    same_bits_on<untiled>([](index_t width) { return openmp(width); });
}
#endif

#if defined(PRYTANY_TEST_TBB) && PRYTANY_KNOWN_THREADS
TEST_CASE("moe: the same bits on oneTBB's threads") {
    ::tbb::global_control const allowed{::tbb::global_control::max_allowed_parallelism, 4};
    same_bits_on<layer>([](index_t width) { return tbb_arena(width); });
    same_bits_on<untiled>([](index_t width) { return tbb_arena(width); });
}
#endif
