// SPDX-License-Identifier: MIT
// JSON as events.
#include "support/catch.hpp"

#include "io/files.hpp"
#include "prytany/io/json.hpp"

using namespace prytany;

namespace {

/// Writes down what it is told.
struct scribe {
    std::string out;
    void open_object() { out += '{'; }
    void open_array() { out += '['; }
    void close() { out += ')'; }
    void key(std::string& text) { out += "k:" + text + ' '; }
    void string(std::string& text) { out += "s:" + text + ' '; }
    void number(index_t n) { out += std::to_string(n) + ' '; }
    void other(std::string const& what) { out += "o:" + what + ' '; }
};

std::string told(std::string_view json, index_t base = 0) {
    scribe reader;
    auto const failed = files::message([&] { io::read_json(json, base, "text", reader); });
    return failed.empty() ? reader.out : failed;
}

} // namespace

TEST_CASE("events of every kind of value") {
    CHECK(told(R"({"a":[1,"b",{}],"c":null})") == "{k:a [1 s:b {))k:c o:null )");
    CHECK(
        told("[true,false,-1,0.5,1e3,-0,9223372036854775807,9223372036854775808]") ==
        "[o:true o:false o:-1 o:\"0.5\" o:\"1e3\" o:0 9223372036854775807 o:9223372036854775808 )");
    CHECK(told("18446744073709551616") == "o:\"18446744073709551616\" ");
    CHECK(told("\"\\u00e4\\ud83d\\ude00\"") == "s:\xc3\xa4\xf0\x9f\x98\x80 ");
    CHECK(told(" \t\r\n[ ] ") == "[)");
}

TEST_CASE("what is not JSON is an error that says where") {
    CHECK(told("", 8) == "text: expected JSON, got an error of syntax at byte 8");
    CHECK(told("[1,", 8) == "text: expected JSON, got an error of syntax at byte 11");
    CHECK(told("[01]") == "text: expected JSON, got an error of syntax at byte 2");
    for (char const* bad : {"[1}",    "[1 2]", "{1:2}", "{\"a\"}",  "{\"a\":}", "[,]",  "[1,]",
                            "'a'",    "nul",   "+1",    ".5",       "1.",       "[1]]", "\"\\x\"",
                            "\"\n\"", "\"a",   "NaN",   "Infinity", "//",       "1e999"}) {
        INFO(bad);
        CHECK(told(bad).find("expected JSON") != std::string::npos);
    }
}

TEST_CASE("bytes that the parser would let pass are errors too") {
    CHECK(told(std::string_view("{}\0x", 4), 8) == "text: expected JSON, got a NUL at byte 10");
    CHECK(told("\xef\xbb\xbf{}", 8) == "text: expected JSON, got a byte order mark at byte 8");
    CHECK(told("{}\xff", 8) == "text: expected UTF-8, got something else at byte 10");
}

TEST_CASE("eight levels and no more, without recursion") {
    auto const nested = [](std::size_t n) { return std::string(n, '[').append(n, ']'); };
    CHECK(told(nested(8)) == std::string(8, '[').append(8, ')'));
    CHECK(told(nested(9)) == "text: expected at most 8 levels of JSON, got deeper nesting");
    CHECK(told(std::string(1'000'000, '[')) ==
          "text: expected at most 8 levels of JSON, got deeper nesting");
    CHECK(told("[[[[[[[[]]]]]]],[[[[[[[]]]]]]]]").find("expected") == std::string::npos);
}
