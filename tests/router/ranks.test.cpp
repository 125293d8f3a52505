// SPDX-License-Identifier: MIT
#include "prytany/router/ranks.hpp"

#include "conformance/numbers.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<slot> one(std::vector<float> const& z, ranks::params const& own) {
    auto const experts = static_cast<index_t>(z.size());
    asked<ranks{}> router(experts, 1, own);
    return slots_of(router(matrix_view<float const>(z.data(), 1, experts)))[0];
}
void require_slots(std::vector<slot> const& got, std::vector<int> const& experts,
                   std::vector<double> const& weights) {
    REQUIRE(got.size() == experts.size());
    for (std::size_t j = 0; j < got.size(); ++j) {
        CHECK(got[j].expert == experts[j]);
        CHECK(std::abs(double{got[j].weight} - weights[j]) <= 1e-6 + 1e-5 * std::abs(weights[j]));
        CHECK(got[j].tier == 0);
    }
}
std::vector<float> const f0{2, 1, .5f, -1};

} // namespace

TEST_CASE("ranks: the numbers of the literature; ranks count from 0") {
    require_slots(one(f0, {.count = 1, .list = {1}}), {1}, {1});
    require_slots(one(f0, {.count = 2, .list = {0, 1}}), {0, 1}, {0.731059, 0.268941});
    require_slots(one(f0, {.count = 1, .list = {2}, .renormalise = false}), {2}, {0.135989});
    require_slots(one(f0, {.count = 3, .list = {3, 0, 2}, .renormalise = false}), {3, 0, 2},
                  {0.030343, 0.609460, 0.135989});
    double const a = std::exp(-1), b = std::exp(1);
    require_slots(one(f0, {.count = 2, .list = {3, 1}, .scale = 3}), {3, 1},
                  {3 * a / (a + b), 3 * b / (a + b)});
}

TEST_CASE("ranks: the first ranks are top_k") {
    auto const z = rows::normal(50, 9, 3, 4);
    for (bool const renormalise : {true, false}) {
        asked<ranks{}> ranked(9, 50, {.count = 3, .list = {0, 1, 2}, .renormalise = renormalise});
        asked<top_k{.k = 3}> best(9, 50, {.renormalise = renormalise});
        CHECK(ranked.most() == 3);
        auto const a = slots_of(ranked(z.view())), b = slots_of(best(z.view()));
        for (std::size_t t = 0; t < 50; ++t)
            for (std::size_t j = 0; j < 3; ++j) {
                CHECK(a[t][j].expert == b[t][j].expert);
                CHECK(a[t][j].weight == Approx(b[t][j].weight).epsilon(1e-6));
            }
    }
}

TEST_CASE("ranks: ties, infinities, NaN") {
    require_slots(one({1, 2, 1, 2, 1}, {.count = 3, .list = {1, 2, 4}}), {3, 0, 4},
                  {0.576117, 0.211942, 0.211942});
    auto const idle = one({-infinity, 1, -infinity}, {.count = 2, .list = {0, 2}});
    CHECK(idle == std::vector<slot>{{1, 1, 0}, {2, 0, 1}});
    auto const last = one({std::nanf(""), 2, 3}, {.count = 1, .list = {2}});
    CHECK((last[0].expert == 0 && std::isnan(last[0].weight)));
    require_slots(one({std::nanf(""), 2, 3}, {.count = 2, .list = {0, 1}}), {2, 1},
                  {0.731059, 0.268941});
    auto const shut = one({-infinity, -infinity}, {.count = 2, .list = {1, 0}});
    CHECK(shut == std::vector<slot>{{1, 0, 1}, {0, 0, 1}});
}

TEST_CASE("ranks: a ranking and a bias order, logits weigh") {
    rows z(1, 4), ranking(1, 4);
    z.all = f0;
    ranking.all = {0, 3, 1, 2};
    asked<ranks{}> router(4, 1, {.count = 2, .list = {0, 1}});
    seen in{input{z.view()}};
    in.logits = z.view();
    in.ranking = ranking.view();
    require_slots(slots_of(router(in))[0], {1, 3}, {0.880797, 0.119203});
    asked<biased{ranks{}}> corrected(4, 1, {.router = {.count = 2, .list = {0, 1}}});
    float const push = 1;
    corrected.weights.correction.pack(3, {&push, 1});
    require_slots(slots_of(corrected(z.view()))[0], {3, 0}, {0.047426, 0.952574});
}

TEST_CASE("ranks: rank E draws any expert alike, by token and seed") {
    index_t const tokens = 6000, experts = 6;
    auto z = rows::normal(tokens, experts, 8, 2);
    for (index_t t = 0; t < tokens; ++t) z.row(t)[4] = -infinity;
    z.row(7)[0] = std::nanf("");
    asked<ranks{}> router(experts, tokens, {.count = 1, .list = {experts}});
    seen in{input{z.view()}};
    in.logits = z.view();
    in.seed = 5;
    auto const whole = slots_of(router(in));
    std::vector<double> counts(6);
    for (auto const& slots : whole) {
        REQUIRE(slots.size() == 1);
        CHECK((slots[0].weight == 1 && slots[0].tier == 0));
        ++counts[static_cast<std::size_t>(slots[0].expert)];
    }
    for (std::size_t e = 0; e < 6; ++e) {
        if (e == 4) CHECK(counts[e] == 0); // shut
        else CHECK(std::abs(counts[e] - 1200) < 5 * std::sqrt(1200 * .8));
    }
    for (index_t const t : {0, 1, 100, 5990})
        CHECK(numbers::same_slots(slots_of(router(in.part(t, 10))),
                                  {whole.begin() + t, whole.begin() + t + 10}));
    in.seed = 6;
    CHECK(!numbers::same_slots(slots_of(router(in)), whole));

    rows shut(2, experts, -infinity);
    CHECK(slots_of(router(shut.view()))[1] == std::vector<slot>{{0, 0, 1}});
    rows only(3, experts, -infinity);
    for (index_t t = 0; t < 3; ++t) only.row(t)[5] = -2;
    for (auto const& slots : slots_of(router(only.view())))
        CHECK(slots == std::vector<slot>{{5, 1, 0}});
    CHECK(slots_of(router(rows(0, experts).view())).empty());
    CHECK(one({3}, {}) == std::vector<slot>{{0, 1, 0}});
    CHECK(one({3}, {.list = {1}}) == std::vector<slot>{{0, 1, 0}});
}

TEST_CASE("ranks: a padding token changes nobody's slots") {
    auto z = rows::normal(20, 5, 11, 2);
    std::vector<std::uint8_t> present(20, 1);
    present[3] = present[4] = 0;
    for (index_t const rank : {1, 5}) {
        asked<ranks{}> router(5, 20, {.count = 1, .list = {rank}});
        seen in{input{z.view(), present}};
        in.logits = z.view();
        auto const before = slots_of(router(in));
        auto spoilt = z;
        for (index_t e = 0; e < 5; ++e) spoilt.row(3)[e] = spoilt.row(4)[e] = std::nanf("");
        in.logits = spoilt.view();
        auto const after = slots_of(router(in));
        for (std::size_t t = 0; t < 20; ++t)
            if (present[t]) CHECK(numbers::same_bits(before[t], after[t]));
    }
}

TEST_CASE("ranks: what is out of range is said at construction") {
    auto const sentence = [](ranks::params const& own, index_t experts) {
        try {
            ranks{}.check({.model = 4, .hidden = 4, .experts = experts}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence({.count = 2, .list = {7, 0}}, 8).empty());
    CHECK(sentence({.count = 1, .list = {8}}, 8).empty());
    CHECK(sentence({.count = 0}, 8) == "ranks.count: expected 1 to 8, got 0");
    CHECK(sentence({.count = 17}, 64) == "ranks.count: expected 1 to 16, got 17");
    CHECK(sentence({.count = 1, .list = {9}}, 8) == "ranks.list: expected 0 to 8, got 9");
    CHECK(sentence({.count = 2, .list = {8, 0}}, 8) == "ranks.list: expected 0 to 7, got 8");
    CHECK(sentence({.count = 2, .list = {0, -1}}, 8) == "ranks.list: expected 0 to 7, got -1");
    CHECK(sentence({.count = 2, .list = {3, 3}}, 8) ==
          "ranks.list: expected each rank once, got twice 3");
    CHECK(sentence({.scale = infinity}, 8).find("ranks.scale: expected a finite number") == 0);
}
