// SPDX-License-Identifier: MIT
#include "prytany/router/gumbel.hpp"

#include "prytany/router/top_k.hpp"
#include "router/mirrored.hpp"
#include "support/catch.hpp"

using namespace mirrored;

namespace {

constexpr top_k gate{.k = 3};
double const euler = 0.5772156649015329;

} // namespace

TEST_CASE("gumbel: ranks by logit and draw, hands on the logits as they are") {
    auto const z = rows::normal(20, 9, 3, 2);
    auto in = call(z, 77);
    in.first = 100;
    asked<gumbel{mirror{true}}> ranks(9, 20, {.training = true, .scale = 0.5f});
    asked<gumbel{mirror{}}> weighs(9, 20, {.training = true, .scale = 0.5f});
    auto const rank = slots_of(ranks(in)), weight = slots_of(weighs(in));
    for (index_t t = 0; t < 20; ++t) {
        draws const drawn(77, 100 + t, gumbel<mirror>::stream);
        for (index_t e = 0; e < 9; ++e) {
            float const clean = z.row_of(t)[at(e)];
            double const wanted = double{clean} + 0.5 * double{drawn.gumbel(e)};
            CHECK(std::abs(rank[at(t)][at(e)].weight - wanted) <= 1e-6 * (1 + std::abs(wanted)));
            CHECK(weight[at(t)][at(e)].weight == clean);
        }
    }
}

TEST_CASE("gumbel: the moments of its noise") {
    index_t const tokens = 4000, experts = 8;
    rows const z(tokens, experts);
    asked<gumbel{mirror{true}}> router(experts, tokens, {.training = true});
    std::vector<double> all;
    for (auto const& row : slots_of(router(call(z))))
        for (slot const s : row) all.push_back(double{s.weight});
    moments const found(all); // five standard errors of 32,000 draws
    CHECK(std::abs(found.mean - euler) < 0.036);
    CHECK(std::abs(found.variance - M_PI * M_PI / 6) < 0.097);
}

TEST_CASE(
    "gumbel: an expert comes first as often as its softmax says, two as without putting back") {
    index_t const tokens = 40000;
    std::vector<float> const f0{2, 1, 0.5f, -1};
    std::vector<double> const p{0.609460, 0.224208, 0.135989, 0.030343};
    rows z(tokens, 4);
    for (index_t t = 0; t < tokens; ++t) std::copy(f0.begin(), f0.end(), z.row(t));
    asked<gumbel{top_k{.k = 2}}> router(4, tokens, {.training = true});
    std::vector<double> first(4), pair(16);
    for (auto const& slots : slots_of(router(call(z)))) {
        auto const a = at(slots[0].expert), b = at(slots[1].expert);
        first[a] += 1.0 / tokens;
        pair[4 * a + b] += 1.0 / tokens;
        double const share = 1 / (1 + std::exp(double{f0[b]} - double{f0[a]}));
        REQUIRE(slots[0].weight == Approx(share).epsilon(1e-5)); // of the clean logits
    }
    for (std::size_t a = 0; a < 4; ++a) { // five standard errors
        CHECK(std::abs(first[a] - p[a]) < 0.0125);
        for (std::size_t b = 0; b < 4; ++b)
            if (a != b) CHECK(std::abs(pair[4 * a + b] - p[a] * p[b] / (1 - p[a])) < 0.0125);
    }
}

TEST_CASE("gumbel: without training or without scale it is the inner router, bit for bit") {
    constexpr top_k grouped{.k = 2, .score = scoring::sigmoid, .group = group_score::two_best};
    auto const z = awkward(30, 8, 5);
    asked<grouped> plain(8, 30, {.groups = 4, .kept_groups = 2});
    auto const wanted = slots_of(plain(z.view()));
    asked<gumbel{grouped}> off(8, 30, {.router = {.groups = 4, .kept_groups = 2}});
    asked<gumbel{grouped}> still(
        8, 30, {.training = true, .scale = 0, .router = {.groups = 4, .kept_groups = 2}});
    CHECK(numbers::same_slots(slots_of(off(call(z))), wanted));
    CHECK(numbers::same_slots(slots_of(still(call(z))), wanted));
}

TEST_CASE("gumbel: a token draws the same in any part of a batch, another with another seed") {
    auto const z = awkward(21, 9, 6);
    asked<gumbel{gate}> router(9, 21, {.training = true});
    CHECK(parts_equal_whole(router, call(z)));
    auto const one = slots_of(router(call(z, 5)));
    CHECK(numbers::same_slots(slots_of(router(call(z, 5))), one));
    CHECK(!numbers::same_slots(slots_of(router(call(z, 6))), one));
}

TEST_CASE("gumbel: a ranking from outside is what it disturbs; a shut expert stays shut") {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    auto const z = rows::normal(5, 4, 6), ranking = rows::normal(5, 4, 7);
    asked<gumbel{mirror{true}}> router(4, 5, {.training = true});
    auto in = call(z);
    in.ranking = ranking.view();
    CHECK(numbers::same_slots(slots_of(router(in)), slots_of(router(call(ranking)))));

    rows shut(1, 4, -infinity);
    shut.all[2] = 0;
    asked<gumbel{top_k{.k = 2}}> drawn(4, 1, {.training = true});
    for (std::uint64_t seed = 0; seed < 50; ++seed)
        CHECK(slots_of(drawn(call(shut, seed)))[0] == std::vector<slot>{{2, 1, 0}, {0, 0, 1}});
    rows const none(1, 4, std::nanf(""));
    auto const all = slots_of(drawn(call(none)))[0];
    CHECK((all[0].expert == 0 && all[1].expert == 1 && std::isnan(all[0].weight)));
}

TEST_CASE("gumbel: no tokens, one expert, all experts; around itself; a wrong scale") {
    asked<gumbel{gate}> empty(9, 0, {.training = true});
    CHECK(slots_of(empty(call(rows(0, 9)))).empty());
    asked<gumbel{top_k{.k = 1}}> lone(1, 3, {.training = true});
    CHECK(slots_of(lone(call(rows::normal(3, 1, 2))))[2] == std::vector<slot>{{0, 1, 0}});
    asked<gumbel{top_k{.k = 5}}> whole(5, 3, {.training = true});
    for (auto const& all : slots_of(whole(call(rows::normal(3, 5, 2))))) CHECK(all.size() == 5);
    STATIC_REQUIRE(std::is_same_v<decltype(gumbel{gumbel{gate}}), gumbel<gumbel<top_k>>>);
    for (float const wrong : {-1.0f, std::nanf(""), std::numeric_limits<float>::infinity()})
        CHECK(sentence(gumbel{gate}, {.scale = wrong})
                  .find("gumbel.scale: expected a finite number >= 0, got ") == 0);
}
