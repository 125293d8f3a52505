// SPDX-License-Identifier: MIT
// The header of a safetensors file, checked before anything believes it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prytany/core/error.hpp"
#include "prytany/io/concept.hpp"
#include "prytany/io/detail/safetensors_events.hpp"
#include "prytany/io/json.hpp"
#include "prytany/io/limits.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// What the header of a safetensors file says, after all of it was found to be true of the file.
///
///     file = u64 length | JSON of that length | data;  tensors sorted by begin: begin_0 = 0,
///     begin_{i+1} = end_i, end_i - begin_i = bits · product(dims) / 8, last end = size of data
///
/// Source    the format's text and reference reader. Stricter than that reader: no key twice, the
///           `limits`, depth 8, sizes below 2^63, objects as objects, no null for __metadata__
/// Throws    error that names the file and the tensor: every rule above, a limit passed, an unknown
///           dtype, a number that is not whole or does not fit
/// Cost      O(t log t) for t tensors; at most 8 bytes of memory per byte of header
/// Test      tests/io/safetensors_header.test.cpp, tests/fuzz/safetensors.fuzz.cpp
struct safetensors_header {
    std::vector<stored>
        tensors;         // sorted by name; their offsets count from the first byte of the file
    string_map metadata; // __metadata__

    static constexpr index_t prefix = 8;

    /// The length of the JSON, from the first 8 bytes of a file of `file_bytes`.
    static index_t length(std::span<std::byte const> first, index_t file_bytes,
                          std::string const& where, limits const& most = {});
    /// From the JSON alone; pure, so that it can be fuzzed.
    static safetensors_header parse(std::string_view json, index_t file_bytes,
                                    std::string const& where, limits const& most = {});
};

namespace detail {

/// The tensors cover the data, from its first byte to the last of the file, without gap or overlap.
inline void check_layout(std::span<stored const* const> by_offset, index_t data, index_t file_bytes,
                         std::string const& where) {
    index_t end = data;
    stored const* before = nullptr;
    for (stored const* const t : by_offset) {
        auto const name = [&] { return where + ": tensor " + printable(t->name); };
        auto const begin = [&] { return "byte " + std::to_string(t->offset - data); };
        if (t->offset < end)
            throw error{name(), "data after that of " + printable(before->name),
                        "an overlap at " + begin()};
        if (t->offset > end)
            throw error{name(), "data at byte " + std::to_string(end - data),
                        "a gap up to " + begin()};
        end += t->bytes; // fits: end_tensor has added the same numbers
        if (end > file_bytes)
            throw error{name(), "data up to byte " + std::to_string(end - data),
                        "a file that ends " + std::to_string(end - file_bytes) + " bytes earlier"};
        before = t;
    }
    if (end < file_bytes)
        throw error{where, "the end of the file after the last tensor",
                    std::to_string(file_bytes - end) + " more bytes"};
}

} // namespace detail

inline index_t safetensors_header::length(std::span<std::byte const> first, index_t file_bytes,
                                          std::string const& where, limits const& most) {
    if (std::ssize(first) < prefix)
        throw error{where, "at least 8 bytes", std::to_string(first.size())};
    std::uint64_t length = 0;
    std::memcpy(&length, first.data(), sizeof length);
    if (length > static_cast<std::uint64_t>(most.header_bytes))
        throw error{where, "a header of at most " + std::to_string(most.header_bytes) + " bytes",
                    std::to_string(length)};
    if (static_cast<index_t>(length) > file_bytes - prefix)
        throw error{where,
                    "a header of at most the file's " + std::to_string(file_bytes - prefix) +
                        " other bytes",
                    std::to_string(length)};
    return static_cast<index_t>(length);
}

inline safetensors_header safetensors_header::parse(std::string_view json, index_t file_bytes,
                                                    std::string const& where, limits const& most) {
    safetensors_header out;
    index_t const data = prefix + std::ssize(json);
    detail::safetensors_events events{out.tensors, out.metadata, data, where, most};
    read_json(json, prefix, where, events);

    std::vector<stored const*> order;
    order.reserve(out.tensors.size());
    for (auto const& t : out.tensors) order.push_back(&t);
    auto const earlier = [](stored const* a, stored const* b) {
        return a->offset != b->offset ? a->offset < b->offset : a->bytes < b->bytes;
    };
    if (!std::is_sorted(order.begin(), order.end(), earlier))
        std::sort(order.begin(), order.end(), earlier);
    detail::check_layout(order, data, file_bytes, where);

    std::sort(out.tensors.begin(), out.tensors.end(),
              [](stored const& a, stored const& b) { return a.name < b.name; });
    auto const twice = std::adjacent_find(out.tensors.begin(), out.tensors.end(),
                                          [](auto& a, auto& b) { return a.name == b.name; });
    if (twice != out.tensors.end())
        throw error{where + ": tensor " + printable(twice->name), "every name once", "twice"};
    return out;
}

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
