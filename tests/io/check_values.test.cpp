// SPDX-License-Identifier: MIT
// NaN and infinity are found in every type that has them, wherever they are.
#include "support/catch.hpp"

#include <cmath>
#include <limits>

#include "io/files.hpp"
#include "prytany/io/check_values.hpp"
#include "prytany/io/safetensors.hpp"

using namespace prytany;
using files::message;

namespace {

template <class T>
std::string bytes_of(std::vector<T> const& numbers) {
    std::string out(numbers.size() * sizeof(T), '\0');
    std::memcpy(out.data(), numbers.data(), out.size());
    return out;
}
/// What the check says of one tensor of this type with this data.
std::string said(std::string const& type, std::size_t count, std::string const& data) {
    files::folder const here;
    io::safetensors const file{
        here.write("f", files::with("{" +
                                        files::tensor("w", type, "[" + std::to_string(count) + "]",
                                                      "[0," + std::to_string(data.size()) + "]") +
                                        "}",
                                    data))};
    auto const text = message([&] { io::check_values(file); });
    return text.empty() ? text : text.substr(text.find(": ") + 2);
}
std::string bad(int i) {
    return "tensor \"w\": expected finite numbers, got NaN or infinity in element " +
           std::to_string(i);
}

} // namespace

TEST_CASE("NaN and infinity are found in floats of every size") { // S44
    float const inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
    double const wide = std::numeric_limits<double>::infinity();
    CHECK(said("F32", 4, bytes_of<float>({1, -0.0f, 3.4e38f, 1e-45f})).empty());
    CHECK(said("F32", 3, bytes_of<float>({1, nan, 2})) == bad(1));
    CHECK(said("F32", 3, bytes_of<float>({1, 2, -inf})) == bad(2));
    CHECK(said("F64", 2, bytes_of<double>({1e308, -1e-308})).empty());
    CHECK(said("F64", 2, bytes_of<double>({1e308, wide})) == bad(1));
    CHECK(said("C64", 2, bytes_of<float>({1, 2, 3, nan})) == bad(1));
    CHECK(said("C64", 1, bytes_of<float>({1, 2})).empty());
    CHECK(said("F16", 3, bytes_of<std::uint16_t>({0x7bff, 0xfbff, 0x7c00})) == bad(2));
    CHECK(said("F16", 2, bytes_of<std::uint16_t>({0x7bff, 0xfe01})) == bad(1));
    CHECK(said("BF16", 3, bytes_of<std::uint16_t>({0x7f7f, 0xff7f, 0xff80})) == bad(2));
    CHECK(said("F8_E5M2", 3, "\x7b\xfb\x7c") == bad(2));
    CHECK(said("F8_E4M3", 3, "\x7e\xfe\xff") == bad(2));
    CHECK(said("F8_E8M0", 3, std::string("\x00\xfe\xff", 3)) == bad(2));
    CHECK(said("F8_E4M3FNUZ", 3, "\x7f\xff\x80") == bad(2));
    CHECK(said("F8_E5M2FNUZ", 3, "\x7f\xff\x80") == bad(2));
}

TEST_CASE("types without NaN are never at fault") {
    for (std::string const type : {"U8", "I8", "BOOL"}) CHECK(said(type, 2, "\xff\x7f").empty());
    CHECK(said("F4", 4, "\xff\xff").empty());
    CHECK(said("F6_E2M3", 4, "\xff\xff\xff").empty());
    CHECK(said("I64", 1, std::string(8, '\x7f')).empty());
    CHECK(said("F32", 0, "").empty());
}

TEST_CASE("one NaN is found in any piece of a long tensor") {
    for (std::size_t const at : {0u, 4095u, 4096u, 9999u}) {
        std::vector<float> numbers(10'000, 0.5f);
        numbers[at] = std::nanf("");
        CHECK(said("F32", numbers.size(), bytes_of(numbers)) == bad(static_cast<int>(at)));
    }
}
