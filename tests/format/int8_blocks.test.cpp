// SPDX-License-Identifier: MIT
#include "prytany/format/int8_blocks.hpp"

#include "format/coded_held.hpp"

using namespace prytany;

namespace {
constexpr int8_blocks of_32{}, of_64{.size = 64},
    of_128{.size = 128, .activations = activations::int8};

template <int8_blocks Format>
void follows() {
    coded::keeps_rows<Format>(
        [](twin::row const& w) { return twin::symmetric(w, coded::at(Format.size), 127, 11); });
}
} // namespace

TEST_CASE("int8_blocks: weights are those of the formula, within the stated bound") {
    follows<of_32>();
    follows<of_64>();
    follows<of_128>();
}

TEST_CASE("int8_blocks: a matrix keeps its rows apart") {
    coded::keeps_matrix<of_32>();
    coded::keeps_matrix<of_64>();
    coded::keeps_matrix<of_128>();
}

TEST_CASE("int8_blocks: what is kept is kept again, to the last bit") {
    coded::keeps_twice<of_32>();
    coded::keeps_twice<of_64>();
    coded::keeps_twice<of_128>();
}

TEST_CASE("int8_blocks: the quality on normal weights") {
    CHECK(coded::quality<of_32>(4096) <= 5e-5);
    CHECK(coded::quality<of_128>(4096) <= 1e-4);
}

TEST_CASE("int8_blocks: its name, aspect and layout") {
    STATIC_REQUIRE(weight_format<int8_blocks>);
    CHECK(int8_blocks::name() == "int8_blocks");
    CHECK(packed<of_32>(panel_lanes, 4096).bytes() ==
          coded::lines(panel_lanes * (4096 + 2 * 4096 / 32 + 4))); // 8.5 bits a weight and a factor
}
