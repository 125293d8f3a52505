// SPDX-License-Identifier: MIT
#include "prytany/router/score/x_moe.hpp"

#include "router/score/held.hpp"

using namespace prytany;
using numbers::at, numbers::rows;
using scorers::held;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

template <auto My>
std::vector<double> formula(held<My> const& own, std::vector<double> const& x) {
    auto const inner = scorers::product(own.stored.at("projection"), x);
    std::vector<double> all;
    auto const& m = own.stored.at("weight");
    for (std::size_t e = 0; e < m.rows; ++e) {
        auto const row = scorers::row_of(m, e);
        all.push_back(scorers::dot(inner, row) / scorers::length(row));
    }
    return all;
}
held<x_moe{.width = 2}> plane() {
    held<x_moe{.width = 2}> own(3, 2);
    own.set("projection", {1, 0, 0, 1});
    own.set("weight", {1, 0, 0, 2, -1, -1});
    return own;
}

} // namespace

TEST_CASE("x_moe: the numbers of the released gate: the token keeps its length") {
    rows x(1, 2);
    x.all = {3, 4};
    auto const z = plane().score(x.view());
    CHECK(scorers::near(z.all[0], 3));
    CHECK(scorers::near(z.all[1], 4));
    CHECK(scorers::near(z.all[2], -4.949747));
}

TEST_CASE("x_moe: its formula in double, at any width") {
    scorers::follows<x_moe{}>([](auto const& own, auto const& x) { return formula(own, x); });
    scorers::follows<x_moe{.width = 3}>(
        [](auto const& own, auto const& x) { return formula(own, x); });
    scorers::follows<x_moe{.width = 300}>(
        [](auto const& own, auto const& x) { return formula(own, x); });
}

TEST_CASE("x_moe: a score that is not finite becomes the least finite one of its own row") {
    auto own = plane();
    own.set("weight", {0, 0, 0, 2, -1, -1}); // the first has no direction
    rows x(5, 2);
    x.all = {3, 4, -3, -4, infinity, 4, std::nanf(""), 0, -100, -200};
    auto const z = own.score(x.view());
    CHECK(z.row_of(0)[0] == z.row_of(0)[2]);
    CHECK(z.row_of(1)[0] == z.row_of(1)[1]);
    CHECK(z.row_of(3) == std::vector<float>{0, 0, 0});
    for (float const s : z.all) CHECK(std::isfinite(s));
    // the least of row 4 is not given to others
    CHECK(scorers::near(z.row_of(0)[0], -4.949747));
}

TEST_CASE("x_moe: keeps to its rows; the names and sizes of its tensors") {
    scorers::keeps_to_itself<x_moe{}>();
    CHECK(scorers::names<x_moe{}>(5, 4) ==
          std::vector<std::string>{"router.projection[16, 4]", "router.weight[5, 16]"});
    STATIC_REQUIRE(scorer<x_moe>);
}
