// SPDX-License-Identifier: MIT
// Files we write are those that the reference writer makes, and we read back what we wrote.
#include "support/catch.hpp"

#include <cmath>
#include <limits>

#include "io/files.hpp"
#include "prytany/io/safetensors.hpp"
#include "prytany/io/safetensors_writer.hpp"

using namespace prytany;
using files::message;
using io::element;

namespace {

std::span<std::byte const> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

} // namespace

TEST_CASE("a file is the same as the reference writer's, byte for byte") {
    // what version 0.8.0 of the reference implementation wrote for these tensors
    std::string const json = R"({"z":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                             R"("d":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},)"
                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[16,24]},)"
                             R"("e":{"dtype":"F32","shape":[0,3],"data_offsets":[24,24]},)"
                             R"("a":{"dtype":"F16","shape":[1,3],"data_offsets":[24,30]},)"
                             "\"k\\\"\\n\\u001f\x7f\xc3\xa4\":"
                             R"({"dtype":"U8","shape":[2],"data_offsets":[30,32]},)"
                             R"("s":{"dtype":"BOOL","shape":[],"data_offsets":[32,33]}} )";
    std::string const data(
        "\x07\0\0\0\0\0\0\0\x9a\x99\x99\x99\x99\x99\xb9\x3f\0\0\xc0\x3f\0\0\0\xc0"
        "\0\x3c\0\x40\0\x42\x01\xff\x01",
        33);
    files::folder const here;
    io::safetensors_writer out{here.at("f")};
    std::string const strange = "k\"\n\x1f\x7f\xc3\xa4";
    out.declare("a", element::f16, {1, 3});
    out.declare("b", element::f32, {2});
    out.declare("d", element::f64, {1});
    out.declare("e", element::f32, {0, 3});
    out.declare(strange, element::u8, {2});
    out.declare("s", element::boolean, {});
    out.declare("z", element::i64, {1});
    out.write("b", std::vector<float>{1.5f, -2});
    out.write("a", std::vector<float>{1, 2});
    out.write_bytes("s", bytes("\x01"));
    out.write_bytes("d", bytes(std::string_view(data).substr(8, 8)));
    out.write("a", std::vector<float>{3});
    out.write_bytes(strange, bytes("\x01\xff"));
    out.write_bytes("z", bytes(std::string_view(data).substr(0, 8)));
    out.write("e", {});
    out.commit();
    CHECK(files::read(here.at("f")) == files::with(json, data));
}

TEST_CASE("what is written is read back") {
    files::folder const here;
    std::vector<float> numbers(30'000);
    for (std::size_t i = 0; i < numbers.size(); ++i)
        numbers[i] = static_cast<float>(i % 256) / 8 - 16;
    io::string_map const metadata{{"format", "pt"}, {"who\n", "\xc3\xa4\"\\"}};
    io::safetensors_writer out{here.at("f"), metadata};
    for (auto const type : {element::bf16, element::f64, element::f16, element::f32})
        out.declare(std::string(io::name_of(type)), type, {100, 300});
    for (auto const type : {element::f16, element::f64, element::bf16, element::f32})
        for (std::size_t i = 0; i < numbers.size(); i += 7'000)
            out.write(io::name_of(type), std::span(numbers).subspan(
                                             i, std::min<std::size_t>(7'000, numbers.size() - i)));
    out.commit();
    io::safetensors const in{here.at("f")};
    CHECK(in.metadata() == metadata);
    REQUIRE(std::size(in.tensors()) == 4);
    for (auto const& t : in.tensors()) {
        CHECK(t.dims == std::vector<index_t>{100, 300});
        CHECK(t.offset % (io::bits_of(t.type) / 8) == 0); // aligned
        std::vector<float> back(numbers.size());
        in.read(t, 0, back);
        CHECK(back == numbers); // all of them are exact in every type
    }
}

TEST_CASE("a file without tensors") {
    files::folder const here;
    io::safetensors_writer{here.at("f")}.commit();
    CHECK(files::read(here.at("f")) == files::with("{}      "));
    CHECK(io::safetensors{here.at("f")}.tensors().empty());
}

TEST_CASE("mistakes are errors that name the tensor, and leave no file") {
    files::folder const here;
    std::string const path = here.at("f"), a = path + ": tensor \"a\": expected ";
    io::safetensors_writer out{path};
    std::vector<float> const two{1, 2};
    out.declare("a", element::f32, {3});
    out.declare("half", element::f16, {2});
    out.declare("whole", element::i32, {2});
    CHECK(message([&] { out.declare("a", element::f32, {3}); }) ==
          a + "to be declared once, got a second time");
    auto const refused = [&](std::string const& name, element type,
                             std::vector<index_t> const& dims) {
        return message([&] { out.declare(name, type, dims); });
    };
    CHECK(refused("b", element::f32, {-1}).find("F32 [-1]") != std::string::npos);
    CHECK(refused("b", element::f4, {3}).find("whole bytes") != std::string::npos);
    CHECK(refused("b", element::u8, {index_t{1} << 32, index_t{1} << 31}).find("below 2^60") !=
          std::string::npos);
    CHECK(refused("__metadata__", element::f32, {}).find("not __metadata__") != std::string::npos);
    CHECK(refused("\xff", element::f32, {}).find("UTF-8") != std::string::npos);
    CHECK(refused(std::string(4097, 'n'), element::f32, {}).find("at most 4096") !=
          std::string::npos);
    CHECK(message([&] { out.write("none", two); }).find("\"none\": expected a declared tensor") !=
          std::string::npos);
    CHECK(message([&] {
              out.write("whole", two);
          }).find("\"whole\": expected F64, F32, F16 or BF16, got I32") != std::string::npos);
    CHECK(message([&] {
              out.write("half", std::vector<float>{1e5f});
          }).find("the range of F16, got 100000") != std::string::npos);
    out.write("a", two);
    CHECK(message([&] { out.declare("late", element::f32, {}); }).find("before the first write") !=
          std::string::npos);
    CHECK(message([&] { out.write("a", two); }) == a + "12 bytes, got 8 and 8 more");
    CHECK(message([&] { out.commit(); }) == a + "12 bytes, got 8");
    CHECK(message([&] {
              io::safetensors_writer(path, {{"k", "\xff"}});
          }).find("__metadata__ \"k\"") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("tensors whose sizes together do not fit are an error") {
    files::folder const here;
    io::safetensors_writer out{here.at("f")};
    for (char const* name : {"a", "b", "c", "d", "e", "f", "g", "h"})
        out.declare(name, element::u8, {(index_t{1} << 60) - 1});
    CHECK(message([&] { out.write_bytes("a", bytes("x")); }).find("tensors that fit a file") !=
          std::string::npos);
}
