// SPDX-License-Identifier: MIT
#include "prytany/format/int8_rows.hpp"

#include "format/coded_held.hpp"

using namespace prytany;

namespace {
constexpr int8_rows plain{}, pairs{.activations = activations::int16};
} // namespace

TEST_CASE("int8_rows: weights are those of the formula, at most half a step off") {
    coded::keeps_rows<plain>(
        [](twin::row const& w) { return twin::symmetric(w, w.size(), 127, 53); });
}

TEST_CASE("int8_rows: a matrix keeps its rows apart") {
    coded::keeps_matrix<plain>();
    coded::keeps_matrix<pairs>();
}

TEST_CASE("int8_rows: its largest weight is exact to a float, a row of steps keeps its values") {
    std::vector<float> w(512);
    for (std::size_t i = 0; i < w.size(); ++i)
        w[i] = 0.375f * static_cast<float>(static_cast<int>(i * 37 % 255) - 127);
    CHECK(coded::kept<plain>(w) == w);
    auto const again = coded::normal(300, 4);
    auto const once = coded::kept<plain>(again);
    CHECK(twin::nmse(coded::kept<plain>(once), twin::doubles(once)) <= 1e-12);
}

TEST_CASE("int8_rows: the quality on normal weights") {
    CHECK(coded::quality<plain>(4096) <= 1e-4);
}

TEST_CASE("int8_rows: its name, aspect and layout") {
    STATIC_REQUIRE(weight_format<int8_rows>);
    CHECK(int8_rows::name() == "int8_rows");
    CHECK(packed<plain>(panel_lanes, 4096).bytes() <= panel_lanes * (4096 + 4) + 63);
}
