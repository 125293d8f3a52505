// SPDX-License-Identifier: MIT
#include "prytany/router/perturbed.hpp"

#include "prytany/router/top_k.hpp"
#include "router/mirrored.hpp"
#include "support/catch.hpp"

using namespace mirrored;

namespace {

constexpr top_k gate{.k = 3};

} // namespace

TEST_CASE("perturbed: adds a normal draw times sigma over experts to every logit") {
    auto const z = rows::normal(20, 9, 3, 2);
    asked<perturbed{mirror{}}> router(9, 20, {.training = true, .sigma = 2.5f});
    auto in = call(z, 77);
    in.first = 100;
    auto const got = slots_of(router(in));
    for (index_t t = 0; t < 20; ++t) {
        draws const drawn(77, 100 + t, perturbed<mirror>::stream);
        for (index_t e = 0; e < 9; ++e) {
            double const wanted = double{z.row_of(t)[at(e)]} + double{drawn.normal(e)} * 2.5 / 9;
            CHECK(std::abs(got[at(t)][at(e)].weight - wanted) <= 1e-6 + 1e-6 * std::abs(wanted));
        }
    }
}

TEST_CASE("perturbed: the moments of its noise, and no expert or token knows another's") {
    index_t const tokens = 4000, experts = 8;
    rows const z(tokens, experts, 0.0f);
    asked<perturbed{mirror{}}> router(experts, tokens, {.training = true});
    auto const got = slots_of(router(call(z)));
    std::vector<double> all, beside, below;
    for (index_t t = 0; t < tokens; ++t)
        for (index_t e = 0; e < experts; ++e) {
            double const x = got[at(t)][at(e)].weight * 8.0;
            all.push_back(x);
            if (e > 0) beside.push_back(x * got[at(t)][at(e - 1)].weight * 8.0);
            if (t > 0) below.push_back(x * got[at(t - 1)][at(e)].weight * 8.0);
        }
    moments const found(all); // five standard errors of 32,000 draws
    CHECK(std::abs(found.mean) < 0.028);
    CHECK(std::abs(found.variance - 1) < 0.04);
    CHECK(std::abs(moments(beside).mean) < 0.03);
    CHECK(std::abs(moments(below).mean) < 0.03);
}

TEST_CASE("perturbed: the noisy logits choose and weigh") {
    auto const z = rows::normal(50, 9, 4);
    asked<perturbed{gate}> router(9, 50, {.training = true, .sigma = 20});
    asked<perturbed{mirror{}}> shown(9, 50, {.training = true, .sigma = 20});
    rows noisy(50, 9);
    auto const seen_by_inner = slots_of(shown(call(z)));
    for (index_t t = 0; t < 50; ++t)
        for (index_t e = 0; e < 9; ++e) noisy.row(t)[e] = seen_by_inner[at(t)][at(e)].weight;
    asked<gate> plain(9, 50);
    auto const wanted = slots_of(plain(noisy.view()));
    CHECK(numbers::same_slots(slots_of(router(call(z))), wanted));
    CHECK(!numbers::same_slots(slots_of(plain(z.view())), wanted));
}

TEST_CASE("perturbed: without training or without width it is the inner router, bit for bit") {
    auto const z = awkward(30, 9, 5);
    asked<gate> plain(9, 30);
    auto const wanted = slots_of(plain(z.view()));
    asked<perturbed{gate}> off(9, 30), still(9, 30, {.training = true, .sigma = 0});
    CHECK(numbers::same_slots(slots_of(off(call(z))), wanted));
    CHECK(numbers::same_slots(slots_of(still(call(z))), wanted));
}

TEST_CASE("perturbed: a token draws the same in any part of a batch, another with another seed") {
    auto const z = awkward(21, 9, 6);
    asked<perturbed{gate}> router(9, 21, {.training = true, .sigma = 9});
    CHECK(parts_equal_whole(router, call(z)));
    auto const one = slots_of(router(call(z, 5)));
    CHECK(numbers::same_slots(slots_of(router(call(z, 5))), one));
    CHECK(!numbers::same_slots(slots_of(router(call(z, 6))), one));
}

TEST_CASE("perturbed: what is not finite stays, so a shut expert stays shut") {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    rows z(1, 4);
    z.all = {-infinity, infinity, std::nanf(""), 1};
    asked<perturbed{mirror{}}> router(4, 1, {.training = true, .sigma = 1e30f});
    auto const got = slots_of(router(call(z)))[0];
    CHECK(got[0].weight == -infinity);
    CHECK(got[1].weight == infinity);
    CHECK(std::isnan(got[2].weight));
    CHECK(std::isfinite(got[3].weight));
    CHECK(got[3].weight != 1);
}

TEST_CASE("perturbed: no tokens, one expert, all experts; around itself; a wrong sigma") {
    asked<perturbed{gate}> router(9, 0, {.training = true});
    CHECK(slots_of(router(call(rows(0, 9)))).empty());
    asked<perturbed{top_k{.k = 1}}> lone(1, 3, {.training = true});
    for (auto const& one : slots_of(lone(call(rows::normal(3, 1, 2)))))
        CHECK(one == std::vector<slot>{{0, 1, 0}});
    asked<perturbed{top_k{.k = 5}}> whole(5, 3, {.training = true});
    for (auto const& all : slots_of(whole(call(rows::normal(3, 5, 2))))) CHECK(all.size() == 5);
    STATIC_REQUIRE(
        std::is_same_v<decltype(perturbed{perturbed{gate}}), perturbed<perturbed<top_k>>>);
    STATIC_REQUIRE(!perturbed{mirror{}}.promise().positive);
    CHECK(sentence(perturbed{gate}, {}).empty());
    for (float const wrong : {-1.0f, std::nanf(""), std::numeric_limits<float>::infinity()})
        CHECK(sentence(perturbed{gate}, {.sigma = wrong})
                  .find("perturbed.sigma: expected a finite number >= 0, got ") == 0);
    CHECK(sentence(perturbed{gate}, {.router = {.temperature = -1}}).find("top_k.temp") == 0);
}
