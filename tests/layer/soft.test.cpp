// SPDX-License-Identifier: MIT
#include "prytany/layer/soft.hpp"

#include <set>

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::at, numbers::rows, numbers::same_bits;

namespace {

using small = soft<shape{20, 12, 3}, ffn{swiglu}>;
constexpr float none = std::numeric_limits<float>::quiet_NaN();

/// Rows, and where sequences begin.
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

/// One sequence in double, of the layer's stored weights: only tokens that are present.
template <class Layer>
twin::row exact(Layer const& layer, rows const& x, bool normalise, twin::matrix* shares = nullptr) {
    auto const weights = numbers::twin_of(layer);
    twin::matrix vectors;
    double scale = 0;
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.role == "slots") vectors = numbers::stored(t);
        if (t.name.role == "scale") scale = numbers::stored(t).all[0];
    });
    std::size_t const tokens = at(x.count), slots = vectors.rows, model = at(x.cols);
    auto const unit = [&](twin::row v) {
        double squares = 1e-6;
        for (double const a : v) squares += a * a;
        for (double& a : v) a /= normalise ? std::sqrt(squares) : 1;
        return v;
    };
    twin::matrix d(tokens, slots), c(tokens, slots);
    for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t s = 0; s < slots; ++s) {
            auto const a = unit(twin::doubles(x.row_of(static_cast<index_t>(t))));
            auto const b = unit(vectors.row_of(s));
            double dot = 0;
            for (std::size_t i = 0; i < model; ++i) dot += a[i] * b[i];
            d(t, s) = c(t, s) = std::exp(scale * dot);
        }
    for (std::size_t s = 0; s < slots; ++s) {
        double total = 0;
        for (std::size_t t = 0; t < tokens; ++t) total += d(t, s);
        for (std::size_t t = 0; t < tokens; ++t) d(t, s) /= total;
    }
    twin::row y(tokens * model);
    std::size_t const each = slots / weights.experts.size();
    for (std::size_t t = 0; t < tokens; ++t) {
        double total = 0;
        for (std::size_t s = 0; s < slots; ++s) total += c(t, s);
        for (std::size_t s = 0; s < slots; ++s) c(t, s) /= total;
    }
    for (std::size_t s = 0; s < slots; ++s) {
        twin::row in(model);
        for (std::size_t t = 0; t < tokens; ++t)
            for (std::size_t i = 0; i < model; ++i)
                in[i] += d(t, s) * double{x.row_of(static_cast<index_t>(t))[i]};
        auto const out = twin::moe(in, weights, {{s / each, 1, true}}, twin::gated(twin::silu));
        for (std::size_t t = 0; t < tokens; ++t)
            for (std::size_t i = 0; i < model; ++i) y[t * model + i] += c(t, s) * out[i];
    }
    if (shares != nullptr) *shares = c;
    return y;
}

} // namespace

TEST_CASE("soft: dispatch and combine of the literature") {
    // L = [[1, 0], [0, 2]] from x = I; the expert gives back its rows, so that y = C · D^T
    soft<shape{2, 1, 2}, archetype::expert{}> layer({}, {.slots = 1, .normalise = false});
    layer.for_each_tensor([](auto const& t) {
        if (t.name.role != "slots") return;
        rows vectors(2, 2);
        vectors.all = {1, 0, 0, 2};
        t.pack(vectors.view());
    });
    rows x(2, 2);
    x.all = {1, 0, 0, 1};
    workspace ws;
    auto const y = ran(layer, x, ws);
    double const d[2][2] = {{0.731059, 0.119203}, {0.268941, 0.880797}};
    double const c[2][2] = {{0.731059, 0.268941}, {0.119203, 0.880797}};
    for (std::size_t t = 0; t < 2; ++t) {
        for (std::size_t i = 0; i < 2; ++i) {
            CHECK(std::abs(double{y[2 * t + i]} - c[t][0] * d[i][0] - c[t][1] * d[i][1]) <= 2e-6);
            CHECK(std::abs(double{ws.plan().slots_of(static_cast<index_t>(t))[i].weight} -
                           c[t][i]) <= 1e-6);
        }
    }
    // D by itself, row by row: the only token that a slot sees gives the slot its row
    float logits[2][2] = {{1, 0}, {0, 2}};
    for (std::size_t s = 0; s < 2; ++s) detail::softmax_in_place(&logits[0][s], 2, 2);
    for (std::size_t t = 0; t < 2; ++t)
        for (std::size_t s = 0; s < 2; ++s) CHECK(std::abs(double{logits[t][s]} - d[t][s]) <= 1e-6);
}

TEST_CASE("soft: follows its formula, for one and for several slots of an expert") {
    for (bool const normalise : {true, false})
        for (index_t const slots : {1, 2, 7})
            for (index_t const tokens : {1, 2, 5, 23}) {
                small layer({}, {.slots = slots, .normalise = normalise});
                numbers::fill(layer, at(slots + tokens));
                auto const x = rows::normal(tokens, 20, 3);
                workspace ws;
                twin::matrix shares;
                auto const wanted = exact(layer, x, normalise, &shares);
                CHECK(twin::nmse(ran(layer, x, ws), wanted) <= 1e-12);
                for (index_t t = 0; t < tokens; ++t) {
                    auto const own = ws.plan().slots_of(t);
                    REQUIRE(own.size() == 3);
                    double sum = 0;
                    for (std::size_t e = 0; e < 3; ++e) {
                        double share = 0;
                        for (index_t s = 0; s < slots; ++s)
                            share += shares(at(t), e * at(slots) + at(s));
                        CHECK(own[e].expert == static_cast<int>(e));
                        CHECK(std::abs(double{own[e].weight} - share) <= 1e-6);
                        sum += double{own[e].weight};
                    }
                    CHECK(std::abs(sum - 1) <= 1e-6);
                }
            }
}

TEST_CASE("soft: unit length makes the size of a token, or of a slot's vector, nothing") {
    small layer({}, {.slots = 2});
    numbers::fill(layer, 5);
    auto x = rows::normal(6, 20, 1);
    workspace ws;
    (void)ran(layer, x, ws);
    auto const before = numbers::slots_of(ws.plan());
    for (float& v : x.all) v *= 64;
    layer.for_each_tensor([](auto const& t) {
        if (t.name.role != "slots") return;
        rows all(t.rows, t.cols);
        t.unpack(all.view());
        for (float& v : all.all) v *= 8;
        t.pack(all.view());
    });
    (void)ran(layer, x, ws);
    for (index_t t = 0; t < 6; ++t)
        for (std::size_t e = 0; e < 3; ++e)
            CHECK(ws.plan().slots_of(t)[e].weight == Approx(before[at(t)][e].weight).epsilon(1e-5));
    // a zero token and zero vectors are no NaN
    for (float& v : x.all) v = 0;
    for (float const v : ran(layer, x, ws)) CHECK(v == 0);
}

TEST_CASE("soft: the learned scale begins at 1 and sharpens") {
    small layer({}, {.slots = 1});
    float begun = 0;
    layer.for_each_tensor([&](auto const& t) {
        if (t.name.role == "scale") t.unpack({&begun, 1, 1});
        else numbers::fill_tensor(t, 4);
    });
    CHECK(begun == 1);
    auto const x = rows::normal(9, 20, 8);
    workspace ws;
    auto const largest = [&] {
        (void)ran(layer, x, ws);
        float most = 0;
        for (slot const s : ws.plan().slots_of(2)) most = std::max(most, s.weight);
        return most;
    };
    float const plain = largest();
    layer.for_each_tensor([](auto const& t) {
        if (t.name.role == "scale") numbers::fill_with(t, 1000);
    });
    CHECK(plain < 0.9f);
    CHECK(largest() > 0.99f);
}

TEST_CASE("soft: sequences do not see each other, wherever they stand") {
    small layer({}, {.slots = 2});
    numbers::fill(layer, 6);
    auto x = rows::normal(17, 20, 2);
    call const three{{0, 5, 6}, {}};
    workspace ws;
    auto const whole = ran(layer, x, ws, three);
    auto const plan = numbers::slots_of(ws.plan());
    for (auto const& [first, count] : {std::pair<index_t, index_t>{0, 5}, {5, 1}, {6, 11}})
        CHECK(same_bits(ran(layer, x.part(first, count), ws), cut(whole, first, count, 20)));
    CHECK(!same_bits(ran(layer, x, ws), whole)); // as one sequence they do
    x.row(8)[3] = none;                          // of the last sequence
    auto const soiled = ran(layer, x, ws, three);
    CHECK(same_bits(cut(soiled, 0, 6, 20), cut(whole, 0, 6, 20)));
    CHECK(std::isnan(soiled[6 * 20]));
    for (index_t t = 0; t < 17; ++t) CHECK(numbers::slots_of(ws.plan())[at(t)].size() == 3);
    for (index_t t = 0; t < 6; ++t)
        CHECK(same_bits(numbers::slots_of(ws.plan())[at(t)], plan[at(t)]));
}

TEST_CASE("soft: padding is not there, whatever it holds") {
    small layer({}, {.slots = 2});
    numbers::fill(layer, 6);
    auto const x = rows::normal(9, 20, 2);
    rows padded(14, 20, none);
    call with{{0, 12}, std::vector<std::uint8_t>(14)};
    std::vector<index_t> const places{1, 2, 3, 5, 6, 7, 8, 9, 11};
    for (std::size_t i = 0; i < 9; ++i) {
        std::copy_n(x.all.begin() + static_cast<index_t>(i) * 20, 20, padded.row(places[i]));
        with.mask[at(places[i])] = 1;
    }
    workspace ws;
    auto const wanted = ran(layer, x, ws);
    auto const got = ran(layer, padded, ws, with);
    for (std::size_t i = 0; i < 9; ++i)
        CHECK(same_bits(cut(got, places[i], 1, 20), cut(wanted, static_cast<index_t>(i), 1, 20)));
    for (index_t t = 0; t < 14; ++t)
        if (with.mask[at(t)] == 0) {
            CHECK(cut(got, t, 1, 20) == std::vector<float>(20));
            CHECK(ws.plan().slots_of(t).empty());
        }
}

TEST_CASE("soft: any number of threads, any workspace, the same bits") {
    soft<shape{33, 17, 5}, ffn{gelu, biases}, dense<bf16>{}> layer({}, {.slots = 3});
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
    CHECK(ran(layer, x.part(0, 0), ws).empty());
    CHECK(ws.plan().tokens() == 0);
    auto const copy = layer;
    layer.for_each_tensor([](auto const& t) { numbers::fill_with(t, 0); });
    CHECK(same_bits(ran(copy, x, ws, two), right));
    rows y(40, 33);
    copy.forward(two.of(x), y.view(), ws, sequential{}, [](routing const& r) {
        CHECK(r.plan.tokens() == 40);
        CHECK(r.plan.experts() == 5);
        CHECK(r.logits.empty());
    });
    CHECK(same_bits(y.all, right));
}

TEST_CASE("soft: its tensors by name, its slots by the tokens of a sequence") {
    STATIC_REQUIRE(moe_layer<small>);
    STATIC_REQUIRE(moe_layer<soft<shape{8, 8, 4}, archetype::expert{}>>);
    STATIC_REQUIRE(small::promise.sees == scope::sequence);
    STATIC_REQUIRE(!small::promise.causal);
    auto const of = [](index_t tokens) { return small({}, {.tokens = tokens}).slots() / 3; };
    CHECK(of(1) == 1);
    CHECK(of(4) == 1);
    CHECK(of(5) == 2);
    CHECK(of(60) == 20);
    std::vector<std::string> names;
    small const layer({}, {.slots = 4});
    layer.for_each_tensor(
        [&](auto const& t) { names.push_back(t.name.text() + dims_text(t.rows, t.cols)); });
    CHECK(names.size() == 2 + 3 * 3);
    CHECK(names[0] == "router.slots[12, 20]");
    CHECK(names[1] == "router.scale[1, 1]");
    CHECK(names[2] == "expert.0.gate[12, 20]");
}

TEST_CASE("soft: what does not fit is said") {
    auto const sentence = [](auto&& f) {
        try {
            f();
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(sentence([] { small{}; }) ==
          "soft.slots: expected a number, or the tokens of a sequence, got none");
    CHECK(sentence([] { small({}, {.slots = 0}); }) ==
          "soft.slots: expected 1 to 357913941, got 0");
    CHECK(sentence([] {
              soft<shape{4, 4, 2, 1}, ffn{gelu}>({4, 4, 2, 1}, {.slots = 1});
          }) == "soft: shared experts: expected 0, got 1");
    small const layer({}, {.slots = 1});
    rows x(2, 19), y(2, 20);
    workspace ws;
    CHECK(sentence([&] { layer.forward(x.view(), y.view(), ws, sequential{}); }) ==
          "moe input: expected [2, 20], got [2, 19]");
}
