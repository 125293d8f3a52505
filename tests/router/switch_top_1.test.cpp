// SPDX-License-Identifier: MIT
#include "prytany/router/switch_top_1.hpp"

#include <limits>

#include "conformance/numbers.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::lists, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");
constexpr top_k raw{.k = 1};
top_k::params const as_they_come{.renormalise = false};

slot one(std::vector<float> const& logits, std::vector<float> const& bias = {}) {
    auto const experts = static_cast<index_t>(logits.size());
    asked<switch_top_1{}> router(experts, 1);
    auto const got = router(matrix_view<float const>(logits.data(), 1, experts), bias).slots_of(0);
    REQUIRE(got.size() == 1);
    return got[0];
}
lists many(rows const& z, std::vector<float> const& bias = {}) {
    return slots_of(asked<switch_top_1{}>(z.cols, z.count)(z.view(), bias));
}

} // namespace

TEST_CASE("switch_top_1: the numbers of the literature, never renormalised") {
    CHECK(one({2, 1, 0.5f, -1}).expert == 0);
    CHECK(std::abs(one({2, 1, 0.5f, -1}).weight - 0.609460) <= 1e-6 + 1e-5 * 0.609460);
    CHECK(one({0.3f, 0.2f, 0.1f, 0}).expert == 0);
    CHECK(std::abs(one({0.3f, 0.2f, 0.1f, 0}).weight - 0.288651) <= 1e-6 + 1e-5 * 0.288651);
    std::vector<slot> const wanted{{0, 0.25f, 0}};
    CHECK(one({5, 5, 5, 5}) == wanted[0]);
}

TEST_CASE("switch_top_1: is top_k of one as it comes, bit for bit") {
    for (index_t const experts : {1, 2, 7, 64}) {
        auto z = rows::normal(60, experts, 11, 3);
        for (index_t t = 0; t < 60; t += 5) z.row(t)[t % experts] = t % 2 ? none : infinity;
        asked<raw> other(experts, 60, as_they_come);
        CHECK(numbers::same_slots(many(z), slots_of(other(z.view()))));
        auto const bias = twin::floats(twin::normal(at(experts), 12, 0.3));
        CHECK(numbers::same_slots(many(z, bias), slots_of(other(z.view(), bias))));
        auto const order = rows::normal(60, experts, 13);
        seen in{input{z.view()}};
        in.logits = z.view();
        in.ranking = order.view();
        for (auto const& with : {std::vector<float>{}, bias}) {
            in.bias = with;
            auto const got = slots_of(asked<switch_top_1{}>(experts, 60)(in));
            CHECK(numbers::same_slots(got, slots_of(other(in))));
        }
    }
}

TEST_CASE("switch_top_1: a row in double precision, and the same row moved by a constant") {
    auto const z = rows::normal(100, 16, 14, 4);
    auto const plan = many(z);
    for (index_t t = 0; t < 100; ++t) {
        auto const logits = twin::doubles(z.row_of(t));
        auto const best = twin::ranked(logits)[0];
        REQUIRE(at(plan[at(t)][0].expert) == best);
        REQUIRE(plan[at(t)][0].weight ==
                Approx(twin::probabilities(logits, 1)[best]).epsilon(1e-6));
    }
    CHECK(one({90, 89.5f, -30}) == one({1, 0.5f, -119}));
    CHECK(one({-1000, -1000.5f, -1119}) == one({1, 0.5f, -118}));
}

TEST_CASE("switch_top_1: ties, infinities and NaN") {
    CHECK(one({1, 2, 2, 1}).expert == 1);
    CHECK(one({-0.0f, 0.0f}) == slot{0, 0.5f, 0});
    CHECK(one({1, infinity, 3e38f, infinity}) == slot{1, 0.5f, 0});
    CHECK(one({3e38f, -3e38f}) == slot{0, 1, 0});
    CHECK(one({-infinity, -infinity}) == slot{0, 0, 1});
    CHECK(one({none, -infinity}) == slot{1, 0, 1});
    CHECK(one({none, -3, none}) == slot{1, 1, 0});
    slot const lost = one({none, -none, none});
    CHECK((lost.expert == 0 && lost.tier == 0));
    CHECK(std::isnan(lost.weight));
    CHECK(one({-200}) == slot{0, 1, 0});
}

TEST_CASE(
    "switch_top_1: a part of a batch is chosen as in the whole, and a bad token stays alone") {
    auto z = rows::normal(21, 6, 15, 2);
    auto const whole = many(z);
    for (index_t t = 0; t < 21; t += 4) {
        index_t const count = std::min<index_t>(4, 21 - t);
        CHECK(numbers::same_slots(many(z.part(t, count)),
                                  {whole.begin() + t, whole.begin() + t + count}));
    }
    std::fill_n(z.row(3), 6, none);
    auto spoilt = many(z);
    CHECK_FALSE(numbers::same_slots(spoilt, whole));
    spoilt[3] = whole[3];
    CHECK(numbers::same_slots(spoilt, whole));
    asked<switch_top_1{}> router(6, 4);
    CHECK(slots_of(router(rows(0, 6).view())).empty());
    CHECK(router.most() == 1);
}

TEST_CASE("switch_top_1: promises to look at single tokens, to be causal and positive") {
    constexpr promises said = switch_top_1{}.promise();
    STATIC_REQUIRE(said.sees == scope::token);
    STATIC_REQUIRE((said.causal && said.positive && !said.unit_sum));
    STATIC_REQUIRE(router_policy<biased<switch_top_1>>);
}
