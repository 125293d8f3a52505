// SPDX-License-Identifier: MIT
#include "prytany/layer/option/capacity.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows;

namespace {

float const none = std::nanf("");
constexpr capacity_rule rules[] = {capacity_rule::sequential, capacity_rule::batch_prioritised,
                                   capacity_rule::random, capacity_rule::probability};

/// An open plan in memory of its own.
class opened {
public:
    plan slots;
    capacity::scratch room;

    opened(numbers::lists const& all, index_t most, index_t experts) {
        arena count;
        lay_out(count, all, most, experts);
        memory_ = buffer<std::byte>(count.used());
        arena memory(memory_.data());
        lay_out(memory, all, most, experts);
        slots.open();
        for (std::size_t t = 0; t < all.size(); ++t)
            for (slot const s : all[t])
                slots.put(static_cast<index_t>(t), s.expert, s.weight, s.tier);
    }
    numbers::lists now() const {
        numbers::lists all;
        for (index_t t = 0; t < slots.tokens(); ++t) {
            auto const own = slots.open_slots_of(t);
            all.emplace_back(own.begin(), own.end());
        }
        return all;
    }

private:
    buffer<std::byte> memory_;
    void lay_out(arena& memory, numbers::lists const& all, index_t most, index_t experts) {
        auto const tokens = static_cast<index_t>(all.size());
        slots.lay_out(memory, tokens, most, experts);
        room.lay_out(memory, tokens, most, experts);
    }
};
struct result {
    numbers::lists plan;
    index_t dropped;
};
result limited(capacity_rule rule, numbers::lists const& all, index_t most, index_t experts,
               capacity::params const& own = {}, std::uint64_t seed = 0,
               std::vector<std::uint8_t> const& mask = {}) {
    opened some(all, most, experts);
    rows const x(static_cast<index_t>(all.size()), 1);
    input in{x.view()};
    in.seed = seed;
    in.mask = mask;
    auto const dropped = capacity{rule}.apply(some.slots, in, own, some.room);
    return {some.now(), dropped};
}
numbers::lists chosen(rows const& z, index_t k, bool renormalise = true) {
    numbers::asked<top_k{}> router(z.cols, z.count, {.k = k, .renormalise = renormalise});
    return numbers::slots_of(router(z.view()));
}
/// The tokens that keep a slot.
std::vector<int> kept(numbers::lists const& all) {
    std::vector<int> tokens;
    for (std::size_t t = 0; t < all.size(); ++t)
        if (std::any_of(all[t].begin(), all[t].end(), [](slot s) { return s.tier == 0; }))
            tokens.push_back(static_cast<int>(t));
    return tokens;
}
std::vector<index_t> loads(numbers::lists const& all, index_t experts) {
    std::vector<index_t> count(at(experts));
    for (auto const& slots : all)
        for (slot const s : slots)
            if (s.tier == 0) ++count[at(s.expert)];
    return count;
}
bool subset(numbers::lists const& few, numbers::lists const& more) {
    for (std::size_t t = 0; t < few.size(); ++t)
        for (std::size_t j = 0; j < few[t].size(); ++j)
            if (few[t][j].tier == 0 && more[t][j].tier != 0) return false;
    return true;
}
numbers::lists const four = {{{0, .524979f}}, {{0, .880797f}}, {{0, .622459f}}, {{1, .731059f}}};

} // namespace

TEST_CASE("capacity: the numbers of the specification") {
    CHECK(capacity::of(4, 1, 2, {}) == 2);
    auto const in_order = limited(capacity_rule::sequential, four, 1, 2);
    CHECK(in_order.dropped == 1);
    CHECK(kept(in_order.plan) == std::vector{0, 1, 3});
    CHECK(in_order.plan[2] == std::vector<slot>{{0, 0, 1}});
    for (auto const rule : {capacity_rule::batch_prioritised, capacity_rule::probability}) {
        auto const got = limited(rule, four, 1, 2);
        CHECK(got.dropped == 1);
        CHECK(kept(got.plan) == std::vector{1, 2, 3});
        CHECK(got.plan[1] == four[1]);
    }
    CHECK(limited(capacity_rule::none, four, 1, 2, {.factor = 0}).plan == four);
}

TEST_CASE("capacity: the same from logits, also where all of them are below zero") {
    for (float const shift : {0.0f, -8.0f}) { // what is not chosen has no probability to win by
        rows z(4, 2);
        z.all = {.1f, 0, 2, 0, .5f, 0, 0, 1};
        for (float& x : z.all) x += shift;
        auto const all = chosen(z, 1, false);
        for (std::size_t t = 0; t < 4; ++t) {
            REQUIRE(all[t][0].expert == four[t][0].expert);
            CHECK(std::abs(all[t][0].weight - four[t][0].weight) <= 2e-6f);
        }
        CHECK(kept(limited(capacity_rule::sequential, all, 1, 2).plan) == std::vector{0, 1, 3});
        for (auto const rule : {capacity_rule::batch_prioritised, capacity_rule::probability})
            CHECK(kept(limited(rule, all, 1, 2).plan) == std::vector{1, 2, 3});
    }
}

TEST_CASE("capacity: of three draws the smallest, .1 beside .9 and .5, loses its place") {
    auto const is_near = [](std::uint64_t seed, index_t t, float wanted) {
        return std::abs(draws(seed, t, 0x63617061).uniform(0) - wanted) < 0.1f;
    };
    std::uint64_t seed = 0;
    while (!(is_near(seed, 0, .9f) && is_near(seed, 1, .1f) && is_near(seed, 2, .5f))) ++seed;
    auto const got = limited(capacity_rule::random, four, 1, 2, {}, seed);
    CHECK(kept(got.plan) == std::vector{0, 2, 3});
    CHECK(got.plan[0] == four[0]); // the draw is no weight
}

TEST_CASE("capacity: random keeps the largest draws, of token and expert") {
    bool differs = false;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        auto const got = limited(capacity_rule::random, four, 1, 2, {}, seed);
        std::vector<std::pair<float, int>> order;
        for (int t = 0; t < 3; ++t) order.emplace_back(draws(seed, t, 0x63617061).uniform(0), t);
        std::sort(order.begin(), order.end());
        std::vector<int> wanted{order[1].second, order[2].second, 3};
        std::sort(wanted.begin(), wanted.end());
        CHECK(kept(got.plan) == wanted);
        differs = differs || wanted != std::vector{0, 1, 3};
        CHECK(got.plan == limited(capacity_rule::random, four, 1, 2, {}, seed).plan);
    }
    CHECK(differs);

    auto const many = chosen(rows::normal(30, 1, 1), 1); // a part draws what the whole would
    numbers::lists const last(many.begin() + 20, many.end());
    opened some(last, 1, 1);
    rows const x(10, 1);
    input in{x.view()};
    in.first = 20;
    capacity{capacity_rule::random}.apply(some.slots, in, {.factor = 0.5f}, some.room);
    float least = 1, most = 0;
    for (index_t t = 0; t < 10; ++t) {
        float const u = draws(0, 20 + t, 0x63617061).uniform(0);
        if (some.now()[at(t)][0].tier == 0) least = std::min(least, u);
        else most = std::max(most, u);
    }
    CHECK(most < least);
}

TEST_CASE("capacity: C is a share rounded up, at least the minimum") {
    CHECK(capacity::of(25, 1, 2, {.factor = 1.2f}) == 15); // and not 16
    CHECK(capacity::of(9, 2, 4, {}) == 5);
    CHECK(capacity::of(9, 2, 4, {.factor = 1.25f}) == 6);
    CHECK(capacity::of(9, 2, 4, {.minimum = 8}) == 8);
    CHECK(capacity::of(0, 2, 4, {}) == 0);
    // of 100 tokens on 8 experts: one choice, two (twice the factor), and a quarter of all tokens
    CHECK(capacity::of(100, 1, 8, {.factor = 1.25f}) == 16);
    CHECK(capacity::of(100, 2, 8, {.factor = 1.25f}) == 32);
    CHECK(capacity::of(100, 1, 8, {.factor = 0.25f * 8}) == 25);
    CHECK(capacity::of(20, 1, 8, {.minimum = 8}) == 8);
    // V-MoE: up to a multiple of 4; twice the factor of one choice, where a token may have all 8
    CHECK(capacity::of(100, 2, 8, {.factor = 1.05f, .multiple = 4}) == 28);
    CHECK(capacity::of(96, 2, 8, {.multiple = 4}) == 24);
    CHECK(capacity::of(20, 1, 8, {.minimum = 6, .multiple = 4}) == 8);
    CHECK(capacity::of(40, 8, 8, {}) == 40);
    CHECK(capacity::of(40, 8, 8, {.k = 2}) == 10);
    constexpr capacity::params given{};
    CHECK((given.factor == 1 && given.minimum == 0 && !given.renormalise));
    CHECK((given.k == dynamic && given.multiple == 1));
    CHECK(capacity{}.rule == capacity_rule::sequential);
    CHECK(capacity::of(64, 1, 64, {}) == 1); // a share of one expert, not of all
}

TEST_CASE("capacity: all first choices come before any second one") {
    numbers::lists const all = {{{0, .6f}, {1, .4f}}, {{2, .9f}, {1, .1f}}, {{1, .7f}, {0, .3f}}};
    auto const got = limited(capacity_rule::sequential, all, 2, 3, {.factor = 0.5f}); // C = 1
    CHECK(got.dropped == 3);
    CHECK(got.plan[0] == std::vector<slot>{{0, .6f, 0}, {1, 0, 1}});
    CHECK(got.plan[1] == std::vector<slot>{{2, .9f, 0}, {1, 0, 1}});
    CHECK(got.plan[2] == std::vector<slot>{{1, .7f, 0}, {0, 0, 1}});
    auto const by_weight = limited(capacity_rule::batch_prioritised, all, 2, 3, {.factor = 0.5f});
    CHECK(by_weight.plan == got.plan);
    numbers::lists const crowd = {{{0, .5f}, {1, .5f}}, {{0, .6f}, {1, .4f}}, {{1, .3f}, {0, .2f}}};
    auto const best = limited(capacity_rule::batch_prioritised, crowd, 2, 2, {.factor = 0.4f});
    CHECK(best.plan[0] == std::vector<slot>{{0, .5f, 0}, {1, 0, 1}}); // C = 2
    CHECK(best.plan[1] == std::vector<slot>{{0, .6f, 0}, {1, .4f, 0}});
    CHECK(best.plan[2] == std::vector<slot>{{1, .3f, 0}, {0, 0, 1}});
}

TEST_CASE("property 11: what runs and what is dropped is what was chosen, each once") {
    auto const z = rows::normal(77, 6, 2, 2);
    for (index_t const k : {1, 2, 4})
        for (auto const rule : rules)
            for (float const factor : {0.0f, 0.3f, 1.0f, 1.7f}) {
                auto const all = chosen(z, k);
                opened some(all, k, 6);
                rows const x(77, 1);
                capacity::params const own{.factor = factor};
                auto const dropped =
                    capacity{rule}.apply(some.slots, input{x.view()}, own, some.room);
                index_t const most = capacity::of(77, k, 6, own);
                some.slots.close();
                index_t run = 0;
                for (index_t e = 0; e < 6; ++e) {
                    auto const tokens = some.slots.tokens_of(e);
                    CHECK(static_cast<index_t>(tokens.size()) <= most);
                    CHECK(std::adjacent_find(tokens.begin(), tokens.end()) == tokens.end());
                    run += static_cast<index_t>(tokens.size());
                }
                CHECK(run + dropped == 77 * k);
                CHECK(some.slots.slots() == 77 * k);
                for (index_t t = 0; t < 77; ++t)
                    for (std::size_t j = 0; j < at(k); ++j) {
                        slot const now = some.slots.slots_of(t)[j], then = all[at(t)][j];
                        CHECK(now.expert == then.expert);
                        CHECK(now.weight == (now.tier == 0 ? then.weight : 0.0f));
                    }
            }
}

TEST_CASE("property 24: room for all drops nothing, more room drops no pair that was kept") {
    auto const z = rows::normal(60, 5, 3, 2);
    auto const all = chosen(z, 2);
    for (auto const rule : rules)
        for (bool const renormalise : {false, true}) {
            capacity::params own{.factor = 0, .renormalise = renormalise};
            own.minimum = 120;
            auto const dropless = limited(rule, all, 2, 5, own, 7);
            CHECK(dropless.dropped == 0);
            CHECK(numbers::same_slots(dropless.plan, all));
            auto before = limited(rule, all, 2, 5, {.factor = 0}, 7);
            CHECK(before.dropped == 120);
            for (own.minimum = 1; own.minimum < 40; ++own.minimum) {
                auto const now = limited(rule, all, 2, 5, own, 7);
                CHECK(subset(before.plan, now.plan));
                for (index_t const load : loads(now.plan, 5)) CHECK(load <= own.minimum);
                before = now;
            }
        }
}

TEST_CASE("capacity: what a token keeps takes over what it lost, when asked for") {
    numbers::lists const all = {
        {{0, .75f}, {1, .25f}}, {{0, .5f}, {1, 1.5f}}, {{1, .3f}, {0, .1f}}};
    capacity::params own{.factor = 0, .minimum = 1};
    CHECK(limited(capacity_rule::probability, all, 2, 2, own).plan[0][0].weight == .75f);
    own.renormalise = true;
    auto const got = limited(capacity_rule::probability, all, 2, 2, own);
    CHECK(got.plan[0] == std::vector<slot>{{0, 1, 0}, {1, 0, 1}});
    CHECK(got.plan[1] == std::vector<slot>{{0, 0, 1}, {1, 2, 0}});
    CHECK(kept(got.plan) == std::vector{0, 1});
    for (slot const s : got.plan[2]) CHECK(s.weight == 0); // no share of nothing
}

TEST_CASE("capacity: padding is not counted, other tiers neither count nor are dropped") {
    auto all = chosen(rows::normal(20, 3, 5, 2), 1);
    std::vector<std::uint8_t> mask(20, 1);
    for (std::size_t t = 0; t < 20; t += 2) {
        mask[t] = 0;
        all[t].clear();
    }
    for (auto const rule : rules) {
        auto const got = limited(rule, all, 1, 3, {.factor = 0.5f}, 1, mask); // of 10 tokens: 2
        for (index_t const load : loads(got.plan, 3)) CHECK(load <= 2);
    }
    numbers::lists const light = {{{0, .9f, 2}}, {{0, .5f, 0}}, {{0, .4f, 0}}};
    for (auto const rule : {capacity_rule::sequential, capacity_rule::probability}) {
        auto const got = limited(rule, light, 1, 1, {.factor = 0, .minimum = 1});
        CHECK(got.plan[0] == light[0]);
        CHECK(got.plan[1] == light[1]);
        CHECK(got.dropped == 1);
    }
}

TEST_CASE("capacity: equal weights go to lower tokens, NaN weighs least") {
    numbers::lists const same(5, {{0, .5f}});
    for (auto const rule :
         {capacity_rule::sequential, capacity_rule::probability, capacity_rule::batch_prioritised})
        CHECK(kept(limited(rule, same, 1, 1, {.factor = 0.6f}).plan) == std::vector{0, 1, 2});
    numbers::lists const lost = {{{0, none}}, {{0, 0}}, {{0, none}}, {{0, -1}}};
    for (auto const rule : {capacity_rule::probability, capacity_rule::batch_prioritised})
        CHECK(kept(limited(rule, lost, 1, 1, {.factor = 0.5f}).plan) == std::vector{1, 3});
}

TEST_CASE("capacity: no tokens, what is out of range") {
    for (auto const rule : rules) CHECK(limited(rule, {}, 2, 4).dropped == 0);
    auto const sentence = [](capacity::params const& own) {
        try {
            capacity::check(own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence({}).empty());
    CHECK(sentence({.factor = -1}) ==
          "capacity.factor: expected a finite number ≥ 0, got -1.000000");
    CHECK(sentence({.factor = none}).find("capacity.factor: expected") == 0);
    CHECK(sentence({.minimum = -2}) == "capacity.minimum: expected at least 0, got -2");
    CHECK(sentence({.k = 0}) == "capacity.k: expected at least 1, got 0");
    CHECK(sentence({.multiple = 0}).find("capacity.multiple: expected 1 to") == 0);
    STATIC_REQUIRE(layer_option<capacity>);
    STATIC_REQUIRE(options_for<capacity_aspect, capacity{}> == 1);
}
