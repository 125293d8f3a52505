// SPDX-License-Identifier: MIT
#include "prytany/format/codes.hpp"

#include <cmath>

#include "format/coded_held.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"

using namespace prytany;

namespace {

constexpr index_t W = lanes, panel = panel_lanes;

template <class T>
T read(std::byte const* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

/// Every weight again from the bytes of its panel, by the stated layout.
template <auto Format>
bool lies_as_stated(index_t rows, index_t cols) {
    constexpr code_layout l = packed<Format>::layout;
    packed<Format> m(rows, cols);
    for (index_t r = 0; r < rows; ++r) m.pack(r, coded::normal(cols, coded::at(r + cols)));
    index_t const unit = l.group > 0 ? l.group : 32, groups = (cols + unit - 1) / unit;
    index_t const codes = unit * panel * l.bits / 8;
    index_t const numbers = l.group > 0 ? panel * (l.scale_bytes + (l.zeros ? 2 : 0)) : 0;
    std::vector<float> back(coded::at(cols));
    for (index_t r = 0; r < rows; ++r) {
        m.unpack(r, back);
        std::byte const* const from = m.panel(r / panel);
        index_t const lane = r % panel;
        auto const factor = read<float>(from + groups * (codes + numbers) + 4 * lane);
        for (index_t k = 0; k < cols; ++k) {
            std::byte const* const group = from + k / unit * (codes + numbers);
            index_t const i = k % unit, step = 16 / l.bits;
            std::byte const* const all = group + i / step * 2 * panel;
            index_t const byte = l.bits == 8 ? 2 * lane + k % 2 : 4 * (lane % W) + k % 4;
            index_t const shift = l.bits == 8   ? 0
                                  : l.bits == 4 ? 4 * (lane / W)
                                                : 2 * (2 * (k % 8 / 4) + lane / W);
            auto const code = static_cast<std::uint8_t>(
                (std::to_integer<unsigned>(all[byte]) >> shift) & ((1u << l.bits) - 1));
            typename packed<Format>::scale scale{};
            int zero = 0;
            if constexpr (l.group > 0) {
                using T = typename packed<Format>::scale;
                scale = read<T>(group + codes + lane_place<T>(lane) * l.scale_bytes);
                if (l.zeros)
                    zero = read<std::int16_t>(group + codes + panel * l.scale_bytes + 2 * lane);
            }
            if (!(Format.value(code, scale, zero) * factor == back[coded::at(k)])) return false;
        }
    }
    return true;
}

template <auto Format>
void lies_as_stated() {
    for (index_t const rows : {index_t{1}, W + 1, panel, 2 * panel + 3})
        for (index_t const cols : {1, 31, 32, 65, 130, 515}) {
            CAPTURE(rows, cols);
            REQUIRE(lies_as_stated<Format>(rows, cols));
        }
}

} // namespace

TEST_CASE("codes: codes, scales, zero points and factors lie where the layout says") {
    lies_as_stated<int8_rows{}>();
    lies_as_stated<int8_blocks{.size = 64}>();
    lies_as_stated<int4_blocks{}>();
    lies_as_stated<int4_blocks{.size = 128, .zero_point = true}>();
    lies_as_stated<ternary{}>();
    lies_as_stated<mxfp4{}>();
}

TEST_CASE("codes: the numbers of a layout") {
    constexpr code_layout rows{2, 0, 0, false}, groups{4, 64, 2, true};
    STATIC_REQUIRE(rows.step() == 8);
    STATIC_REQUIRE(groups.step() == 4);
    STATIC_REQUIRE(rows.depth(1) == 32);
    STATIC_REQUIRE(rows.depth(96) == 96);
    STATIC_REQUIRE(groups.depth(65) == 128);
    STATIC_REQUIRE(rows.code_bytes(32) == 8 * panel);
    STATIC_REQUIRE(groups.group_bytes() == 32 * panel + 4 * panel);
    STATIC_REQUIRE(rows.at(40) == 10 * panel);
    STATIC_REQUIRE(groups.at(64 + 8) == groups.group_bytes() + 4 * panel);
    STATIC_REQUIRE(groups.scales_at(70) == groups.group_bytes() + 32 * panel);
    STATIC_REQUIRE(groups.zeros_at(70) == groups.group_bytes() + 34 * panel);
    STATIC_REQUIRE(groups.factors_at(100) == 2 * groups.group_bytes());
    for (index_t cols = 1; cols < 700; ++cols) {
        REQUIRE(rows.panel_bytes(cols) % 64 == 0);
        REQUIRE(rows.panel_bytes(cols) >= rows.factors_at(cols) + 4 * panel);
        REQUIRE(rows.panel_bytes(cols) < rows.factors_at(cols) + 4 * panel + 64);
    }
}

TEST_CASE("codes: the nearest whole number, ties to even") {
    for (int i = -9000; i <= 9000; ++i) {
        float const x = static_cast<float>(i) / 16.0f;
        REQUIRE(detail::nearest(x) == static_cast<int>(std::nearbyint(x)));
    }
    CHECK(detail::nearest(4194303.0f) == 4194303);
    CHECK(detail::nearest(-4194302.5f) == -4194302);
}

TEST_CASE("codes: the largest magnitude, wherever it stands") {
    for (std::size_t count = 1; count < 40; ++count)
        for (std::size_t place = 0; place < count; ++place) {
            std::vector<float> x(count, 0.5f);
            x[place] = -2.0f;
            REQUIRE(detail::magnitude(x) == 2.0f);
            x[place] = INFINITY;
            REQUIRE(detail::magnitude(x) == INFINITY);
            x[place] = -NAN;
            REQUIRE(std::isnan(detail::magnitude(x)));
        }
    CHECK(detail::magnitude({}) == 0.0f);
}

TEST_CASE("codes: the unit of a row's scales is a power of two that suits f16") {
    for (float most = 1e-37f; most < 3e38f; most *= 1.7f) {
        float const unit = detail::scale_unit(most);
        int power = 0;
        REQUIRE(std::frexp(unit, &power) == 0.5f);
        REQUIRE(most / unit < 262144.0f); // a seventh of it is below the largest f16
        REQUIRE((most / unit >= 131072.0f || unit == 0x1p-126f));
    }
    CHECK(detail::scale_unit(0.0f) == 1.0f);
    CHECK(detail::scale_unit(1e-44f) == 0x1p-126f);
    CHECK(std::isnan(detail::scale_unit(INFINITY)));
    CHECK(std::isnan(detail::scale_unit(NAN)));
}

TEST_CASE("codes: steps that are no normal numbers make every code a zero") {
    std::vector<float> const x{1, -2, 1e30f};
    for (float const step : {0.0f, 1e-40f, INFINITY, NAN}) {
        std::uint8_t codes[3] = {9, 9, 9};
        detail::round_to(x, step, 7, codes, 8);
        for (int const c : codes) CHECK(c == 8);
    }
    std::uint8_t codes[3];
    detail::round_between(x, 1.0f, -3, 12, codes, 3);
    CHECK(int{codes[0]} == 4);
    CHECK(int{codes[1]} == 1);
    CHECK(int{codes[2]} == 15);
}
