// SPDX-License-Identifier: MIT
#include "prytany/io/save.hpp"

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "io/files.hpp"
#include "prytany/family/any.hpp"
#include "prytany/io/checkpoint.hpp"
#include "prytany/io/load.hpp"
#include "prytany/io/safetensors_writer.hpp"
#include "support/catch.hpp"

using namespace prytany;
namespace fs = std::filesystem;

namespace {

/// Every number of a layer by name, as bits.
template <class Layer>
std::map<std::string, std::vector<std::uint32_t>> bits(Layer const& layer) {
    std::map<std::string, std::vector<std::uint32_t>> all;
    layer.for_each_tensor([&](auto const& t) {
        std::vector<float> values(static_cast<std::size_t>(t.rows * t.cols));
        t.unpack({values.data(), t.rows, t.cols});
        auto& to = all[t.name.text()];
        REQUIRE(to.empty());
        to.resize(values.size());
        std::memcpy(to.data(), values.data(), values.size() * sizeof(float));
    });
    return all;
}

/// What a source holds: type, sizes and bytes by name.
template <class Source>
std::map<std::string, std::string> contents(Source const& source, std::string_view prefix = {}) {
    std::map<std::string, std::string> all;
    for (io::stored const& s : source.tensors()) {
        if (!std::string_view(s.name).starts_with(prefix)) continue;
        std::string bytes(static_cast<std::size_t>(s.bytes), '\0');
        source.read_bytes(s, 0, std::as_writable_bytes(std::span(bytes)));
        all[s.name] = s.text() + bytes;
    }
    return all;
}

/// Says that all experts are stacked, as files of some models have them.
struct stacked_layout : io::no_tensors {
    io::stored some{};
    io::stored const* find(std::string_view name) const noexcept {
        bool const both = name.ends_with("experts.gate_up_proj");
        return both || name.ends_with("experts.down_proj") ? &some : nullptr;
    }
};
static_assert(io::tensor_source<io::no_tensors> && io::tensor_source<stacked_layout>);

/// A store whose rows are r, r + 1, …
struct counting {
    index_t width = 1;
    void unpack(index_t row, std::span<float> to) const {
        for (std::size_t c = 0; c < to.size(); ++c)
            to[c] = static_cast<float>(row) + 0.25f * static_cast<float>(c);
    }
};

/// A sink in memory.
struct shelf {
    struct item {
        io::element type;
        std::vector<index_t> dims;
        std::vector<float> numbers;
    };
    std::map<std::string, item, std::less<>> items;
    void declare(std::string const& name, io::element type, std::vector<index_t> const& dims) {
        items.emplace(name, item{type, dims, {}});
    }
    void write(std::string_view name, std::span<float const> more) {
        auto& to = items.find(name)->second.numbers;
        to.insert(to.end(), more.begin(), more.end());
    }
    void write_bytes(std::string_view, std::span<std::byte const>) {}
    void commit() {}
};
static_assert(io::tensor_sink<shelf>);

auto of(counting const& store, index_t rows, index_t cols, bool vector = false) {
    return tensor{tensor_name{"expert", "up", 0}, rows, cols, &store, row_map{}, vector};
}

} // namespace

TEST_CASE("save: every golden block comes back with its bits, in its file's layout") {
    files::folder const room;
    int blocks = 0;
    for (auto const& entry : fs::directory_iterator(PRYTANY_TEST_DATA)) {
        if (!entry.is_directory()) continue;
        ++blocks;
        std::string const name = entry.path().filename().string();
        INFO(name);
        io::checkpoint const original{entry.path().string()};
        family::config const numbers{entry.path()};
        bool const four_bits = name.find("mxfp4") != std::string::npos;
        bool const half = name.find("bf16") != std::string::npos;
        std::string const first = original.tensors()[0].name;
        std::string const digits = first.substr(std::strlen("model.layers."));
        index_t const index = std::stoll(digits);

        auto const layer = family::load(original, numbers, index);
        family::visit(numbers, [&](auto own) {
            std::string const path = room.at(name);
            auto const names = decltype(own)::names(index);
            io::safetensors_writer sink{path};
            if (four_bits) io::save(layer, sink, names, io::element::f32);
            else io::save(layer, sink, names, io::element::f32, original);
            io::safetensors const saved{path};
            CHECK(bits(family::load(saved, numbers, index)) == bits(layer));
            if (!four_bits && !half) CHECK(contents(saved) == contents(original));
            if (half) { // its numbers are bfloat16, but for a correction of the router
                auto const narrow = family::load<dense<bf16>{}>(original, numbers, index);
                io::safetensors_writer again{path};
                io::save(narrow, again, names, io::element::bf16);
                CHECK(contents(io::safetensors{path}) == contents(original));
            }
        });
    }
    CHECK(blocks >= 12);
}

TEST_CASE("save: a layer of the bundled model, bit for bit the tensors of its file") {
    files::folder const room;
    io::checkpoint const model{PRYTANY_EXAMPLE_DATA "/bytes-moe-3m"};
    family::config const numbers{fs::path(PRYTANY_EXAMPLE_DATA "/bytes-moe-3m")};
    auto const layer = family::load<dense<bf16>{}>(model, numbers, 3);
    auto const names = io::qwen_moe("model.layers.3.mlp.");
    io::safetensors_writer sink{room.at("one")};
    io::save(layer, sink, names, io::element::bf16);
    CHECK(contents(io::safetensors{room.at("one")}) == contents(model, names.prefix));
}

TEST_CASE("save: experts stacked where the layout says so") {
    files::folder const room;
    fs::path const folder = fs::path(PRYTANY_TEST_DATA) / "qwen3_moe_odd";
    family::config const numbers{folder};
    io::checkpoint const original{folder.string()};
    std::string const first = original.tensors()[0].name;
    index_t const index = std::stoll(first.substr(std::strlen("model.layers.")));
    auto const layer = family::load(original, numbers, index);
    auto const names = family::qwen3_moe::names(index);
    io::safetensors_writer sink{room.at("stacked")};
    io::save(layer, sink, names, io::element::f32, stacked_layout{});
    io::safetensors const saved{room.at("stacked")};
    CHECK(saved.tensors().size() == 3);
    shape const size = layer.sizes();
    CHECK(saved.find(names.prefix + "experts.gate_up_proj")->dims ==
          std::vector<index_t>{size.experts, 2 * size.hidden, size.model});
    CHECK(saved.find(names.prefix + "experts.down_proj")->dims ==
          std::vector<index_t>{size.experts, size.model, size.hidden});
    CHECK(bits(family::load(saved, numbers, index)) == bits(layer));
}

TEST_CASE("saver: rows of several matrices, blocks in any order, columns turned") {
    counting const store;
    shelf sink;
    io::saver writer(sink);
    std::vector<std::pair<tensor<counting const>, io::place>> const all{
        {of(store, 2, 2), {"stacked", 1, 0}},
        {of(store, 1, 2), {"stacked", 1, 2}},
        {of(store, 1, 2), {"stacked", 0, 2}},
        {of(store, 2, 2), {"stacked", 0, 0}},
        {of(store, 2, 1, true), {"mixed", dynamic, 1, 2}},
        {of(store, 2, 1, true), {"mixed", dynamic, 0, 2}},
        {of(store, 2, 3), {"turned", dynamic, 0, 1, true}}};
    for (auto const& [t, at] : all) writer.add(t, at, io::element::f32);
    for (auto const& [t, at] : all) writer.write(t, at);
    CHECK(sink.items.at("stacked").dims == std::vector<index_t>{2, 3, 2});
    CHECK(sink.items.at("stacked").numbers ==
          std::vector<float>{0, 0.25f, 1, 1.25f, 0, 0.25f, 0, 0.25f, 1, 1.25f, 0, 0.25f});
    CHECK(sink.items.at("mixed").dims == std::vector<index_t>{4});
    CHECK(sink.items.at("mixed").numbers == std::vector<float>{0, 0, 1, 1});
    CHECK(sink.items.at("turned").dims == std::vector<index_t>{3, 2});
    CHECK(sink.items.at("turned").numbers == std::vector<float>{0, 1, 0.25f, 1.25f, 0.5f, 1.5f});
}

TEST_CASE("saver: says what does not go together") {
    counting const store;
    shelf sink;
    io::saver writer(sink);
    auto const add = [&](auto const& t, io::place const& at) {
        return files::message([&] { writer.add(t, at, io::element::f32); });
    };
    CHECK(add(of(store, 2, 2), {"a", 0}).empty());
    CHECK(add(of(store, 2, 3), {"a", 1}) ==
          "a: expected matrices of one width, one kind and one number type, got others");
    CHECK(add(of(store, 2, 2), {"codes", 0, 0, 1, false, "their_scales"}) ==
          "codes: expected a tensor of floats, got one with scales in their_scales");

    SECTION("a matrix that was not added") {
        CHECK(files::message([&] {
                  writer.write(of(store, 3, 2), {"a", 0});
              }) == "a: expected a matrix that was added, got expert.0.up");
        CHECK(files::message([&] { writer.write(of(store, 2, 2), {"b"}); }) ==
              "b: expected a matrix that was added, got expert.0.up");
    }
    SECTION("a block that nobody writes") {
        CHECK(add(of(store, 2, 2), {"a", 2}).empty());
        CHECK(files::message([&] {
                  writer.write(of(store, 2, 2), {"a", 0});
              }) == "a: expected 3 times 2 rows, got 4");
    }
    SECTION("two matrices in one place") {
        CHECK(add(of(store, 1, 2), {"a", 1}).empty());
        CHECK(add(of(store, 1, 2), {"a", 1}).empty());
        writer.write(of(store, 1, 2), {"a", 1});
        CHECK(files::message([&] {
                  writer.write(of(store, 1, 2), {"a", 1});
              }) == "a: expected each row once, got row 0 twice");
    }
}

TEST_CASE("save: a number beyond the type's range is not silently infinite") {
    files::folder const room;
    io::safetensors_writer sink{room.at("f")};
    struct wide {
        void unpack(index_t, std::span<float> to) const { to[0] = 1e6f; }
    } const big;
    tensor const t{tensor_name{"expert", "up", 0}, 1, 1, &big};
    io::saver writer(sink);
    writer.add(t, {"x"}, io::element::f16);
    CHECK(files::message([&] { writer.write(t, {"x"}); }).find("in the range of F16") !=
          std::string::npos);
}
