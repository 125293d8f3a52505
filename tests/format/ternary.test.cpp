// SPDX-License-Identifier: MIT
#include "prytany/format/ternary.hpp"

#include "format/coded_held.hpp"

using namespace prytany;

namespace {
constexpr ternary plain{}, rounded{.activations = activations::int8};

// The fourth matrix of 8 columns that golden numbers are made of: g(s, i).
std::vector<float> golden(int s, int count) {
    std::vector<float> all;
    for (int i = 0; i < count; ++i)
        all.push_back(static_cast<float>((73 * i + 151 * s + 17) % 257 - 128) / 128.0f);
    return all;
}
} // namespace

TEST_CASE("ternary: weights are those of the formula, within the stated bound") {
    coded::keeps_rows<plain>([](twin::row const& w) { return twin::absmean(w); });
}

TEST_CASE("ternary: a matrix keeps its rows apart") {
    coded::keeps_matrix<plain>();
    coded::keeps_matrix<rounded>();
}

TEST_CASE("ternary: the golden numbers of the absmean quantiser") {
    auto const w = golden(1, 32);
    CHECK(ternary::absmean(w) == 0.4912109375f);
    std::vector<int> const codes{1,  1, -1, 0,  1,  -1, -1, 1,  1, -1, 0,  1, -1, -1, 1, 1,
                                 -1, 0, 1,  -1, -1, 0,  1,  -1, 0, 1,  -1, 0, 1,  -1, 1, 0};
    auto const got = coded::kept<plain>(w);
    for (std::size_t i = 0; i < 24; ++i)
        CHECK(got[i] == 0.4912109375f * static_cast<float>(codes[i]));
    for (std::size_t r = 0; r < 4; ++r) { // each row by itself
        std::vector<float> const one(w.begin() + 8 * static_cast<int>(r),
                                     w.begin() + 8 * static_cast<int>(r) + 8);
        auto const wanted = twin::absmean(twin::doubles(one)).values;
        CHECK(twin::nmse(coded::kept<plain>(one), wanted) <= 1e-13);
    }
}

TEST_CASE("ternary: absmean of few, many, tiny and unsound weights") {
    CHECK(ternary::absmean(std::vector<float>{}) == 1e-5f);
    CHECK(ternary::absmean(std::vector<float>{-3}) == 3.0f);
    CHECK(ternary::absmean(std::vector<float>{1, -2, 3, -4, 5}) == 3.0f);
    CHECK(ternary::absmean(std::vector<float>(1000, 1e-9f)) == 1e-5f);
    CHECK(ternary::absmean(std::vector<float>(1000, 3e38f)) == 3e38f);
    CHECK(std::isnan(ternary::absmean(std::vector<float>{1, -INFINITY, 2})));
    CHECK(std::isnan(ternary::absmean(std::vector<float>{NAN, 1})));
}

TEST_CASE("ternary: weights that are s · t without zeros keep their values") {
    for (float const s : {0.25f, 3.0f, 1e-4f}) {
        std::vector<float> w(129, s);
        for (std::size_t i = 0; i < w.size(); i += 3) w[i] = -s;
        CHECK(coded::kept<plain>(w) == w);
        w[5] = 0; // a smaller mean
        CHECK(coded::kept<plain>(w)[0] == Approx(-s * 128.0f / 129.0f));
        CHECK(coded::kept<plain>(w)[5] == 0.0f);
    }
}

TEST_CASE("ternary: the quality on normal weights") { CHECK(coded::quality<plain>(4096) <= 0.28); }

TEST_CASE("ternary: its name, aspect and layout") {
    STATIC_REQUIRE(weight_format<ternary>);
    CHECK(ternary::name() == "ternary");
    CHECK(packed<plain>(panel_lanes, 4096).bytes() == coded::lines(panel_lanes * (4096 / 4 + 4)));
}
