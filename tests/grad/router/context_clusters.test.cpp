// SPDX-License-Identifier: MIT
#include "prytany/grad/router/context_clusters.hpp"

#include "conformance/numbers.hpp"
#include "support/catch.hpp"
#include "support/said.hpp"

using namespace prytany;
using support::said;
using grad::context_clusters, grad::grouping, grad::matched_experts, grad::median_losses;
using numbers::at, numbers::rows;
using list = std::vector<index_t>;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
float const none = std::nanf("");

rows of(index_t cols, std::vector<float> const& all) {
    rows x(static_cast<index_t>(all.size()) / cols, cols);
    x.all = all;
    return x;
}
rows const four = of(2, {1, .1f, .9f, -.1f, -1, 0, -.8f, .2f});
rows const losses = of(2, {.9f, .1f, .8f, .2f, .3f, .7f, .2f, .6f});

list grouped(context_clusters const& by) { return {by.group_of().begin(), by.group_of().end()}; }
void require_near(std::span<double const> got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        CHECK((got[i] == wanted[i] || std::abs(got[i] - wanted[i]) < 1e-6));
}

} // namespace

TEST_CASE("context_clusters: the numbers of the literature") {
    context_clusters by(2, 2);
    by.start_from({.5, 0, -.5, 0});
    CHECK(by.find(four.view()) == grouping::settled);
    CHECK(by.rounds() == 2);
    CHECK(grouped(by) == list{0, 0, 1, 1});
    require_near(by.centroids(), {.95, 0, -.9, .1});
    auto const medians = median_losses(by.group_of(), 2, losses.view());
    require_near(medians, {.85, .15, .25, .65});
    CHECK(matched_experts(medians, 2) == list{1, 0});
}

TEST_CASE("context_clusters: what settles in the last round has not settled") {
    for (index_t const most : {2, 3}) {
        context_clusters by(2, 2, {.iterations = most});
        by.start_from({.5, 0, -.5, 0});
        CHECK(by.find(four.view()) == (most == 2 ? grouping::restless : grouping::settled));
        CHECK(by.rounds() == 2);
        CHECK(by.centroids().empty() == (most == 2));
    }
}

TEST_CASE("context_clusters: goes on from where it ended; draws after a failure") {
    context_clusters by(2, 2);
    by.start_from({.5, 0, -.5, 0});
    by.find(four.view());
    CHECK(by.find(four.view()) == grouping::settled);
    CHECK(by.rounds() == 1); // from the means themselves
    rows near = four;
    for (float& x : near.all) x += .25f;
    CHECK(by.find(near.view()) == grouping::settled);
    CHECK(by.rounds() == 2);
    CHECK(grouped(by) == list{0, 0, 1, 1});
    by.start_from({0, 0, 9, 9}); // nobody is nearest to the second
    CHECK(by.find(four.view()) == grouping::empty);
    CHECK(by.rounds() == 1);
    CHECK(by.centroids().empty());

    context_clusters fresh(2, 2);
    for (std::uint64_t seed = 3; seed < 7; ++seed) {
        by.forget();
        fresh.forget();
        CHECK(by.find(four.view(), seed) == fresh.find(four.view(), seed));
        CHECK(grouped(by) == grouped(fresh));
    }
}

TEST_CASE("context_clusters: the centroids that are drawn lie within a thousandth") {
    // two environments just outside are nearest to different ones, two near 0 often to the same
    index_t outside = 0, inside = 0;
    for (std::uint64_t seed = 0; seed < 40; ++seed)
        for (float const place : {.001001f, .0001f}) {
            context_clusters by(2, 1);
            bool const settled = by.find(of(1, {-place, place}).view(), seed) == grouping::settled;
            (place > .001f ? outside : inside) += settled ? 1 : 0;
            if (settled) CHECK(by.group_of()[0] != by.group_of()[1]);
        }
    CHECK(outside == 40);
    CHECK((inside > 5 && inside < 35));
    context_clusters same(3, 4), again(3, 4), other(3, 4);
    auto const x = rows::normal(30, 4, 8, .001);
    same.find(x.view(), 1);
    again.find(x.view(), 1);
    other.find(x.view(), 2);
    CHECK(grouped(same) == grouped(again));
    CHECK(grouped(same) != grouped(other));
}

TEST_CASE("context_clusters: the nearest by absolute differences, the mean as centroid") {
    context_clusters by(2, 2, {.tolerance = 100});
    by.start_from({3, 0, 2, 2}); // by squares the origin belongs to the second
    by.find(of(2, {0, 0, 2, 2.5f}).view());
    CHECK(grouped(by) == list{0, 1});
    context_clusters mean(1, 1);
    mean.find(of(1, {0, 0, 9}).view());
    require_near(mean.centroids(), {3});
    context_clusters ties(3, 1, {.tolerance = 100});
    ties.start_from({1, -1, 1});
    CHECK(ties.find(of(1, {0, 1, -1}).view()) == grouping::empty); // 0 and 1 go to the first
    CHECK(grouped(ties) == list{0, 0, 1});
}

TEST_CASE("context_clusters: settled is within the tolerance, for every number") {
    for (double const tolerance : {.125, .12}) {
        context_clusters by(1, 2, {.tolerance = tolerance});
        by.start_from({0, 0});
        CHECK(by.find(of(2, {0, .125f}).view()) == grouping::settled);
        CHECK(by.rounds() == (tolerance == .125 ? 1 : 2));
    }
    for (float const step : {.9f, 1.1f}) { // the share of the old centroid: 1e-5 · 1000
        context_clusters by(1, 1, {.tolerance = 0});
        by.start_from({1000});
        by.find(of(1, {1000 + .01f * step}).view());
        CHECK(by.rounds() == (step < 1 ? 1 : 2));
    }
}

TEST_CASE("context_clusters: contexts that are not finite never settle") {
    for (float const odd : {none, float(infinity), -float(infinity)}) {
        rows x = four;
        x.row(1)[0] = odd;
        context_clusters by(2, 2);
        by.start_from({.5, 0, -.5, 0});
        CHECK(by.find(x.view()) != grouping::settled);
        for (index_t const j : by.group_of()) CHECK((j == 0 || j == 1));
    }
    context_clusters none_at_all(2, 2);
    CHECK(none_at_all.find(rows(0, 2).view()) == grouping::empty);
    context_clusters too_many(5, 2);
    CHECK(too_many.find(four.view()) == grouping::empty);
}

TEST_CASE("median_losses: odd and even numbers, NaN, a group of nobody") {
    list const group_of{0, 0, 1, 0};
    auto const x = of(2, {3, 1, 9, 2, 5, none, 4, none});
    require_near(median_losses(group_of, 3, x.view()), {4, 2, 5, infinity, infinity, infinity});
    auto const even = of(1, {4, 1, 3, 1});
    require_near(median_losses(list{0, 0, 0, 0}, 1, even.view()), {2});
    auto const bad = of(1, {none, 1, -float(infinity), 2});
    require_near(median_losses(list{0, 0, 1, 1}, 2, bad.view()), {infinity, infinity});
}

TEST_CASE("matched_experts: in the order of the groups, though others would fit better") {
    // the first takes expert 0, which costs the second more than it saved: 1 + 9 > 2 + 1
    CHECK(matched_experts(std::vector<double>{1, 2, 1, 9}, 2) == list{0, 1});
    CHECK(matched_experts(std::vector<double>{5, 5, 5, 0, 1, 2, 0, 0, 0}, 3) == list{0, 1, 2});
    CHECK(matched_experts(std::vector<double>{3, 2, 1, 3, 2, 1, 3, 2, 1}, 3) == list{2, 1, 0});
    CHECK(matched_experts(std::vector<double>(9, infinity), 3) == list{0, 1, 2});
    CHECK(matched_experts(std::vector<double>{7}, 1) == list{0});
}

TEST_CASE("context_clusters: what is out of range is said") {
    CHECK(said([] { context_clusters(0, 2); }) ==
          "context_clusters.groups: expected at least 1, got 0");
    CHECK(said([] { context_clusters(2, 0); }) ==
          "context_clusters.width: expected at least 1, got 0");
    CHECK(said([] { context_clusters(2, 2, {.iterations = 1}); }) ==
          "context_clusters.iterations: expected at least 2, got 1");
    for (double const wrong : {-1.0, std::nan(""), infinity})
        CHECK(said([=] {
                  context_clusters(2, 2, {.tolerance = wrong});
              }).find("context_clusters.tolerance: expected a finite number") == 0);
    context_clusters by(2, 3);
    CHECK(said([&] { by.find(four.view()); }) ==
          "context_clusters.contexts: expected [4, 3], got [4, 2]");
    CHECK(said([&] { by.start_from({1, 2}); }) == "context_clusters.centroids: expected 6, got 2");
}
