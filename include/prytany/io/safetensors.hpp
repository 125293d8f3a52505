// SPDX-License-Identifier: MIT
// Tensors out of one safetensors file.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "prytany/core/error.hpp"
#include "prytany/io/concept.hpp"
#include "prytany/io/file.hpp"
#include "prytany/io/safetensors_header.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// A safetensors file: its header is read and checked when it is opened, its data when asked for.
///
///     io::safetensors file{"model.safetensors"};              // or {"…", io::access::map}
///     file.read(*file.find("lm_head.weight"), 0, floats);
///
/// Models    tensor_source
/// Throws    error: what `safetensors_header` and `file` throw, and a read outside the tensor
/// Test      tests/io/safetensors.test.cpp
template <class System = system_calls>
class basic_safetensors {
public:
    explicit basic_safetensors(std::string path, access how = access::read, limits const& most = {},
                               System calls = {})
        : file_(std::move(path), how, std::move(calls)) {
        std::array<std::byte, safetensors_header::prefix> first{};
        std::span const start(first.data(),
                              std::min(first.size(), static_cast<std::size_t>(file_.size())));
        file_.read(0, start);
        index_t const length = safetensors_header::length(start, file_.size(), where(), most);
        std::string json(static_cast<std::size_t>(length), ' ');
        file_.read(safetensors_header::prefix, std::as_writable_bytes(std::span(json)));
        header_ = safetensors_header::parse(json, file_.size(), where(), most);
    }

    std::string where() const { return file_.path(); }
    std::span<stored const> tensors() const noexcept { return header_.tensors; }
    stored const* find(std::string_view name) const noexcept { return find_in(tensors(), name); }
    /// __metadata__: whatever the writer had to say.
    string_map const& metadata() const noexcept { return header_.metadata; }
    bool is_mapped() const noexcept { return file_.is_mapped(); }

    void read_bytes(stored const& tensor, index_t first, std::span<std::byte> to) const {
        check(tensor, "bytes", first, std::ssize(to), tensor.bytes);
        file_.read(tensor.offset + first, to);
    }
    void read(stored const& tensor, index_t first, std::span<float> to) const {
        check(tensor, "elements", first, std::ssize(to), tensor.count());
        if (!reads_as_float(tensor.type))
            throw error{subject(tensor), "a dtype that converts to float", tensor.text()};
        std::size_t const size = static_cast<std::size_t>(bits_of(tensor.type)) / 8;
        index_t at = tensor.offset + first * static_cast<index_t>(size);
        if (tensor.type == element::f32) return file_.read(at, std::as_writable_bytes(to));
        std::array<std::byte, 1 << 14> piece;
        while (!to.empty()) {
            std::size_t const count = std::min(to.size(), piece.size() / size);
            std::span const raw(piece.data(), count * size);
            file_.read(at, raw);
            to_floats(tensor.type, raw, to.first(count));
            to = to.subspan(count);
            at += std::ssize(raw);
        }
    }

private:
    basic_file<System> file_;
    safetensors_header header_;

    std::string subject(stored const& tensor) const {
        return where() + ": tensor " + printable(tensor.name);
    }
    void check(stored const& tensor, char const* what, index_t first, index_t count,
               index_t all) const {
        if (first < 0 || first > all || count > all - first)
            throw error{subject(tensor), std::string(what) + " within its " + std::to_string(all),
                        std::to_string(count) + " from " + std::to_string(first)};
    }
};
using safetensors = basic_safetensors<>;

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
