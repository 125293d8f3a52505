// SPDX-License-Identifier: MIT
// What must not change a bit: the batch, the threads, the run, the neighbours, the path.
#include <limits>
#include <thread>

#include "layer/moe_held.hpp"
#include "prytany/exec/thread_pool.hpp"

using namespace prytany;
using numbers::at, numbers::rows, numbers::run, numbers::same_bits;

namespace {

using wide =
    moe<shape{40, 56, 12, 2, 24}, top_k{.k = 3}, ffn{swiglu}, dense<bf16>{}, shared_gate{}>;
using plain = moe<shape{33, 17, 7}, top_k{.k = 2}, ffn{gelu, biases}>;
using untiled = moe<shape{33, 17, 7}, top_k{.k = 2}, written::untiled{ffn{gelu, biases}}>;

template <class Layer>
Layer filled(std::uint64_t seed = 1) {
    Layer layer;
    numbers::fill(layer, seed);
    return layer;
}

template <class Layer>
void batch_changes_nothing() {
    auto const layer = filled<Layer>();
    index_t const tokens = 70, model = layer.sizes().model;
    auto const x = rows::normal(tokens, model, 5);
    workspace ws;
    auto const whole = run(layer, x, ws, sequential{});
    auto const row_of = [&](std::vector<float> const& y, index_t t) {
        return std::vector<float>(y.begin() + t * model, y.begin() + (t + 1) * model);
    };
    for (index_t t = 0; t < tokens; ++t)
        REQUIRE(same_bits(run(layer, x.part(t, 1), ws, sequential{}), row_of(whole, t)));
    for (index_t const chunk : {2, 3, 7, 13, 24, 69}) {
        std::vector<float> joined;
        for (index_t t = 0; t < tokens; t += chunk) {
            auto const some = run(layer, x.part(t, std::min(chunk, tokens - t)), ws, sequential{});
            joined.insert(joined.end(), some.begin(), some.end());
        }
        REQUIRE(same_bits(joined, whole));
    }
    rows reversed(tokens, model), copies(tokens, model);
    for (index_t t = 0; t < tokens; ++t) {
        std::copy_n(x.view().row(t), model, reversed.row(tokens - 1 - t));
        std::copy_n(x.view().row(3), model, copies.row(t));
    }
    auto const backwards = run(layer, reversed, ws, sequential{});
    auto const same = run(layer, copies, ws, sequential{});
    for (index_t t = 0; t < tokens; ++t) {
        REQUIRE(same_bits(row_of(backwards, tokens - 1 - t), row_of(whole, t)));
        REQUIRE(same_bits(row_of(same, t), row_of(whole, 3)));
    }
}

template <class Layer>
void threads_change_nothing() {
    auto const layer = filled<Layer>();
    for (index_t const tokens : {1, 2, 5, 8, 16, 33, 64}) {
        auto const x = rows::normal(tokens, layer.sizes().model, 6);
        workspace ws;
        auto const right = run(layer, x, ws, sequential{});
        auto const plan = numbers::slots_of(ws.plan());
        for (index_t const width : {1, 2, 4, 8}) {
            thread_pool pool(width);
            for (int again = 0; again < 10; ++again) {
                REQUIRE(same_bits(run(layer, x, ws, pool), right));
                REQUIRE(numbers::same_slots(numbers::slots_of(ws.plan()), plan));
            }
        }
    }
}

} // namespace

TEST_CASE("moe: a token has the same bits alone, in any batch and in any order") {
    batch_changes_nothing<wide>();
    batch_changes_nothing<plain>();
    batch_changes_nothing<untiled>();
}

TEST_CASE("moe: any number of threads gives the same bits, in every run") {
    threads_change_nothing<wide>();
    threads_change_nothing<plain>();
    threads_change_nothing<untiled>();
}

TEST_CASE("moe: sizes that the type fixes change no bit") {
    auto const fixed = filled<wide>();
    moe<shape{.shared = dynamic}, top_k{}, ffn{swiglu}, dense<bf16>{}, shared_gate{}> free(
        {40, 56, 12, 2, 24}, {.router = {.k = 3}});
    numbers::fill(free);
    for (index_t const tokens : {1, 2, 3, 20, 65}) {
        auto const x = rows::normal(tokens, 40, 7);
        CHECK(same_bits(run(fixed, x), run(free, x)));
    }
    CHECK(fixed.sizes() == free.sizes());
    CHECK(fixed.slots() == free.slots());
}

TEST_CASE("moe: an expert that comes in no tiles gives the bits of one that does") {
    STATIC_REQUIRE(plain::tiled);
    STATIC_REQUIRE(!untiled::tiled);
    auto const tiles = filled<plain>();
    auto const whole = filled<untiled>();
    thread_pool pool(3);
    for (index_t const tokens : {1, 2, 3, 7, 40}) {
        auto const x = rows::normal(tokens, 33, 8);
        workspace ws;
        CHECK(same_bits(run(tiles, x), run(whole, x)));
        CHECK(same_bits(run(tiles, x), run(whole, x, ws, pool)));
    }
    using shared_tiles = moe<shape{20, 24, 5, 2, 30}, top_k{.k = 2}, ffn{swiglu}, shared_gate{}>;
    using shared_whole =
        moe<shape{20, 24, 5, 2, 30}, top_k{.k = 2}, written::untiled{ffn{swiglu}}, shared_gate{}>;
    auto const x = rows::normal(31, 20, 9);
    std::vector<std::uint8_t> mask(31, 1);
    mask[4] = mask[30] = 0;
    CHECK(same_bits(run(filled<shared_tiles>(), x), run(filled<shared_whole>(), x)));
    CHECK(same_bits(run(filled<shared_tiles>(), x, mask), run(filled<shared_whole>(), x, mask)));
}

TEST_CASE("moe: a token of NaN or infinities changes no bit of another row") {
    auto const check = [](auto const& layer) {
        auto x = rows::normal(40, layer.sizes().model, 11);
        thread_pool pool(4);
        workspace ws;
        auto const clean = run(layer, x, ws, sequential{});
        for (float const soil : {std::nanf(""), std::numeric_limits<float>::infinity(), -3e38f}) {
            auto soiled = x;
            for (index_t const t : {0, 13, 39})
                for (index_t c = 0; c < x.cols; c += t + 1) soiled.row(t)[c] = soil;
            auto const got = run(layer, soiled, ws, pool);
            for (index_t t = 0; t < 40; ++t) {
                if (t == 0 || t == 13 || t == 39) continue;
                auto const first = static_cast<std::size_t>(t * x.cols);
                REQUIRE(same_bits(std::span(got).subspan(first, at(x.cols)),
                                  std::span(clean).subspan(first, at(x.cols))));
            }
            if (std::isnan(soil))
                for (index_t c = 0; c < x.cols; ++c) REQUIRE(std::isnan(got[at(c)]));
        }
    };
    check(filled<wide>());
    check(filled<plain>());
    check(filled<untiled>());
}

TEST_CASE("moe: the weights of an expert that nobody chose are never read") {
    auto layer = filled<wide>();
    auto const x = rows::normal(2, 40, 12);
    workspace ws;
    auto const right = run(layer, x, ws, sequential{});
    int soiled = 0;
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.part != "expert" || !ws.plan().tokens_of(t.name.expert).empty()) return;
        numbers::fill_with(t, std::nanf(""));
        ++soiled;
    });
    CHECK(soiled >= 6 * 3);
    CHECK(same_bits(run(layer, x), right));
}

TEST_CASE("moe: a logit of -inf runs no expert and reads no weights") {
    moe<shape{8, 16, 4, 1}, top_k{.k = 3}, ffn{swiglu}> layer;
    numbers::fill(layer);
    rows const x(1, 8, 1.0f);
    rows router(4, 8);
    for (index_t e : {0, 2, 3}) router.row(e)[0] = -std::numeric_limits<float>::infinity();
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.part == "router") t.pack(router.view());
        if (t.name.part == "expert" && t.name.expert != 1) numbers::fill_with(t, std::nanf(""));
    });
    workspace ws;
    auto const y = run(layer, x, ws, sequential{});
    auto const slots = ws.plan().slots_of(0);
    REQUIRE(slots.size() == 3);
    CHECK(slots[0] == slot{1, 1.0f, 0});
    CHECK(slots[1] == slot{0, 0.0f, 1});
    for (float const v : y) CHECK(std::isfinite(v));

    router.row(1)[0] = router.row(0)[0]; // now none runs: what is left is the shared expert
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.part == "router") t.pack(router.view());
    });
    auto const shared_alone = run(layer, x, ws, sequential{});
    CHECK(ws.plan().first_of(4) == 0);
    auto const twin = numbers::twin_of(layer);
    CHECK(twin::nmse(shared_alone,
                     twin::moe(twin::doubles(x.all), twin, {}, twin::gated(twin::silu))) <= 1e-12);
}

TEST_CASE("moe: masked tokens get no slot and a row of zeros, the others keep their bits") {
    auto const check = [](auto const& layer) {
        auto x = rows::normal(37, layer.sizes().model, 13);
        workspace ws;
        thread_pool pool(3);
        auto const all = run(layer, x, ws, sequential{});
        std::vector<std::uint8_t> mask(37);
        for (std::size_t t = 0; t < 37; ++t)
            mask[t] = static_cast<std::uint8_t>(t % 3 == 0 ? 0 : t);
        for (std::size_t t = 0; t < 37; t += 3) // what lies in padding does not matter
            for (index_t c = 0; c < x.cols; ++c) x.row(static_cast<index_t>(t))[c] = std::nanf("");
        auto const got = run(layer, x, ws, pool, mask);
        for (index_t t = 0; t < 37; ++t) {
            auto const own = std::span(got).subspan(at(t * x.cols), at(x.cols));
            if (mask[at(t)] != 0) {
                REQUIRE(same_bits(own, std::span(all).subspan(at(t * x.cols), at(x.cols))));
            } else {
                REQUIRE(ws.plan().slots_of(t).empty());
                for (float const v : own) REQUIRE(v == 0);
            }
        }
        std::vector<std::uint8_t> const none(37, 0);
        for (float const v : run(layer, x, ws, sequential{}, none)) REQUIRE(v == 0);
    };
    check(filled<wide>());
    check(filled<plain>());
    check(filled<untiled>());
}

TEST_CASE("moe: rows may lie apart, what lies between them is left alone") {
    auto const layer = filled<plain>();
    auto const x = rows::normal(9, 33, 14);
    auto const right = run(layer, x);
    rows in(9, 50, std::nanf("")), out(9, 41, 77.0f);
    for (index_t t = 0; t < 9; ++t) std::copy_n(x.view().row(t), 33, in.row(t));
    workspace ws;
    layer.forward(matrix_view<float const>(in.all.data(), 9, 33, 50),
                  matrix_view<float>(out.all.data(), 9, 33, 41), ws, sequential{});
    for (index_t t = 0; t < 9; ++t)
        for (index_t c = 0; c < 41; ++c)
            REQUIRE(out.row(t)[c] == (c < 33 ? right[at(t * 33 + c)] : 77.0f));
}

TEST_CASE("moe: sixteen threads share one layer, each with its workspace") {
    auto const layer = filled<wide>();
    std::vector<rows> inputs;
    std::vector<std::vector<float>> right;
    for (index_t i = 0; i < 16; ++i) {
        inputs.push_back(rows::normal(1 + i * 3, 40, at(100 + i)));
        right.push_back(run(layer, inputs.back()));
    }
    std::vector<int> wrong(16);
    thread_pool pool(2); // some of the callers also share a pool
    std::vector<std::thread> callers;
    for (std::size_t i = 0; i < 16; ++i)
        callers.emplace_back([&, i] {
            workspace ws;
            for (int again = 0; again < 20; ++again) {
                auto const got = i % 2 == 0 ? run(layer, inputs[i], ws, sequential{})
                                            : run(layer, inputs[i], ws, pool);
                wrong[i] += !same_bits(got, right[i]);
            }
        });
    for (auto& caller : callers) caller.join();
    CHECK(wrong == std::vector<int>(16));
}
