// SPDX-License-Identifier: MIT
#include "prytany/format/dense.hpp"

#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

template <class T>
float kept(float x) {
    return static_cast<float>(T(x));
}

template <class T>
void holds_a_matrix(index_t rows, index_t cols) {
    using matrix = packed<dense<T>{}>;
    auto const values = twin::floats(
        twin::normal(static_cast<std::size_t>(rows * cols), static_cast<std::uint64_t>(rows)));
    matrix m(rows, cols);
    REQUIRE(m.rows() == rows);
    REQUIRE(m.cols() == cols);
    REQUIRE(m.panels() == (rows + panel_lanes - 1) / panel_lanes);
    using stored = typename matrix::element;
    REQUIRE(m.bytes() == m.panels() * panel_lanes * cols * static_cast<index_t>(sizeof(stored)));
    auto const width = static_cast<std::size_t>(cols);
    for (index_t r = rows; r-- > 0;) m.pack(r, {values.data() + r * cols, width});

    std::vector<float> back(width);
    int wrong = 0;
    for (index_t r = 0; r < rows; ++r) {
        m.unpack(r, back);
        for (index_t k = 0; k < cols; ++k)
            if (back[static_cast<std::size_t>(k)] !=
                kept<T>(values[static_cast<std::size_t>(r * cols + k)]))
                ++wrong;
    }
    // panel p, step k: W[p · panel + lane, k], zeros beyond the last row
    for (index_t p = 0; p < m.panels(); ++p)
        for (index_t k = 0; k < cols; ++k)
            for (index_t lane = 0; lane < panel_lanes; ++lane) {
                index_t const row = p * panel_lanes + lane;
                auto const at =
                    static_cast<float>(m.panel(p)[k * panel_lanes + lane_place<stored>(lane)]);
                float const wanted =
                    row < rows ? kept<T>(values[static_cast<std::size_t>(row * cols + k)]) : 0.0f;
                if (at != wanted) ++wrong;
            }
    REQUIRE(wrong == 0);
    REQUIRE(reinterpret_cast<std::uintptr_t>(m.panel(0)) % 64 == 0);
}

} // namespace

TEST_CASE("dense: what is packed comes back rounded once, from the stated place") {
    for (index_t const rows : {1, 2, 7, 15, 16, 17, 31, 32, 33, 64, 65, 129})
        for (index_t const cols : {1, 3, 8, 17, 64}) {
            holds_a_matrix<float>(rows, cols);
            holds_a_matrix<bf16>(rows, cols);
            holds_a_matrix<f16>(rows, cols);
        }
}

TEST_CASE("dense: another size makes all weights zero") {
    packed<dense<float>{}> m(3, 5);
    m.pack(1, std::vector<float>(5, 7.0f));
    m.resize(3, 5);
    std::vector<float> back(5, -1.0f);
    m.unpack(1, back);
    CHECK(back == std::vector<float>(5, 0.0f));
    m.resize(40, 2);
    CHECK(m.rows() == 40);
    CHECK(m.panels() == (40 + panel_lanes - 1) / panel_lanes);
    packed<dense<bf16>{}> const none;
    CHECK(none.bytes() == 0);
    CHECK(none.panels() == 0);
}

TEST_CASE("dense: sizes whose product no memory has are std::bad_alloc") {
    index_t const large = index_t{1} << 40;
    packed<dense<float>{}> m;
    CHECK_THROWS_AS(m.resize(large, large), std::bad_alloc);
    CHECK_THROWS_AS(m.resize(large, (index_t{1} << 24) - 1), std::bad_alloc);
}

TEST_CASE("dense: copies are deep") {
    packed<dense<bf16>{}> a(2, 2);
    a.pack(0, std::vector<float>{1, 2});
    packed<dense<bf16>{}> b = a;
    b.pack(0, std::vector<float>{3, 4});
    std::vector<float> back(2);
    a.unpack(0, back);
    CHECK(back == std::vector<float>{1, 2});
    auto const c = std::move(b);
    c.unpack(0, back);
    CHECK(back == std::vector<float>{3, 4});
}

TEST_CASE("dense: names and elements") {
    CHECK(dense<float>::name() == "f32");
    CHECK(dense<bf16>::name() == "bf16");
    CHECK(dense<f16>::name() == "f16");
    STATIC_REQUIRE(std::is_same_v<packed<dense<f16>{}>::element, f16>);
    STATIC_REQUIRE(std::is_same_v<dense<bf16>::aspect, format_aspect>);
}
