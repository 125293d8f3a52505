// SPDX-License-Identifier: MIT
#include "prytany/core/input.hpp"

#include <cstdint>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

TEST_CASE("input: rows alone are enough, all tokens are present") {
    std::vector<float> numbers(12);
    matrix_view<float> const rows(numbers.data(), 4, 3);
    input const in = rows; // a view of mutable floats is one
    CHECK(in.tokens() == 4);
    CHECK(in.rows.data == numbers.data());
    CHECK(in.mask.empty());
    for (index_t t = 0; t < 4; ++t) CHECK(in.present(t));
    CHECK(input().tokens() == 0);
}

TEST_CASE("input: a token whose byte is 0 is padding") {
    std::vector<float> numbers(12);
    std::vector<std::uint8_t> const mask{1, 0, 255, 0};
    input const in(matrix_view<float const>(numbers.data(), 4, 3), mask);
    CHECK(in.present(0));
    CHECK(!in.present(1));
    CHECK(in.present(2));
    CHECK(!in.present(3));
}

TEST_CASE("input: a part has its own rows and its own mask") {
    std::vector<float> numbers(5 * 7);
    std::vector<std::uint8_t> const mask{1, 0, 0, 1, 1};
    input const all(matrix_view<float const>(numbers.data(), 5, 3, 7), mask);
    for (index_t first = 0; first <= 5; ++first)
        for (index_t count = 0; first + count <= 5; ++count) {
            input const some = all.part(first, count);
            REQUIRE(some.tokens() == count);
            REQUIRE(some.rows.cols == 3);
            REQUIRE(some.rows.data == numbers.data() + first * 7);
            REQUIRE(some.mask.size() == static_cast<std::size_t>(count));
            for (index_t t = 0; t < count; ++t) REQUIRE(some.present(t) == all.present(first + t));
        }
    input const bare = input(all.rows).part(1, 2);
    CHECK(bare.mask.empty());
    CHECK(bare.present(0));
}

TEST_CASE("input: a part keeps its rows of the previous logits, its number and the seed") {
    std::vector<float> numbers(5 * 3), logits(5 * 4);
    input all(matrix_view<float const>(numbers.data(), 5, 3));
    all.previous_logits = {logits.data(), 5, 2, 4};
    all.seed = 9;
    all.first = 100;
    input const some = all.part(1, 3).part(1, 2);
    CHECK(some.previous_logits.data == logits.data() + 2 * 4);
    CHECK(some.previous_logits.rows == 2);
    CHECK(some.previous_logits.cols == 2);
    CHECK(some.previous_logits.stride == 4);
    CHECK(some.first == 102);
    CHECK(some.seed == 9);
    CHECK(input(all.rows).part(1, 2).previous_logits.data == nullptr);
}
