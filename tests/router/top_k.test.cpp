// SPDX-License-Identifier: MIT
#include "prytany/router/top_k.hpp"

#include <algorithm>
#include <random>

#include "conformance/numbers.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::lists, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
float const none = std::nanf("");

template <auto Router>
std::vector<slot> one(std::vector<float> const& logits, params_of<kind_of<Router>> const& own = {},
                      std::vector<float> const& bias = {}) {
    auto const experts = static_cast<index_t>(logits.size());
    asked<Router> router(experts, 1, own);
    return slots_of(router(matrix_view<float const>(logits.data(), 1, experts), bias))[0];
}
std::vector<int> experts_of(std::vector<slot> const& slots) {
    std::vector<int> all;
    for (auto const& s : slots) all.push_back(s.expert);
    return all;
}
void require_weights(std::vector<slot> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t j = 0; j < got.size(); ++j)
        CHECK(std::abs(double{got[j].weight} - wanted[j]) <= 1e-6 + 1e-5 * std::abs(wanted[j]));
}

/// The derivatives of the weight of expert 0 by every logit, from four points around each.
template <auto Router>
std::vector<double> slopes(std::vector<float> const& z, top_k::params const& own = {}) {
    constexpr float step = 1.0f / 16;
    std::vector<double> all;
    for (std::size_t e = 0; e < z.size(); ++e) {
        auto const moved = [&](float by) {
            auto other = z;
            other[e] += by;
            for (slot const s : one<Router>(other, own))
                if (s.expert == 0) return double{s.weight};
            return std::nan("");
        };
        all.push_back((8 * (moved(step) - moved(-step)) - (moved(2 * step) - moved(-2 * step))) /
                      (12 * double{step}));
    }
    return all;
}
void require_slopes(std::vector<double> const& got, std::vector<double> const& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t e = 0; e < got.size(); ++e) CHECK(std::abs(got[e] - wanted[e]) <= 5e-6);
}

constexpr top_k by_sigmoid{.score = scoring::sigmoid};
constexpr top_k by_two_sigmoid{.score = scoring::sigmoid, .group = group_score::two_best};

} // namespace

TEST_CASE("top_k: the numbers of the literature") {
    std::vector<float> const z0{2, 1, 0.5f, -1}, z1{0.3f, 0.2f, 0.1f, 0};
    require_weights(one<top_k{.k = 2}>(z0), {0.731059, 0.268941});
    require_weights(one<top_k{.k = 2}>(z1), {0.524979, 0.475021});
    require_weights(one<top_k{.k = 4}>(z0, {.renormalise = false}),
                    {0.609460, 0.224208, 0.135989, 0.030343});
    require_weights(one<top_k{.k = 4}>(z1, {.renormalise = false}),
                    {0.288651, 0.261183, 0.236328, 0.213838});
    require_weights(one<top_k{.k = 1}>(z0, {.renormalise = false}), {0.609460});
    require_weights(one<top_k{.k = 1}>(z0), {1});
}

TEST_CASE("top_k: the gate of DeepSeek-V3, biased sigmoids within the groups with the two best") {
    std::vector<float> const z{2, -1, .5f, .4f, 1.5f, -3, -2, -2.5f};
    std::vector<float> const bias{-.3f, 0, .2f, .1f, -.2f, 0, 0, .1f};
    auto const grouped =
        one<by_two_sigmoid>(z, {.k = 3, .scale = 2.5f, .groups = 4, .kept_groups = 2}, bias);
    CHECK(experts_of(grouped) == std::vector{2, 3, 0});
    require_weights(grouped, {0.740338, 0.712064, 1.047598});
    CHECK(experts_of(one<by_sigmoid>(z, {.k = 3}, bias)) == std::vector{2, 3, 4});
    CHECK(experts_of(one<by_sigmoid>(z, {.k = 3})) == std::vector{0, 4, 2});
}

TEST_CASE("top_k: sigmoids as they come, and the sums by which groups are kept") {
    std::vector<float> const z{2, -1, .5f, .4f, 1.5f, -3, -2, -2.5f};
    std::vector<float> const bias{-.3f, 0, .2f, .1f, -.2f, 0, 0, .1f};
    auto const all = one<by_sigmoid>(z, {.k = 8, .renormalise = false});
    CHECK(experts_of(all) == std::vector{0, 4, 2, 3, 1, 6, 7, 5});
    require_weights(all, {.880797, .817574, .622459, .598688, .268941, .119203, .075858, .047426});

    std::vector<float> const l{.5f, -1, 2, 0, 1, 1.5f, -.5f, .25f};
    std::vector<float> const other{0, .3f, -.2f, .1f, 0, -.1f, .4f, 0};
    auto const sums = [](auto const& logits, auto const& added, std::vector<double> const& wanted) {
        auto const best = std::max_element(wanted.begin(), wanted.end()) - wanted.begin();
        for (std::size_t g = 0; g < 4; ++g)
            for (double const off : {-5e-6, 5e-6}) { // one member lifted to just below or above
                auto lifted = added;
                lifted[2 * g] +=
                    static_cast<float>(wanted[static_cast<std::size_t>(best)] - wanted[g] + off);
                auto const got =
                    one<by_two_sigmoid>(logits, {.k = 2, .groups = 4, .kept_groups = 1}, lifted);
                auto const kept = g == static_cast<std::size_t>(best) || off < 0
                                      ? static_cast<int>(best)
                                      : static_cast<int>(g);
                for (slot const s : got) CHECK(s.expert / 2 == kept);
            }
    };
    sums(z, bias, {.849738, 1.521147, .665000, .295061});
    sums(l, other, {1.191401, 1.280797, 1.448633, 1.339717});
}

TEST_CASE("top_k: the gates of today's models") {
    std::vector<float> const z{1, 2, .5f, -1};
    auto const mixtral = one<top_k{.k = 2}>(z);
    CHECK(experts_of(mixtral) == std::vector{1, 0});
    require_weights(mixtral, {.7310586, .2689414});
    require_weights(one<top_k{.k = 2, .weight = weighing::softmax}>(z), {.7310586, .2689414});
    require_weights(one<top_k{.k = 2}>(z, {.renormalise = false}), {.60946, .2242078}); // OLMoE

    // DeepSeek-V3: expert 2, the largest sigmoid, is left out with its group
    auto const got = one<by_two_sigmoid>({.5f, -1, 2, 0, 1, 1.5f, -.5f, .25f},
                                         {.k = 3, .scale = 2.5f, .groups = 4, .kept_groups = 2},
                                         {0, .3f, -.2f, .1f, 0, -.1f, .4f, 0});
    CHECK(experts_of(got) == std::vector{6, 4, 5});
    require_weights(got, {.490013782, .948848188, 1.06113803});
}

TEST_CASE("top_k: what a logit does to the first weight: nothing, if it is not among the shares") {
    std::vector<float> const z{2, 1, 0.5f, -1};
    require_slopes(slopes<top_k{.k = 2}>(z), {.196612, -.196612, 0, 0});
    require_slopes(slopes<top_k{.k = 2}>(z, {.renormalise = false}),
                   {.238019, -.136646, -.082880, -.018493});
    require_weights(one<by_sigmoid>(z, {.k = 2}), {.546449, .453551});
    require_slopes(slopes<by_sigmoid>(z, {.k = 2}), {.029544, -.066655, 0, 0});
    CHECK(slopes<top_k{.k = 1}>(z) == std::vector<double>(4)); // a share of one teaches nothing
    require_slopes(slopes<top_k{.k = 1}>(z, {.renormalise = false}),
                   {.238019, -.136646, -.082880, -.018493});
}

TEST_CASE("top_k: a refused group stays refused when every kept score is negative") {
    std::vector<float> const z{-3, -4, 2, 1}, bias{-.5f, -.5f, -1.5f, -1.4f};
    auto const got = one<by_two_sigmoid>(z, {.k = 2, .groups = 2, .kept_groups = 1}, bias);
    CHECK(experts_of(got) == std::vector{0, 1});
}

TEST_CASE("top_k: the gate of DeepSeek-V2, plain softmax within the groups with the best") {
    std::vector<float> const z{2, -1, .5f, .4f, 1.5f, -3, -2, -2.5f};
    auto const got =
        one<top_k{.k = 3}>(z, {.renormalise = false, .scale = 16, .groups = 4, .kept_groups = 2});
    CHECK(experts_of(got) == std::vector{0, 4, 1});
    require_weights(got, {7.556055345160094, 4.582979233325122, 0.3761938440608494});
}

TEST_CASE("top_k: sigmoid weights far from zero do not vanish") {
    std::vector<float> const equal(8, -100.0f);
    for (slot const s : one<by_sigmoid>(equal, {.k = 8})) CHECK(s.weight == 0.125f);
    for (slot const s : one<by_sigmoid>(std::vector<float>(8, -3e38f), {.k = 4}))
        CHECK(s.weight == 0.25f);
    require_weights(one<by_sigmoid>({-100, -101}, {.k = 2}), {0.731059, 0.268941});
    require_weights(one<by_sigmoid>({1, -1}, {.k = 2, .renormalise = false}),
                    {0.731058579, 0.268941421});
    require_weights(one<by_sigmoid>({500, -500}, {.k = 2, .renormalise = false}), {1, 0});
}

TEST_CASE("top_k: equal logits go to the lower number, zeros of either sign are equal") {
    CHECK(experts_of(one<top_k{.k = 3}>({1, 2, 1, 2, 1})) == std::vector{1, 3, 0});
    CHECK(experts_of(one<top_k{.k = 2}>({-0.0f, 0.0f, -0.0f})) == std::vector{0, 1});
    CHECK(experts_of(one<top_k{.k = 2}>({-1, -0.0f, 0.0f, -1})) == std::vector{1, 2});
}

TEST_CASE("top_k: infinities") {
    auto const shared = one<top_k{.k = 3}>({infinity, 5, infinity, 3e38f});
    CHECK(experts_of(shared) == std::vector{0, 2, 3});
    require_weights(shared, {0.5, 0.5, 0});
    require_weights(one<top_k{.k = 3}>({infinity, 5, infinity, 1}, {.renormalise = false}),
                    {0.5, 0.5, 0});

    auto const listed = one<top_k{.k = 3}>({-infinity, 1, -infinity, -infinity});
    CHECK(listed == std::vector<slot>{{1, 1, 0}, {0, 0, 1}, {2, 0, 1}});
    for (bool const renormalise : {true, false}) {
        std::vector<float> const shut(4, -infinity);
        std::vector<slot> const idle{{0, 0, 1}, {1, 0, 1}};
        CHECK(one<top_k{.k = 2}>(shut, {.renormalise = renormalise}) == idle);
        CHECK(one<by_sigmoid>(shut, {.k = 2, .renormalise = renormalise}) == idle);
    }
}

TEST_CASE("top_k: NaN comes after every number, and a row of NaN is NaN") {
    auto const got = one<top_k{.k = 3}>({none, -infinity, 2, -none, 1});
    CHECK(experts_of(got) == std::vector{2, 4, 1});
    require_weights(got, {0.731059, 0.268941, 0});
    auto const forced = one<top_k{.k = 3}>({none, 2, -none, 1});
    CHECK(experts_of(forced) == std::vector{1, 3, 0});
    CHECK(std::isnan(forced[2].weight));
    auto const without = one<top_k{.k = 1}>({none, 2, 1, none}, {.renormalise = false});
    require_weights(without, {0.731059});
    for (auto const& all :
         {one<top_k{.k = 2}>({none, none, -none}), one<by_sigmoid>({none, none, -none}, {.k = 2}),
          one<top_k{.k = 2}>({none, none, -none}, {.renormalise = false})}) {
        CHECK(experts_of(all) == std::vector{0, 1});
        for (slot const s : all) CHECK((std::isnan(s.weight) && s.tier == 0));
    }
}

TEST_CASE("top_k: a compiled k and one known at run time give the same bits") {
    auto const z = rows::normal(50, 9, 3, 4);
    asked<top_k{.k = 3}> fixed(9, 50);
    asked<top_k{}> free(9, 50, {.k = 3});
    CHECK(numbers::same_slots(slots_of(fixed(z.view())), slots_of(free(z.view()))));
    CHECK(fixed.most() == 3);
    CHECK(free.most() == 3);
}

TEST_CASE("top_k: what is out of range is said at construction") {
    auto const sentence = [](top_k const& policy, top_k::params const& own, index_t experts) {
        try {
            policy.check({.model = 4, .hidden = 4, .experts = experts}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence({.k = 2}, {}, 8).empty());
    CHECK(sentence({}, {.k = 8, .groups = 4, .kept_groups = 4}, 8).empty());
    CHECK(sentence({.k = 2}, {.k = 3}, 8) == "top_k.k: expected 2, got 3");
    CHECK(sentence({.k = 9}, {}, 8) ==
          "top_k.k: expected at most 8, the experts of the kept groups, got 9");
    CHECK(sentence({.k = 5}, {.groups = 4, .kept_groups = 2}, 8) ==
          "top_k.k: expected at most 4, the experts of the kept groups, got 5");
    CHECK(sentence({.k = 1}, {.groups = 3}, 8) ==
          "top_k.groups: expected a divisor of 8 experts, got 3");
    CHECK(sentence({.k = 1}, {.groups = 0}, 8) ==
          "top_k.groups: expected a divisor of 8 experts, got 0");
    CHECK(sentence({.k = 1}, {.groups = 4, .kept_groups = 5}, 8) ==
          "top_k.kept_groups: expected 1 to 4, got 5");
    CHECK(sentence({.k = 1}, {.groups = 4, .kept_groups = 0}, 8) ==
          "top_k.kept_groups: expected 1 to 4, got 0");
    for (float const wrong : {0.0f, -1.0f, none, infinity})
        CHECK(sentence({.k = 1}, {.temperature = wrong}, 8).find("top_k.temperature: expected") ==
              0);
    for (float const wrong : {none, infinity, -infinity})
        CHECK(sentence({.k = 1}, {.scale = wrong}, 8).find("top_k.scale: expected a finite") == 0);
}

TEST_CASE("top_k: promises to look at single tokens and to be causal") {
    constexpr promises said = top_k{}.promise();
    STATIC_REQUIRE(said.sees == scope::token);
    STATIC_REQUIRE(said.causal);
}
