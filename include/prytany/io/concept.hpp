// SPDX-License-Identifier: MIT
// Where tensors come from and where they go.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prytany/core/config.hpp"
#include "prytany/core/text.hpp"
#include "prytany/io/element.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// A tensor as a file declares it; its numbers are still in the file.
struct stored {
    std::string name{};
    element type = element::f32;
    std::vector<index_t> dims{};
    index_t offset = 0; // of its first byte in its file
    index_t bytes = 0;
    index_t part = 0; // which file, where a source has several

    /// The number of its elements: the product of dims, which whoever made it has checked.
    index_t count() const noexcept {
        if (std::find(dims.begin(), dims.end(), index_t{0}) != dims.end()) return 0;
        index_t product = 1;
        for (index_t const d : dims) product *= d;
        return product;
    }
    /// "F32 [64, 2048]", as errors print it.
    std::string text() const {
        std::string list;
        for (index_t const d : dims) list += (list.empty() ? "" : ", ") + std::to_string(d);
        return std::string(name_of(type)) + " [" + list + "]";
    }
    friend bool operator==(stored const&, stored const&) = default;
};

/// The tensor of this name in a list sorted by name; nullptr where there is none.
inline stored const* find_in(std::span<stored const> sorted, std::string_view name) noexcept {
    auto const at =
        std::lower_bound(sorted.begin(), sorted.end(), name,
                         [](stored const& s, std::string_view n) { return s.name < n; });
    return at != sorted.end() && at->name == name ? &*at : nullptr;
}

template <class S>
concept has_find = requires(S const& source, std::string_view name) {
    { source.find(name) } -> std::same_as<stored const*>;
}
|| unsatisfied<"a tensor source needs find(name) const: its stored const*, or nullptr">();

template <class S>
concept has_tensors = requires(S const& source) {
    { source.tensors() } -> std::convertible_to<std::span<stored const>>;
}
|| unsatisfied<"a tensor source needs tensors() const: a span of stored, sorted by name">();

template <class S>
concept has_read = requires(S const& source, stored const& tensor, index_t first,
                            std::span<float> floats) {
    source.read(tensor, first, floats);
}
|| unsatisfied<"a tensor source needs read(stored, first, floats) const: elements as float">();

template <class S>
concept has_read_bytes = requires(S const& source, stored const& tensor, index_t first,
                                  std::span<std::byte> bytes) {
    source.read_bytes(tensor, first, bytes);
}
|| unsatisfied<"a tensor source needs read_bytes(stored, first, bytes) const: bytes as stored">();

template <class S>
concept has_where = requires(S const& source) {
    { source.where() } -> std::convertible_to<std::string>;
}
|| unsatisfied<"a tensor source needs where() const: what errors call it, such as its path">();

/// Finds tensors by name and reads any part of one. All of it is const: threads may share a source.
///
///     stored const* gate = source.find("model.layers.3.mlp.gate.weight");
///     if (gate != nullptr) source.read(*gate, row * cols, one_row);
///
/// Throws    error: a read outside the tensor, a type without floats, a file that cannot be read
/// Models    safetensors, checkpoint
/// Test      tests/io/concept.test.cpp
template <class S>
concept tensor_source =
    has_find<S> && has_tensors<S> && has_read<S> && has_read_bytes<S> && has_where<S>;

template <class S>
concept has_declare = requires(S& sink, std::string const& name, element type,
                               std::vector<index_t> const& dims) {
    sink.declare(name, type, dims);
}
|| unsatisfied<"a tensor sink needs declare(name, element, dims): a tensor that will be written">();

template <class S>
concept has_write = requires(S& sink, std::string_view name, std::span<float const> floats,
                             std::span<std::byte const> bytes) {
    sink.write(name, floats);
    sink.write_bytes(name, bytes);
}
|| unsatisfied<
       "a tensor sink needs write(name, floats) and write_bytes(name, bytes): what follows">();

template <class S>
concept has_commit = requires(S& sink) {
    sink.commit();
}
|| unsatisfied<"a tensor sink needs commit(): only then is there a new file, whole and on disk">();

/// Takes tensors in two passes, since a file begins with the list of all of them: first declare
/// every tensor, then write them, in any order of tensors and each from its first element to its
/// last.
///
///     sink.declare("gate.weight", element::bf16, {64, 2048});
///     for (…) sink.write("gate.weight", one_row);
///     sink.commit();
///
/// Throws    error: a name declared twice or not at all, a tensor not written to its end
/// Models    safetensors_writer
/// Test      tests/io/concept.test.cpp
template <class S>
concept tensor_sink = has_declare<S> && has_write<S> && has_commit<S>;

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
