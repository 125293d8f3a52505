// SPDX-License-Identifier: MIT
#include "prytany/kernel/codes.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "prytany/format/dense.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"
#include "support/catch.hpp"
#include "twin/reference.hpp"

using namespace prytany;

namespace {

constexpr auto bytes = activations::int8;
constexpr auto pairs = activations::int16;

/// Bytes of a register.
std::vector<int> bytes_of(simd::words x) {
    alignas(64) std::int8_t all[static_cast<std::size_t>(4 * lanes)];
    x.store_aligned(reinterpret_cast<std::int32_t*>(all));
    return {all, all + 4 * lanes};
}
std::vector<float> floats_of(simd::floats x) {
    std::vector<float> all(static_cast<std::size_t>(lanes));
    simd::store(all.data(), x);
    return all;
}

/// weight / scale = unit · signed_of[code] = unit · (unsigned code - offset), and sums fit 16 bits.
template <auto Format>
void means(int codes, float scale_of_format) {
    using meaning = kernel::meaning<Format>;
    int most = 0;
    for (int c = 0; c < codes; ++c) {
        auto const u = bytes_of(meaning::unsigned_bytes(simd::repeat(c * 0x01010101)));
        for (int const byte : u) REQUIRE(byte == u[0]);
        REQUIRE(u[0] - meaning::offset == meaning::signed_of.of[c]);
        float const unit = meaning::unit * static_cast<float>(meaning::signed_of.of[c]);
        REQUIRE(unit == Format.value(static_cast<std::uint8_t>(c),
                                     typename packed<Format>::scale(scale_of_format), 0));
        REQUIRE(u[0] >= 0);
        REQUIRE(2 * 127 * u[0] < 32768);
        most = std::max(most, std::abs(meaning::signed_of.of[c]));
    }
    CHECK(127 * meaning::chunk / 2 * most < 32768);
    CHECK(meaning::chunk % packed<Format>::layout.step() == 0);
    if (packed<Format>::layout.group > 0) CHECK(packed<Format>::layout.group % meaning::chunk == 0);
}

} // namespace

TEST_CASE("codes: which formats are coded, which round, what their products read") {
    STATIC_REQUIRE(!kernel::coded<dense<float>{}>);
    STATIC_REQUIRE(!kernel::coded<dense<bf16>{}>);
    STATIC_REQUIRE(kernel::coded<int8_rows{}>);
    STATIC_REQUIRE(kernel::coded<ternary{}>);
    STATIC_REQUIRE(!kernel::rounds<dense<f16>{}>());
    STATIC_REQUIRE(!kernel::rounds<int4_blocks{}>());
    STATIC_REQUIRE(kernel::rounds<int4_blocks{.activations = bytes}>());
    STATIC_REQUIRE(kernel::rounds<int8_rows{.activations = pairs}>());
    STATIC_REQUIRE(std::is_same_v<kernel::input_of<dense<bf16>{}>, float>);
    STATIC_REQUIRE(std::is_same_v<kernel::input_of<mxfp4{}>, float>);
    STATIC_REQUIRE(std::is_same_v<kernel::input_of<mxfp4{.activations = bytes}>, std::int8_t>);
    STATIC_REQUIRE(std::is_same_v<kernel::input_of<int8_rows{.activations = bytes}>, std::int16_t>);
    STATIC_REQUIRE(
        std::is_same_v<kernel::input_of<int8_blocks{.activations = pairs}>, std::int16_t>);
}

TEST_CASE("codes: what they mean, signed and unsigned") {
    means<int4_blocks{}>(16, 1.0f);
    means<int4_blocks{.size = 64}>(16, 1.0f);
    means<int4_blocks{.size = 32, .zero_point = true}>(16, 1.0f);
    means<int4_blocks{.size = 128, .zero_point = true}>(16, 1.0f);
    means<ternary{}>(3, 1.0f);
    means<mxfp4{}>(16, 1.0f);
}

TEST_CASE("codes: the sets of a register") {
    alignas(64) std::uint32_t from[static_cast<std::size_t>(lanes)];
    std::uint32_t x = 1;
    for (auto& w : from) w = x = x * 1664525u + 1013904223u;
    auto const all = simd::load_words(from);
    auto const is = [&](simd::words got, int shift, unsigned mask) {
        auto const some = bytes_of(got);
        std::uint8_t raw[sizeof from];
        std::memcpy(raw, from, sizeof from);
        for (std::size_t i = 0; i < some.size(); ++i)
            if (static_cast<unsigned>(some[i]) != ((unsigned{raw[i]} >> shift) & mask))
                return false;
        return true;
    };
    CHECK(is(kernel::detail::code_bytes<4, 0>(all), 0, 15));
    CHECK(is(kernel::detail::code_bytes<4, 1>(all), 4, 15));
    CHECK(is(kernel::detail::code_bytes<2, 0>(all), 0, 3));
    CHECK(is(kernel::detail::code_bytes<2, 1>(all), 2, 3));
    CHECK(is(kernel::detail::code_bytes<2, 2>(all), 4, 3));
    CHECK(is(kernel::detail::code_bytes<2, 3>(all), 6, 3));
    for (std::size_t i = 0; i < static_cast<std::size_t>(lanes); ++i) {
        auto const byte = [&](int n) {
            return static_cast<float>(static_cast<std::int8_t>(from[i] >> (8 * n)));
        };
        REQUIRE(floats_of(kernel::detail::signed_byte<0>(all))[i] == byte(0));
        REQUIRE(floats_of(kernel::detail::signed_byte<1>(all))[i] == byte(1));
        REQUIRE(floats_of(kernel::detail::signed_byte<2>(all))[i] == byte(2));
        REQUIRE(floats_of(kernel::detail::signed_byte<3>(all))[i] == byte(3));
    }
}

TEST_CASE("codes: scales and zero points of a group, in the order of outputs") {
    constexpr int4_blocks format{.size = 64, .zero_point = true};
    packed<format> w(panel_lanes, 64);
    packed<mxfp4{}> v(panel_lanes, 32);
    for (index_t r = 0; r < panel_lanes; ++r) {
        auto const zero = static_cast<int>(r % 16);
        std::vector<float> row(64, static_cast<float>(-zero)), other(32, 1.0f);
        row[3] = static_cast<float>(15 - zero); // a step of 1
        other[1] = std::ldexp(4.0f, static_cast<int>(r % 5));
        w.pack(r, row);
        v.pack(r, other);
    }
    auto const s = kernel::detail::group_scales<format>(w.panel(0));
    auto const z = kernel::detail::group_zeros<format>(w.panel(0));
    auto const pair = kernel::detail::zero_pairs<format>(w.panel(0));
    auto const h = kernel::detail::group_scales<mxfp4{}>(v.panel(0));
    for (index_t r = 0; r < panel_lanes; ++r) {
        auto const lane = static_cast<std::size_t>(r % lanes);
        bool const low = r < lanes;
        float const unit = floats_of(low ? s.low : s.high)[lane];
        int power = 0;
        CHECK(std::frexp(unit, &power) == 0.5f); // 1 over a power of two
        CHECK(floats_of(low ? z.low : z.high)[lane] == static_cast<float>(r % 16));
        CHECK(floats_of(low ? h.low : h.high)[lane] ==
              0.5f * std::ldexp(1.0f, static_cast<int>(r % 5)));
        auto const both = bytes_of(pair[low ? 0 : 1]);
        CHECK(both[4 * lane] == r % 16);
        CHECK(both[4 * lane + 2] == r % 16);
        CHECK(both[4 * lane + 1] + both[4 * lane + 3] == 0);
    }
}
