// SPDX-License-Identifier: MIT
#include "prytany/core/scalar.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "support/catch.hpp"

using namespace prytany;

namespace {

struct layout {
    int bits;     // of the significand, the hidden one too
    int least;    // exponent of the smallest subnormal
    int overflow; // 2^overflow is infinity
};
constexpr layout of_bf16{8, -133, 128}, of_f16{11, -24, 16};

// Rounds to the nearest number of the layout, ties to even, in exact double arithmetic.
double rounded(double x, layout const& to) {
    if (!std::isfinite(x) || x == 0) return x;
    int exponent = 0;
    std::frexp(x, &exponent);
    double const unit = std::ldexp(1.0, std::max(exponent - to.bits, to.least));
    double const y = std::nearbyint(x / unit) * unit;
    return std::abs(y) >= std::ldexp(1.0, to.overflow)
               ? std::copysign(std::numeric_limits<double>::infinity(), x)
               : y;
}
// The value of a bit pattern, by the definition of the layout.
double value(std::uint16_t bits, int mantissa_bits, int bias) {
    int const mantissa = bits & ((1 << mantissa_bits) - 1);
    int const top = (1 << (15 - mantissa_bits)) - 1;
    int const exponent = (bits >> mantissa_bits) & top;
    double const sign = bits >> 15 != 0 ? -1 : 1;
    if (exponent == top)
        return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                             : sign * std::numeric_limits<double>::infinity();
    if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

bool same(float got, double wanted) {
    if (std::isnan(wanted)) return std::isnan(got);
    return static_cast<double>(got) == wanted && std::signbit(got) == std::signbit(wanted);
}
template <class T>
bool rounds(float x, layout const& to) {
    return same(static_cast<float>(T(x)), rounded(static_cast<double>(x), to));
}

// Every bit pattern there and back, and the points around every midpoint of two neighbours.
template <class T>
int misses(layout const& to, int bias) {
    int wrong = 0;
    for (std::uint32_t i = 0; i < 65536; ++i) {
        T const x = std::bit_cast<T>(static_cast<std::uint16_t>(i));
        auto const f = static_cast<float>(x);
        if (!same(f, value(x.bits, to.bits - 1, bias))) ++wrong;
        if (std::isnan(f)) {
            if (!std::isnan(static_cast<float>(T(f)))) ++wrong;
            continue;
        }
        if (T(f) != x) ++wrong;
        if ((i & 0x7fff) == 0x7fff || std::isinf(f)) continue;
        auto const next = static_cast<float>(
            rounded(value(static_cast<std::uint16_t>(i + 1), to.bits - 1, bias), to));
        float const edge =
            std::isinf(next)
                ? std::copysign(static_cast<float>(std::ldexp(1.0, to.overflow - 1) *
                                                   (2 - std::ldexp(1.0, -to.bits))),
                                f)
                : static_cast<float>((static_cast<double>(f) + static_cast<double>(next)) / 2);
        for (float const y : {edge, std::nextafter(edge, 0.0f), std::nextafter(edge, next)})
            if (!rounds<T>(y, to)) ++wrong;
    }
    return wrong;
}
template <class T>
int misses_of_random(layout const& to) {
    std::mt19937 engine(5);
    int wrong = 0;
    for (int i = 0; i < 1'000'000; ++i)
        if (!rounds<T>(std::bit_cast<float>(static_cast<std::uint32_t>(engine())), to)) ++wrong;
    return wrong;
}

// A scalar type of a user, and things that are none.
struct fixed_point {
    std::int16_t units = 0;
    fixed_point() = default;
    explicit fixed_point(float x) : units(static_cast<std::int16_t>(x * 256)) {}
    explicit operator float() const { return static_cast<float>(units) / 256; }
};
struct one_way {
    explicit operator float() const { return 0; }
};
struct heavy {
    heavy() = default;
    explicit heavy(float) {}
    heavy(heavy const&) {} // NOLINT: not trivial, on purpose
    explicit operator float() const { return 0; }
};

} // namespace

TEST_CASE("scalar: bf16 is exact there and back, and rounds to nearest even") {
    CHECK(misses<bf16>(of_bf16, 127) == 0);
    CHECK(misses_of_random<bf16>(of_bf16) == 0);
}

TEST_CASE("scalar: f16 is exact there and back, and rounds to nearest even") {
    CHECK(misses<f16>(of_f16, 15) == 0);
    CHECK(misses_of_random<f16>(of_f16) == 0);
}

TEST_CASE("scalar: overflow is infinity, NaN stays NaN with its sign") {
    float const infinity = std::numeric_limits<float>::infinity();
    CHECK(static_cast<float>(f16(65519.996f)) == 65504.0f);
    CHECK(static_cast<float>(f16(65520.0f)) == infinity);
    CHECK(static_cast<float>(f16(-65520.0f)) == -infinity);
    CHECK(static_cast<float>(bf16(std::numeric_limits<float>::max())) == infinity);
    CHECK(f16(0x1p-25f).bits == 0);
    CHECK(f16(std::nextafter(0x1p-25f, 1.0f)).bits == 1);
    CHECK(f16(-0.0f).bits == 0x8000);
    // a NaN whose upper bits are all zero must not become infinity
    auto const low = std::bit_cast<float>(std::uint32_t{0x7f800001u});
    auto const negative = std::bit_cast<float>(std::uint32_t{0xff800001u});
    CHECK(std::isnan(static_cast<float>(bf16(low))));
    CHECK(std::isnan(static_cast<float>(f16(low))));
    CHECK(bf16(negative).bits >> 15 == 1);
    CHECK(f16(negative).bits >> 15 == 1);
}

TEST_CASE("scalar: float, double, bf16, f16 and a user's own are scalars") {
    STATIC_REQUIRE(scalar<float>);
    STATIC_REQUIRE(scalar<double>);
    STATIC_REQUIRE(scalar<bf16>);
    STATIC_REQUIRE(scalar<f16>);
    STATIC_REQUIRE(scalar<fixed_point>);
    STATIC_REQUIRE(!scalar<one_way>);
    STATIC_REQUIRE(!scalar<heavy>);
    STATIC_REQUIRE(!scalar<void*>);
    STATIC_REQUIRE(sizeof(bf16) == 2);
    STATIC_REQUIRE(sizeof(f16) == 2);
    STATIC_REQUIRE(static_cast<float>(f16(1.5f)) == 1.5f); // at compile time too
    STATIC_REQUIRE(static_cast<float>(bf16(-3.0f)) == -3.0f);
}
