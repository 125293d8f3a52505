// SPDX-License-Identifier: MIT
#include "prytany/router/masked.hpp"

#include "conformance/numbers.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr top_k by_sigmoid{.k = 2, .score = scoring::sigmoid};
constexpr top_k in_groups{.k = 2, .score = scoring::sigmoid, .group = group_score::two_best};

void set(column& to, std::vector<float> const& values) {
    for (std::size_t i = 0; i < values.size(); ++i)
        to.pack(static_cast<index_t>(i), std::span(values).subspan(i, 1));
}
rows row(std::vector<float> const& z) {
    rows one(1, static_cast<index_t>(z.size()));
    one.all = z;
    return one;
}

/// Sends token t to expert t mod E, whatever the logits.
struct by_turns {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 1; }
    constexpr promises promise() const { return {.unit_sum = true}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t) out.put(t, t % out.experts(), 1.0f);
    }
};

} // namespace

TEST_CASE("masked: with nothing pruned, the inner router's slots bit for bit") {
    auto z = rows::normal(40, 9, 5, 3);
    z.row(3)[2] = std::nanf("");
    asked<masked{top_k{.k = 3}}> wrapped(9, 40);
    asked<top_k{.k = 3}> plain(9, 40);
    CHECK(numbers::same_slots(slots_of(wrapped(z.view())), slots_of(plain(z.view()))));
    set(wrapped.weights.pruned, {0, -1, std::nanf(""), -infinity, -0.0f, 0, 0, 0, 0});
    CHECK(numbers::same_slots(slots_of(wrapped(z.view())), slots_of(plain(z.view()))));
}

TEST_CASE("masked: is the inner router on logits of -inf") {
    auto z = rows::normal(40, 9, 6, 3);
    asked<masked{top_k{.k = 3}}> wrapped(9, 40);
    set(wrapped.weights.pruned, {0, 1, 0, 0, .5f, 0, 0, infinity, 0});
    asked<top_k{.k = 3}> plain(9, 40);
    auto const got = slots_of(wrapped(z.view()));
    auto const kept = z.all;
    CHECK(numbers::same_bits(z.all, kept));
    for (index_t t = 0; t < 40; ++t) z.row(t)[1] = z.row(t)[4] = z.row(t)[7] = -infinity;
    CHECK(numbers::same_slots(got, slots_of(plain(z.view()))));
    for (auto const& slots : got)
        for (slot const s : slots) CHECK((s.expert != 1 && s.expert != 4 && s.expert != 7));
}

TEST_CASE("masked: all experts but one, and all") {
    auto const z = row({2, 1, std::nanf(""), infinity});
    asked<masked{top_k{.k = 2}}> router(4, 1);
    set(router.weights.pruned, {1, 0, 1, 1});
    CHECK(slots_of(router(z.view()))[0] == std::vector<slot>{{1, 1, 0}, {0, 0, 1}});
    set(router.weights.pruned, {1, 1, 1, 1});
    CHECK(slots_of(router(z.view()))[0] == std::vector<slot>{{0, 0, 1}, {1, 0, 1}});
    asked<masked{by_sigmoid}> second(4, 1);
    set(second.weights.pruned, {1, 1, 1, 1});
    CHECK(slots_of(second(z.view()))[0] == std::vector<slot>{{0, 0, 1}, {1, 0, 1}});
}

TEST_CASE("masked: covers the ranking as well") {
    auto const z = row({2, 1, .5f, -1}), ranking = row({0, 9, 8, 7});
    seen in{input{z.view()}};
    in.logits = z.view();
    in.ranking = ranking.view();
    asked<masked{top_k{.k = 1}}> router(4, 1);
    set(router.weights.pruned, {0, 1, 0, 0});
    CHECK(slots_of(router(in))[0] == std::vector<slot>{{2, 1, 0}});
}

TEST_CASE("masked: a bias does not bring back what is pruned, wherever it is added") {
    auto const z = row({-8, -9, 1, 0});
    asked<masked{biased{by_sigmoid}}> outside(4, 1);
    set(outside.weights.pruned, {0, 0, 1, 0});
    set(outside.weights.router.correction, {0, 0, 5, -2});
    auto const got = slots_of(outside(z.view()))[0];
    CHECK((got[0].expert == 0 && got[1].expert == 1));
    asked<biased{masked{by_sigmoid}}> inside(4, 1);
    set(inside.weights.router.pruned, {0, 0, 1, 0});
    set(inside.weights.correction, {0, 0, 5, -2});
    CHECK(slots_of(inside(z.view()))[0] == got);
}

TEST_CASE("masked: a group with one expert left comes before a group with none") {
    auto const z = row({5, 5, -3, -4});
    asked<masked{biased{in_groups}}> router(
        4, 1, {.router = {.router = {.groups = 2, .kept_groups = 1}}});
    set(router.weights.pruned, {1, 1, 1, 0});
    CHECK(slots_of(router(z.view()))[0] == std::vector<slot>{{3, 1, 0}, {2, 0, 1}});
}

TEST_CASE("masked: a router without logits cannot run what is pruned either") {
    rows const z(4, 4);
    asked<masked{by_turns{}}> router(4, 4);
    set(router.weights.pruned, {0, 0, 1, 0});
    seen const in{input{z.view()}};
    auto const got = slots_of(router(in));
    CHECK(got[1] == std::vector<slot>{{1, 1, 0}});
    CHECK(got[2] == std::vector<slot>{{2, 0, 1}});
}

TEST_CASE("masked: wraps itself; both masks act") {
    STATIC_REQUIRE(std::is_same_v<decltype(masked{masked{top_k{}}}), masked<masked<top_k>>>);
    asked<masked{masked{top_k{.k = 1}}}> router(4, 1);
    set(router.weights.pruned, {1, 0, 0, 0});
    set(router.weights.router.pruned, {0, 1, 0, 0});
    CHECK(slots_of(router(row({4, 3, 2, 1}).view()))[0] == std::vector<slot>{{2, 1, 0}});
    CHECK(slots_of(router(rows(0, 4).view())).empty());
    CHECK(masked{top_k{}}.slots({}, {.router = {.k = 5}}) == 5);
    asked<masked{top_k{.k = 1}}> alone(1, 1);
    set(alone.weights.pruned, {1});
    CHECK(slots_of(alone(row({4}).view()))[0] == std::vector<slot>{{0, 0, 1}});
}

TEST_CASE("masked: in a layer a pruned expert is never run, and padding disturbs nobody") {
    using layer_type =
        moe<shape{.model = 8, .hidden = 6, .experts = 4}, masked{top_k{.k = 2}}, ffn{swiglu}>;
    layer_type layer, spoilt;
    for (layer_type* const one : {&layer, &spoilt}) {
        numbers::fill(*one);
        one->for_each_tensor([&](auto const& t) {
            if (t.name.role == "pruned") {
                rows mask(t.rows, 1);
                mask.all[2] = 1;
                t.pack(mask.view());
            }
            if (one == &spoilt && t.name.part == "expert" && t.name.expert == 2)
                numbers::fill_with(t, std::nanf(""));
        });
    }
    auto const x = rows::normal(12, 8, 7);
    workspace ws;
    auto const y = numbers::run(layer, x, ws, sequential{});
    CHECK(numbers::same_bits(y, numbers::run(spoilt, x)));
    CHECK(ws.plan().tokens_of(2).empty());

    std::vector<std::uint8_t> present(12, 1);
    present[4] = present[11] = 0;
    auto padded = x;
    padded.row(4)[0] = std::nanf("");
    auto const z = numbers::run(layer, padded, present);
    for (std::size_t i = 0; i < z.size(); ++i) CHECK(z[i] == (present[i / 8] != 0 ? y[i] : 0.0f));

    layer.for_each_tensor([](auto const& t) {
        if (t.name.role == "pruned") numbers::fill_with(t, 1);
    });
    index_t idle = 0;
    for (float const v : numbers::run(layer, x, ws, sequential{})) CHECK(v == 0);
    for (index_t t = 0; t < 12; ++t)
        for (slot const s : ws.plan().slots_of(t)) idle += s.tier == 1;
    CHECK(idle == 12 * 2);
}
