// SPDX-License-Identifier: MIT
#include "prytany/router/label_gated.hpp"

#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/noisy.hpp"
#include "prytany/router/top_k.hpp"
#include "router/mirrored.hpp"
#include "support/catch.hpp"

using namespace mirrored;

namespace {

constexpr top_k gate{.k = 3};
constexpr index_t experts = 20; // more than one panel

template <auto Router>
struct held : asked<Router> {
    rows gates;
    explicit held(index_t tokens, params_of<kind_of<Router>> const& own = {})
        : asked<Router>(experts, tokens, own), gates(awkward(Router.labels, experts, 9)) {
        Router.tensors(this->weights, this->size, [&](auto const& t) { t.pack(gates.view()); });
    }
};
seen labelled_call(rows const& x, std::vector<std::int32_t> const& labels) {
    seen in{input{x.view()}};
    in.labels = labels;
    return in;
}

} // namespace

TEST_CASE("label_gated: the inner router on the rows of the labels, bit for bit") {
    std::vector<std::int32_t> const labels{4, 0, 1, 1, 2, 3};
    rows const x(6, 2);
    held<label_gated{5, gate}> router(6);
    rows z(6, experts);
    for (index_t t = 0; t < 6; ++t) std::copy_n(router.gates.row(labels[at(t)]), experts, z.row(t));
    asked<gate> plain(experts, 6);
    auto const got = slots_of(router(labelled_call(x, labels)));
    CHECK(numbers::same_slots(got, slots_of(plain(z.view()))));
    CHECK(numbers::same_slots({got[2]}, {got[3]}));
    CHECK(router.most() == 3);
}

TEST_CASE("label_gated: the gates of WISA by sigmoids: on for the categories of a label") {
    asked<label_gated{2, top_k{.k = 4, .score = scoring::sigmoid}}> router(
        6, 1, {.router = {.renormalise = false}});
    rows gates(2, 6, std::log(0.1f / 0.9f));
    gates.row(1)[1] = gates.row(1)[4] = 100;
    label_gated{2, gate}.tensors(router.weights, router.size,
                                 [&](auto const& t) { t.pack(gates.view()); });
    auto const got = slots_of(router(labelled_call(rows(1, 2), {1})))[0];
    std::vector<int> const wanted{1, 4, 0, 2};
    for (std::size_t j = 0; j < 4; ++j) {
        CHECK(got[j].expert == wanted[j]);
        CHECK(got[j].weight == Approx(j < 2 ? 1.0 : 0.1).epsilon(1e-5));
    }
}

TEST_CASE("label_gated: a label outside gets no slot and changes no other token") {
    std::vector<std::int32_t> const labels{4, -1, 5, std::numeric_limits<std::int32_t>::min(), 3};
    held<label_gated{5, gate}> router(5);
    rows const x(5, 2);
    auto const in = labelled_call(x, labels);
    auto const got = slots_of(router(in));
    CHECK((got[1].empty() && got[2].empty() && got[3].empty()));
    auto const known = slots_of(router(labelled_call(rows(2, 2), {4, 3})));
    CHECK(numbers::same_slots({got[0], got[4]}, known));
    CHECK(parts_equal_whole(router, in));
}

TEST_CASE("label_gated: promises, tensors and checks") {
    constexpr label_gated router{5, gate};
    STATIC_REQUIRE(std::is_same_v<decltype(scorer_of(router)), nothing>);
    STATIC_REQUIRE(!label_gated{5, mirror{}}.promise().positive);
    STATIC_REQUIRE(!router.promise().unit_sum);
    std::vector<std::string> names;
    weights_of<label_gated<noisy<top_k>>> own;
    router_tensors(
        label_gated{5, noisy{gate}}, own, {.model = 6, .hidden = 2, .experts = 4},
        [&](auto const& t) { names.push_back(t.name.text() + dims_text(t.rows, t.cols)); });
    CHECK(names == std::vector<std::string>{"router.gate[5, 4]", "router.noise[4, 6]"});
    CHECK(sentence(label_gated{0, gate}, {}) == "label_gated.labels: expected at least 1, got 0");
    CHECK(sentence(router, {.router = {.temperature = -1}}).find("top_k.temperature") == 0);
    rows const two(2, 3);
    CHECK(lacks(router, {two.view()}) ==
          "input.labels (label_gated): expected 2, one a token, got 0");
    held<router> empty(0);
    CHECK(slots_of(empty(labelled_call(rows(0, 2), {}))).empty());
}

TEST_CASE("label_gated: in a layer it has a gate and no scorer") {
    moe<shape{.model = 12, .hidden = 10, .experts = 4}, label_gated{3, top_k{.k = 2}}, ffn{swiglu}>
        layer;
    numbers::fill(layer);
    twin::matrix gates;
    layer.for_each_tensor([&](auto const& t) {
        CHECK(t.name.role != "weight");
        if (t.name.part == "router") gates = numbers::stored(t);
    });
    auto const x = rows::normal(4, 12, 22);
    rows y(4, 12);
    workspace ws;
    CHECK_THROWS_AS(layer.forward({x.view()}, y.view(), ws, sequential{}), error);
    std::vector<std::int32_t> const labels{2, 0, 1, 3};
    input in{x.view()};
    in.labels = labels;
    layer.forward(in, y.view(), ws, sequential{});
    auto const w = numbers::twin_of(layer);
    for (index_t t = 0; t < 3; ++t) {
        auto const z = gates.row_of(at(labels[at(t)]));
        auto const best = twin::ranked(z);
        auto const slots = twin::weigh(z, {.k = 2}, {best[0], best[1]});
        auto const wanted =
            twin::moe(twin::doubles(x.row_of(t)), w, slots, twin::gated(twin::silu));
        CHECK(twin::nmse(y.row_of(t), wanted) <= 1e-12);
    }
    CHECK(y.row_of(3) == std::vector<float>(12));
}
