// SPDX-License-Identifier: MIT
#include "prytany/format/int4_blocks.hpp"

#include "format/coded_held.hpp"

using namespace prytany;

namespace {
constexpr int4_blocks of_32{}, of_64{.size = 64}, of_128{.size = 128};
constexpr int4_blocks zero_32{.zero_point = true}, zero_64{.size = 64, .zero_point = true},
    zero_128{.size = 128, .zero_point = true, .activations = activations::int8};

template <int4_blocks Format>
void follows() {
    coded::keeps_rows<Format>([](twin::row const& w) {
        constexpr auto size = static_cast<std::size_t>(Format.size);
        return Format.zero_point ? twin::with_zero_point(w, size) : twin::symmetric(w, size, 7, 11);
    });
}
} // namespace

TEST_CASE("int4_blocks: weights are those of the formula, within the stated bound") {
    follows<of_32>();
    follows<of_64>();
    follows<of_128>();
}

TEST_CASE("int4_blocks: the same with zero points") {
    follows<zero_32>();
    follows<zero_64>();
    follows<zero_128>();
}

TEST_CASE("int4_blocks: a matrix keeps its rows apart") {
    coded::keeps_matrix<of_32>();
    coded::keeps_matrix<of_128>();
    coded::keeps_matrix<zero_32>();
    coded::keeps_matrix<zero_64>();
}

TEST_CASE("int4_blocks: zeros are exact, with a zero point too") {
    std::vector<float> w(64, 0.0f);
    for (std::size_t i = 0; i < 64; i += 3) w[i] = 0.1f + 0.01f * static_cast<float>(i);
    for (auto const& got :
         {coded::kept<of_32>(w), coded::kept<zero_32>(w), coded::kept<zero_64>(w)})
        for (std::size_t i = 0; i < 64; ++i)
            if (w[i] == 0) CHECK(got[i] == 0);
}

TEST_CASE("int4_blocks: the quality on normal weights") {
    CHECK(coded::quality<of_32>(4096) <= 1.2e-2);
    CHECK(coded::quality<zero_32>(4096) <= 1.2e-2);
    CHECK(coded::quality<zero_32>(4096) < coded::quality<of_32>(4096));
}

TEST_CASE("int4_blocks: its name, aspect and layout") {
    STATIC_REQUIRE(weight_format<int4_blocks>);
    CHECK(int4_blocks::name() == "int4_blocks");
    CHECK(packed<of_32>(panel_lanes, 4096).bytes() ==
          coded::lines(panel_lanes * (4096 / 2 + 4096 / 16 + 4)));
    CHECK(packed<zero_32>(panel_lanes, 4096).bytes() ==
          coded::lines(panel_lanes * (4096 / 2 + 4096 / 8 + 4)));
}
