// SPDX-License-Identifier: MIT
// Tensors out of a file: both ways of reading it, every type, any offset.
#include "support/catch.hpp"

#include <cmath>

#include "io/corpus.hpp"
#include "prytany/io/safetensors.hpp"

using namespace prytany;
using files::message;

namespace {

constexpr io::access both[] = {io::access::read, io::access::map};

} // namespace

TEST_CASE("every bad file is refused in both ways of reading it") {
    files::folder const here;
    for (auto const& [id, bytes, says] : corpus::all_bad()) {
        std::string const path = here.write("bad", bytes);
        for (auto const how : both) {
            auto const text = message([&] { io::safetensors{path, how}; });
            INFO(id << ": " << text);
            CHECK(text.rfind(path, 0) == 0);
            for (auto const& part : says) CHECK(text.find(part) != text.npos);
        }
    }
}

TEST_CASE("a header above the limit is refused also where the file has the bytes") { // S05
    files::folder const here;
    std::string const path = here.write("long", files::length(100'000'001));
    std::filesystem::resize_file(path, 100'000'009);
    CHECK(message([&] {
              io::safetensors{path};
          }).find("a header of at most 100000000 bytes, got 100000001") != std::string::npos);
    std::string const less = here.write("short", files::with("{}      "));
    CHECK(message([&] {
              io::safetensors{less, io::access::read, {.header_bytes = 7}};
          }).find("at most 7 bytes, got 8") != std::string::npos);
}

TEST_CASE("every good file is taken, and every strict prefix of it is refused") {
    files::folder const here;
    for (auto const& [id, bytes, count] : corpus::all_good()) {
        INFO(id);
        for (auto const how : both) {
            io::safetensors const file{here.write("good", bytes), how};
            CHECK(std::size(file.tensors()) == count);
            if (count > 2) continue;
            for (std::size_t n = 0; n < bytes.size(); ++n) {
                std::string const part = here.write("part", bytes.substr(0, n));
                REQUIRE_THROWS_AS((io::safetensors{part, how}), error);
            }
        }
    }
}

TEST_CASE("numbers of every type, at odd offsets, are the same in both ways") {
    std::string json, data = "x"; // one byte before the rest makes every offset odd
    json = "{" + files::tensor("first", "U8", "[1]", "[0,1]");
    files::dice roll(7);
    for (auto const& [name, bits] : io::elements) {
        std::size_t const begin = data.size(), bytes = 40 * static_cast<std::size_t>(bits) / 8;
        for (std::size_t i = 0; i < bytes; ++i) data += static_cast<char>(roll(256));
        json += "," + files::tensor(std::string(name), std::string(name), "[5,8]",
                                    "[" + std::to_string(begin) + "," +
                                        std::to_string(data.size()) + "]");
    }
    files::folder const here;
    std::string const path = here.write("odd", files::with(json + "}", data));
    io::safetensors const read{path}, mapped{path, io::access::map};
    CHECK_FALSE(read.is_mapped());
    CHECK(mapped.is_mapped());
    for (io::stored const& t : read.tensors()) {
        INFO(t.name);
        REQUIRE(*mapped.find(t.name) == t);
        std::vector<std::byte> a(static_cast<std::size_t>(t.bytes)), b(a.size());
        read.read_bytes(t, 0, a);
        mapped.read_bytes(t, 0, b);
        auto const at = static_cast<std::size_t>(t.offset - 8 - std::ssize(json) - 1);
        CHECK(std::memcmp(a.data(), data.data() + at, a.size()) == 0);
        CHECK(a == b);
        auto const count = static_cast<std::size_t>(t.count());
        std::vector<float> x(count), y(count), z(count);
        if (!io::reads_as_float(t.type)) {
            for (auto const* file : {&read, &mapped})
                CHECK(message([&] { file->read(t, 0, x); }) ==
                      path + ": tensor \"" + t.name +
                          "\": expected a dtype that converts to float, got " + t.text());
            continue;
        }
        read.read(t, 0, x);
        mapped.read(t, 0, y);
        io::to_floats(t.type, a, z);
        CHECK(std::memcmp(x.data(), y.data(), count * 4) == 0);
        CHECK(std::memcmp(x.data(), z.data(), count * 4) == 0);
        for (std::size_t first = 0; first < count; first += 7) { // any part is the same numbers
            std::vector<float> part(std::min<std::size_t>(9, count - first));
            read.read(t, static_cast<index_t>(first), part);
            CHECK(std::memcmp(part.data(), x.data() + first, part.size() * 4) == 0);
        }
    }
}

TEST_CASE("a tensor longer than one piece is read whole") {
    std::size_t const count = 40'000;
    std::vector<std::uint16_t> numbers(count);
    for (std::size_t i = 0; i < count; ++i) numbers[i] = bf16(static_cast<float>(i % 251)).bits;
    std::string data(count * 2, '\0');
    std::memcpy(data.data(), numbers.data(), data.size());
    files::folder const here;
    io::safetensors const file{here.write(
        "long",
        files::with("{" + files::tensor("a", "BF16", "[200,200]", "[0,80000]") + "}", data))};
    std::vector<float> out(count);
    file.read(*file.find("a"), 0, out);
    for (std::size_t i = 0; i < count; ++i)
        if (out[i] != static_cast<float>(i % 251)) FAIL(i);
}

TEST_CASE("a part outside the tensor is an error, also inside the file") {
    files::folder const here;
    std::string const path = here.write("f", corpus::two("[0,4]", "[4,8]", 8));
    for (auto const how : both) {
        io::safetensors const file{path, how};
        io::stored const& a = *file.find("a");
        std::vector<float> to(4);
        CHECK(message([&] { file.read(a, 1, to); }) ==
              path + ": tensor \"a\": expected elements within its 4, got 4 from 1");
        CHECK_THROWS_AS(file.read(a, -1, to), error);
        CHECK_THROWS_AS(file.read(a, 5, std::span<float>{}), error);
        CHECK_NOTHROW(file.read(a, 4, std::span<float>{}));
        CHECK(message([&] {
                  file.read_bytes(a, 1, std::as_writable_bytes(std::span(to)).first(4));
              }).find("bytes within its 4, got 4 from 1") != std::string::npos);
        io::stored forged = a; // of another file
        forged.offset = index_t{1} << 62;
        CHECK_THROWS_AS(file.read(forged, 0, to), error);
    }
}

TEST_CASE("the file, its names and its metadata") {
    files::folder const here;
    std::string const path =
        here.write("f", files::with("{\"__metadata__\":{\"format\":\"pt\"}," +
                                        files::tensor("b", "U8", "[]", "[0,1]") + "," +
                                        files::tensor("a", "U8", "[]", "[1,2]") + "}",
                                    "\x05\x07"));
    io::safetensors file{path};
    CHECK(file.where() == path);
    CHECK(file.metadata().at("format") == "pt");
    CHECK(file.find("c") == nullptr);
    CHECK(file.find("__metadata__") == nullptr);
    CHECK(file.tensors()[0].name == "a");
    io::safetensors const moved = std::move(file);
    float x = 0;
    moved.read(*moved.find("a"), 0, std::span(&x, 1));
    CHECK(x == 7);
    std::filesystem::resize_file(path, 5000); // X12
    CHECK(message([&] {
              moved.read(*moved.find("a"), 0, std::span(&x, 1));
          }).find("changed since") != std::string::npos);
}
