// SPDX-License-Identifier: MIT
#include "prytany/router/biased.hpp"

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::rows, numbers::slots_of;

namespace {

void set(column& to, std::vector<float> const& values) {
    for (std::size_t i = 0; i < values.size(); ++i)
        to.pack(static_cast<index_t>(i), std::span(values).subspan(i, 1));
}
constexpr top_k gate{.k = 3, .score = scoring::sigmoid};

} // namespace

TEST_CASE("biased: chooses by what is corrected, weighs by what is not") {
    std::vector<float> const z{2, -1, .5f, .4f, 1.5f, -3, -2, -2.5f};
    asked<biased{gate}> router(8, 1);
    set(router.weights.correction, {-.3f, 0, .2f, .1f, -.2f, 0, 0, .1f});
    auto const got = router(matrix_view<float const>(z.data(), 1, 8)).slots_of(0);
    REQUIRE(got.size() == 3);
    twin::row const logits = twin::doubles(z);
    auto const wanted = twin::weigh(logits, {.k = 3, .sigmoid = true}, {2, 3, 4});
    for (std::size_t j = 0; j < 3; ++j) {
        CHECK(got[j].expert == static_cast<int>(j) + 2);
        CHECK(got[j].weight == Approx(wanted[j].weight).epsilon(1e-6));
    }
}

TEST_CASE("biased: the gate of DeepSeek-V3") {
    constexpr top_k groups{.k = 3, .score = scoring::sigmoid, .group = group_score::two_best};
    std::vector<float> const z{.5f, -1, 2, 0, 1, 1.5f, -.5f, .25f};
    asked<biased{groups}> router(8, 1, {.router = {.scale = 2.5f, .groups = 4, .kept_groups = 2}});
    set(router.weights.correction, {0, .3f, -.2f, .1f, 0, -.1f, .4f, 0});
    auto const got = router(matrix_view<float const>(z.data(), 1, 8)).slots_of(0);
    int const experts[] = {6, 4, 5};
    double const weights[] = {.490013782, .948848188, 1.06113803};
    REQUIRE(got.size() == 3);
    for (std::size_t j = 0; j < 3; ++j) {
        CHECK(got[j].expert == experts[j]);
        CHECK(std::abs(double{got[j].weight} - weights[j]) <= 1e-6 + 1e-5 * weights[j]);
    }
}

TEST_CASE("biased: is the inner router with a bias, bit for bit") {
    auto const z = rows::normal(30, 12, 4, 2);
    auto const bias = twin::floats(twin::normal(12, 9, 0.3));
    asked<biased{gate}> wrapped(12, 30, {.router = {.scale = 2}});
    asked<gate> plain(12, 30, {.scale = 2});
    set(wrapped.weights.correction, bias);
    CHECK(numbers::same_slots(slots_of(wrapped(z.view())), slots_of(plain(z.view(), bias))));

    asked<biased{gate}> zero(12, 30);
    asked<gate> none(12, 30);
    CHECK(numbers::same_slots(slots_of(zero(z.view())),
                              slots_of(none(z.view(), std::vector<float>(12)))));
}

TEST_CASE("biased: two of them add up, and what a caller adds stays") {
    auto const z = rows::normal(30, 12, 5, 2);
    std::vector<float> const outer{4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0};
    std::vector<float> const inner{0, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0};
    std::vector<float> sums(12);
    for (std::size_t e = 0; e < 12; ++e) sums[e] = outer[e] + inner[e];
    asked<gate> plain(12, 30);
    auto const wanted = slots_of(plain(z.view(), sums));

    STATIC_REQUIRE(std::is_same_v<decltype(biased{biased{gate}}), biased<biased<top_k>>>);
    asked<biased{biased{gate}}> twice(12, 30);
    set(twice.weights.correction, outer);
    set(twice.weights.router.correction, inner);
    CHECK(numbers::same_slots(slots_of(twice(z.view())), wanted));

    asked<biased{gate}> once(12, 30);
    set(once.weights.correction, inner);
    CHECK(numbers::same_slots(slots_of(once(z.view(), outer)), wanted));
}

TEST_CASE("biased: promises and takes what the inner router does") {
    constexpr auto router = biased{top_k{}};
    CHECK(router.slots({}, {.router = {.k = 5}}) == 5);
    STATIC_REQUIRE(router.promise().sees == scope::token);
    STATIC_REQUIRE(biased{archetype::router{}}.promise().unit_sum);
}
