// SPDX-License-Identifier: MIT
#include "prytany/router/score/prototypes.hpp"

#include "prytany/router/top_k.hpp"
#include "router/score/held.hpp"

using namespace prytany;
using numbers::at, numbers::rows;
using scorers::held;

namespace {

constexpr top_k gate{.k = 1, .score = scoring::identity};

std::vector<double> formula(held<prototypes{}> const& own, std::vector<double> const& x) {
    std::vector<double> all;
    auto const& m = own.stored.at("prototypes");
    for (std::size_t e = 0; e < m.rows; ++e) {
        auto const row = scorers::row_of(m, e);
        all.push_back(scorers::dot(x, row) / std::max(scorers::length(x), 1e-12) /
                      std::max(scorers::length(row), 1e-12));
    }
    return all;
}
numbers::lists chosen(rows const& logits) {
    numbers::asked<gate> router(logits.cols, logits.count, {.renormalise = false});
    return numbers::slots_of(router(logits.view()));
}

} // namespace

TEST_CASE("prototypes: the numbers of ProMoE: the cosine is the weight") {
    held<prototypes{}> own(3, 2);
    own.set("prototypes", {1, 0, 0, 2, -1, -1});
    rows x(4, 2);
    x.all = {2, 0.5f, 1, 0.2f, -0.1f, 1, 0.4f, 0.9f};
    auto const slots = chosen(own.score(x.view()));
    std::vector<std::pair<int, double>> const wanted{
        {0, 0.970143}, {0, 0.980581}, {1, 0.995037}, {1, 0.913812}};
    for (std::size_t t = 0; t < 4; ++t) {
        REQUIRE(slots[t].size() == 1);
        CHECK(slots[t][0].expert == wanted[t].first);
        CHECK(scorers::near(slots[t][0].weight, wanted[t].second));
    }
}

TEST_CASE("prototypes: weights of zero and below are kept, zeros have no angle") {
    held<prototypes{}> own(2, 2);
    own.set("prototypes", {1, 0, 0, 2});
    rows x(3, 2);
    x.all = {0, -1, -1, -1, 0, 0};
    auto const z = own.score(x.view());
    CHECK(z.row_of(0) == std::vector<float>{0, -1});
    auto const slots = chosen(z);
    CHECK(slots[0] == std::vector<slot>{{0, 0, 0}});
    CHECK(slots[1][0].expert == 0);
    CHECK(scorers::near(slots[1][0].weight, -0.70710678));
    CHECK(z.row_of(2) == std::vector<float>{0, 0});
}

TEST_CASE("prototypes: lengths below 10^-12 are taken for it") {
    held<prototypes{}> own(1, 2);
    own.set("prototypes", {1, 0});
    rows x(2, 2);
    x.all = {1e-13f, 0, 1e-11f, 0};
    auto const z = own.score(x.view());
    CHECK(scorers::near(z.all[0], 0.1));
    CHECK(scorers::near(z.all[1], 1));
}

TEST_CASE("prototypes: its formula in double") { scorers::follows<prototypes{}>(formula); }

TEST_CASE("prototypes: keeps to its rows; the names and sizes of its tensors") {
    scorers::keeps_to_itself<prototypes{}>();
    CHECK(scorers::names<prototypes{}>(5, 4) ==
          std::vector<std::string>{"router.prototypes[5, 4]"});
    STATIC_REQUIRE(scorer<prototypes>);
}
