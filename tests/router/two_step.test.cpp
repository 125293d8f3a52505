// SPDX-License-Identifier: MIT
#include "prytany/router/two_step.hpp"

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

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr top_k by_cosine{.k = 1, .score = scoring::identity};
constexpr int null = 1000;

seen with_labels(rows const& z, std::vector<std::int32_t> const& labels) {
    seen in{input{z.view()}};
    in.logits = z.view();
    in.labels = labels;
    return in;
}

/// One slot for a token: the expert that the most present tokens of the batch like best.
struct popular {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 1; }
    constexpr promises promise() const { return {.sees = scope::batch, .causal = false}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        index_t best = 0, votes = -1;
        for (index_t e = 0; e < in.logits.cols; ++e) {
            index_t mine = 0;
            for (index_t t = 0; t < in.tokens(); ++t)
                mine += in.present(t) && in.logits.row(t)[e] > 0;
            if (mine > votes) {
                votes = mine;
                best = e;
            }
        }
        for (index_t t = 0; t < in.tokens(); ++t) out.put(t, best, 1.0f);
    }
};

} // namespace

TEST_CASE("two_step: the numbers of the literature") {
    double const x[4][2] = {{2, .5}, {1, .2}, {-.1, 1}, {.4, .9}},
                 c[3][2] = {{1, 0}, {0, 2}, {-1, -1}};
    rows z(6, 4);
    for (index_t t = 0; t < 4; ++t)
        for (index_t e = 0; e < 3; ++e) {
            double const dot = x[t][0] * c[e][0] + x[t][1] * c[e][1];
            z.row(t)[e] = static_cast<float>(dot / std::hypot(x[t][0], x[t][1]) /
                                             std::hypot(c[e][0], c[e][1]));
        }
    for (index_t t = 0; t < 6; ++t) z.row(t)[3] = 9; // of the last expert: it has no prototype
    std::vector<std::int32_t> const labels{7, 999, 0, 3, null, null};
    asked<two_step{by_cosine}> router(4, 6, {.router = {.renormalise = false}});
    auto const got = slots_of(router(with_labels(z, labels)));
    int const experts[] = {0, 0, 1, 1, 3, 3};
    double const weights[] = {0.970143, 0.980581, 0.995037, 0.913812, 1, 1};
    for (std::size_t t = 0; t < 6; ++t) {
        REQUIRE(got[t].size() == 1);
        CHECK(got[t][0].expert == experts[t]);
        CHECK(std::abs(double{got[t][0].weight} - weights[t]) <= 1e-6 + 1e-5 * weights[t]);
        CHECK(got[t][0].tier == 0);
    }
    rows away(1, 3);
    away.all = {0, -1, 0}; // [0, -1] beside prototypes 0 and 1
    asked<two_step{by_cosine}> two(3, 1, {.router = {.renormalise = false}});
    std::vector<std::int32_t> const some_class{0};
    CHECK(slots_of(two(with_labels(away, some_class)))[0] == std::vector<slot>{{0, 0, 0}});
}

TEST_CASE("two_step: weights are cosines, or sigmoids or a softmax of them, never made anew") {
    rows z(2, 4);
    z.all = {0.6f, 0.8f, -0.99f, 9, -0.5f, -0.25f, -1, 9};
    std::vector<std::int32_t> const labels{1, 2};
    double const wanted[3][2] = {
        {0.8, -0.25},
        {1 / (1 + std::exp(-0.8)), 1 / (1 + std::exp(0.25))},
        {1 / (1 + std::exp(-0.2) + std::exp(-1.79)), 1 / (1 + std::exp(-0.25) + std::exp(-0.75))}};
    auto const weighs = [&]<scoring How>(std::integral_constant<scoring, How>, double const* w) {
        asked<two_step{top_k{.k = 1, .score = How}}> router(4, 2,
                                                            {.router = {.renormalise = false}});
        auto const got = slots_of(router(with_labels(z, labels)));
        for (std::size_t t = 0; t < 2; ++t) {
            CHECK(got[t][0].expert == 1);
            CHECK(std::abs(double{got[t][0].weight} - w[t]) <= 1e-6);
        }
    };
    weighs(std::integral_constant<scoring, scoring::identity>{}, wanted[0]);
    weighs(std::integral_constant<scoring, scoring::sigmoid>{}, wanted[1]);
    weighs(std::integral_constant<scoring, scoring::softmax>{}, wanted[2]);
    CHECK(params_of<two_step<top_k>>{}.null_label == 1000);
}

TEST_CASE("two_step: a conditional token is the inner router's, over one expert less") {
    auto z = rows::normal(40, 7, 5, 3);
    z.row(3)[2] = std::nanf("");
    z.row(4)[6] = infinity;
    rows rest(40, 6);
    std::vector<std::int32_t> labels;
    for (index_t t = 0; t < 40; ++t) {
        std::copy_n(z.row(t), 6, rest.row(t));
        labels.push_back(t % 5 == 0 ? 17 : static_cast<int>(t));
    }
    asked<two_step{top_k{.k = 3}}> router(7, 40, {.null_label = 17});
    asked<top_k{.k = 3}> plain(6, 40);
    auto const got = slots_of(router(with_labels(z, labels))),
               wanted = slots_of(plain(rest.view()));
    for (std::size_t t = 0; t < 40; ++t) {
        if (labels[t] == 17) CHECK(got[t] == std::vector<slot>{{6, 1, 0}});
        else CHECK(numbers::same_bits(got[t], wanted[t]));
    }
    auto const in = with_labels(z, labels);
    auto const some = slots_of(router(in.part(9, 13)));
    CHECK(numbers::same_slots(some, {got.begin() + 9, got.begin() + 22}));
    CHECK(slots_of(router(in.part(0, 0))).empty());
}

TEST_CASE("two_step: bias and ranking lose their last expert, too") {
    rows z(1, 3), ranking(1, 3);
    z.all = {2, 1, 5};
    ranking.all = {0, 1, 9};
    std::vector<std::int32_t> const labels{0};
    auto in = with_labels(z, labels);
    in.ranking = ranking.view();
    asked<two_step{top_k{.k = 1}}> router(3, 1);
    CHECK(slots_of(router(in))[0] == std::vector<slot>{{1, 1, 0}});
    in.ranking = {};
    std::vector<float> const bias{0, .9f, 9};
    in.bias = bias;
    CHECK(slots_of(router(in))[0] == std::vector<slot>{{1, 1, 0}});
    asked<two_step{biased{top_k{.k = 1}}}> corrected(3, 1);
    float const push = 9;
    corrected.weights.router.correction.pack(2, {&push, 1});
    in.bias = {};
    CHECK(slots_of(corrected(in))[0] == std::vector<slot>{{0, 1, 0}});
}

TEST_CASE("two_step: for a router that sees the batch, an unconditional token is padding") {
    rows z(5, 3);
    z.all = {1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0};
    std::vector<std::int32_t> const labels{null, null, 3, 4, 5};
    asked<two_step{popular{}}> router(3, 5);
    auto in = with_labels(z, labels);
    CHECK(slots_of(router(in)) ==
          numbers::lists{{{2, 1, 0}}, {{2, 1, 0}}, {{1, 1, 0}}, {{1, 1, 0}}, {{1, 1, 0}}});
    std::vector<std::uint8_t> const present{1, 1, 1, 0, 0}; // padding stays padding
    in.mask = present;
    CHECK(slots_of(router(in))[2] == std::vector<slot>{{0, 1, 0}});
}

TEST_CASE("two_step: in a layer, with a scorer of one expert less") {
    moe<shape{.model = 8, .hidden = 6, .experts = 4}, two_step{top_k{.k = 2}}, ffn{gelu}> layer;
    numbers::fill(layer);
    index_t scored_experts = 0;
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.part == "router") scored_experts = t.rows;
    });
    CHECK(scored_experts == 3);
    auto const x = rows::normal(5, 8, 3);
    std::vector<std::int32_t> const labels{0, null, 2, null, 4};
    rows y(5, 8);
    workspace ws;
    input in{x.view()};
    std::string message;
    try {
        layer.forward(in, y.view(), ws, sequential{});
    } catch (error const& e) {
        message = e.what();
    }
    CHECK(message == "input.labels (two_step): expected 5, one a token, got 0");
    in.labels = labels;
    layer.forward(in, y.view(), ws, sequential{}, [](routing const& r) {
        for (index_t t = 0; t < 5; ++t) {
            CHECK(r.logits.row(t)[3] == -infinity);
            CHECK(std::isfinite(r.logits.row(t)[2]));
        }
    });
    for (index_t t = 0; t < 5; ++t) {
        auto const slots = ws.plan().slots_of(t);
        CHECK(slots.size() == (t % 2 == 1 ? 1 : 2));
        for (slot const s : slots) CHECK((s.expert == 3) == (t % 2 == 1));
    }
    using S = decltype(scorer_of(two_step{scored{linear{.biases = true}, by_cosine}}));
    STATIC_REQUIRE(std::is_same_v<S, all_but_last<linear>>);
    STATIC_REQUIRE(std::is_same_v<decltype(scorer_of(two_step{archetype::router{}})), nothing>);
}

TEST_CASE("two_step: inside itself, and what is out of range is said at construction") {
    STATIC_REQUIRE(
        std::is_same_v<decltype(two_step{two_step{top_k{}}}), two_step<two_step<top_k>>>);
    rows z(3, 4);
    for (index_t t = 0; t < 3; ++t) z.row(t)[0] = 1;
    std::vector<std::int32_t> const labels{7, 8, 9};
    asked<two_step{two_step{top_k{.k = 1}}}> twice(4, 3,
                                                   {.null_label = 7, .router = {.null_label = 8}});
    CHECK(slots_of(twice(with_labels(z, labels))) ==
          numbers::lists{{{3, 1, 0}}, {{2, 1, 0}}, {{0, 1, 0}}});

    auto const sentence = [](auto const& policy, index_t experts,
                             params_of<two_step<top_k>> const& own = {}) {
        try {
            policy.check({.model = 4, .hidden = 4, .experts = experts}, own);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence(two_step{top_k{.k = 3}}, 4).empty());
    CHECK(sentence(two_step{top_k{.k = 1}}, 1) == "two_step.experts: expected at least 2, got 1");
    CHECK(sentence(two_step{top_k{.k = 4}}, 4) ==
          "two_step.router: expected at most 3 slots, got 4");
    CHECK(sentence(two_step{top_k{.k = 1}}, 4, {.router = {.groups = 2}}) ==
          "top_k.groups: expected a divisor of 3 experts, got 2");
}
