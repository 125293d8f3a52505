// SPDX-License-Identifier: MIT
// Four-bit floats: every code with every scale, against the table of the specification.
#include "prytany/io/mxfp4.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"

using namespace prytany;

namespace {

/// E2M1 by its definition: sign, two bits of exponent with bias 1, one bit of mantissa.
double e2m1(unsigned code) {
    unsigned const exponent = code >> 1 & 3u, mantissa = code & 1u;
    double const size = exponent == 0
                            ? 0.5 * mantissa
                            : std::ldexp(1 + 0.5 * mantissa, static_cast<int>(exponent) - 1);
    return code & 8u ? -size : size;
}
std::vector<float> widened(std::vector<std::byte> const& codes,
                           std::vector<std::byte> const& scales) {
    std::vector<float> to(2 * codes.size(), 77.0f);
    io::widen_mxfp4(codes, scales, to);
    return to;
}

} // namespace

TEST_CASE("mxfp4: every code with every scale is exact, and infinite only beyond float's range") {
    index_t wrong = 0, infinite = 0;
    for (unsigned scale = 0; scale < 256; ++scale) {
        std::vector<std::byte> codes, scales(16, std::byte(scale));
        for (unsigned code = 0; code < 256; ++code) codes.push_back(std::byte(code));
        auto const got = widened(codes, scales);
        for (unsigned i = 0; i < 512; ++i) {
            unsigned const code = i % 2 == 0 ? i / 2 & 15u : i / 2 >> 4;
            if (scale == 255) {
                wrong += !std::isnan(got[i]);
                continue;
            }
            double const exact = std::ldexp(e2m1(code), static_cast<int>(scale) - 127);
            bool const beyond = std::abs(exact) > std::numeric_limits<float>::max();
            infinite += beyond;
            float const right = beyond ? std::copysign(std::numeric_limits<float>::infinity(),
                                                       static_cast<float>(e2m1(code)))
                                       : static_cast<float>(exact);
            if (!beyond) wrong += static_cast<double>(right) != exact;
            wrong += std::bit_cast<std::uint32_t>(right) != std::bit_cast<std::uint32_t>(got[i]);
        }
    }
    CHECK(wrong == 0);
    CHECK(infinite == 32 * (8 + 4)); // scale 254: 2, 3, 4, 6, scale 253: 4, 6, either sign
}

TEST_CASE("mxfp4: scales of single numbers") {
    auto const first = [](unsigned code, unsigned scale) {
        return widened(std::vector(16, std::byte(code)), {std::byte(scale)})[0];
    };
    CHECK(first(2, 127) == 1.0f);
    CHECK(first(7, 127) == 6.0f);
    CHECK(first(15, 127) == -6.0f);
    CHECK(std::signbit(first(8, 127)));
    CHECK(first(1, 0) == 0x1p-128f); // subnormal
    CHECK(first(7, 0) == 0x1.8p-125f);
    CHECK(first(3, 254) == 0x1.8p127f);
    CHECK(std::isinf(first(4, 254)));
    CHECK(first(0, 254) == 0.0f);
    CHECK(std::isnan(first(0, 255)));
}

TEST_CASE("mxfp4: each block of 32 has its own scale, the low nibble comes first") {
    std::vector<std::byte> codes(48, std::byte{0x42}); // 1, then 2
    auto const got = widened(codes, {std::byte{127}, std::byte{126}, std::byte{130}});
    float const scales[] = {1.0f, 0.5f, 8.0f};
    for (std::size_t i = 0; i < got.size(); ++i)
        CHECK(got[i] == scales[i / 32] * (i % 2 == 0 ? 1.0f : 2.0f));
    CHECK(widened({}, {}).empty());
}

TEST_CASE("mxfp4: the bytes of gpt-oss's format") {
    std::vector<std::byte> codes(16);
    codes[0] = std::byte{0x21}, codes[1] = std::byte{0x9f};
    codes[2] = std::byte{0x70}, codes[3] = std::byte{0xe8};
    auto const got = widened(codes, {std::byte{126}});
    float const wanted[] = {.25f, .5f, -3, -.25f, 0, 3, -0.0f, -2};
    for (std::size_t i = 0; i < 8; ++i) {
        CHECK(got[i] == wanted[i]);
        CHECK(std::signbit(got[i]) == std::signbit(wanted[i]));
    }
}
