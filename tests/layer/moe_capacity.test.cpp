// SPDX-License-Identifier: MIT
// A layer whose experts take a limited number of tokens.
#include "conformance/numbers.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/layer/option/capacity.hpp"
#include "prytany/router/expert_choice.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows;

namespace {

constexpr shape size{.model = 12, .hidden = 10, .experts = 5, .shared = 1, .shared_hidden = 10};
constexpr shape free_size{.model = 12, .hidden = 10, .shared = 1, .shared_hidden = 10};

using dropless = moe<free_size, top_k{.k = 2}, ffn{swiglu}>;
template <capacity_rule Rule>
using capped = moe<free_size, top_k{.k = 2}, ffn{swiglu}, capacity{Rule}>;

template <class Layer>
Layer made(float factor) {
    Layer layer(size, {.capacity = {.factor = factor}});
    numbers::fill(layer);
    return layer;
}

} // namespace

TEMPLATE_TEST_CASE("moe: room for all is no capacity at all", "", capped<capacity_rule::sequential>,
                   capped<capacity_rule::batch_prioritised>, capped<capacity_rule::random>,
                   capped<capacity_rule::probability>, capped<capacity_rule::none>) {
    dropless plain(size);
    numbers::fill(plain);
    auto const x = rows::normal(40, 12, 5);
    CHECK(numbers::run(made<TestType>(5), x) == numbers::run(plain, x));
    constexpr bool drops = !std::same_as<TestType, capped<capacity_rule::none>>;
    STATIC_REQUIRE(TestType::promise.sees == (drops ? scope::batch : scope::token));
    STATIC_REQUIRE(TestType::promise.causal == !drops);
}

TEMPLATE_TEST_CASE("moe: no expert takes more than its capacity, the dropped add nothing", "",
                   capped<capacity_rule::sequential>, capped<capacity_rule::batch_prioritised>,
                   capped<capacity_rule::random>, capped<capacity_rule::probability>) {
    auto const layer = made<TestType>(0.75f);
    auto const x = rows::normal(40, 12, 5);
    workspace ws;
    auto const y = numbers::run(layer, x, ws, sequential{});
    auto const weights = numbers::twin_of(layer);
    index_t run = 0;
    for (index_t e = 0; e < 5; ++e) {
        auto const load = static_cast<index_t>(ws.plan().tokens_of(e).size());
        CHECK(load <= 12); // 0.75 · 40 · 2 / 5
        run += load;
    }
    CHECK(run < 80);
    CHECK(ws.plan().slots() == 80); // the dropped stay listed
    twin::row wanted;
    for (index_t t = 0; t < 40; ++t) {
        std::vector<twin::choice> slots;
        for (slot const s : ws.plan().slots_of(t)) {
            slots.push_back({at(s.expert), double{s.weight}, s.tier == 0});
            if (s.tier != 0) CHECK(s.weight == 0);
        }
        auto const row =
            twin::moe(twin::doubles(x.row_of(t)), weights, slots, twin::gated(twin::silu));
        wanted.insert(wanted.end(), row.begin(), row.end());
    }
    CHECK(twin::nmse(y, wanted) <= 1e-12);
    thread_pool four(4);
    workspace other;
    CHECK(numbers::run(layer, x, other, four) == y);
}

TEST_CASE("moe: a token that lost its place has the shared experts alone, without them nothing") {
    auto const x = rows::normal(30, 12, 6);
    moe<size, top_k{.k = 1}, ffn{swiglu}, capacity{}> shared(size, {.capacity = {.factor = 0.5f}});
    constexpr shape bare{.model = 12, .hidden = 10, .experts = 5};
    moe<bare, top_k{.k = 1}, ffn{swiglu}, capacity{}> routed(bare, {.capacity = {.factor = 0.5f}});
    numbers::fill(shared);
    numbers::fill(routed);
    workspace ws;
    auto const with = numbers::run(shared, x, ws, sequential{});
    auto const weights = numbers::twin_of(shared);
    index_t lost = 0;
    for (index_t t = 0; t < 30; ++t) {
        if (ws.plan().slots_of(t)[0].tier == 0) continue;
        ++lost;
        auto const wanted =
            twin::moe(twin::doubles(x.row_of(t)), weights, {}, twin::gated(twin::silu));
        std::vector<float> const row(with.begin() + t * 12, with.begin() + (t + 1) * 12);
        CHECK(twin::nmse(row, wanted) <= 1e-12);
    }
    CHECK(lost >= 10);
    auto const without = numbers::run(routed, x, ws, sequential{});
    for (index_t t = 0; t < 30; ++t) {
        std::vector<float> const row(without.begin() + t * 12, without.begin() + (t + 1) * 12);
        CHECK((row == std::vector<float>(12)) == (ws.plan().slots_of(t)[0].tier != 0));
    }
}

TEST_CASE("moe: what survives of two slots weighs 1 if weights are made anew, else as before") {
    auto const x = rows::normal(40, 12, 5);
    dropless plain(size);
    numbers::fill(plain);
    workspace ws;
    (void)numbers::run(plain, x, ws, sequential{});
    auto const before = numbers::slots_of(ws.plan());
    for (bool const renormalise : {false, true}) {
        capped<capacity_rule::sequential> layer(
            size, {.capacity = {.factor = 0.6f, .renormalise = renormalise}});
        numbers::fill(layer);
        (void)numbers::run(layer, x, ws, sequential{});
        index_t survivors = 0;
        for (index_t t = 0; t < 40; ++t) {
            auto const now = ws.plan().slots_of(t);
            for (std::size_t j = 0; j < 2; ++j) {
                if (now[j].tier != 0) continue;
                bool const alone = now[1 - j].tier != 0;
                survivors += alone ? 1 : 0;
                if (alone && renormalise) CHECK(std::abs(now[j].weight - 1) <= 1e-6f);
                else CHECK(now[j] == before[at(t)][j]);
            }
        }
        CHECK(survivors > 5);
    }
}

TEST_CASE("moe: padding takes no place from others") {
    auto const layer = made<capped<capacity_rule::sequential>>(0.5f);
    auto const x = rows::normal(40, 12, 5);
    std::vector<std::uint8_t> mask(40, 1);
    for (index_t t = 0; t < 20; ++t) mask[at(t)] = 0;
    workspace ws;
    auto const masked = numbers::run(layer, x, ws, sequential{}, mask);
    auto const alone = numbers::run(layer, x.part(20, 20));
    CHECK(std::vector<float>(masked.begin() + 20 * 12, masked.end()) == alone);
}

TEST_CASE("moe: sequences reach a router that sees them") {
    constexpr expert_choice by{.among = scope::sequence};
    moe<shape{12, 10, 4}, by, ffn{swiglu}> layer;
    numbers::fill(layer);
    auto const x = rows::normal(70, 12, 3);
    std::vector<index_t> const starts{0, 10};
    rows y(70, 12);
    input in{x.view()};
    in.sequences = starts;
    workspace ws;
    thread_pool three(3);
    layer.forward(in, y.view(), ws, three);
    CHECK(std::vector<float>(y.all.begin(), y.all.begin() + 10 * 12) ==
          numbers::run(layer, x.part(0, 10)));
    for (std::vector<index_t> const& wrong :
         {std::vector<index_t>{1}, {0, 5, 5}, {0, 70}, {0, 9, 3}}) {
        in.sequences = wrong;
        CHECK_THROWS_AS(layer.forward(in, y.view(), ws, three), error);
    }
}

TEST_CASE("moe: a capacity that cannot be") {
    using layer = capped<capacity_rule::sequential>;
    CHECK_THROWS_AS(layer(size, {.capacity = {.factor = -1}}), error);
    CHECK_THROWS_AS(layer(size, {.capacity = {.minimum = -1}}), error);
}
