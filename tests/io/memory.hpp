// SPDX-License-Identifier: MIT
// A checkpoint in memory: the least tensor_source, which counts how often each element is read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "prytany/core/error.hpp"
#include "prytany/io/concept.hpp"

namespace files {

using namespace prytany;

class memory {
public:
    void put(std::string const& name, io::element type, std::vector<index_t> const& dims,
             std::vector<std::byte> bytes) {
        io::stored s{name, type, dims};
        s.bytes = std::ssize(bytes);
        list_.insert(std::find_if(list_.begin(), list_.end(),
                                  [&](auto const& other) { return name < other.name; }),
                     s);
        held_[name] = {std::move(bytes), std::vector<int>(static_cast<std::size_t>(s.count()))};
    }
    /// Numbers as floats.
    template <class Number>
    void put(std::string const& name, std::vector<index_t> const& dims,
             std::vector<Number> const& numbers) {
        std::vector<float> const floats(numbers.begin(), numbers.end());
        std::vector<std::byte> bytes(floats.size() * sizeof(float));
        std::memcpy(bytes.data(), floats.data(), bytes.size());
        put(name, io::element::f32, dims, std::move(bytes));
    }
    void remove(std::string const& name) {
        std::erase_if(list_, [&](auto const& s) { return s.name == name; });
        held_.erase(name);
    }
    void rename(std::string const& name, std::string const& to) {
        io::stored const s = *find(name);
        auto bytes = held_.at(name).bytes;
        remove(name);
        put(to, s.type, s.dims, std::move(bytes));
    }
    /// The same bytes with other sizes; what they lack is zero, what they have too much is cut.
    void reshape(std::string const& name, std::vector<index_t> const& dims) {
        io::stored s = *find(name);
        auto bytes = held_.at(name).bytes;
        s.dims = dims;
        bytes.resize(static_cast<std::size_t>(s.count() * io::bits_of(s.type) / 8));
        remove(name);
        put(name, s.type, dims, std::move(bytes));
    }
    std::vector<std::byte>& bytes(std::string const& name) { return held_.at(name).bytes; }
    /// How often each element of a tensor was read.
    std::vector<int> const& reads(std::string const& name) const { return held_.at(name).reads; }

    std::span<io::stored const> tensors() const noexcept { return list_; }
    io::stored const* find(std::string_view name) const noexcept {
        return io::find_in(list_, name);
    }
    void read(io::stored const& s, index_t first, std::span<float> to) const {
        auto const size = static_cast<std::size_t>(io::bits_of(s.type) / 8);
        auto const raw = part(s, first, first + std::ssize(to), size);
        io::to_floats(s.type, raw, to);
    }
    void read_bytes(io::stored const& s, index_t first, std::span<std::byte> to) const {
        auto const raw = part(s, first, first + std::ssize(to), 1);
        std::copy(raw.begin(), raw.end(), to.begin());
    }
    std::string where() const { return "memory"; }

private:
    struct content {
        std::vector<std::byte> bytes;
        std::vector<int> mutable reads;
    };
    std::vector<io::stored> list_;
    std::map<std::string, content, std::less<>> held_;

    std::span<std::byte const> part(io::stored const& s, index_t first, index_t last,
                                    std::size_t size) const {
        auto const& held = held_.at(s.name);
        auto const from = static_cast<std::size_t>(first), to = static_cast<std::size_t>(last);
        if (first < 0 || last < first || to * size > held.bytes.size())
            throw error("memory: tensor " + s.name, "a read inside it",
                        std::to_string(first) + " to " + std::to_string(last));
        for (std::size_t i = from; i < to; ++i) ++held.reads.at(i);
        return std::span(held.bytes).subspan(from * size, (to - from) * size);
    }
};

} // namespace files
