// SPDX-License-Identifier: MIT
#include "prytany/core/panel.hpp"

#include <vector>

#include "prytany/core/scalar.hpp"
#include "support/catch.hpp"

using namespace prytany;

namespace {

template <class T>
bool is_permutation() {
    std::vector<int> hits(static_cast<std::size_t>(panel_lanes));
    for (index_t lane = 0; lane < panel_lanes; ++lane)
        ++hits.at(static_cast<std::size_t>(lane_place<T>(lane)));
    for (int const h : hits)
        if (h != 1) return false;
    return true;
}

} // namespace

TEST_CASE("panel: every lane has a place of its own") {
    CHECK(is_permutation<float>());
    CHECK(is_permutation<bf16>());
    CHECK(is_permutation<f16>());
    for (index_t lane = 0; lane < panel_lanes; ++lane) {
        CHECK(lane_place<float>(lane) == lane);
        CHECK(lane_place<f16>(lane) == lane);
    }
    for (index_t j = 0; j < lanes; j += 4) // four of one register, four of the other
        for (index_t i = 0; i < 4; ++i) {
            CHECK(lane_place<bf16>(j + i) == 2 * j + i);
            CHECK(lane_place<bf16>(lanes + j + i) == 2 * j + 4 + i);
        }
}

TEST_CASE("panel: one part keeps its rows where they are") {
    constexpr row_map plain{};
    for (index_t r = 0; r < 300; ++r) REQUIRE(plain(r) == r);
    for (index_t rows = 0; rows < 300; ++rows) REQUIRE(plain.packed_rows(rows) == rows);
}

TEST_CASE("panel: `first` puts a matrix below another") {
    for (index_t r = 0; r < 100; ++r) {
        REQUIRE(row_map{0, 1, 37}(r) == 37 + r);
        REQUIRE(row_map{1, 2, 4 * lanes}(r) == 4 * lanes + row_map{1, 2}(r));
    }
}

TEST_CASE("panel: the parts of a store fill it without overlap, W rows of each in turn") {
    for (index_t parts = 2; parts <= 4; ++parts)
        for (index_t rows = 1; rows < 5 * lanes; ++rows) {
            index_t const packed = row_map{0, parts}.packed_rows(rows);
            REQUIRE(packed % (parts * lanes) == 0);
            REQUIRE(packed < parts * (rows + lanes));
            std::vector<int> owner(static_cast<std::size_t>(packed), -1);
            for (index_t part = 0; part < parts; ++part)
                for (index_t r = 0; r < rows; ++r) {
                    index_t const at = row_map{part, parts}(r);
                    REQUIRE(at / lanes % parts == part);
                    int& slot = owner.at(static_cast<std::size_t>(at));
                    REQUIRE(slot == -1);
                    slot = static_cast<int>(part);
                }
        }
}

TEST_CASE("panel: a gate and its up are in the same lane of the two registers of one panel") {
    for (index_t r = 0; r < 10 * lanes; ++r) {
        index_t const gate = row_map{0, 2}(r), up = row_map{1, 2}(r);
        REQUIRE(gate / panel_lanes == up / panel_lanes);
        REQUIRE(gate % panel_lanes == r % lanes);
        REQUIRE(up % panel_lanes == lanes + r % lanes);
    }
}
