// SPDX-License-Identifier: MIT
// What every router must keep, run on every model, on the least model, and on a user's own.
#include <cmath>
#include <limits>

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

// Ids in range, distinct, no more than promised; weights as promised where the logits are finite.
template <auto Router>
void keeps_its_promise(numbers::lists const& plan, rows const& z, index_t most) {
    constexpr promises said = Router.promise();
    for (index_t t = 0; t < z.count; ++t) {
        std::vector<bool> used(at(z.cols));
        bool finite = true;
        for (float const s : z.row_of(t)) finite = finite && std::isfinite(s);
        double sum = 0;
        REQUIRE(static_cast<index_t>(plan[at(t)].size()) <= most);
        for (slot const s : plan[at(t)]) {
            REQUIRE(s.expert >= 0);
            REQUIRE(s.expert < z.cols);
            REQUIRE(!used[at(s.expert)]);
            used[at(s.expert)] = true;
            sum += s.weight;
            if (finite && said.positive) REQUIRE(s.weight >= 0);
        }
        if (finite && said.unit_sum) REQUIRE(std::abs(sum - 1) <= 1e-6);
    }
}

template <auto Router>
void conforms(params_of<kind_of<Router>> const& own, index_t experts) {
    using R = kind_of<Router>;
    STATIC_REQUIRE(router_policy<R>);
    constexpr promises said = Router.promise();
    index_t const tokens = 48;
    auto z = rows::normal(tokens, experts, 21, 3);
    float const awkward[] = {std::nanf(""), std::numeric_limits<float>::infinity(),
                             -std::numeric_limits<float>::infinity(), 3.4e38f, -0.0f};
    for (index_t t = 0; t < tokens; t += 4)
        for (index_t e = t % 3; e < experts; e += 1 + t % 5)
            z.row(t)[e] = awkward[at((t / 4 + e) % 5)];
    asked<Router> router(experts, tokens, own);
    router_tensors(Router, router.weights, router.size,
                   [](auto const& t) { numbers::fill_tensor(t, 3, 5); });
    index_t const most = router.most();
    REQUIRE(most >= 1);
    REQUIRE(most <= experts);
    auto const whole = slots_of(router(z.view()));
    keeps_its_promise<Router>(whole, z, most);
    CHECK(numbers::same_slots(slots_of(router(z.view())), whole)); // a function of its input
    if (said.sees == scope::token)
        for (index_t const chunk : {1, 5, 47})
            for (index_t t = 0; t < tokens; t += chunk) {
                index_t const count = std::min(chunk, tokens - t);
                auto const some = slots_of(router(z.part(t, count).view()));
                REQUIRE(numbers::same_slots(some, {whole.begin() + t, whole.begin() + t + count}));
            }
    if (said.causal) {
        auto const early = slots_of(router(z.part(0, 20).view()));
        CHECK(numbers::same_slots(early, {whole.begin(), whole.begin() + 20}));
    }
    CHECK(slots_of(router(rows(0, experts).view())).empty());
}

// The same router in a layer: no edit of the layer, and the plan is the router's.
template <auto Router>
void works_in_a_layer(params_of<kind_of<Router>> const& own) {
    moe<shape{.model = 12, .hidden = 10}, Router, ffn{swiglu}> layer(
        {.model = 12, .hidden = 10, .experts = 6}, {.router = own});
    numbers::fill(layer);
    auto const x = rows::normal(30, 12, 22);
    workspace ws;
    auto const y = numbers::run(layer, x, ws, sequential{});
    auto const weights = numbers::twin_of(layer);
    twin::row wanted;
    for (index_t t = 0; t < 30; ++t) {
        std::vector<twin::choice> slots;
        for (slot const s : ws.plan().slots_of(t))
            slots.push_back({at(s.expert), double{s.weight}, s.tier == 0});
        auto const row =
            twin::moe(twin::doubles(x.row_of(t)), weights, slots, twin::gated(twin::silu));
        wanted.insert(wanted.end(), row.begin(), row.end());
    }
    CHECK(twin::nmse(y, wanted) <= 1e-12);
}

template <auto Router>
void suite(params_of<kind_of<Router>> const& own) {
    for (index_t const experts : {6, 12, 66}) conforms<Router>(own, experts);
    works_in_a_layer<Router>(own);
}

constexpr top_k by_sigmoid{.k = 3, .score = scoring::sigmoid};
constexpr top_k deepseek{.k = 2, .score = scoring::sigmoid, .group = group_score::two_best};

} // namespace

TEST_CASE("every router: top_k") {
    suite<top_k{.k = 2}>({});
    suite<top_k{}>({.k = 6, .temperature = 0.5f});
    suite<top_k{.k = 1}>({.renormalise = false, .scale = 3});
    suite<by_sigmoid>({});
    suite<top_k{.k = 2}>({.groups = 3, .kept_groups = 2});
    suite<deepseek>({.scale = 2.5f, .groups = 3, .kept_groups = 1});
}

TEST_CASE("every router: biased and scored, around each other") {
    suite<biased{top_k{.k = 2}}>({});
    suite<biased{deepseek}>({.router = {.groups = 3, .kept_groups = 2}});
    suite<scored{linear{.biases = true}, by_sigmoid}>({});
    suite<biased{biased{by_sigmoid}}>({});
    suite<biased{scored{linear{}, top_k{.k = 2}}}>({});
}

TEST_CASE("every router: the least one") {
    suite<archetype::router{}>({});
    suite<written::halved{archetype::router{}}>({});
}

TEST_CASE("every router: a user's own, and a user's wrapper") {
    suite<written::above{}>({});
    suite<written::above{.most = 4}>({.bar = 0.3f});
    suite<written::halved{top_k{.k = 3}}>({});
    suite<written::halved{biased{top_k{.k = 3}}}>({});
    suite<scored{linear{}, written::above{.most = 3}}>({});
}
