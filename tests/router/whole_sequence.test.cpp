// SPDX-License-Identifier: MIT
#include "prytany/router/whole_sequence.hpp"

#include <limits>

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

using namespace prytany;
using numbers::asked, numbers::at, numbers::rows, numbers::slots_of;

namespace {

float const none = std::nanf("");
constexpr whole_sequence summed{top_k{.k = 2, .weight = weighing::unit}};
constexpr whole_sequence two{top_k{.k = 2}};

rows of(index_t cols, std::vector<float> const& all) {
    rows z(static_cast<index_t>(all.size()) / cols, cols);
    z.all = all;
    return z;
}
seen with(rows const& z, std::vector<index_t> const& sequences = {},
          std::vector<std::uint8_t> const& mask = {}) {
    seen in{input{z.view()}};
    in.logits = z.view();
    in.sequences = sequences;
    in.mask = mask;
    return in;
}

} // namespace

TEST_CASE("whole_sequence: the numbers of the specification, two slices added up") {
    auto const z = of(3, {2, 0, -1, 0, 1, 1}); // mean [1, .5, 0]
    asked<summed> router(3, 2);
    for (auto const& slots : slots_of(router(z.view())))
        CHECK(slots == std::vector<slot>{{0, 1}, {1, 1}});
}

TEST_CASE("whole_sequence: in a layer, each chosen slice runs the whole sequence, unweighted") {
    moe<shape{.model = 8, .hidden = 5, .experts = 4}, summed, ffn{swiglu}> layer;
    numbers::fill(layer, 8);
    auto const w = numbers::twin_of(layer);
    auto const x = rows::normal(7, 8, 9);
    std::vector<double> mean(4);
    for (index_t t = 0; t < 7; ++t) {
        auto const z = twin::logits_of(twin::doubles(x.row_of(t)), w);
        for (std::size_t e = 0; e < 4; ++e) mean[e] += z[e] / 7;
    }
    auto const best = twin::ranked(mean);
    std::vector<double> wanted;
    for (index_t t = 0; t < 7; ++t) {
        auto const y = twin::moe(twin::doubles(x.row_of(t)), w, {{best[0], 1}, {best[1], 1}},
                                 twin::gated(twin::silu));
        wanted.insert(wanted.end(), y.begin(), y.end());
    }
    CHECK(twin::nmse(numbers::run(layer, x), wanted) <= 1e-12);
}

TEST_CASE("whole_sequence: every token has what the mean of its sequence would have") {
    auto const z = rows::normal(30, 6, 3, 1);
    std::vector<index_t> const starts{0, 4, 5, 17};
    asked<two> router(6, 30);
    asked<top_k{.k = 2}> plain(6, 1);
    auto const got = slots_of(router(with(z, starts)));
    for (std::size_t s = 0; s < 4; ++s) {
        index_t const end = s < 3 ? starts[s + 1] : 30;
        rows mean(1, 6);
        for (index_t e = 0; e < 6; ++e) {
            double sum = 0;
            for (index_t t = starts[s]; t < end; ++t) sum += double{z.row_of(t)[at(e)]};
            mean.row(0)[e] = static_cast<float>(sum / static_cast<double>(end - starts[s]));
        }
        auto const wanted = slots_of(plain(mean.view()))[0];
        for (index_t t = starts[s]; t < end; ++t) {
            REQUIRE(got[at(t)].size() == 2);
            for (std::size_t j = 0; j < 2; ++j) {
                CHECK(got[at(t)][j].expert == wanted[j].expert);
                CHECK(got[at(t)][j].weight == Approx(wanted[j].weight).epsilon(1e-5));
            }
        }
        auto const alone = slots_of(router(z.part(starts[s], end - starts[s]).view()));
        CHECK(numbers::same_slots(alone, {got.begin() + starts[s], got.begin() + end}));
    }
}

TEST_CASE("whole_sequence: of one token each it is the inner router, bit for bit") {
    auto const z = rows::normal(9, 5, 4, 2);
    asked<two> router(5, 9);
    asked<top_k{.k = 2}> plain(5, 9);
    std::vector<index_t> const single{0, 1, 2, 3, 4, 5, 6, 7, 8};
    CHECK(numbers::same_slots(slots_of(router(with(z, single))), slots_of(plain(z.view()))));
}

TEST_CASE("whole_sequence: padding and NaN have no part in the mean") {
    auto const z = rows::normal(5, 4, 6, 1);
    rows wide(8, 4, 50);
    std::vector<std::uint8_t> mask(8, 1);
    for (index_t t = 0; t < 5; ++t) std::copy_n(z.all.data() + t * 4, 4, wide.row(t));
    mask[5] = mask[6] = 0;
    wide.row(6)[2] = none;
    for (index_t e = 0; e < 4; ++e) wide.row(7)[e] = none;
    asked<two> router(4, 8);
    auto const wanted = slots_of(router(z.view()))[0];
    for (auto const& slots : slots_of(router(with(wide, {}, mask))))
        CHECK(numbers::same_bits(slots, wanted));
    for (auto const& slots : slots_of(router(rows(3, 4, none).view())))
        for (slot const s : slots) CHECK(std::isnan(s.weight));
}

TEST_CASE(
    "whole_sequence: an expert that a token shuts stays shut for it, and open for the others") {
    constexpr float shut = -std::numeric_limits<float>::infinity();
    auto const z = of(3, {5, 1, 0, shut, 2, 0, 1, 0, 0});
    asked<two> router(3, 3);
    auto const got = slots_of(router(z.view()));
    CHECK(got[0][0].expert == 0);
    CHECK(got[0][1].expert == 1);
    CHECK(got[1][0].expert == 1);
    CHECK(got[1][1].expert == 2);
    CHECK(numbers::same_bits(got[2], got[0]));
    CHECK(got[0][0].weight == Approx(1 / (1 + std::exp(-2.0)))); // means 3, 1, 0
    for (auto const& slots : slots_of(router(rows(2, 3, shut).view())))
        CHECK(slots == std::vector<slot>{{0, 0, 1}, {1, 0, 1}});
}

TEST_CASE("whole_sequence: a ranking is averaged and chooses") {
    auto const z = rows::normal(6, 4, 7, 1);
    rows by(6, 4);
    by.row(0)[3] = 9;
    by.row(1)[3] = -8; // 1 in all
    by.row(5)[1] = 2;
    asked<two> router(4, 6);
    auto in = with(z);
    in.ranking = by.view();
    for (auto const& slots : slots_of(router(in))) {
        CHECK(slots[0].expert == 1);
        CHECK(slots[1].expert == 3);
    }
}

TEST_CASE("whole_sequence: no tokens, around itself, what it promises") {
    asked<two> router(4, 3);
    CHECK(slots_of(router(rows(0, 4).view())).empty());
    STATIC_REQUIRE(
        std::is_same_v<decltype(whole_sequence{two}), whole_sequence<whole_sequence<top_k>>>);
    STATIC_REQUIRE(two.promise().sees == scope::sequence);
    STATIC_REQUIRE(!two.promise().causal);
    STATIC_REQUIRE(whole_sequence{archetype::router{}}.promise().unit_sum);
}
