// SPDX-License-Identifier: MIT
#include "prytany/router/hash_table.hpp"

#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "router/mirrored.hpp"
#include "support/catch.hpp"

using namespace mirrored;

namespace {

std::vector<int> experts_of(std::vector<std::int32_t> const& ids, index_t experts,
                            hash_table::params const& own) {
    auto const tokens = static_cast<index_t>(ids.size());
    asked<hash_table{}> router(experts, tokens, own);
    rows const x(tokens, 3);
    seen in{input{x.view()}};
    in.ids = ids;
    std::vector<int> all;
    for (auto const& slots : slots_of(router(in))) {
        REQUIRE(slots.size() == 1);
        REQUIRE(slots[0].weight == 1);
        REQUIRE(slots[0].tier == 0);
        all.push_back(slots[0].expert);
    }
    return all;
}
std::vector<std::int32_t> all_ids(index_t count) {
    std::vector<std::int32_t> ids(at(count));
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i);
    return ids;
}

} // namespace

TEST_CASE("hash_table: every vocabulary is spread evenly over the experts") {
    for (index_t const vocabulary : {1, 2, 3, 4, 5, 16, 17, 1000, 32000})
        for (index_t const experts : {1, 2, 7, 64}) {
            std::vector<int> load(at(experts));
            for (int const e : experts_of(all_ids(vocabulary), experts, {.vocabulary = vocabulary}))
                ++load.at(at(e));
            auto const [least, most] = std::minmax_element(load.begin(), load.end());
            CHECK(*most - *least <= 1);
        }
}

TEST_CASE("hash_table: a seed gives one table, another seed another, and neither is a pattern") {
    auto const ids = all_ids(8000);
    auto const one = experts_of(ids, 8, {.vocabulary = 8000, .seed = 3});
    CHECK(experts_of(ids, 8, {.vocabulary = 8000, .seed = 3}) == one);
    for (std::uint64_t const seed : {std::uint64_t{4}, std::uint64_t{3} << 32}) {
        auto const other = experts_of(ids, 8, {.vocabulary = 8000, .seed = seed});
        double same = 0;
        for (std::size_t i = 0; i < ids.size(); ++i) same += one[i] == other[i] ? 1 : 0;
        CHECK(std::abs(same / 8000 - 0.125) < 0.0185); // five standard errors
    }
    std::vector<double> pairs(64); // neighbouring entries: every pair of experts as often
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) pairs[at(one[i] * 8 + one[i + 1])] += 1;
    double squares = 0;
    for (double const n : pairs) squares += (n - 125) * (n - 125) / 125;
    CHECK(squares < 63 + 5 * std::sqrt(2 * 63.0));
}

TEST_CASE("hash_table: an id outside the vocabulary counts modulo it") {
    hash_table::params const own{.vocabulary = 10, .seed = 5};
    constexpr auto least = std::numeric_limits<std::int32_t>::min();
    constexpr auto most = std::numeric_limits<std::int32_t>::max();
    CHECK(experts_of({10, 25, -1, -10, -11, least, most}, 4, own) ==
          experts_of({0, 5, 9, 0, 9, 2, 7}, 4, own));
    hash_table::params const whole{.vocabulary = index_t{1} << 31};
    for (int const e : experts_of({least, most, -1, 0}, 5, whole)) CHECK((e >= 0 && e < 5));
}

TEST_CASE("hash_table: a table of the caller") {
    std::vector<std::int32_t> const table{2, 0, 1, 1, 0};
    CHECK(experts_of({0, 1, 2, 3, 4, 5, -1}, 3, {.table = table}) ==
          std::vector{2, 0, 1, 1, 0, 2, 0});
    CHECK(experts_of({2}, 3, {.vocabulary = 5, .table = table}) == std::vector{1});
}

TEST_CASE("hash_table: a token's slot is the same in any part of a batch, NaN rows too") {
    auto const x = awkward(21, 9, 6);
    auto const ids = all_ids(21);
    auto in = call(x);
    in.ids = ids;
    asked<hash_table{}> router(9, 21, {.vocabulary = 50});
    CHECK(parts_equal_whole(router, in));
    rows const none(0, 9);
    CHECK(slots_of(router(seen{input{none.view()}})).empty());
}

TEST_CASE("hash_table: says what is wrong, and what a call lacks") {
    constexpr hash_table hash{};
    STATIC_REQUIRE(hash.promise().unit_sum);
    CHECK(sentence(hash, {.vocabulary = 3}).empty());
    CHECK(sentence(hash, {}) == "hash_table.vocabulary: expected 1 to 2147483648, got none");
    CHECK(sentence(hash, {.vocabulary = 0}) ==
          "hash_table.vocabulary: expected 1 to 2147483648, got 0");
    std::vector<std::int32_t> const table{0, 3, 4}, negative{-1};
    CHECK(sentence(hash, {.table = table}) == "hash_table.table[2]: expected 0 to 3, got 4");
    CHECK(sentence(hash, {.table = negative}) == "hash_table.table[0]: expected 0 to 3, got -1");
    CHECK(sentence(hash, {.vocabulary = 4, .table = table}, 5) ==
          "hash_table.vocabulary: expected 3, the size of the table, got 4");
    rows const x(2, 3);
    input in{x.view()};
    CHECK(lacks(hash, in) == "input.ids (hash_table): expected 2, one a token, got 0");
    std::vector<std::int32_t> const ids{1, 2};
    in.ids = ids;
    CHECK(lacks(hash, in).empty());
}

TEST_CASE("hash_table: in a layer it needs ids and no tensor of its own") {
    using layer_type =
        moe<shape{.model = 12, .hidden = 10, .experts = 4}, hash_table{}, ffn{swiglu}>;
    layer_type layer({}, {.router = {.vocabulary = 100}});
    numbers::fill(layer);
    layer.for_each_tensor([](auto const& t) { CHECK(t.name.part == "expert"); });
    auto const x = rows::normal(20, 12, 22);
    rows y(20, 12);
    workspace ws;
    CHECK_THROWS_AS(layer.forward({x.view()}, y.view(), ws, sequential{}), error);
    auto const ids = all_ids(20);
    input in{x.view()};
    in.ids = ids;
    layer.forward(in, y.view(), ws, sequential{});
    auto const wanted = experts_of(ids, 4, {.vocabulary = 100});
    for (index_t t = 0; t < 20; ++t) CHECK(ws.plan().slots_of(t)[0].expert == wanted[at(t)]);
}
