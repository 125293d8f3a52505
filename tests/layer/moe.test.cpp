// SPDX-License-Identifier: MIT
#include "prytany/layer/moe.hpp"

#include "layer/moe_held.hpp"

using namespace prytany;
using numbers::against_twin, numbers::at, numbers::rows;

namespace {

using free_layer = moe<shape{.shared = dynamic}, top_k{}, ffn{swiglu}>;
twin::activation const swish = twin::gated(twin::silu);

double worst = 0, farthest = 0;

void follows(index_t model, index_t hidden, index_t experts, index_t k, index_t tokens) {
    CAPTURE(model, hidden, experts, k, tokens);
    free_layer layer({.model = model, .hidden = hidden, .experts = experts}, {.router = {.k = k}});
    numbers::fill(layer, at(model + hidden * 3 + experts * 5));
    auto const x = rows::normal(tokens, model, at(tokens + 1));
    auto const seen = against_twin(layer, {.k = at(k)}, swish, x);
    worst = std::max(worst, seen.nmse);
    farthest = std::max(farthest, seen.worst_over_rms);
    REQUIRE(seen.nmse <= 1e-12);
    REQUIRE(seen.worst_over_rms <= 1e-5);
}

} // namespace

TEST_CASE("moe: numbers of experts, of experts per token and of tokens") {
    for (index_t const experts : {1, 2, 3, 7, 8, 16, 31, 33, 64, 71})
        for (index_t const k :
             {index_t{1}, index_t{2}, index_t{3}, index_t{6}, experts - 1, experts})
            for (index_t const tokens : {1, 2, 5, 17, 70}) {
                if (k < 1 || k > experts || (tokens == 70 && k > 8)) continue;
                follows(24, 16, experts, k, tokens);
            }
}

TEST_CASE("moe: odd widths") {
    for (index_t const model : {9, 15, 16, 17, 33, 63, 129})
        for (index_t const hidden : {1, 7, 16, 31, 65})
            for (index_t const tokens : {8, 19}) follows(model, hidden, 5, 2, tokens);
}

TEST_CASE("moe: every number of tokens from 0 to 70") {
    for (index_t tokens = 0; tokens <= 70; ++tokens) follows(20, 12, 6, 3, tokens);
}

TEST_CASE("moe: sums longer than a block") { follows(1030, 600, 3, 2, 9); }

TEST_CASE("moe: every expert gets a token, one expert gets them all") {
    moe<shape{16, 24, 8}, top_k{.k = 1}, ffn{swiglu}> layer;
    numbers::fill(layer);
    auto x = rows::normal(70, 16, 2);
    for (index_t t = 0; t < 70; ++t) x.row(t)[0] = 1;
    layer.for_each_tensor([](auto const& t) { // expert 5 always wins
        if (t.name.part != "router") return;
        rows g(8, 16);
        g.row(5)[0] = 100;
        t.pack(g.view());
    });
    workspace ws;
    (void)numbers::run(layer, x, ws, sequential{});
    CHECK(ws.plan().tokens_of(5).size() == 70);
    CHECK(against_twin(layer, {.k = 1}, swish, x).nmse <= 1e-12);
    CHECK(ws.bytes() < 70 * 4096); // linear in the tokens
}

TEST_CASE("moe: a tolerance that zeros would pass is none") {
    moe<shape{16, 24, 8}, top_k{.k = 2}, ffn{swiglu}> layer;
    auto const x = rows::normal(4, 16, 2);
    numbers::fill(layer);
    auto const right = numbers::run(layer, x);
    CHECK(twin::nmse(std::vector<float>(right.size()), right) == 1.0);
}

TEST_CASE("moe: sigmoid gates, groups, corrections, biases of the scorer and of the experts") {
    constexpr top_k deepseek{.score = scoring::sigmoid, .group = group_score::two_best};
    moe<shape{}, biased{deepseek}, ffn{swiglu}> v3(
        {.model = 30, .hidden = 20, .experts = 16},
        {.router = {.router = {.k = 4, .scale = 2.5f, .groups = 4, .kept_groups = 2}}});
    numbers::fill(v3);
    auto const x = rows::normal(40, 30, 6);
    CHECK(against_twin(v3,
                       {.k = 4,
                        .sigmoid = true,
                        .two_best = true,
                        .scale = 2.5,
                        .groups = 4,
                        .kept_groups = 2},
                       swish, x)
              .nmse <= 1e-12);

    moe<shape{}, top_k{.k = 3}, ffn{geglu_tanh, biases}> v2(
        {.model = 30, .hidden = 20, .experts = 16},
        {.router = {.renormalise = false, .scale = 16, .groups = 4, .kept_groups = 2}});
    numbers::fill(v2);
    CHECK(against_twin(v2,
                       {.k = 3, .renormalise = false, .scale = 16, .groups = 4, .kept_groups = 2},
                       twin::gated(twin::gelu_tanh), x)
              .nmse <= 1e-12);

    moe<shape{}, scored{linear{.biases = true}, top_k{.k = 4}}, ffn{swiglu_clamped, biases}> oss(
        {.model = 30, .hidden = 20, .experts = 16}, {.expert = {.alpha = 1.5f, .limit = 1}});
    numbers::fill(oss);
    CHECK(
        against_twin(
            oss, {.k = 4}, [](double g, double u) { return twin::swiglu_clamped(g, u, 1.5, 1); }, x)
            .nmse <= 1e-12);
}

TEST_CASE("moe: stored in bf16 and f16 it is the layer on the rounded weights") {
    auto const x = rows::normal(25, 40, 3);
    auto const follows_stored = [&]<auto Format>(std::type_identity<packed<Format>>) {
        moe<shape{40, 33, 6}, top_k{.k = 2}, ffn{swiglu}, Format> layer;
        numbers::fill(layer);
        CHECK(against_twin(layer, {.k = 2}, swish, x).nmse <= 1e-12);
    };
    follows_stored(std::type_identity<packed<dense<bf16>{}>>{});
    follows_stored(std::type_identity<packed<dense<f16>{}>>{});
}

TEST_CASE("moe: an empty batch reads nothing and writes nothing") {
    moe<shape{16, 24, 8, 1}, top_k{.k = 2}, ffn{swiglu}> layer;
    workspace ws;
    bool watched = false;
    layer.forward(matrix_view<float const>{}, matrix_view<float>{}, ws, sequential{},
                  [&](routing const&) { watched = true; });
    CHECK(!watched);
    CHECK(ws.plan().tokens() == 0);
    CHECK(ws.plan().slots() == 0);
    layer.forward(matrix_view<float const>{nullptr, 0, 16}, matrix_view<float>{nullptr, 0, 16}, ws,
                  sequential{});
}

TEST_CASE("moe: the observer sees the input, the logits and the plan that the workspace keeps") {
    moe<shape{16, 24, 8}, top_k{.k = 3}, ffn{swiglu}> layer;
    numbers::fill(layer);
    auto const x = rows::normal(20, 16, 9);
    rows y(20, 16);
    workspace ws;
    numbers::lists seen;
    int calls = 0;
    auto const weights = numbers::twin_of(layer);
    layer.forward(x.view(), y.view(), ws, sequential{}, [&](routing const& call) {
        ++calls;
        seen = numbers::slots_of(call.plan);
        REQUIRE(call.in.rows.data == x.all.data());
        REQUIRE(call.logits.rows == 20);
        REQUIRE(call.logits.cols == 8);
        for (index_t t = 0; t < 20; ++t) {
            auto const z = twin::logits_of(twin::doubles(x.row_of(t)), weights);
            CHECK(twin::nmse(std::span(call.logits.row(t), 8), z) <= 1e-12);
        }
    });
    CHECK(calls == 1);
    CHECK(seen.size() == 20);
    CHECK(seen[7].size() == 3);
    CHECK(numbers::same_slots(seen, numbers::slots_of(ws.plan())));
}

TEST_CASE("moe: an exception of the observer reaches the caller, the layer stays usable") {
    moe<shape{16, 24, 8}, top_k{.k = 3}, ffn{swiglu}> layer;
    numbers::fill(layer);
    auto const x = rows::normal(20, 16, 9);
    workspace ws;
    auto const right = numbers::run(layer, x, ws, sequential{});
    rows y(20, 16);
    CHECK_THROWS_AS(layer.forward(x.view(), y.view(), ws, sequential{},
                                  [](routing const&) { throw error("enough"); }),
                    error);
    CHECK(numbers::same_bits(numbers::run(layer, x, ws, sequential{}), right));
}
