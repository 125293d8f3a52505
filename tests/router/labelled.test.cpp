// SPDX-License-Identifier: MIT
#include "prytany/router/labelled.hpp"

#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "router/mirrored.hpp"
#include "support/catch.hpp"

using namespace mirrored;

TEST_CASE("labelled: the label is the expert; a label outside gets no slot") {
    constexpr auto least = std::numeric_limits<std::int32_t>::min();
    std::vector<std::int32_t> const labels{0, 3, 4, -1, 2, least, 1 << 30};
    auto in = call(awkward(7, 4, 3).view(), rows(7, 4).view());
    in.labels = labels;
    asked<labelled{}> router(4, 7);
    numbers::lists const wanted{{{0, 1, 0}}, {{3, 1, 0}}, {}, {}, {{2, 1, 0}}, {}, {}};
    CHECK(slots_of(router(in)) == wanted);
    CHECK(router.most() == 1);
    CHECK(parts_equal_whole(router, in));
    STATIC_REQUIRE(!labelled{}.promise().unit_sum);
    STATIC_REQUIRE(labelled{}.promise().sees == scope::token);
}

TEST_CASE("labelled: no tokens, one expert") {
    asked<labelled{}> router(1, 3);
    CHECK(slots_of(router(seen{input{rows(0, 4).view()}})).empty());
    std::vector<std::int32_t> const labels{0, 1, 0};
    rows const x(3, 4);
    seen in{input{x.view()}};
    in.labels = labels;
    CHECK(slots_of(router(in)) == numbers::lists{{{0, 1, 0}}, {}, {{0, 1, 0}}});
}

TEST_CASE(
    "labelled: in a layer it says that labels are missing; without one the shared run alone") {
    rows const two(2, 3);
    CHECK(lacks(labelled{}, {two.view()}) ==
          "input.labels (labelled): expected 2, one a token, got 0");
    moe<shape{.model = 12, .hidden = 10, .experts = 4, .shared = 1}, labelled{}, ffn{swiglu}> layer;
    numbers::fill(layer);
    layer.for_each_tensor([](auto const& t) { CHECK(t.name.part != "router"); });
    auto const x = rows::normal(3, 12, 22);
    rows y(3, 12, 7);
    workspace ws;
    CHECK_THROWS_AS(layer.forward({x.view()}, y.view(), ws, sequential{}), error);
    std::vector<std::int32_t> const labels{3, -1, 1};
    input in{x.view()};
    in.labels = labels;
    layer.forward(in, y.view(), ws, sequential{});
    auto const w = numbers::twin_of(layer);
    for (index_t t = 0; t < 3; ++t) {
        std::vector<twin::choice> slots;
        if (t != 1) slots.push_back({at(labels[at(t)]), 1});
        auto const wanted =
            twin::moe(twin::doubles(x.row_of(t)), w, slots, twin::gated(twin::silu));
        CHECK(twin::nmse(y.row_of(t), wanted) <= 1e-12);
    }
}
