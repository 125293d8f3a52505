// SPDX-License-Identifier: MIT
// Every score and every rule of weights of top_k against a computation in double.
#include <algorithm>
#include <numeric>

#include "conformance/numbers.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

template <auto Router>
std::vector<slot> one(std::vector<float> const& logits, top_k::params const& own = {},
                      std::vector<float> const& bias = {}) {
    auto const experts = static_cast<index_t>(logits.size());
    asked<Router> router(experts, 1, own);
    return slots_of(router(matrix_view<float const>(logits.data(), 1, experts), bias))[0];
}
void require_weights(std::vector<slot> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t j = 0; j < got.size(); ++j)
        CHECK(std::abs(double{got[j].weight} - wanted[j]) <= 1e-6 + 1e-5 * std::abs(wanted[j]));
}
std::vector<int> experts_of(std::vector<slot> const& slots) {
    std::vector<int> all;
    for (auto const& s : slots) all.push_back(s.expert);
    return all;
}

std::vector<double> softmax(std::vector<float> const& z, double temperature) {
    double const top = *std::max_element(z.begin(), z.end());
    std::vector<double> p;
    for (float const x : z) p.push_back(std::exp((x - top) / temperature));
    double const sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& x : p) x /= sum;
    return p;
}
std::vector<double> scores_of(scoring how, std::vector<float> const& z, double temperature) {
    if (how == scoring::softmax) return softmax(z, temperature);
    std::vector<double> p;
    for (double const x : z)
        p.push_back(how == scoring::sigmoid         ? 1 / (1 + std::exp(-x))
                    : how == scoring::relu          ? std::max(x, 0.0)
                    : how == scoring::sqrt_softplus ? std::sqrt(std::log1p(std::exp(x)))
                                                    : x);
    return p;
}
std::vector<double> shares(std::vector<double> p, bool renormalise) {
    double const sum = std::accumulate(p.begin(), p.end(), 0.0);
    if (renormalise)
        for (double& x : p) x = sum > 0 ? x / sum : 0;
    return p;
}

template <scoring Score, weighing Weight>
void follows_its_rule() {
    constexpr top_k router{.score = Score, .weight = Weight};
    std::vector<float> bias;
    for (index_t const experts : {1, 2, 7, 24, 65})
        for (index_t const k : {index_t{1}, index_t{2}, experts})
            for (bool const biased : {false, true})
                for (bool const renormalise : {true, false}) {
                    constexpr bool shareless =
                        Score == scoring::identity && Weight == weighing::score;
                    if (k > experts || (shareless && renormalise)) continue;
                    bias = twin::floats(twin::normal(biased ? at(experts) : 0, 4, 0.2));
                    top_k::params const own{
                        .k = k, .renormalise = renormalise, .scale = 2.5f, .temperature = 0.7f};
                    asked<router> ask(experts, 30, own);
                    auto const z = rows::normal(30, experts, at(experts * 7 + k), 2);
                    auto const got = slots_of(ask(z.view(), bias));
                    for (index_t t = 0; t < 30; ++t) {
                        auto const row = z.row_of(t);
                        auto const p = scores_of(Score, row, 0.7f);
                        std::vector<std::size_t> order(at(experts));
                        std::iota(order.begin(), order.end(), std::size_t{0});
                        std::sort(order.begin(), order.end(), [&](auto a, auto b) {
                            double const x = biased ? p[a] + bias[a] : double{row[a]};
                            double const y = biased ? p[b] + bias[b] : double{row[b]};
                            return x != y ? x > y : a < b;
                        });
                        order.resize(at(k));
                        std::vector<double> chosen, all_of;
                        std::vector<float> logits;
                        for (auto const e : order) chosen.push_back(p[e]), logits.push_back(row[e]);
                        if (Weight == weighing::score) all_of = shares(chosen, renormalise);
                        else if (Weight == weighing::softmax) all_of = softmax(logits, 0.7f);
                        else if (Weight == weighing::sigmoid)
                            all_of = scores_of(scoring::sigmoid, logits, 1);
                        else all_of.assign(order.size(), 1.0);
                        for (double& w : all_of) w *= 2.5;
                        REQUIRE(got[at(t)].size() == order.size());
                        for (std::size_t j = 0; j < order.size(); ++j) {
                            slot const s = got[at(t)][j];
                            REQUIRE(s.expert == static_cast<int>(order[j]));
                            REQUIRE(std::abs(s.weight - all_of[j]) <=
                                    1e-6 + 1e-5 * std::abs(all_of[j]));
                            bool const idle = Weight == weighing::score && Score == scoring::relu &&
                                              logits[j] <= 0;
                            REQUIRE(s.tier == (idle ? 1 : 0));
                        }
                    }
                }
}
template <scoring Score>
void follows_every_rule() {
    follows_its_rule<Score, weighing::score>();
    follows_its_rule<Score, weighing::softmax>();
    follows_its_rule<Score, weighing::sigmoid>();
    follows_its_rule<Score, weighing::unit>();
}

constexpr top_k by_relu{.score = scoring::relu}, by_root{.score = scoring::sqrt_softplus};
constexpr top_k by_value{.score = scoring::identity};

} // namespace

TEST_CASE("top_k: every score with every rule of weights, in double") {
    follows_every_rule<scoring::softmax>();
    follows_every_rule<scoring::sigmoid>();
    follows_every_rule<scoring::relu>();
    follows_every_rule<scoring::sqrt_softplus>();
    follows_every_rule<scoring::identity>();
}

TEST_CASE("top_k: relu is the ReMoE gate of all experts, and what weighs nothing is not run") {
    top_k::params const raw{.k = 4, .renormalise = false};
    auto const first = one<by_relu>({2, 1, 0.5f, -1}, raw);
    require_weights(first, {2, 1, 0.5, 0});
    CHECK(first[3].tier == 1);
    auto const second = one<by_relu>({0.3f, 0.2f, 0.1f, 0}, raw);
    require_weights(second, {0.3, 0.2, 0.1, 0});
    CHECK(second[3].tier == 1);
    for (bool const renormalise : {true, false})
        for (slot const s : one<by_relu>({-2, -1, -infinity, 0}, {4, renormalise}))
            CHECK((s.weight == 0 && s.tier == 1));
    require_weights(one<by_relu>({3e38f, 3e38f, 3e38f, 1}, {.k = 4}),
                    {1.0 / 3, 1.0 / 3, 1.0 / 3, 0});
    require_weights(one<by_relu>({1e-45f, -1}, {.k = 2}), {1, 0});
}

TEST_CASE("top_k: identity keeps the sign and promises no other") {
    top_k::params const raw{.k = 2, .renormalise = false};
    require_weights(one<by_value>({-0.5f, -0.25f, -3}, raw), {-0.25, -0.5});
    CHECK(one<by_value>({0, -1}, {.k = 1, .renormalise = false}) == std::vector<slot>{{0, 0, 0}});
    CHECK(one<by_value>({-infinity, -infinity}, raw) == std::vector<slot>{{0, 0, 1}, {1, 0, 1}});
    STATIC_REQUIRE(!by_value.promise().positive);
    STATIC_REQUIRE(top_k{.score = scoring::identity, .weight = weighing::unit}.promise().positive);
    STATIC_REQUIRE(by_relu.promise().positive);
    STATIC_REQUIRE(top_k{}.promise().positive);
    shape const size{.model = 4, .hidden = 4, .experts = 4};
    try {
        by_value.check(size, {.k = 2});
        FAIL("shares of identity were accepted");
    } catch (error const& e) {
        CHECK(std::string(e.what()) ==
              "top_k.renormalise: expected false: scores of either sign have no shares, got true");
    }
    by_value.check(size, raw);
    top_k{.score = scoring::identity, .weight = weighing::softmax}.check(size, {.k = 2});
}

TEST_CASE("top_k: roots of softplus far from zero do not vanish or overflow") {
    std::vector<float> const low(8, -3e38f), high(8, 3e38f);
    for (auto const& row : {low, high})
        for (slot const s : one<by_root>(row, {.k = 8})) CHECK(s.weight == 0.125f);
    require_weights(one<by_root>({-1000, -1001}, {.k = 2}), {0.622459, 0.377541});
    require_weights(one<by_root>({100, -100}, {.k = 2, .renormalise = false}), {10, 0});
    require_weights(one<by_root>({infinity, 5, infinity}, {.k = 3}), {0.5, 0.5, 0});
}

TEST_CASE("top_k: weights of one for all that is chosen, but not for what is idle") {
    constexpr top_k counted{.k = 3, .weight = weighing::unit};
    CHECK(one<counted>({4, -infinity, 1}) == std::vector<slot>{{0, 1, 0}, {2, 1, 0}, {1, 0, 1}});
    CHECK(one<counted>({4, 2, 1}, {.renormalise = false, .scale = 3}) ==
          std::vector<slot>{{0, 3, 0}, {1, 3, 0}, {2, 3, 0}});
}

TEST_CASE("top_k: groups and a bias choose by every score, weights stay those of the logits") {
    std::vector<float> const z{2, -1, .5f, .4f, 1.5f, -3, -2, -2.5f};
    constexpr top_k roots{.score = scoring::sqrt_softplus, .group = group_score::two_best};
    // two best of √softplus: 2.018 1.930 1.415 0.641
    auto const got = one<roots>(z, {.k = 4, .renormalise = false, .groups = 4, .kept_groups = 2});
    CHECK(experts_of(got) == std::vector{0, 2, 3, 1});
    constexpr top_k values{.score = scoring::identity, .group = group_score::two_best};
    auto const by_sum = one<values>(
        z, {.k = 3, .renormalise = false, .groups = 4, .kept_groups = 2}, {0, 0, 0, 0, 3, 0, 0, 0});
    CHECK(experts_of(by_sum) == std::vector{4, 0, 1}); // sums: 1 0.9 1.5 -4.5
}

TEST_CASE("top_k: a NaN chosen by any score weighs NaN, and only it") {
    for (auto const& got :
         {one<by_relu>({none, 2}, {2, false}), one<by_root>({none, 2}, {2, false}),
          one<by_relu>({none, 2}, {2, true}), one<by_root>({none, 2}, {2, true}),
          one<by_value>({none, 2}, {2, false})}) {
        CHECK(experts_of(got) == std::vector{1, 0});
        CHECK(std::isfinite(got[0].weight));
        CHECK(std::isnan(got[1].weight));
    }
}
