// SPDX-License-Identifier: MIT
// Checkpoints: a file, a folder, shards, and indices that lie.
#include "support/catch.hpp"

#include "io/files.hpp"
#include "prytany/io/checkpoint.hpp"

using namespace prytany;
using files::message;
namespace fs = std::filesystem;

namespace {

constexpr char const* index_name = "model.safetensors.index.json";

/// A shard with one U8 number for each name.
std::string shard(std::vector<std::string> const& names, char first) {
    std::string json = "{", data;
    for (auto const& name : names) {
        std::string const at = std::to_string(data.size()), end = std::to_string(data.size() + 1);
        json += (data.empty() ? "" : ",") +
                files::tensor(name, "U8", "[1]", "[" + at + "," + end + "]");
        data += static_cast<char>(first + std::ssize(data));
    }
    return files::with(json + "}", data);
}
std::string index(std::string const& map) {
    return "{\"metadata\":{\"total_size\":3.0,\"x\":[{\"weight_map\":{}}]},\"weight_map\":{" + map +
           "},\"y\":[]}";
}
std::string opened(std::string const& path) {
    return message([&] { io::checkpoint{path}; });
}
bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

/// A folder with shards "one" (a, c) and "two" (b) and this map in its index.
std::string with_map(files::folder const& here, std::string const& map) {
    here.write("one", shard({"c", "a"}, 10));
    here.write("two", shard({"b"}, 20));
    here.write(index_name, index(map));
    return opened(here.path.string());
}
constexpr char const* right = R"("a":"one","b":"two","c":"one")";

} // namespace

TEST_CASE("a file, a folder with one file and a folder with shards hold tensors by name") {
    files::folder const here, alone;
    alone.write("model.safetensors", shard({"a", "b", "c"}, 1));
    REQUIRE(with_map(here, right).empty());
    for (std::string const& path :
         {alone.at("model.safetensors"), alone.path.string(), here.path.string() + "/"}) {
        for (auto const how : {io::access::read, io::access::map}) {
            io::checkpoint const model{path, how};
            CHECK(model.where() == path);
            REQUIRE(std::size(model.tensors()) == 3);
            CHECK(std::size(model.parts()) == (model.where() == here.path.string() + "/" ? 2 : 1));
            CHECK(model.parts()[0].is_mapped() == (how == io::access::map));
            std::string names;
            for (auto const& t : model.tensors()) names += t.name;
            CHECK(names == "abc");
            CHECK(model.find("d") == nullptr);
        }
    }
    io::checkpoint const model{here.path.string()};
    for (auto const& [name, want] : {std::pair{"a", 11}, {"b", 20}, {"c", 10}}) {
        float x = 0;
        std::byte raw{};
        model.read(*model.find(name), 0, std::span(&x, 1));
        model.read_bytes(*model.find(name), 0, std::span(&raw, 1));
        CHECK(x == static_cast<float>(want));
        CHECK(std::to_integer<int>(raw) == want);
    }
    io::stored foreign = *model.find("a");
    foreign.part = 2;
    float x = 0;
    CHECK(has(message([&] { model.read(foreign, 0, std::span(&x, 1)); }), "of another source"));
}

TEST_CASE("a tensor that the index leaves out is there too") {
    files::folder const here;
    REQUIRE(with_map(here, R"("a":"one","b":"two")").empty());
    CHECK(io::checkpoint{here.path.string()}.find("c") != nullptr);
}

TEST_CASE("one file is preferred to shards, as everybody does") {
    files::folder const here;
    here.write("model.safetensors", shard({"z"}, 1));
    REQUIRE(with_map(here, right).empty());
    CHECK(std::size(io::checkpoint{here.path.string()}.tensors()) == 1);
}

TEST_CASE("nothing to read") {
    files::folder const here;
    CHECK(has(opened(here.path.string()),
              "expected model.safetensors or model.safetensors.index.json in it"));
    CHECK(has(opened(here.at("none")), "a file that can be opened"));
}

TEST_CASE("a missing shard is an error that names it") { // X01
    files::folder const here;
    auto const text = with_map(here, R"("a":"one","b":"three","c":"one")");
    CHECK(has(text, index_name));
    CHECK(has(text, "a shard \"three\""));
    CHECK(has(text, "No such file"));
}

TEST_CASE("an index cannot name a file outside its folder") { // X02
    files::folder const here, other;
    other.write("out", shard({"b"}, 20));
    for (std::string const& name :
         {std::string("../../etc/passwd"), other.at("out"), std::string("sub/two"),
          std::string("./two"), std::string(".."), std::string("."), std::string(""),
          std::string("..\\\\two"), std::string("two\\u0000x")}) {
        INFO(name);
        CHECK(has(with_map(here, R"("a":"one","b":")" + name + R"(","c":"one")"),
                  "the names of files in its folder"));
    }
    fs::create_symlink(other.at("out"), here.path / "link");
    CHECK(has(with_map(here, R"("a":"one","b":"link","c":"one")"), "\"link\" leads to "));
    fs::create_symlink("two", here.path / "inner");
    CHECK(with_map(here, R"("a":"one","b":"inner","c":"one")").empty());
    fs::create_directory(here.path / "folder");
    CHECK(has(with_map(here, R"("a":"one","b":"folder","c":"one")"),
              "a regular file, got a directory"));
}

TEST_CASE("the hub's cache, where shards are links to ../../blobs, is read") {
    files::folder const here;
    fs::path const snapshot = here.path / "snapshots" / "abc";
    fs::create_directories(snapshot);
    fs::create_directories(here.path / "blobs");
    here.write("blobs/1", shard({"a", "c"}, 1));
    here.write("blobs/2", shard({"b"}, 5));
    here.write("blobs/3", index(right));
    fs::create_symlink("../../blobs/1", snapshot / "one");
    fs::create_symlink("../../blobs/2", snapshot / "two");
    fs::create_symlink("../../blobs/3", snapshot / index_name);
    CHECK(opened(snapshot.string()).empty());
    fs::remove(snapshot / "two");
    here.write("2", shard({"b"}, 5));
    fs::create_symlink("../../2", snapshot / "two");
    CHECK(has(opened(snapshot.string()), "shards in its folder"));
}

TEST_CASE("a tensor in two shards, in another or in none is an error") { // X03
    files::folder const here;
    CHECK(has(with_map(here, R"("a":"one","b":"two","d":"two")"),
              "tensor \"d\": expected in shard \"two\""));
    CHECK(has(with_map(here, R"("a":"two","b":"two","c":"one")"), "got in shard \"one\""));
    CHECK(
        has(with_map(here, R"("a":"one","b":"two","a":"one")"), "tensor \"a\": expected one file"));
    here.write("one", shard({"a", "b"}, 10));
    CHECK(has(opened(here.path.string()), "twice")); // the index is still the last one
    here.write(index_name, index(R"("a":"one","b":"two")"));
    CHECK(has(opened(here.path.string()),
              "tensor \"b\": expected one shard, got \"one\" and \"two\""));
}

TEST_CASE("an index that is not one") {
    files::folder const here;
    auto const said = [&](std::string const& json) {
        here.write(index_name, json);
        return opened(here.path.string());
    };
    CHECK(has(said(""), "expected JSON"));
    CHECK(has(said("[]"), "a JSON object, got an array"));
    CHECK(has(said("3"), "a JSON object, got a number"));
    CHECK(has(said("null"), "a JSON object, got null"));
    CHECK(has(said("{}"), "a field weight_map, got none"));
    CHECK(has(said("{\"weight_map\":[]}"), "weight_map: expected an object, got an array"));
    CHECK(has(said("{\"weight_map\":\"a\"}"), "weight_map: expected an object, got a string"));
    CHECK(has(said("{\"weight_map\":3}"), "weight_map: expected an object, got a number"));
    CHECK(has(said("{\"weight_map\":{},\"weight_map\":{}}"), "one weight_map, got two"));
    for (char const* value : {"3", "null", "{}", "[]", "-1"})
        CHECK(has(said("{\"weight_map\":{\"a\":" + std::string(value) + "}}"),
                  "tensor \"a\": expected the name of a file"));
    CHECK(has(said("{\"weight_map\":{\"" + std::string(5000, 'n') + "\":\"one\"}}"),
              "within the limits"));
    CHECK(said("{\"weight_map\":{}}").empty());
    fs::resize_file(here.at(index_name), 100'000'001);
    CHECK(has(opened(here.path.string()), "at most 100000000 bytes"));
}

TEST_CASE("a damaged shard is an error that names the file") {
    files::folder const here;
    REQUIRE(with_map(here, right).empty());
    fs::resize_file(here.at("two"), 20);
    CHECK(has(opened(here.path.string()), here.at("two") + ": expected a header"));
}
