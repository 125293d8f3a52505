// SPDX-License-Identifier: MIT
// UTF-8, and names as errors print them.
#include "support/catch.hpp"

#include <cstdint>

#include "prytany/io/text.hpp"

using namespace prytany;

namespace {

/// The code point as UTF-8 would write it in `size` bytes, be that its shortest form or not.
std::string encoded(std::uint32_t point, int size) {
    if (size == 1) return {static_cast<char>(point)};
    std::string out;
    for (int i = 0; i < size; ++i) {
        std::uint32_t const part = point >> (6 * (size - 1 - i));
        std::uint32_t const mark = i > 0 ? 0x80u : size == 2 ? 0xc0u : size == 3 ? 0xe0u : 0xf0u;
        out += static_cast<char>(mark | (i > 0 ? part & 0x3fu : part));
    }
    return out;
}

} // namespace

TEST_CASE("every code point in its shortest form is UTF-8, a surrogate is not") {
    for (std::uint32_t point = 0; point < 0x110000; ++point) {
        int const size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        bool const good = io::utf8_end(encoded(point, size)) == size;
        bool const surrogate = point >= 0xd800 && point < 0xe000;
        if (good == surrogate) FAIL(point);
    }
}

TEST_CASE("longer forms and larger numbers are not UTF-8") {
    for (std::uint32_t point = 0; point < 0x10000; ++point) {
        if (point < 0x80 && io::utf8_end(encoded(point, 2)) != 0) FAIL(point);
        if (point < 0x800 && io::utf8_end(encoded(point, 3)) != 0) FAIL(point);
        if (io::utf8_end(encoded(point, 4)) != 0) FAIL(point);
    }
    CHECK(io::utf8_end(encoded(0x110000, 4)) == 0);
    CHECK(io::utf8_end("\xf5\x80\x80\x80") == 0);
    CHECK(io::utf8_end("\xff") == 0);
}

TEST_CASE("text ends where a sequence is cut or broken") {
    CHECK(io::utf8_end("") == 0);
    CHECK(io::utf8_end("abc") == 3);
    CHECK(io::utf8_end("ab\xc3") == 2);
    CHECK(io::utf8_end("ab\xe2\x82") == 2);
    CHECK(io::utf8_end("ab\xf0\x9f\x98") == 2);
    CHECK(io::utf8_end("ab\x80") == 2);
    CHECK(io::utf8_end("ab\xc3(") == 2);
    CHECK(io::utf8_end("ab\xe2(\xa1") == 2);
    CHECK(io::utf8_end("ab\xe2\x82(") == 2);
    CHECK(io::utf8_end("ab\xf0\x9f\x98(c") == 2);
}

TEST_CASE("names are printed so that they cannot forge or steer anything") {
    CHECK(io::printable("model.layers.0") == "\"model.layers.0\"");
    CHECK(io::printable("a\"b\\c") == "\"a\\\"b\\\\c\"");
    CHECK(io::printable(std::string_view("\0\n\x1b[31m\x7f\xc3\xa4", 10)) ==
          "\"\\x00\\x0a\\x1b[31m\\x7f\\xc3\\xa4\"");
    CHECK(io::printable(std::string(128, 'x')) == '"' + std::string(128, 'x') + '"');
    CHECK(io::printable(std::string(129, 'x')) == '"' + std::string(128, 'x') + "\"...");
}
