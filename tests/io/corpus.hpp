// SPDX-License-Identifier: MIT
// Safetensors files that must be refused, with what the error must say, and some to be taken.
#pragma once

#include <string>
#include <vector>

#include "io/files.hpp"

namespace corpus {

using files::length;
using files::tensor;
using files::with;
using files::zeros;

struct bad {
    std::string id, bytes;
    std::vector<std::string> says;
};

/// A file with one F32 tensor "a" of two numbers, its three fields as given.
inline std::string one(std::string const& type, std::string const& shape,
                       std::string const& offsets, std::size_t data = 8) {
    return with("{" + tensor("a", type, shape, offsets) + "}", zeros(data));
}
inline std::string two(std::string const& first, std::string const& second, std::size_t data) {
    return with("{" + tensor("a", "U8", "[4]", first) + "," + tensor("b", "U8", "[4]", second) +
                    "}",
                zeros(data));
}
inline std::string fields(std::string const& text) {
    return with("{\"a\":{" + text + "}}", zeros(8));
}

inline std::vector<bad> all_bad() {
    std::string const good = tensor("a", "F32", "[2]", "[0,8]"), whole = "whole number";
    std::string const deep = "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":";
    std::string const big = "18446744073709551615";
    return {
        {"S01", "", {"at least 8 bytes", "got 0"}},
        {"S02", "1234567", {"at least 8 bytes", "got 7"}},
        {"S03", length(0), {"JSON", "byte 8"}},
        {"S04", length(~0ull), {"at most 100000000 bytes", "got " + big}},
        {"S05", length(100'000'001), {"at most 100000000 bytes", "got 100000001"}},
        {"S06", length(10) + "{}", {"the file's 2 other bytes", "got 10"}},
        {"S07", length(1000) + zeros(92), {"the file's 92 other bytes", "got 1000"}},
        {"S08", length(1ull << 63), {"at most 100000000 bytes", "got 9223372036854775808"}},
        {"S09", with("\xff"), {"UTF-8", "byte 8"}},
        {"S10 overlong", with("{\"\xc0\xaf\":0}"), {"UTF-8", "byte 10"}},
        {"S10 surrogate", with("{\"\xed\xa0\x80\":0}"), {"UTF-8", "byte 10"}},
        {"S10 escape", with("{\"\\ud800\":{}}"), {"JSON"}},
        {"S11", with("{"), {"JSON", "byte 9"}},
        {"S12", with("[]"), {"a JSON object", "an array"}},
        {"S12 string", with("\"a\""), {"a JSON object", "\"a\""}},
        {"S12 number", with("3"), {"a JSON object", "got 3"}},
        {"S12 null", with("null"), {"a JSON object", "got null"}},
        {"S13", with("{}x"), {"JSON", "byte 10"}},
        {"S13 two", with("{}{}"), {"JSON", "byte 10"}},
        {"S13 NUL", with("{}" + zeros(6)), {"JSON", "a NUL at byte 10"}},
        {"S13 mark", with("\xef\xbb\xbf{}"), {"JSON", "byte order mark"}},
        {"S13 comment", with("{}/**/"), {"JSON"}},
        {"S13 comma", with("{" + good + ",}", zeros(8)), {"JSON"}},
        {"S14", fields(deep + std::string(100'000, '[')), {"at most 8 levels", "deeper"}},
        {"S14 closed",
         fields(deep + std::string(7, '[') + std::string(7, ']')),
         {"at most 8 levels"}},
        {"S15",
         with("{" + good + "," + tensor("a", "F32", "[2]", "[8,16]") + "}", zeros(16)),
         {"tensor \"a\"", "every name once", "twice"}},
        {"S15 same", with("{" + good + "," + good + "}", zeros(8)), {"tensor \"a\"", "overlap"}},
        {"S15 empty",
         with("{" + tensor("a", "U8", "[0]", "[0,0]") + "," + tensor("a", "I8", "[0]", "[0,0]") +
              "}"),
         {"tensor \"a\"", "every name once", "twice"}},
        {"S15 escaped",
         with("{" + good + "," + tensor("\\u0061", "F32", "[2]", "[8,16]") + "}", zeros(16)),
         {"tensor \"a\"", "every name once"}},
        {"S16",
         fields("\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]"),
         {"tensor \"a\"", "every field once", "shape twice"}},
        {"S16 dtype",
         fields("\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]"),
         {"every field once", "dtype twice"}},
        {"S17", with("{\"__metadata__\":{},\"__metadata__\":{}}"), {"one __metadata__", "two"}},
        {"S17 key",
         with("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}"),
         {"every key once", "\"a\""}},
        {"S18", with("{\"__metadata__\":{\"a\":3}}"), {"__metadata__ \"a\"", "a string", "got 3"}},
        {"S18 object",
         with("{\"__metadata__\":{\"a\":{}}}"),
         {"__metadata__", "a string", "an object"}},
        {"S18 array",
         with("{\"__metadata__\":{\"a\":[]}}"),
         {"__metadata__", "a string", "an array"}},
        {"S18 all", with("{\"__metadata__\":7}"), {"__metadata__", "an object", "got 7"}},
        {"S18 null", with("{\"__metadata__\":null}"), {"__metadata__", "an object", "got null"}},
        {"S19", fields("\"shape\":[2],\"data_offsets\":[0,8]"), {"tensor \"a\"", "a field dtype"}},
        {"S19 F33", one("F33", "[2]", "[0,8]"), {"tensor \"a\"", "a dtype", "\"F33\""}},
        {"S19 number",
         fields("\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,8]"),
         {"dtype", "a string", "got 32"}},
        {"S19 object",
         fields("\"dtype\":{\"F32\":null},\"shape\":[2],\"data_offsets\":[0,8]"),
         {"dtype", "a string", "an object"}},
        {"S20", one("f32", "[2]", "[0,8]"), {"tensor \"a\"", "a dtype", "\"f32\""}},
        {"S21",
         fields("\"dtype\":\"F32\",\"data_offsets\":[0,8]"),
         {"tensor \"a\"", "a field shape"}},
        {"S21 string", one("F32", "\"2\"", "[0,8]"), {"shape", "an array", "\"2\""}},
        {"S21 negative", one("F32", "[-1]", "[0,8]"), {"shape", whole, "got -1"}},
        {"S21 minus zero", one("F32", "[-0]", "[0,0]", 0), {"shape", whole, "got 0"}},
        {"S21 nested", one("F32", "[[2]]", "[0,8]"), {"shape", whole, "an array"}},
        {"S21 text", one("F32", "[\"2\"]", "[0,8]"), {"shape", whole, "\"2\""}},
        {"S21 true", one("F32", "[true]", "[0,4]", 4), {"shape", whole, "got true"}},
        {"S22", one("F32", "[1.5]", "[0,8]"), {"shape", whole, "\"1.5\""}},
        {"S22 exponent", one("F32", "[1e3]", "[0,4000]", 4000), {"shape", whole, "\"1e3\""}},
        {"S22 point", one("F32", "[2.0]", "[0,8]"), {"shape", whole, "\"2.0\""}},
        {"S23",
         one("F32", "[18446744073709551616]", "[0,8]"),
         {"shape", whole, "18446744073709551616"}},
        {"S24", one("F32", "[2,18446744073709551614]", "[0,8]"), {"shape", whole}},
        {"S24 signed", one("U8", "[3,9223372036854775807]", "[0,8]"), {"fits 63 bits"}},
        {"S25", one("F32", "[2,9223372036854775807]", "[0,8]"), {"fits 63 bits", "F32 [2, 92233"}},
        {"S25 bytes", one("F32", "[4611686018427387904]", "[0,0]", 0), {"fits 63 bits"}},
        {"S26", one("F32", "[4294967296,4294967296]", "[0,0]", 0), {"fits 63 bits"}},
        {"S27", one("F32", "[0,9223372036854775808,4]", "[0,0]", 0), {"shape", whole}},
        {"S27 product", one("F32", "[9223372036854775807,2,0]", "[0,0]", 0), {"fits 63 bits"}},
        {"S28", one("F4", "[3]", "[0,1]", 1), {"whole bytes", "F4 [3]"}},
        {"S28 six", one("F6_E2M3", "[2]", "[0,1]", 1), {"whole bytes", "F6_E2M3 [2]"}},
        {"S29", one("F32", "[2]", "[8]"), {"data_offsets", "2 numbers", "got 1"}},
        {"S29 three", one("F32", "[2]", "[0,8,8]"), {"data_offsets", "2 numbers", "got 3"}},
        {"S29 none", one("F32", "[2]", "[]"), {"data_offsets", "2 numbers", "got 0"}},
        {"S29 missing", fields("\"dtype\":\"F32\",\"shape\":[2]"), {"a field data_offsets"}},
        {"S30", one("F32", "[2]", "[8,0]"), {"tensor \"a\"", "begin before end", "[8, 0]"}},
        {"S31", one("F32", "[2]", "[-8,0]"), {"data_offsets", whole, "got -8"}},
        {"S32", one("F32", "[4]", "[0,16]"), {"tensor \"a\"", "byte 16", "ends 8 bytes earlier"}},
        {"S33",
         one("F32", "[2]", "[9223372036854775799,9223372036854775807]"),
         {"tensor \"a\"", "inside the file"}},
        {"S33 wrap",
         one("F32", "[2]", "[18446744073709551600,18446744073709551608]"),
         {"data_offsets", whole}},
        {"S34", two("[0,4]", "[0,4]", 4), {"tensor", "\"a\"", "\"b\"", "overlap"}},
        {"S35", two("[0,4]", "[3,7]", 7), {"tensor \"b\"", "that of \"a\"", "overlap at byte 3"}},
        {"S36", two("[0,4]", "[5,9]", 9), {"tensor \"b\"", "byte 4", "gap up to byte 5"}},
        {"S37", one("F32", "[1]", "[4,8]"), {"tensor \"a\"", "byte 0", "gap up to byte 4"}},
        {"S38", one("F32", "[2]", "[0,4]", 4), {"tensor \"a\"", "8 bytes for F32 [2]", "got 4"}},
        {"S39", one("F32", "[2]", "[0,12]", 12), {"8 bytes for F32 [2]", "got 12"}},
        {"S39 empty", one("F32", "[0]", "[0,4]", 4), {"0 bytes for F32 [0]", "got 4"}},
        {"S40", one("F32", "[2]", "[0,8]") + "PK\3\4", {"end of the file", "4 more bytes"}},
        {"S40 alone", with("{}", "x"), {"end of the file", "1 more bytes"}},
        {"S41", one("F32", "[2]", "[0,8]", 6), {"tensor \"a\"", "byte 8", "ends 2 bytes earlier"}},
        {"S43",
         with("{" + tensor(std::string(1 << 20, 'n'), "F32", "[2]", "[0,8]") + "}", zeros(8)),
         {"at most 4096 bytes", "got 1048576", "nnn\"..."}},
        {"list", with("{\"a\":[\"F32\",[2],[0,8]]}", zeros(8)), {"tensor \"a\"", "an object"}},
        {"text", with("{\"a\":\"\"}"), {"tensor \"a\"", "an object"}},
        {"forged",
         with("{" + tensor("x\\nerror: \\u001b[31m\\u0000../", "F33", "[2]", "[0,8]") + "}",
              zeros(8)),
         {"\"x\\x0aerror: \\x1b[31m\\x00../\""}},
    };
}

struct good {
    std::string id, bytes;
    std::size_t tensors;
};

inline std::vector<good> all_good() {
    std::string const a = tensor("a", "F32", "[2]", "[0,8]");
    return {
        {"plain", with("{" + a + "}", zeros(8)), 1},
        {"empty", with("{}"), 0},
        {"padded", with("{}      "), 0},
        {"S45 spaces", with(" \n\t\r{" + a + "}\n", zeros(8)), 1},
        {"odd offsets",
         with("{" + tensor("b", "U8", "[3]", "[0,3]") + "," + tensor("a", "F64", "[2]", "[3,19]") +
                  "}",
              zeros(19)),
         2},
        {"scalar", with("{" + tensor("s", "F32", "[]", "[0,4]") + "}", zeros(4)), 1},
        {"no elements",
         with("{" + tensor("e", "F32", "[3,0,2]", "[0,0]") + "," + a + "," +
                  tensor("f", "F32", "[0]", "[8,8]") + "}",
              zeros(8)),
         3},
        {"S27", with("{" + tensor("e", "F32", "[0,1152921504606846976,4]", "[0,0]") + "}"), 1},
        {"S28 even", with("{" + tensor("e", "F4", "[3,2]", "[0,3]") + "}", zeros(3)), 1},
        {"S28 four", with("{" + tensor("e", "F6_E3M2", "[4]", "[0,3]") + "}", zeros(3)), 1},
        {"S43", with("{" + tensor("../a\\u0000\\n\\u001b", "F32", "[2]", "[0,8]") + "}", zeros(8)),
         1},
        {"S43 none", with("{" + tensor("", "F32", "[2]", "[0,8]") + "}", zeros(8)), 1},
        {"metadata",
         with("{\"__metadata__\":{\"format\":\"pt\",\"\":\"\\u00e4\"}," + a + "}", zeros(8)), 1},
        {"unknown field",
         with("{\"a\":{\"x\":[1.5,{\"dtype\":null}],\"dtype\":\"F32\",\"y\":-1,\"shape\":[2],"
              "\"data_offsets\":[0,8],\"z\":{\"shape\":\"\"}}}",
              zeros(8)),
         1},
        {"deep",
         with("{\"a\":{\"x\":[[[[[[]]]]]],\"dtype\":\"F32\",\"shape\":[2],"
              "\"data_offsets\":[0,8]}}",
              zeros(8)),
         1},
    };
}

} // namespace corpus
