// SPDX-License-Identifier: MIT
#include "prytany/router/gshard_top_2.hpp"

#include "prytany/router/biased.hpp"
#include "prytany/router/top_k.hpp"
#include "router/mirrored.hpp"
#include "support/catch.hpp"

using namespace mirrored;

namespace {

constexpr gshard_top_2 of_pair{}, of_all{.chance = second_chance::of_all};
constexpr gshard_top_2 drawn_pair{.choice = second_choice::drawn};
constexpr gshard_top_2 drawn_all{.choice = second_choice::drawn, .chance = second_chance::of_all};
std::vector<float> const f0[] = {{2, 1, 0.5f, -1}, {0.3f, 0.2f, 0.1f, 0}};

/// The same token many times.
rows repeated(std::vector<float> const& z, index_t times) {
    rows all(times, static_cast<index_t>(z.size()));
    for (index_t t = 0; t < times; ++t) std::copy(z.begin(), z.end(), all.row(t));
    return all;
}
/// The draw that decides about the second of a token.
double coin(index_t token) { return double{draws(1, token, gshard_top_2::stream).uniform(0)}; }

/// The second is kept exactly where the draw is below `chance`, to 1e-6.
template <auto Router>
void keeps_below(std::vector<float> const& z, double chance) {
    asked<Router> router(4, 1, {.training = true});
    auto const row = repeated(z, 1);
    int kept = 0, left = 0;
    for (index_t token = 0; token < 300000; ++token) {
        double const u = coin(token);
        if (std::abs(u - chance) > 1e-4 || std::abs(u - chance) < 1e-6) continue;
        auto in = call(row);
        in.first = token;
        bool const runs = slots_of(router(in))[0][1].tier == 0;
        REQUIRE(runs == (u < chance));
        ++(runs ? kept : left);
    }
    CHECK(kept > 5);
    CHECK(left > 5);
}

} // namespace

TEST_CASE("gshard_top_2: the pair weights of the literature") {
    double const wanted[2][2] = {{0.731059, 0.268941}, {0.524979, 0.475021}};
    asked<of_pair> router(4, 1);
    for (std::size_t t = 0; t < 2; ++t) {
        auto const got = slots_of(router(call(repeated(f0[t], 1))))[0];
        for (std::size_t j = 0; j < 2; ++j) {
            CHECK(got[j].expert == static_cast<int>(j));
            CHECK(std::abs(double{got[j].weight} - wanted[t][j]) <= 1e-6 + 1e-5 * wanted[t][j]);
        }
    }
}

TEST_CASE("gshard_top_2: the second is kept by the chances of the literature") {
    keeps_below<of_pair>(f0[0], 0.537883);
    keeps_below<of_pair>(f0[1], 0.950042);
    keeps_below<of_all>(f0[0], 0.448416);
    keeps_below<of_all>(f0[1], 0.522365);
}

TEST_CASE("gshard_top_2: it is kept as often, and the first keeps its weight") {
    index_t const tokens = 20000;
    auto const z = repeated(f0[0], tokens);
    asked<of_pair> router(4, tokens, {.training = true});
    double kept = 0;
    for (auto const& slots : slots_of(router(call(z)))) {
        REQUIRE(slots.size() == 2);
        REQUIRE((slots[0].expert == 0 && slots[0].tier == 0 && slots[1].expert == 1));
        REQUIRE(std::abs(slots[0].weight - 0.731059f) < 1e-5f);
        if (slots[1].tier == 0) REQUIRE(std::abs(slots[1].weight - 0.268941f) < 1e-5f);
        else REQUIRE(slots[1] == slot{1, 0, 1});
        kept += slots[1].tier == 0 ? 1.0 / tokens : 0;
    }
    CHECK(std::abs(kept - 0.537883) < 0.0177); // five standard errors
}

TEST_CASE("gshard_top_2: a second as good as the first always runs") {
    auto const z = repeated({1, 1, 0}, 5000);
    asked<of_pair> router(3, 5000, {.training = true});
    for (auto const& slots : slots_of(router(call(z))))
        REQUIRE(slots == std::vector<slot>{{0, 0.5f, 0}, {1, 0.5f, 0}});
}

TEST_CASE("gshard_top_2: a drawn second is softmax among the others; the first is never drawn") {
    index_t const tokens = 20000;
    auto const z = repeated(f0[0], tokens);
    double const p[] = {0, 0.224208 / 0.390540, 0.135989 / 0.390540, 0.030343 / 0.390540};
    asked<drawn_pair> router(4, tokens, {.training = true});
    asked<drawn_all> raw(4, tokens, {.training = true});
    std::vector<double> second(4);
    auto const got = slots_of(router(call(z))), by_all = slots_of(raw(call(z)));
    for (index_t t = 0; t < tokens; ++t) {
        auto const& slots = got[at(t)];
        auto const e = at(slots[1].expert);
        second[e] += 1.0 / tokens;
        double const g = 1 / (1 + std::exp(2.0 - double{f0[0][e]}));
        REQUIRE(slots[0].expert == 0);
        REQUIRE(slots[0].weight == Approx(1 - g).epsilon(1e-5));
        if (std::abs(coin(t) - 2 * g) > 1e-6) REQUIRE((slots[1].tier == 0) == (coin(t) < 2 * g));
        if (slots[1].tier == 0) REQUIRE(slots[1].weight == Approx(g).epsilon(1e-5));
        REQUIRE(by_all[at(t)][1].expert == slots[1].expert);
        double const raw_g = 0.390540 * p[e];
        if (std::abs(coin(t) - 2 * raw_g) > 1e-5)
            REQUIRE((by_all[at(t)][1].tier == 0) == (coin(t) < 2 * raw_g));
    }
    for (std::size_t e = 0; e < 4; ++e) CHECK(std::abs(second[e] - p[e]) < 0.018);
    CHECK(second[0] == 0);
}

TEST_CASE("gshard_top_2: without training it is the two best, bit for bit") {
    auto const z = awkward(40, 7, 3), ranking = rows::normal(40, 7, 4);
    auto const bias = twin::floats(twin::normal(7, 6, 0.5));
    asked<top_k{.k = 2}> plain(7, 40);
    asked<of_pair> router(7, 40);
    asked<drawn_all> drawn(7, 40);
    auto in = call(z);
    for (int step = 0; step < 4; ++step) {
        if (step % 2 == 1) in.bias = bias;
        if (step == 2) in.bias = {}, in.ranking = ranking.view();
        auto const wanted = slots_of(plain(in));
        CHECK(numbers::same_slots(slots_of(router(in)), wanted));
        CHECK(numbers::same_slots(slots_of(drawn(in)), wanted));
    }
}

TEST_CASE(
    "gshard_top_2: a token draws the same in any part of a batch, another with another seed") {
    auto const z = awkward(21, 9, 6);
    asked<of_all> all(9, 21, {.training = true});
    asked<drawn_pair> drawn(9, 21, {.training = true});
    CHECK(parts_equal_whole(all, call(z)));
    CHECK(parts_equal_whole(drawn, call(z)));
    auto const one = slots_of(drawn(call(z, 5)));
    CHECK(numbers::same_slots(slots_of(drawn(call(z, 5))), one));
    CHECK(!numbers::same_slots(slots_of(drawn(call(z, 6))), one));
}

TEST_CASE("gshard_top_2: safe for every logit while training") {
    auto const z = awkward(60, 5, 8);
    asked<drawn_pair> drawn(5, 60, {.training = true});
    for (auto const& slots : slots_of(drawn(call(z)))) {
        REQUIRE(slots.size() == 2);
        REQUIRE(slots[0].expert != slots[1].expert);
        for (slot const s : slots) REQUIRE((s.expert >= 0 && s.expert < 5));
    }
    constexpr float infinity = std::numeric_limits<float>::infinity();
    asked<drawn_pair> one(3, 1, {.training = true});
    CHECK(slots_of(one(call(repeated({-infinity, 2, -infinity}, 1))))[0] ==
          std::vector<slot>{{1, 1, 0}, {0, 0, 1}});
    CHECK(slots_of(one(call(repeated({-infinity, -infinity, -infinity}, 1))))[0] ==
          std::vector<slot>{{0, 0, 1}, {1, 0, 1}});
    auto const none = slots_of(one(call(repeated({NAN, NAN, NAN}, 1))))[0];
    CHECK((none[0].expert == 0 && none[1].expert == 1 && std::isnan(none[0].weight)));
}

TEST_CASE("gshard_top_2: two experts, no tokens, one expert too few") {
    asked<drawn_pair> two(2, 30, {.training = true});
    for (auto const& slots : slots_of(two(call(rows::normal(30, 2, 3)))))
        CHECK(slots[0].expert == 1 - slots[1].expert);
    asked<of_pair> empty(4, 0);
    CHECK(slots_of(empty(call(rows(0, 4)))).empty());
    CHECK(sentence(of_pair, {}, 2).empty());
    CHECK(sentence(of_pair, {}, 1) == "gshard_top_2: experts: expected at least 2, got 1");
    STATIC_REQUIRE(router_policy<decltype(biased{of_pair})>);
}
