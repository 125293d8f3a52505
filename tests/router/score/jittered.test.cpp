// SPDX-License-Identifier: MIT
#include "prytany/router/score/jittered.hpp"

#include "conformance/archetypes.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/merged.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/score/cosine.hpp"
#include "prytany/router/score/linear.hpp"
#include "prytany/router/score/query_norm.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/switch_top_1.hpp"
#include "prytany/router/top_k.hpp"
#include "prytany/router/two_step.hpp"
#include "router/score/held.hpp"
#include "support/said.hpp"

using namespace prytany;
using support::said;
using numbers::at, numbers::rows;
using scorers::held;

namespace {

/// Scores are the numbers of the row.
struct shown {
    template <auto My>
    static void score(input const& in, kit<My>, matrix_view<float> logits) noexcept {
        for (index_t t = 0; t < logits.rows; ++t)
            std::copy_n(in.rows.row(t), logits.cols, logits.row(t));
    }
    template <class Weights, class Visit>
    void tensors(Weights&, shape const&, Visit&&) const {}
};
using factors = held<jittered{shown{}}>;
using on_linear = jittered<linear>;

input with_seed(rows const& x, std::uint64_t seed, index_t first = 0) {
    input in = x.view();
    in.seed = seed;
    in.first = first;
    return in;
}

} // namespace

TEST_CASE("jittered: factors are the draws of a token, in [1 - spread, 1 + spread]") {
    for (float const spread : {.01f, .5f, 1.0f}) {
        factors own(37, 37);
        own.params.spread = spread;
        index_t const tokens = 70;
        rows const ones(tokens, 37, 1);
        auto const z = own.score(with_seed(ones, 9, 5));
        for (index_t t = 0; t < tokens; ++t) {
            draws const drawn(9, 5 + t, jittered<shown>::stream);
            for (index_t c = 0; c < 37; ++c) {
                double const u = drawn.uniform(c);
                double const wanted = 1 - double{spread} + 2 * double{spread} * u;
                float const got = z.view().row(t)[c];
                REQUIRE(std::abs(got - wanted) <= 1e-7 * (1 + spread));
                REQUIRE(got >= 1 - spread);
                REQUIRE(got <= 1 + spread);
            }
        }
    }
}

TEST_CASE("jittered: factors are uniform, apart for seeds, tokens and columns") {
    factors own(64, 64);
    own.params.spread = 1;
    index_t const tokens = 1000;
    rows const ones(tokens, 64, 1);
    auto const z = own.score(with_seed(ones, 3)), other = own.score(with_seed(ones, 4));
    std::vector<double> bins(20);
    double mean = 0, square = 0, seeds = 0, columns = 0, along = 0;
    double const count = static_cast<double>(z.all.size());
    for (std::size_t i = 0; i < z.all.size(); ++i) {
        double const x = double{z.all[i]} - 1;
        ++bins[std::min<std::size_t>(19, static_cast<std::size_t>((x + 1) * 10))];
        mean += x / count;
        square += x * x / count;
        seeds += x * (double{other.all[i]} - 1) / count;
        if (i + 1 < z.all.size()) columns += x * (double{z.all[i + 1]} - 1) / count;
        if (i + 64 < z.all.size()) along += x * (double{z.all[i + 64]} - 1) / count;
    }
    double chi = 0; // of 19 degrees of freedom
    for (double const b : bins) chi += (b - count / 20) * (b - count / 20) / (count / 20);
    CHECK(chi < 50);
    CHECK(std::abs(mean) < .01);
    CHECK(std::abs(square - 1.0 / 3) < .01);
    for (double const c : {seeds, columns, along}) CHECK(std::abs(c) < .01);
}

TEST_CASE("jittered: the scorer of stretched rows, in double") {
    held<jittered{linear{.biases = true}}> own(9, 21);
    own.params.spread = .3f;
    auto const x = rows::normal(40, 21, 5);
    auto const z = own.score(with_seed(x, 77, 1000));
    for (index_t t = 0; t < 40; ++t) {
        auto row = twin::doubles(x.row_of(t));
        draws const drawn(77, 1000 + t, on_linear::stream);
        for (index_t c = 0; c < 21; ++c)
            row[at(c)] *= 1 + double{.3f} * (2 * double{drawn.uniform(c)} - 1);
        auto const wanted = scorers::product(own.stored.at("weight"), row);
        for (index_t e = 0; e < 9; ++e)
            CHECK(scorers::near(z.view().row(t)[e],
                                wanted[at(e)] + own.stored.at("bias").all[at(e)]));
    }
}

TEST_CASE("jittered: spread 0 is the scorer, bit for bit") {
    held<jittered{cosine{.width = 5}}> own(11, 20);
    held<cosine{.width = 5}> const plain(11, 20);
    own.params.spread = 0;
    auto x = rows::normal(50, 20, 6);
    x.row(3)[4] = std::nanf("");
    CHECK(numbers::same_bits(own.score(with_seed(x, 1)).all, plain.score(x.view()).all));
    own.params.spread = .01f;
    CHECK(!numbers::same_bits(own.score(with_seed(x, 1)).all, plain.score(x.view()).all));
}

TEST_CASE("jittered: the same bits in any cut of the batch, others for another seed") {
    held<jittered{linear{}}> const own(7, 18);
    auto const x = rows::normal(90, 18, 7);
    auto const whole = own.score(with_seed(x, 12));
    for (index_t const first : {0, 1, 31, 32, 33, 80})
        for (index_t const count : {0, 1, 5, 10}) {
            auto const some = own.score(with_seed(x, 12).part(first, count));
            CHECK(numbers::same_bits(some.all, whole.part(first, count).all));
            auto const named = own.score(with_seed(x.part(first, count), 12, first));
            CHECK(numbers::same_bits(named.all, some.all));
        }
    CHECK(!numbers::same_bits(own.score(with_seed(x, 13)).all, whole.all));
    CHECK(!numbers::same_bits(own.score(with_seed(x, 12 | std::uint64_t{1} << 40)).all, whole.all));
    CHECK(!numbers::same_bits(own.score(with_seed(x, 12, 1)).all, whole.all));
    CHECK(own.score(with_seed(rows(0, 18), 12)).all.empty());
    scorers::keeps_to_itself<jittered{linear{}}>();
}

TEST_CASE("jittered: in a layer it moves the choice and the experts read clean rows") {
    constexpr shape size{.model = 24, .hidden = 16, .experts = 8};
    using jitters = moe<size, scored{jittered{linear{}}, switch_top_1{}}, ffn{gelu}>;
    using plain = moe<size, switch_top_1{}, ffn{gelu}>;
    jitters layer(size, {.scorer = {.spread = .5f}}), still(size, {.scorer = {.spread = 0}});
    plain other;
    numbers::fill(layer), numbers::fill(still), numbers::fill(other);
    auto const x = rows::normal(100, 24, 8);
    input const in = with_seed(x, 21);
    workspace ws;
    auto const run = [&](auto const& one, input const& call, auto&& pool) {
        rows y(call.tokens(), 24);
        one.forward(call, y.view(), ws, pool);
        return y;
    };
    CHECK(numbers::same_bits(run(still, in, sequential{}).all, run(other, in, sequential{}).all));

    auto const moved = run(layer, in, sequential{});
    auto const slots = numbers::slots_of(ws.plan());
    auto const weights = numbers::twin_of(layer);
    index_t elsewhere = 0;
    for (index_t t = 0; t < 100; ++t) {
        auto const clean = twin::doubles(x.row_of(t));
        auto stretched = clean;
        draws const drawn(21, t, on_linear::stream);
        for (index_t c = 0; c < 24; ++c)
            stretched[at(c)] *= 1 + .5 * (2 * double{drawn.uniform(c)} - 1);
        auto const z = twin::logits_of(stretched, weights), quiet = twin::logits_of(clean, weights);
        auto const best = std::max_element(z.begin(), z.end()) - z.begin();
        elsewhere += best != std::max_element(quiet.begin(), quiet.end()) - quiet.begin();
        double total = 0;
        for (double const s : z) total += std::exp(s - z[at(best)]);
        REQUIRE(slots[at(t)].size() == 1);
        CHECK(slots[at(t)][0].expert == best);
        CHECK(scorers::near(slots[at(t)][0].weight, 1 / total));
        auto const wanted =
            twin::moe(clean, weights, {{at(best), 1 / total}}, twin::plain(twin::gelu));
        for (index_t c = 0; c < 24; ++c)
            CHECK(std::abs(moved.view().row(t)[c] - wanted[at(c)]) <= 1e-5);
    }
    CHECK(elsewhere > 3);
    for (index_t const width : {2, 3}) {
        thread_pool pool(width);
        CHECK(numbers::same_bits(run(layer, in, pool).all, moved.all));
    }
    CHECK(
        numbers::same_bits(run(layer, in.part(40, 50), sequential{}).all, moved.part(40, 50).all));
}

TEST_CASE("jittered: around and inside what else makes scores") {
    constexpr shape size{.model = 12, .hidden = 8, .experts = 5};
    auto const x = rows::normal(30, 12, 9);
    workspace ws;
    rows y(30, 12);
    moe<size, two_step{scored{jittered{linear{}}, top_k{.k = 2}}}, ffn{gelu}> steps(
        size, {.scorer = {.spread = .2f}});
    numbers::fill(steps);
    input in = with_seed(x, 2);
    std::vector<std::int32_t> labels(30);
    labels[4] = 1000;
    in.labels = labels;
    steps.forward(in, y.view(), ws, sequential{});
    CHECK(ws.plan().slots_of(4)[0].expert == 4);
    for (slot const s : ws.plan().slots_of(5)) CHECK(s.expert < 4);
    CHECK(said([&] { decltype(steps) none(size, {.scorer = {.spread = 2}}); }) ==
          "jittered.spread: expected 0 to 1, got 2.000000");

    merged<size, jittered{linear{}}, ffn{gelu}> all(size, {.scorer = {.spread = .2f}});
    merged<size, linear{}, ffn{gelu}> plain(size);
    numbers::fill(all), numbers::fill(plain);
    auto const shares = [&](auto const& layer, std::uint64_t seed) {
        layer.forward(with_seed(x, seed), y.view(), ws, sequential{});
        return numbers::slots_of(ws.plan());
    };
    auto const one = shares(all, 1);
    CHECK(numbers::same_slots(shares(all, 1), one));
    CHECK(!numbers::same_slots(shares(all, 2), one));
    CHECK(!numbers::same_slots(shares(plain, 1), one));
    STATIC_REQUIRE(
        std::is_same_v<decltype(jittered{jittered{linear{}}}), jittered<jittered<linear>>>);
}

TEST_CASE("jittered: what is out of range is said at construction") {
    constexpr shape size{.model = 6, .hidden = 4, .experts = 3};
    using layer = moe<size, scored{jittered{linear{}}, top_k{.k = 1}}, ffn{gelu}>;
    auto const with = [&](float spread) {
        return said([&] { layer made(size, {.scorer = {.spread = spread}}); });
    };
    CHECK(with(0).empty());
    CHECK(with(1).empty());
    CHECK(with(-.01f) == "jittered.spread: expected 0 to 1, got -0.010000");
    CHECK(with(1.5f) == "jittered.spread: expected 0 to 1, got 1.500000");
    CHECK(with(std::nanf("")).find("jittered.spread") == 0);
    CHECK(said([] {
              moe<shape{}, scored{jittered{query_norm{}}, top_k{.k = 1}}, ffn{gelu}> made(
                  {.model = 7, .hidden = 4, .experts = 3});
          }) == "query_norm: width of a row: expected a multiple of 3 heads, got 7");
    CHECK(said([] {
              moe<shape{}, scored{query_norm{}, top_k{.k = 1}}, ffn{gelu}> made(
                  {.model = 7, .hidden = 4, .experts = 3});
          }) == "query_norm: width of a row: expected a multiple of 3 heads, got 7");
}
