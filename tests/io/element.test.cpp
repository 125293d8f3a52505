// SPDX-License-Identifier: MIT
// The number types of files, against arithmetic done another way.
#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "io/files.hpp"
#include "prytany/io/element.hpp"

using namespace prytany;
using io::element;

namespace {

template <class T>
std::vector<float> floats_of(element type, std::vector<T> const& numbers) {
    std::vector<std::byte> raw(1 + numbers.size() * sizeof(T)); // from an odd address
    if (!numbers.empty()) std::memcpy(raw.data() + 1, numbers.data(), raw.size() - 1);
    std::vector<float> out(numbers.size());
    io::to_floats(type, std::span<std::byte const>(raw).subspan(1), out);
    return out;
}

/// The value of a float of `fraction` bits below an exponent of `exponent` bits, by its definition.
double value_of(unsigned bits, int exponent, int fraction) {
    int const bias = (1 << (exponent - 1)) - 1;
    int const e = static_cast<int>(bits >> fraction) & ((1 << exponent) - 1);
    double const f = static_cast<double>(bits & ((1u << fraction) - 1)) / (1 << fraction);
    double const sign = (bits >> (exponent + fraction)) != 0 ? -1 : 1;
    if (e == (1 << exponent) - 1)
        return f != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
    return sign * (e == 0 ? std::ldexp(f, 1 - bias) : std::ldexp(1 + f, e - bias));
}

} // namespace

TEST_CASE("types have the names and sizes of the format") {
    for (std::size_t i = 0; i < std::size(io::elements); ++i) {
        auto const type = static_cast<element>(i);
        CHECK(io::element_named(io::name_of(type)) == type);
        if (i > 0 && io::bits_of(static_cast<element>(i - 1)) > 8)
            CHECK(io::bits_of(static_cast<element>(i - 1)) <=
                  io::bits_of(type)); // falling alignment
        io::with_number(
            type, [&]<class T>(T) { CHECK(sizeof(T) * 8 == std::size_t(io::bits_of(type))); });
    }
    CHECK(std::size(io::elements) == static_cast<std::size_t>(element::u64) + 1);
    CHECK(io::name_of(element::bf16) == "BF16");
    CHECK(io::name_of(element::boolean) == "BOOL");
    CHECK(io::name_of(element::f8_e5m2fnuz) == "F8_E5M2FNUZ");
    CHECK(io::bits_of(element::f4) == 4);
    CHECK_FALSE(io::element_named("bf16"));
    CHECK_FALSE(io::element_named(""));
}

TEST_CASE("all values of F16 and BF16 become the floats that their definition says") {
    std::vector<std::uint16_t> all(65536);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
    using kind = std::tuple<element, int, int>;
    for (auto const& [type, exponent, fraction] :
         {kind{element::f16, 5, 10}, {element::bf16, 8, 7}}) {
        auto const out = floats_of(type, all);
        for (std::size_t i = 0; i < all.size(); ++i) {
            double const want = value_of(all[i], exponent, fraction);
            bool const same = std::isnan(want) ? std::isnan(out[i])
                                               : double(out[i]) == want &&
                                                     std::signbit(out[i]) == std::signbit(want);
            if (!same) FAIL(io::name_of(type) << ' ' << i);
        }
    }
}

TEST_CASE("integers, F32, F64 and BOOL become floats, rounding to nearest even") {
    using floats = std::vector<float>;
    CHECK(floats_of<std::int8_t>(element::i8, {-128, -1, 0, 127}) == floats{-128, -1, 0, 127});
    CHECK(floats_of<std::uint8_t>(element::u8, {0, 1, 255}) == floats{0, 1, 255});
    CHECK(floats_of<std::int16_t>(element::i16, {-32768, 32767}) == floats{-32768, 32767});
    CHECK(floats_of<std::uint16_t>(element::u16, {65535}) == floats{65535});
    CHECK(floats_of<std::int32_t>(element::i32, {-2147483647 - 1, 16777217, 16777219}) ==
          floats{-2147483648.0f, 16777216, 16777220});
    CHECK(floats_of<std::uint32_t>(element::u32, {4294967295u}) == floats{4294967296.0f});
    CHECK(floats_of<std::int64_t>(element::i64, {std::numeric_limits<std::int64_t>::min(), -3}) ==
          floats{-9223372036854775808.0f, -3});
    CHECK(floats_of<std::uint64_t>(element::u64, {~std::uint64_t{0}}) ==
          floats{18446744073709551616.0f});
    CHECK(floats_of<std::uint8_t>(element::boolean, {0, 1, 2, 255}) == floats{0, 1, 1, 1});
    CHECK(floats_of<float>(element::f32, {-0.0f, 1e-40f, 3e38f}) == floats{-0.0f, 1e-40f, 3e38f});
    CHECK(floats_of<double>(element::f64, {0.1, 1 + 0x1p-24, 1 + 0x3p-24, -1e300}) ==
          floats{0.1f, 1, 1 + 0x1p-22f, -HUGE_VALF});
    CHECK(std::isnan(floats_of<double>(element::f64, {std::nan("")})[0]));
}

TEST_CASE("types without a C++ number are an error that names them") {
    for (auto const type :
         {element::f4, element::f6_e2m3, element::f6_e3m2, element::f8_e5m2, element::f8_e4m3,
          element::f8_e8m0, element::f8_e4m3fnuz, element::f8_e5m2fnuz, element::c64}) {
        CHECK_FALSE(io::reads_as_float(type));
        auto const text = files::message([&] { floats_of<std::uint8_t>(type, {0}); });
        CHECK(text.find(std::string(io::name_of(type))) != text.npos);
    }
}

TEST_CASE("floats that are written come back rounded, or are an error") {
    std::vector<float> const in{1.0f, -0.333333f, 65504.0f, 1e-7f, HUGE_VALF, 0.0f};
    for (auto const type : {element::f64, element::f32, element::f16, element::bf16}) {
        std::vector<std::byte> raw(in.size() * static_cast<std::size_t>(io::bits_of(type)) / 8);
        io::from_floats(type, in, raw);
        std::vector<float> out(in.size());
        io::to_floats(type, raw, out);
        for (std::size_t i = 0; i < in.size(); ++i) {
            float want = in[i];
            if (type == element::f16) want = float(f16(in[i]));
            if (type == element::bf16) want = float(bf16(in[i]));
            CHECK(out[i] == want);
        }
    }
    std::vector<std::byte> raw(2);
    auto const fails = [&](element type, float x) {
        return files::message([&] { io::from_floats(type, std::span(&x, 1), raw); });
    };
    CHECK(fails(element::f16, 65520.0f) ==
          "floats to write: expected numbers in the range of F16, got 65520.000000");
    CHECK(fails(element::f16, 65519.0f).empty());
    CHECK(fails(element::f16, -HUGE_VALF).empty());
    CHECK(fails(element::bf16, 3.4e38f).find("range of BF16") != std::string::npos);
    CHECK(fails(element::i16, 1).find("F64, F32, F16 or BF16, got I16") != std::string::npos);
}
