// SPDX-License-Identifier: MIT
// The least that is a source of tensors or a sink for them.
#include "support/catch.hpp"

#include "prytany/io/checkpoint.hpp"
#include "prytany/io/concept.hpp"
#include "prytany/io/safetensors.hpp"
#include "prytany/io/safetensors_writer.hpp"

using namespace prytany;

namespace {

struct source {
    io::stored const* find(std::string_view) const { return nullptr; }
    std::span<io::stored const> tensors() const { return {}; }
    void read(io::stored const&, index_t, std::span<float>) const {}
    void read_bytes(io::stored const&, index_t, std::span<std::byte>) const {}
    char const* where() const { return "nowhere"; }
};
struct sink {
    void declare(std::string const&, io::element, std::vector<index_t> const&) {}
    void write(std::string_view, std::span<float const>) {}
    void write_bytes(std::string_view, std::span<std::byte const>) {}
    void commit() {}
};
struct reads_nothing : source {
    void read() const {}
};
struct never_commits : sink {
    void commit() = delete;
};

static_assert(io::tensor_source<source>);
static_assert(io::tensor_source<io::safetensors>);
static_assert(io::tensor_source<io::checkpoint>);
static_assert(!io::tensor_source<reads_nothing>);
static_assert(!io::tensor_source<sink>);
static_assert(io::tensor_sink<sink>);
static_assert(io::tensor_sink<io::safetensors_writer>);
static_assert(!io::tensor_sink<never_commits>);
static_assert(!io::tensor_sink<source>);

} // namespace

TEST_CASE("a stored tensor knows its count and how errors print it") {
    io::stored tensor{"a", io::element::bf16, {64, 2048}};
    CHECK(tensor.count() == 131072);
    CHECK(tensor.text() == "BF16 [64, 2048]");
    tensor.dims = {};
    CHECK(tensor.count() == 1);
    CHECK(tensor.text() == "BF16 []");
    tensor.dims = {index_t{1} << 62, 0, 4};
    CHECK(tensor.count() == 0);
}

TEST_CASE("tensors are found by name in a sorted list") {
    std::vector<io::stored> const list{{.name = ""}, {.name = "a"}, {.name = "a.b"}, {.name = "b"}};
    for (auto const& t : list) CHECK(io::find_in(list, t.name) == &t);
    for (char const* name : {"A", "a.", "a.c", "c", "aa"})
        CHECK(io::find_in(list, name) == nullptr);
    CHECK(io::find_in({}, "a") == nullptr);
}
