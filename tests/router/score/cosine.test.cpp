// SPDX-License-Identifier: MIT
#include "prytany/router/score/cosine.hpp"

#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"
#include "router/score/held.hpp"

using namespace prytany;
using numbers::at, numbers::rows;
using scorers::held;

namespace {

template <auto My>
std::vector<double> formula(held<My> const& own, std::vector<double> const& x) {
    auto inner = scorers::product(own.stored.at("projection"), x);
    for (std::size_t i = 0; i < inner.size(); ++i)
        inner[i] += own.stored.at("projection_bias").all[i];
    double const factor = std::exp(std::min(own.stored.at("temperature").all[0], std::log(100.0)));
    std::vector<double> all;
    auto const& m = own.stored.at("weight");
    for (std::size_t e = 0; e < m.rows; ++e) {
        auto const row = scorers::row_of(m, e);
        all.push_back(factor * scorers::dot(inner, row) / std::max(scorers::length(inner), 1e-12) /
                      std::max(scorers::length(row), 1e-12));
    }
    return all;
}
held<cosine{.width = 2}> plane(float theta) {
    held<cosine{.width = 2}> own(3, 2);
    own.set("projection", {1, 0, 0, 1});
    own.set("projection_bias", {0, 0});
    own.set("weight", {1, 0, 0, 2, -1, -1});
    own.set("temperature", {theta});
    return own;
}

} // namespace

TEST_CASE("cosine: the numbers of Tutel's gate") {
    rows x(1, 2);
    x.all = {3, 4};
    auto const cosines = plane(0).score(x.view());
    double const angles[] = {0.6, 0.8, -0.98994949};
    for (std::size_t e = 0; e < 3; ++e) CHECK(scorers::near(cosines.all[e], angles[e]));
    auto const logits = plane(std::log(2.0f)).score(x.view());
    numbers::asked<top_k{.k = 3}> router(3, 1, {.renormalise = false});
    auto const slots = numbers::slots_of(router(logits.view()))[0];
    std::vector<std::pair<int, double>> const wanted{{1, 0.588859}, {0, 0.394724}, {2, 0.016417}};
    for (std::size_t j = 0; j < 3; ++j) {
        CHECK(slots[j].expert == wanted[j].first);
        CHECK(scorers::near(slots[j].weight, wanted[j].second));
    }
}

TEST_CASE("cosine: the temperature stops at 100") {
    rows x(1, 2);
    x.all = {0, -7};
    for (float const theta : {4.7f, 50.0f}) {
        auto const z = plane(theta).score(x.view());
        CHECK(scorers::near(z.all[1], -100));
        CHECK(scorers::near(z.all[2], 100 / std::sqrt(2.0)));
    }
    CHECK(scorers::near(plane(4.5f).score(x.view()).all[1], -std::exp(4.5)));
}

TEST_CASE("cosine: its formula in double, at any width") {
    scorers::follows<cosine{.width = 1}>([](auto const& own, auto const& x) {
        auto all = formula(own, x); // of one number: the sign
        return all;
    });
    scorers::follows<cosine{.width = 5}>(
        [](auto const& own, auto const& x) { return formula(own, x); });
    scorers::follows<cosine{}>([](auto const& own, auto const& x) { return formula(own, x); });
    scorers::follows<cosine{.width = 9000}>(
        [](auto const& own, auto const& x) { return formula(own, x); });
}

TEST_CASE("cosine: the length of neither side counts, and zeros score zero") {
    auto own = plane(0);
    own.set("weight", {1e-6f, 0, 0, 1e25f, 0, 0});
    rows x(3, 2);
    x.all = {3, 4, 3e-8f, 4e-8f, 0, 0};
    auto const z = own.score(x.view());
    for (std::size_t t : {0u, 1u}) {
        CHECK(scorers::near(z.all[3 * t], 0.6));
        CHECK(scorers::near(z.all[3 * t + 1], 0.8));
        CHECK(z.all[3 * t + 2] == 0);
    }
    CHECK(z.row_of(2) == std::vector<float>{0, 0, 0});
}

TEST_CASE("cosine: keeps to its rows; the names and sizes of its tensors") {
    scorers::keeps_to_itself<cosine{.width = 6}>();
    CHECK(scorers::names<cosine{.width = 6}>(5, 4) ==
          std::vector<std::string>{"router.projection[6, 4]", "router.projection_bias[6, 1]v",
                                   "router.weight[5, 6]", "router.temperature[1, 1]v"});
    STATIC_REQUIRE(cosine{}.width == 256);
    STATIC_REQUIRE(scorer<cosine>);
    STATIC_REQUIRE(scored{cosine{.width = 8}, top_k{}}.scorer().width == 8);
}
