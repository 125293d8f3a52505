// SPDX-License-Identifier: MIT
#include "prytany/router/expert_choice.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");
constexpr expert_choice in_sequence{.among = scope::sequence};
constexpr expert_choice promoe{.among = scope::sequence, .weight = worth::score};

void require_slots(std::vector<slot> const& got, std::vector<std::pair<int, double>> const& all) {
    REQUIRE(got.size() == all.size());
    for (std::size_t j = 0; j < got.size(); ++j) {
        CHECK(got[j].expert == all[j].first);
        CHECK(std::abs(double{got[j].weight} - all[j].second) <= 1e-6 + 1e-5 * all[j].second);
    }
}
seen with(rows const& z) {
    seen in{input{z.view()}};
    in.logits = z.view();
    return in;
}
rows of(index_t cols, std::vector<float> const& all) {
    rows z(static_cast<index_t>(all.size()) / cols, cols);
    z.all = all;
    return z;
}
/// Each expert sorts the tokens that are there, in double precision.
numbers::lists by_sorting(rows const& z, index_t most, std::vector<std::uint8_t> const& mask = {}) {
    numbers::lists wanted(at(z.count));
    std::vector<index_t> order;
    for (index_t t = 0; t < z.count; ++t)
        if (mask.empty() || mask[at(t)] != 0) order.push_back(t);
    for (index_t e = 0; e < z.cols; ++e) {
        auto const p = [&](index_t t) {
            double total = 0;
            for (float const s : z.row_of(t)) total += std::exp(double{s});
            return std::exp(double{z.row_of(t)[at(e)]}) / total;
        };
        std::sort(order.begin(), order.end(), [&](auto a, auto b) { return p(a) > p(b); });
        for (index_t i = 0; i < most; ++i)
            wanted[at(order[at(i)])].push_back(
                {static_cast<int>(e), static_cast<float>(p(order[at(i)])), 0});
    }
    return wanted;
}
void require_same(numbers::lists const& got, numbers::lists const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t t = 0; t < got.size(); ++t) {
        REQUIRE(got[t].size() == wanted[t].size());
        for (std::size_t j = 0; j < got[t].size(); ++j) {
            CHECK(got[t][j].expert == wanted[t][j].expert);
            CHECK(got[t][j].weight == Approx(wanted[t][j].weight).epsilon(1e-5));
        }
    }
}
rows const four = of(2, {.1f, 0, 2, 0, .5f, 0, 0, 1});

} // namespace

TEST_CASE("expert_choice: the numbers of the specification") {
    asked<expert_choice{}> router(2, 4, {.factor = 1});
    auto const got = slots_of(router(four.view()));
    require_slots(got[0], {{1, 0.475021}});
    require_slots(got[1], {{0, 0.880797}});
    require_slots(got[2], {{0, 0.622459}});
    require_slots(got[3], {{1, 0.731059}});
}

TEST_CASE("expert_choice: every expert has its share, as sorting in double says") {
    auto const z = rows::normal(45, 7, 3, 2);
    for (float const factor : {0.1f, 1.0f, 2.0f, 3.5f}) {
        asked<expert_choice{}> router(7, 45, {.factor = factor});
        auto const most = static_cast<index_t>(std::ceil(double{factor} * 45 / 7 - 1e-6));
        auto const& plan = router(z.view());
        for (index_t e = 0; e < 7; ++e) CHECK(plan.tokens_of(e).size() == at(most));
        require_same(slots_of(plan), by_sorting(z, most));
    }
}

TEST_CASE("expert_choice: a token may have none of the experts, or every one") {
    auto const z = of(2, {0, 0, 5, 5, 1, -9});
    asked<expert_choice{}> router(2, 3, {.factor = 0.5f});
    auto const got = slots_of(router(z.view()));
    require_slots(got[0], {{1, 0.5}});
    CHECK(got[1].empty());
    require_slots(got[2], {{0, 0.999955}});
    asked<expert_choice{}> all(2, 3, {.factor = 2});
    for (auto const& slots : slots_of(all(z.view()))) CHECK(slots.size() == 2);
    asked<expert_choice{}> more(2, 3, {.factor = 100});
    CHECK(numbers::same_slots(slots_of(more(z.view())), slots_of(all(z.view()))));
}

TEST_CASE("expert_choice: equal worth goes to the lower token") {
    asked<expert_choice{}> router(2, 6, {.factor = 1});
    auto const got = slots_of(router(rows(6, 2).view()));
    for (std::size_t t = 0; t < 6; ++t) CHECK(got[t].size() == (t < 3 ? 2 : 0));
}

TEST_CASE("expert_choice: padding is neither taken nor counted") {
    auto z = rows::normal(20, 4, 5, 2);
    std::vector<std::uint8_t> mask(20, 1);
    for (index_t t = 0; t < 20; t += 3) {
        mask[at(t)] = 0;
        z.row(t)[0] = 50; // it would be taken first
        z.row(t)[1] = t % 2 == 0 ? none : infinity;
    }
    asked<expert_choice{}> router(4, 20, {.factor = 1});
    auto in = with(z);
    in.mask = mask;
    require_same(slots_of(router(in)), by_sorting(z, 4, mask)); // ⌈13 / 4⌉
    mask.assign(20, 0);
    for (auto const& slots : slots_of(router(in))) CHECK(slots.empty());
}

TEST_CASE("expert_choice: by sequences, each as if it were alone") {
    auto const z = rows::normal(30, 5, 6, 2);
    std::vector<index_t> const starts{0, 7, 8, 20};
    asked<in_sequence> router(5, 30, {.factor = 1.5f});
    auto in = with(z);
    in.sequences = starts;
    auto const got = slots_of(router(in));
    for (std::size_t s = 0; s < 4; ++s) {
        index_t const end = s < 3 ? starts[s + 1] : 30;
        auto const alone = slots_of(router(z.part(starts[s], end - starts[s]).view()));
        CHECK(numbers::same_slots(alone, {got.begin() + starts[s], got.begin() + end}));
    }
    asked<expert_choice{}> whole(5, 30, {.factor = 1.5f});
    CHECK(!numbers::same_slots(slots_of(whole(in)), got));
    STATIC_REQUIRE(in_sequence.promise().sees == scope::sequence);
}

TEST_CASE("expert_choice: NaN is taken last, and takes nothing from other tokens") {
    auto z = rows::normal(12, 3, 7, 2);
    z.row(4)[0] = z.row(4)[1] = z.row(4)[2] = none;
    asked<expert_choice{}> router(3, 12, {.factor = 2.75f}); // 11 of 12
    auto const got = slots_of(router(z.view()));
    for (std::size_t t = 0; t < 12; ++t) CHECK(got[t].size() == (t == 4 ? 0 : 3));
    asked<expert_choice{}> all(3, 12, {.factor = 3});
    auto const forced = slots_of(all(z.view()));
    for (slot const s : forced[4]) CHECK(std::isnan(s.weight));
    for (std::size_t t = 0; t < 12; ++t)
        if (t != 4) CHECK(numbers::same_bits(forced[t], got[t]));
}

TEST_CASE("expert_choice: infinities") {
    auto const z = of(2, {infinity, 1, infinity, infinity, -infinity, 0, -infinity, -infinity});
    asked<expert_choice{}> router(2, 4, {.factor = 2});
    auto const got = slots_of(router(z.view()));
    auto const sorted = [](std::vector<slot> slots) {
        std::sort(slots.begin(), slots.end(), [](slot a, slot b) { return a.expert < b.expert; });
        return slots;
    };
    CHECK(sorted(got[0]) == std::vector<slot>{{0, 1, 0}, {1, 0, 0}});
    CHECK(sorted(got[1]) == std::vector<slot>{{0, .5f, 0}, {1, .5f, 0}});
    CHECK(sorted(got[2]) == std::vector<slot>{{0, 0, 1}, {1, 1, 0}});
    CHECK(sorted(got[3]) == std::vector<slot>{{0, 0, 1}, {1, 0, 1}});
}

TEST_CASE("expert_choice: a ranking chooses, the logits weigh") {
    auto const turned = of(2, {3, 0, 0, 0, 2, 0, 0, 5});
    asked<expert_choice{}> router(2, 4, {.factor = 0.5f});
    auto in = with(four);
    in.ranking = turned.view();
    auto const got = slots_of(router(in));
    require_slots(got[0], {{0, 0.524979}});
    require_slots(got[3], {{1, 0.731059}});
}

TEST_CASE("expert_choice: one expert, one token, what is out of range") {
    asked<expert_choice{}> one(1, 3, {.factor = 1});
    for (auto const& slots : slots_of(one(rows::normal(3, 1, 1).view())))
        CHECK(slots == std::vector<slot>{{0, 1, 0}});
    asked<expert_choice{}> router(8, 1);
    CHECK(router(rows(1, 8).view()).slots_of(0).size() == 8);
    CHECK(slots_of(router(rows(0, 8).view())).empty());
    CHECK(router.most() == 8);

    auto const sentence = [](expert_choice const& policy, float factor) {
        try {
            policy.check({.model = 4, .hidden = 4, .experts = 8}, {.factor = factor});
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence({}, 2).empty());
    CHECK(sentence({.among = scope::token}, 2) ==
          "expert_choice.among: expected scope::batch or scope::sequence, got scope::token");
    CHECK(sentence({}, 0) == "expert_choice.factor: expected a finite number > 0, got 0.000000");
    for (float const wrong : {-1.0f, none, infinity})
        CHECK(sentence({}, wrong).find("expert_choice.factor: expected") == 0);
    STATIC_REQUIRE(expert_choice{}.promise().sees == scope::batch);
    STATIC_REQUIRE(!expert_choice{}.promise().causal);
}

TEST_CASE("expert_choice: by the softmax over tokens, or by the score, as sorting in double says") {
    auto const z = rows::normal(29, 6, 8, 2);
    auto const sorted_by = [&](auto const& worth_of, index_t most) {
        numbers::lists wanted(29);
        for (index_t e = 0; e < 6; ++e) {
            std::vector<index_t> order(29);
            std::iota(order.begin(), order.end(), 0);
            std::sort(order.begin(), order.end(),
                      [&](auto a, auto b) { return z.row_of(a)[at(e)] > z.row_of(b)[at(e)]; });
            for (index_t i = 0; i < most; ++i)
                wanted[at(order[at(i)])].push_back(
                    {static_cast<int>(e), static_cast<float>(worth_of(order[at(i)], e)), 0});
        }
        return wanted;
    };
    asked<expert_choice{.weight = worth::among_tokens}> shares(6, 29, {.factor = 2});
    require_same(slots_of(shares(z.view())),
                 sorted_by(
                     [&](index_t t, index_t e) {
                         double total = 0;
                         for (index_t u = 0; u < 29; ++u)
                             total += std::exp(double{z.row_of(u)[at(e)]});
                         return std::exp(double{z.row_of(t)[at(e)]}) / total;
                     },
                     10));
    asked<expert_choice{.weight = worth::score}> scores(6, 29, {.factor = 2, .down = true});
    require_same(slots_of(scores(z.view())),
                 sorted_by([&](index_t t, index_t e) { return z.row_of(t)[at(e)]; }, 9)); // ⌊9.67⌋
    STATIC_REQUIRE(!expert_choice{.weight = worth::score}.promise().positive);
    STATIC_REQUIRE(expert_choice{.weight = worth::among_tokens}.promise().positive);
}

TEST_CASE("expert_choice: ProMoE's share is rounded down, one at least, and never more than all") {
    auto const taken = [](index_t tokens, float factor) {
        asked<promoe> router(12, tokens, {.factor = factor, .down = true});
        return std::ssize(router(rows::normal(tokens, 12, 3).view()).tokens_of(5));
    };
    CHECK(taken(10, 1) == 1);
    CHECK(taken(23, 1) == 1);
    CHECK(taken(24, 1) == 2);
    CHECK(taken(5, 100) == 5);
    CHECK(taken(60, 0.6f) == 3); // 0.6f is a little above 0.6, 0.3f a little above 0.3
    CHECK(taken(40, 0.3f) == 1);
    asked<promoe> none_there(12, 0, {.down = true});
    CHECK(slots_of(none_there(rows(0, 12).view())).empty());
}

TEST_CASE("expert_choice: padding and odd numbers among tokens") {
    auto z = of(1, {1, none, 2, -infinity, 60, 0});
    std::vector<std::uint8_t> const mask{1, 1, 1, 1, 0, 1};
    asked<expert_choice{.weight = worth::among_tokens}> router(1, 6, {.factor = 1});
    auto in = with(z);
    in.mask = mask;
    auto const got = slots_of(router(in));
    double const total = std::exp(1.0) + std::exp(2.0) + 1;
    require_slots(got[0], {{0, std::exp(1.0) / total}});
    CHECK(std::isnan(got[1][0].weight));
    require_slots(got[2], {{0, std::exp(2.0) / total}});
    CHECK(got[3] == std::vector<slot>{{0, 0, 1}});
    CHECK(got[4].empty());
    require_slots(got[5], {{0, 1 / total}});
}
