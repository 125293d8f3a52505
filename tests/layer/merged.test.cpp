// SPDX-License-Identifier: MIT
#include "prytany/layer/merged.hpp"

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/score/linear.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows, numbers::same_bits;

namespace {

using small = merged<shape{20, 12, 3}, linear{}, ffn{swiglu, biases}>;
constexpr float none = std::numeric_limits<float>::quiet_NaN();

struct call {
    std::vector<index_t> sequences;
    std::vector<std::uint8_t> mask;
    input of(rows const& x) const {
        input in{x.view(), mask};
        in.sequences = sequences;
        return in;
    }
};
template <class Layer, class Executor = sequential>
std::vector<float> ran(Layer const& layer, rows const& x, workspace& ws, call const& with = {},
                       Executor&& pool = {}) {
    rows y(x.count, x.cols, none);
    layer.forward(with.of(x), y.view(), ws, pool);
    return y.all;
}
std::vector<float> cut(std::vector<float> const& all, index_t first, index_t count, index_t cols) {
    return {all.begin() + first * cols, all.begin() + (first + count) * cols};
}

/// p of some rows in double.
twin::row shares(twin::moe_weights const& w, rows const& x) {
    twin::row mean(at(x.cols));
    for (index_t t = 0; t < x.count; ++t)
        for (std::size_t i = 0; i < mean.size(); ++i)
            mean[i] += double{x.row_of(t)[i]} / static_cast<double>(x.count);
    return twin::probabilities(twin::logits_of(mean, w), 1);
}
/// All rows through Σ p W in double.
twin::row exact(twin::moe_weights const& w, rows const& x, twin::row const& p) {
    auto const mix = [&](auto of) {
        auto sum = of(w.experts[0]);
        for (double& v : sum) v *= p[0];
        for (std::size_t e = 1; e < p.size(); ++e) {
            auto const next = of(w.experts[e]);
            for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += p[e] * next[i];
        }
        return sum;
    };
    twin::moe_weights one;
    one.experts.push_back(w.experts[0]);
    twin::ffn_weights& m = one.experts[0];
    m.gate.all = mix([](auto const& e) { return e.gate.all; });
    m.up.all = mix([](auto const& e) { return e.up.all; });
    m.down.all = mix([](auto const& e) { return e.down.all; });
    m.gate_bias = mix([](auto const& e) { return e.gate_bias; });
    m.up_bias = mix([](auto const& e) { return e.up_bias; });
    m.down_bias = mix([](auto const& e) { return e.down_bias; });
    twin::row y;
    for (index_t t = 0; t < x.count; ++t) {
        auto const row =
            twin::moe(twin::doubles(x.row_of(t)), one, {{0, 1, true}}, twin::gated(twin::silu));
        y.insert(y.end(), row.begin(), row.end());
    }
    return y;
}
void require_plan(plan const& got, index_t token, twin::row const& p) {
    auto const own = got.slots_of(token);
    REQUIRE(own.size() == p.size());
    for (std::size_t e = 0; e < p.size(); ++e) {
        CHECK(own[e].expert == static_cast<int>(e));
        CHECK(std::abs(double{own[e].weight} - p[e]) <= 1e-6);
    }
}

} // namespace

TEST_CASE("merged: is the expert of the merged weights, whole sequences") {
    for (index_t const tokens : {1, 2, 9, 40}) {
        small layer;
        numbers::fill(layer, at(tokens));
        auto const x = rows::normal(tokens, 20, 3);
        auto const weights = numbers::twin_of(layer);
        auto const p = shares(weights, x);
        workspace ws;
        CHECK(twin::nmse(ran(layer, x, ws), exact(weights, x, p)) <= 1e-12);
        for (index_t t = 0; t < tokens; ++t) require_plan(ws.plan(), t, p);
    }
}

TEST_CASE("merged: segments, by themselves or by the one before") {
    for (bool const previous : {false, true}) {
        small layer({}, {.segment = 4, .from_previous = previous});
        numbers::fill(layer, 5);
        auto const x = rows::normal(25, 20, 3);
        call const two{{0, 11}, {}};
        auto const weights = numbers::twin_of(layer);
        workspace ws;
        auto const got = ran(layer, x, ws, two);
        struct {
            index_t first, count, before;
        } const segments[] = {{0, 4, -1},  {4, 4, 0},   {8, 3, 4},  {11, 4, -1},
                              {15, 4, 11}, {19, 4, 15}, {23, 2, 19}};
        for (auto const& s : segments) {
            auto const mine = x.part(s.first, s.count);
            auto p = shares(weights, mine);
            if (previous)
                p = s.before < 0 ? twin::row(3, 1.0 / 3) : shares(weights, x.part(s.before, 4));
            CHECK(twin::nmse(cut(got, s.first, s.count, 20), exact(weights, mine, p)) <= 1e-12);
            for (index_t t = s.first; t < s.first + s.count; ++t) require_plan(ws.plan(), t, p);
        }
    }
}

TEST_CASE("merged: by the segment before it is causal, by its own it is not") {
    auto const x = rows::normal(19, 20, 3);
    auto changed = x;
    changed.row(10)[4] += 1;
    auto const differs_from = [&](bool previous) {
        small layer({}, {.segment = 4, .from_previous = previous});
        numbers::fill(layer, 5);
        workspace ws;
        auto const a = ran(layer, x, ws), b = ran(layer, changed, ws);
        index_t t = 0;
        while (t < 19 && same_bits(cut(a, t, 1, 20), cut(b, t, 1, 20))) ++t;
        for (index_t const length : {1, 3, 4, 7, 10})
            if (previous)
                CHECK(same_bits(ran(layer, x.part(0, length), ws), cut(a, 0, length, 20)));
        return t;
    };
    CHECK(differs_from(true) == 10);
    CHECK(differs_from(false) == 8);
}

TEST_CASE("merged: where one expert has all the share it is that expert, no other is read") {
    small layer;
    numbers::fill(layer, 5);
    auto const x = rows::normal(6, 20, 3);
    moe<shape{20, 12, 3}, top_k{.k = 1}, ffn{swiglu, biases}> chosen;
    std::vector<rows> held;
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.part == "router") numbers::fill_with(t, 0);
        rows all(t.rows, t.cols);
        t.unpack(all.view());
        held.push_back(all);
    });
    // rows with a 1 in front give expert 1 a logit 1000 above the others
    rows y = x;
    for (index_t t = 0; t < 6; ++t) y.row(t)[0] = 1;
    held[0].row(1)[0] = 1000;
    std::size_t next = 0;
    auto const copy = [&](auto const& t) { t.pack(held[next++].view()); };
    layer.for_each_tensor(copy);
    next = 0;
    chosen.for_each_tensor(copy);
    layer.for_each_tensor([](auto const& t) {
        if (t.name.part == "expert" && t.name.expert != 1) numbers::fill_with(t, none);
    });
    workspace ws;
    auto const got = ran(layer, y, ws);
    CHECK(ws.plan().slots_of(3)[0] == slot{0, 0, 1});
    CHECK(ws.plan().slots_of(3)[1] == slot{1, 1, 0});
    CHECK(same_bits(got, numbers::run(chosen, y)));
}

TEST_CASE("merged: equal experts are one expert, whatever the shares") {
    merged<shape{16, 8, 4}, linear{}, ffn{gelu}> layer;
    layer.for_each_tensor([](auto const& t) {
        if (t.name.part == "router") numbers::fill_tensor(t, 4);
        else numbers::fill_tensor(t, 9 + t.name.role.size());
    });
    moe<shape{16, 8, 4}, top_k{.k = 1}, ffn{gelu}> plain;
    plain.for_each_tensor([](auto const& t) { numbers::fill_tensor(t, 9 + t.name.role.size()); });
    auto const x = rows::normal(7, 16, 2);
    workspace ws;
    auto const wanted = numbers::run(plain, x);
    CHECK(twin::nmse(ran(layer, x, ws), twin::doubles(wanted)) <= 1e-12);
}

TEST_CASE("merged: padding is not there, whatever it holds, and NaN stays in its sequence") {
    small layer;
    numbers::fill(layer, 6);
    auto x = rows::normal(9, 20, 2);
    rows padded(14, 20, none);
    call with{{0, 12}, std::vector<std::uint8_t>(14)};
    std::vector<index_t> const places{1, 2, 3, 5, 6, 7, 8, 9, 11};
    for (std::size_t i = 0; i < 9; ++i) {
        std::copy_n(x.all.begin() + static_cast<index_t>(i) * 20, 20, padded.row(places[i]));
        with.mask[at(places[i])] = 1;
    }
    workspace ws;
    auto const wanted = ran(layer, x, ws);
    thread_pool pool(3);
    for (int const threads : {1, 3}) {
        auto const got =
            threads == 1 ? ran(layer, padded, ws, with) : ran(layer, padded, ws, with, pool);
        for (std::size_t i = 0; i < 9; ++i)
            CHECK(
                same_bits(cut(got, places[i], 1, 20), cut(wanted, static_cast<index_t>(i), 1, 20)));
        for (index_t t = 0; t < 14; ++t)
            if (with.mask[at(t)] == 0) {
                CHECK(cut(got, t, 1, 20) == std::vector<float>(20));
                CHECK(ws.plan().slots_of(t).empty());
            }
    }
    call const two{{0, 4}, {}};
    auto const clean = ran(layer, x, ws, two);
    CHECK(same_bits(ran(layer, x.part(4, 5), ws), cut(clean, 4, 5, 20)));
    x.row(1)[2] = none;
    auto const soiled = ran(layer, x, ws, two);
    CHECK(same_bits(cut(soiled, 4, 5, 20), cut(clean, 4, 5, 20)));
    CHECK(std::isnan(soiled[0]));
}

TEST_CASE("merged: a segment of padding alone leaves equal shares to the next") {
    small layer({}, {.segment = 3, .from_previous = true});
    numbers::fill(layer, 6);
    auto const x = rows::normal(9, 20, 2);
    workspace ws;
    (void)ran(layer, x, ws, {{}, {1, 1, 1, 0, 0, 0, 1, 1, 1}});
    require_plan(ws.plan(), 7, twin::row(3, 1.0 / 3));
}

TEST_CASE("merged: any number of threads, any workspace, held memory or not: the same bits") {
    merged<shape{33, 17, 5}, linear{.biases = true}, ffn{gelu, biases}, dense<bf16>{}> layer(
        {}, {.segment = 6});
    numbers::fill(layer, 2);
    auto const x = rows::normal(40, 33, 2);
    call const two{{0, 21}, {}};
    workspace ws, reserved;
    auto const right = ran(layer, x, ws, two);
    thread_pool pool(3);
    reserved.reserve(layer, 40, pool);
    index_t const bytes = reserved.bytes();
    CHECK(same_bits(ran(layer, x, reserved, two, pool), right));
    CHECK(reserved.bytes() == bytes);
    decltype(layer)::held one(layer);
    for (int again = 0; again < 2; ++again) {
        rows y(40, 33, none);
        layer.forward(two.of(x), y.view(), one, reserved, pool, [](routing const& r) {
            CHECK(r.plan.tokens() == 40);
            CHECK(r.plan.experts() == 5);
            CHECK(r.logits.empty());
        });
        CHECK(same_bits(y.all, right));
    }
    CHECK(ran(layer, x.part(0, 0), ws).empty());
    CHECK(ws.plan().tokens() == 0);
    auto const copy = layer;
    layer.for_each_tensor([](auto const& t) { numbers::fill_with(t, 0); });
    CHECK(same_bits(ran(copy, x, ws, two), right));
}

TEST_CASE("merged: models, names, and an expert without matrices") {
    STATIC_REQUIRE(moe_layer<small>);
    STATIC_REQUIRE(small::promise.sees == scope::sequence);
    std::vector<std::string> names;
    small const layer;
    layer.for_each_tensor([&](auto const& t) { names.push_back(t.name.text()); });
    CHECK(names.size() == 1 + 3 * 6);
    CHECK(names[0] == "router.weight");
    CHECK(names[1] == "expert.0.gate");
    merged<shape{8, 8, 4}, archetype::scorer{}, archetype::expert{}> const least;
    auto const x = rows::normal(5, 8, 1);
    workspace ws;
    CHECK(same_bits(ran(least, x, ws), x.all));
}

TEST_CASE("merged: what does not fit is said") {
    auto const sentence = [](auto&& f) {
        try {
            f();
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence([] { small({}, {.segment = 0}); }) ==
          "merged.segment: expected at least 1 token, got 0");
    CHECK(sentence([] { small({}, {.from_previous = true}); }) ==
          "merged.segment: expected the tokens of a segment, since one before is used, got none");
    CHECK(sentence([] {
              merged<shape{4, 4, 2, 1}, linear{}, ffn{gelu}>({4, 4, 2, 1});
          }) == "merged: shared experts: expected 0, got 1");
    small const layer;
    rows x(2, 19), y(2, 20);
    workspace ws;
    CHECK(sentence([&] { layer.forward(x.view(), y.view(), ws, sequential{}); }) ==
          "moe input: expected [2, 20], got [2, 19]");
}
