// SPDX-License-Identifier: MIT
// The header of a safetensors file: what is refused, what is taken, and that nothing else happens.
#include "support/catch.hpp"

#include <ctime>

#include "io/corpus.hpp"

using namespace prytany;
using files::message;
using files::parse;

namespace {

/// Everything that a reader relies on afterwards.
bool is_valid(io::safetensors_header const& h, std::string const& bytes) {
    index_t const size = std::ssize(bytes);
    index_t sum = 0, length = 0;
    std::memcpy(&length, bytes.data(), 8);
    for (std::size_t i = 0; i < h.tensors.size(); ++i) {
        auto const& t = h.tensors[i];
        if (t.offset < 8 + length || t.bytes < 0 || t.offset > size || t.bytes > size - t.offset)
            return false;
        if (t.count() * io::bits_of(t.type) != t.bytes * 8) return false;
        if (i > 0 && !(h.tensors[i - 1].name < t.name)) return false;
        sum += t.bytes;
    }
    return 8 + length + sum == size; // with no overlap: every byte has one owner
}

} // namespace

TEST_CASE("every bad header is refused, and the error says why") {
    for (auto const& [id, bytes, says] : corpus::all_bad()) {
        auto const text = message([&, &b = bytes] { parse(b); });
        INFO(id << ": " << text);
        CHECK(text.rfind("file", 0) == 0);
        CHECK(text.size() < 500);
        for (auto const& part : says) CHECK(text.find(part) != text.npos);
        for (char const c : text) REQUIRE((c >= 0x20 && c < 0x7f));
    }
}

TEST_CASE("every good header is taken, and every strict prefix of its file is refused") {
    for (auto const& [id, bytes, count] : corpus::all_good()) {
        INFO(id);
        auto const header = parse(bytes);
        CHECK(header.tensors.size() == count);
        CHECK(is_valid(header, bytes));
        for (std::size_t n = 0; n < bytes.size(); ++n)
            CHECK_THROWS_AS(parse(bytes.substr(0, n)), error);
    }
}

TEST_CASE("a header says what the file says") {
    auto const h = parse(files::with("{\"__metadata__\":{\"format\":\"pt\"}," +
                                         files::tensor("b", "BF16", "[3,2]", "[0,12]") + "," +
                                         files::tensor("a", "I64", "[1]", "[12,20]") + "}",
                                     files::zeros(20)));
    REQUIRE(h.tensors.size() == 2);
    index_t const data = h.tensors[1].offset;
    CHECK(h.tensors[0] == io::stored{"a", io::element::i64, {1}, data + 12, 8});
    CHECK(h.tensors[1] == io::stored{"b", io::element::bf16, {3, 2}, data, 12});
    CHECK(h.metadata == io::string_map{{"format", "pt"}});
}

TEST_CASE("every dtype of the format is known by its size") {
    for (std::size_t i = 0; i < std::size(io::elements); ++i) {
        auto const [name, bits] = io::elements[i];
        auto const size = static_cast<std::size_t>(bits);
        auto const bytes = files::with(
            "{" + files::tensor("a", std::string(name), "[8]", "[0," + std::to_string(size) + "]") +
                "}",
            files::zeros(size));
        CHECK(parse(bytes).tensors.at(0).type == static_cast<io::element>(i));
    }
}

TEST_CASE("a million tensors on the same bytes are refused within seconds") { // S42
    std::string json = "{";
    for (int i = 0; i < 1'000'000; ++i)
        json += (i > 0 ? "," : "") + files::tensor("t" + std::to_string(i), "U8", "[16]", "[0,16]");
    json += "}";
    auto const size = std::ssize(json) + 8 + 16;
    std::clock_t const start = std::clock();
    auto const text = message([&] { io::safetensors_header::parse(json, size, "file"); });
    double const seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    CHECK(text.find("overlap") != text.npos);
    CHECK(seconds <= 3.0 * files::patience); // 0.7 to 1.4 of JSON parsing; pairs would take hours
}

TEST_CASE("a mutated header is refused with an error or describes its file") {
    std::vector<std::string> const words = {"{",
                                            "}",
                                            "[",
                                            "]",
                                            ",",
                                            ":",
                                            "\"",
                                            "\\",
                                            "0",
                                            "-1",
                                            "1e3",
                                            "0.5",
                                            "null",
                                            "true",
                                            "18446744073709551615",
                                            "18446744073709551616",
                                            "9223372036854775807",
                                            "4294967296",
                                            "\"dtype\"",
                                            "\"shape\"",
                                            "\"data_offsets\"",
                                            "\"__metadata__\"",
                                            "\"F32\"",
                                            "\"F4\"",
                                            "\"BOOL\"",
                                            "\\u0000",
                                            "\\ud800",
                                            "\xef\xbb\xbf",
                                            "\xc0\x80",
                                            " ",
                                            std::string(1, '\0'),
                                            "[0,8]",
                                            "[0,0]"};
    auto const seeds = corpus::all_good();
    files::dice roll(1);
    int taken = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string json = seeds[roll(seeds.size())].bytes, data;
        std::uint64_t length = 0;
        std::memcpy(&length, json.data(), 8);
        data = json.substr(8 + length);
        json = json.substr(8, length);
        for (std::size_t n = 1 + roll(3); n > 0; --n) {
            std::size_t const at = roll(json.size() + 1);
            switch (roll(6)) {
            case 0:
                json.insert(at, words[roll(words.size())]);
                break;
            case 1:
                json.erase(at, 1 + roll(4));
                break;
            case 2:
                json.replace(at, 1, words[roll(words.size())]);
                break;
            case 3:
                json.insert(at, json.substr(roll(json.size() + 1), 1 + roll(30)));
                break;
            case 4:
                if (at < json.size()) json[at] = static_cast<char>(roll(256));
                break;
            default: // another digit in the place of one
                if (auto const digit = json.find_first_of("0123456789", at); digit != json.npos)
                    json[digit] = static_cast<char>('0' + roll(10));
            }
        }
        if (roll(8) == 0) data.resize(roll(40));
        std::string const bytes =
            roll(16) == 0 ? files::length(roll(400)) + json + data : files::with(json, data);
        try {
            auto const header = parse(bytes);
            ++taken;
            REQUIRE(is_valid(header, bytes));
        } catch (error const& e) {
            REQUIRE(e.subject().rfind("file", 0) == 0);
        }
    }
    CHECK(taken > 200); // or the mutations test nothing but the parser of JSON
}
