// SPDX-License-Identifier: MIT
#include "prytany/format/mxfp4.hpp"

#include <random>

#include "format/coded_held.hpp"
#include "prytany/io/mxfp4.hpp"

using namespace prytany;

namespace {
constexpr mxfp4 plain{}, rounded{.activations = activations::int8};
} // namespace

TEST_CASE("mxfp4: weights are those of the formula, at most a quarter of the largest off") {
    coded::keeps_rows<plain>([](twin::row const& w) { return twin::four_bit_floats(w); });
}

TEST_CASE("mxfp4: a matrix keeps its rows apart") {
    coded::keeps_matrix<plain>();
    coded::keeps_matrix<rounded>();
}

TEST_CASE("mxfp4: the nearest code, ties to the even one, 6 and above to 6") {
    std::vector<std::pair<float, float>> const pairs{
        {0.25f, 0},  {0.26f, 0.5f}, {0.74f, 0.5f}, {0.75f, 1},  {1.25f, 1},   {1.26f, 1.5f},
        {1.75f, 2},  {1.74f, 1.5f}, {2.5f, 2},     {2.51f, 3},  {3.49f, 3},   {3.5f, 4},
        {5.0f, 4},   {5.01f, 6},    {6.5f, 6},     {7.99f, 6},  {0.0f, 0},    {-0.25f, 0},
        {-2.5f, -2}, {-3.5f, -4},   {-7.0f, -6},   {-5.0f, -4}, {-0.75f, -1}, {1e-30f, 0}};
    std::vector<float> w{4}; // makes the power of two 1
    for (auto const& [from, to] : pairs) w.push_back(from);
    auto const got = coded::kept<plain>(w);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        CAPTURE(pairs[i].first);
        CHECK(got[i + 1] == pairs[i].second);
    }
}

TEST_CASE("mxfp4: what is kept is kept again, to the last bit") { coded::keeps_twice<plain>(); }

TEST_CASE("mxfp4: numbers that were widened from it come back exactly, at every power of two") {
    std::mt19937 engine(3);
    std::vector<std::byte> codes(16 * 3), scales(3);
    std::vector<float> w(96);
    for (int power = 0; power <= 252; ++power)
        for (int round = 0; round < 20; ++round) {
            std::uint32_t const mask = round % 5 == 0 ? 0x11u : round % 5 == 1 ? 0x99u : 0xffu;
            for (auto& c : codes) c = static_cast<std::byte>(engine() & mask); // also small codes
            scales = {static_cast<std::byte>(power), static_cast<std::byte>(252 - power),
                      static_cast<std::byte>(power / 2)};
            io::widen_mxfp4(codes, scales, w);
            for (float& x : w) x += 0.0f; // codes have two zeros, weights one
            CAPTURE(power, round);
            REQUIRE(coded::same_bits(coded::kept<plain>(w), w));
        }
}

TEST_CASE("mxfp4: its name, aspect and layout") {
    STATIC_REQUIRE(weight_format<mxfp4>);
    CHECK(mxfp4::name() == "mxfp4");
    CHECK(packed<plain>(panel_lanes, 4096).bytes() ==
          coded::lines(panel_lanes * (4096 / 2 + 4096 / 16 + 4)));
}
