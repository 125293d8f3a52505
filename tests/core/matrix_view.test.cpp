// SPDX-License-Identifier: MIT
#include "prytany/core/matrix_view.hpp"

#include <type_traits>
#include <vector>

#include "support/catch.hpp"

namespace {

// A matrix type of somebody else.
struct foreign {
    std::vector<float> numbers;
    prytany::index_t height, breadth;
};

} // namespace

template <>
struct prytany::rows_of<foreign> {
    static prytany::matrix_view<float> of(foreign& m) {
        return {m.numbers.data(), m.height, m.breadth};
    }
    static prytany::matrix_view<float const> of(foreign const& m) {
        return {m.numbers.data(), m.height, m.breadth};
    }
};

using namespace prytany;

TEST_CASE("matrix_view: element (r, c) is data[r · stride + c]") {
    std::vector<int> numbers(7 * 10);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int>(i);
    matrix_view<int> const m(numbers.data(), 7, 4, 10);
    for (index_t r = 0; r < 7; ++r)
        for (index_t c = 0; c < 4; ++c) REQUIRE(m.row(r)[c] == 10 * r + c);
    matrix_view<int> const dense(numbers.data(), 7, 4);
    CHECK(dense.stride == 4);
    CHECK(dense.row(2)[1] == 9);
}

TEST_CASE("matrix_view: a part is the same rows") {
    std::vector<int> numbers(70);
    matrix_view<int> const m(numbers.data(), 7, 4, 10);
    auto const some = m.part(2, 3);
    CHECK(some.rows == 3);
    CHECK(some.cols == 4);
    CHECK(some.stride == 10);
    for (index_t r = 0; r < 3; ++r) CHECK(some.row(r) == m.row(2 + r));
    CHECK(m.part(7, 0).empty());
}

TEST_CASE("matrix_view: columns are those of every row, and none of no rows") {
    std::vector<int> numbers(70);
    matrix_view<int> const m(numbers.data(), 7, 4, 10);
    auto const some = m.columns(1, 2);
    CHECK(some.rows == 7);
    CHECK(some.cols == 2);
    for (index_t r = 0; r < 7; ++r) CHECK(some.row(r) == m.row(r) + 1);
    CHECK(m.columns(4, 0).empty());
    CHECK(matrix_view<int>(nullptr, 0, 4).columns(1, 3).data == nullptr);
}

TEST_CASE("matrix_view: empty without rows or without columns") {
    CHECK(matrix_view<float>().empty());
    CHECK(matrix_view<float>(nullptr, 0, 3).empty());
    CHECK(matrix_view<float>(nullptr, 3, 0).empty());
    float one = 0;
    CHECK(!matrix_view<float>(&one, 1, 1).empty());
}

TEST_CASE("matrix_view: adds const, never takes it away, and sees foreign matrices") {
    STATIC_REQUIRE(std::is_convertible_v<matrix_view<float>, matrix_view<float const>>);
    STATIC_REQUIRE(!std::is_convertible_v<matrix_view<float const>, matrix_view<float>>);
    STATIC_REQUIRE(std::is_convertible_v<foreign&, matrix_view<float>>);
    STATIC_REQUIRE(std::is_convertible_v<foreign const&, matrix_view<float const>>);
    STATIC_REQUIRE(!std::is_convertible_v<foreign const&, matrix_view<float>>);
    STATIC_REQUIRE(!std::is_convertible_v<std::vector<float>&, matrix_view<float>>);
    foreign m{std::vector<float>(6), 2, 3};
    matrix_view<float> const seen = m;
    CHECK(seen.data == m.numbers.data());
    CHECK(seen.rows == 2);
    CHECK(seen.stride == 3);
    matrix_view<float const> const fixed = seen;
    CHECK(fixed.data == seen.data);
    CHECK(fixed.stride == seen.stride);
}
