// SPDX-License-Identifier: MIT
#include "prytany/router/replayed.hpp"

#include "conformance/numbers.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr top_k by_sigmoid{.k = 3, .score = scoring::sigmoid};
constexpr top_k in_groups{.k = 3, .score = scoring::sigmoid, .group = group_score::two_best};

/// A plan that owns its numbers.
struct recorded {
    std::vector<index_t> offsets{0};
    std::vector<std::int32_t> experts;
    std::vector<float> weights;

    explicit recorded(numbers::lists const& plan, bool weighed = false) {
        for (auto const& slots : plan) {
            for (slot const s : slots) {
                experts.push_back(s.expert);
                if (weighed) weights.push_back(s.weight);
            }
            offsets.push_back(static_cast<index_t>(experts.size()));
        }
    }
    forced_slots view() const { return {offsets, experts, weights}; }
};
std::vector<slot> of(std::initializer_list<int> experts) {
    std::vector<slot> all;
    for (int const e : experts) all.push_back({e, 0, 0});
    return all;
}
void require_slots(std::vector<slot> const& got, std::vector<int> const& experts,
                   std::vector<double> const& weights, std::vector<int> const& tiers) {
    REQUIRE(got.size() == experts.size());
    for (std::size_t j = 0; j < got.size(); ++j) {
        CHECK(got[j].expert == experts[j]);
        CHECK(std::abs(double{got[j].weight} - weights[j]) <= 1e-6 + 1e-5 * std::abs(weights[j]));
        CHECK(got[j].tier == tiers[j]);
    }
}
template <auto Router>
void replays_itself(params_of<kind_of<Router>> const& own) {
    auto const z = rows::normal(40, 12, 5, 3);
    asked<Router> plain(12, 40, own);
    router_tensors(Router, plain.weights, plain.size,
                   [](auto const& t) { numbers::fill_tensor(t, 3, 5); });
    auto const wanted = slots_of(plain(z.view()));
    recorded const plan(wanted);
    auto const given = plan.view();
    asked<replayed{Router}> router(12, 40, {.plan = &given, .router = own});
    router_tensors(replayed{Router}, router.weights, router.size,
                   [](auto const& t) { numbers::fill_tensor(t, 3, 5); });
    auto const got = slots_of(router(z.view()));
    for (std::size_t t = 0; t < 40; ++t)
        for (std::size_t j = 0; j < wanted[t].size(); ++j) {
            CHECK(got[t][j].expert == wanted[t][j].expert);
            CHECK(got[t][j].weight == Approx(wanted[t][j].weight).epsilon(1e-6));
            CHECK(got[t][j].tier == wanted[t][j].tier);
        }
}

} // namespace

TEST_CASE("replayed: experts are given, weights are the inner router's over them") {
    rows z(4, 4);
    for (index_t t = 0; t < 4; ++t)
        std::copy_n(std::vector{2.f, 1.f, .5f, -1.f}.begin(), 4, z.row(t));
    recorded const plan({of({3, 0}), of({2}), of({}), of({2, 3, 1})});
    auto const given = plan.view();
    double const p[] = {std::exp(2), std::exp(1), std::exp(.5), std::exp(-1)};
    asked<replayed{top_k{.k = 3}}> router(4, 4, {.plan = &given});
    auto const got = slots_of(router(z.view()));
    require_slots(got[0], {3, 0}, {p[3] / (p[0] + p[3]), p[0] / (p[0] + p[3])}, {0, 0});
    require_slots(got[1], {2}, {1}, {0});
    CHECK(got[2].empty());
    double const sum = p[1] + p[2] + p[3];
    require_slots(got[3], {2, 3, 1}, {p[2] / sum, p[3] / sum, p[1] / sum}, {0, 0, 0});

    asked<replayed{top_k{.k = 3}}> raw(4, 4, {.plan = &given, .router = {.renormalise = false}});
    require_slots(slots_of(raw(z.view()))[0], {3, 0}, {0.030343, 0.609460}, {0, 0});
    asked<replayed{by_sigmoid}> scored(4, 4, {.plan = &given, .router = {.scale = 2}});
    require_slots(slots_of(scored(z.view()))[0], {3, 0}, {2 * 0.233915, 2 * 0.766085}, {0, 0});
}

TEST_CASE("replayed: a router's own choice gives its own weights") {
    replays_itself<top_k{.k = 3}>({.temperature = .5f});
    replays_itself<top_k{.k = 3}>(
        {.renormalise = false, .scale = 16, .groups = 4, .kept_groups = 2});
    replays_itself<by_sigmoid>({.renormalise = false});
    replays_itself<biased{in_groups}>({.router = {.scale = 2.5f, .groups = 4, .kept_groups = 1}});
}

TEST_CASE("replayed: given weights are the weights, the inner router is not asked") {
    auto const z = rows::normal(3, 4, 5, 3);
    recorded const plan({{{3, -2.f, 0}, {0, 7.f, 0}}, {}, {{1, .25f, 0}}}, true);
    auto const given = plan.view();
    asked<replayed{top_k{.k = 2}}> router(4, 3, {.plan = &given});
    auto const got = slots_of(router(z.view()));
    CHECK(got == numbers::lists{{{3, -2, 0}, {0, 7, 0}}, {}, {{1, .25f, 0}}});
    CHECK(!replayed{top_k{}}.promise().positive);
}

TEST_CASE("replayed: without a plan, the inner router; with one, parts of a batch") {
    auto z = rows::normal(30, 6, 5, 3);
    z.row(4)[1] = std::nanf("");
    asked<top_k{.k = 2}> plain(6, 30);
    asked<replayed{top_k{.k = 2}}> router(6, 30);
    CHECK(numbers::same_slots(slots_of(router(z.view())), slots_of(plain(z.view()))));

    numbers::lists choice;
    for (int t = 0; t < 30; ++t) choice.push_back(of({t % 6, (t + 1 + t % 4) % 6}));
    recorded const plan(choice);
    auto const given = plan.view();
    router.params.plan = &given;
    seen in{input{z.view()}};
    in.logits = z.view();
    auto const whole = slots_of(router(in));
    for (index_t t = 0; t < 30; t += 7) {
        index_t const count = std::min<index_t>(7, 30 - t);
        auto const some = slots_of(router(in.part(t, count)));
        CHECK(numbers::same_slots(some, {whole.begin() + t, whole.begin() + t + count}));
    }
    CHECK(slots_of(router(rows(0, 6).view())).empty());
    STATIC_REQUIRE(
        std::is_same_v<decltype(replayed{replayed{top_k{}}}), replayed<replayed<top_k>>>);
}

TEST_CASE("replayed: infinities and NaN of what is forced") {
    rows z(3, 4);
    z.all = {2, 1, -infinity, 0,         std::nanf(""), 1,
             2, 0, -infinity, -infinity, -infinity,     -infinity};
    recorded const plan({of({2, 3}), of({0, 3}), of({1, 3})});
    auto const given = plan.view();
    asked<replayed{top_k{.k = 2}}> router(4, 3, {.plan = &given});
    auto const got = slots_of(router(z.view()));
    CHECK(got[0] == std::vector<slot>{{2, 0, 1}, {3, 1, 0}});
    CHECK((got[1][0].expert == 0 && std::isnan(got[1][0].weight) && got[1][1].expert == 3));
    CHECK(got[2] == std::vector<slot>{{1, 0, 1}, {3, 0, 1}});
}

TEST_CASE("replayed: a plan that does not fit the call is said before it is used") {
    auto const sentence = [](std::vector<index_t> const& offsets,
                             std::vector<std::int32_t> const& experts,
                             std::vector<float> const& weights, index_t first = 0) {
        forced_slots const given{offsets, experts, weights};
        rows const z(2, 4);
        seen in{input{z.view()}};
        in.first = first;
        try {
            replayed{top_k{.k = 2}}.require(in, {.model = 4, .hidden = 4, .experts = 4},
                                            {.plan = &given});
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence({0, 2, 3}, {3, 0, 3}, {}).empty());
    CHECK(sentence({0, 2, 3}, {3, 0, 3}, {1, 2, 3}).empty());
    CHECK(sentence({0, 0, 0}, {}, {}).empty());
    CHECK(sentence({}, {}, {}) == "replayed.offsets: expected 3, one more than tokens, got 0");
    CHECK(sentence({0, 1}, {0}, {}) == "replayed.offsets: expected 3, one more than tokens, got 2");
    CHECK(sentence({0, 1, 2}, {0, 1}, {}, 1) ==
          "replayed.offsets: expected 4, one more than tokens, got 3");
    CHECK(sentence({1, 2, 3}, {0, 1, 2}, {}) ==
          "replayed.offsets: expected 0, then never falling, got 1");
    CHECK(sentence({0, 2, 1}, {0, 1}, {}) ==
          "replayed.offsets: expected 0, then never falling, got 1");
    CHECK(sentence({0, 3, 3}, {0, 1, 2}, {}) ==
          "replayed.offsets: expected at most 2 a token, got 3");
    CHECK(sentence({0, 2, 3}, {0, 1}, {}) ==
          "replayed.experts: expected 3, the last offset, got 2");
    CHECK(sentence({0, 1, 2}, {0, 1}, {1}) ==
          "replayed.weights: expected 2, the last offset, got 1");
    CHECK(sentence({0, 1, 2}, {0, 4}, {}) == "replayed.experts: expected 0 to 3, got 4");
    CHECK(sentence({0, 1, 2}, {-1, 0}, {}) == "replayed.experts: expected 0 to 3, got -1");
    CHECK(sentence({0, 2, 2}, {1, 1}, {}) ==
          "replayed.experts: expected each expert of a token once, got twice 1");
    rows const z(2, 4);
    CHECK_NOTHROW(replayed{top_k{.k = 2}}.require(input{z.view()}, {.experts = 4}, {}));
}
