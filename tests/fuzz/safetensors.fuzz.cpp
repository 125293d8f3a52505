// SPDX-License-Identifier: MIT
// Any bytes are a safetensors file or an error, and never anything else.
//
//     clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//         -I include tests/fuzz/safetensors.fuzz.cpp -o fuzz && ./fuzz corpus
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prytany/io/check_values.hpp"
#include "prytany/io/safetensors_header.hpp"

using namespace prytany;

namespace {

/// A source over bytes in memory, which reads exactly what a header allows.
struct memory {
    std::span<std::byte const> bytes;
    std::vector<io::stored> const& list;

    std::string where() const { return "memory"; }
    std::span<io::stored const> tensors() const { return list; }
    io::stored const* find(std::string_view name) const { return io::find_in(list, name); }
    void read_bytes(io::stored const& t, index_t first, std::span<std::byte> to) const {
        auto const from = bytes.subspan(static_cast<std::size_t>(t.offset + first), to.size());
        std::copy(from.begin(), from.end(), to.begin());
    }
    void read(io::stored const& t, index_t first, std::span<float> to) const {
        auto const size = io::bits_of(t.type) / 8;
        io::to_floats(t.type,
                      bytes.subspan(static_cast<std::size_t>(t.offset + first * size),
                                    to.size() * static_cast<std::size_t>(size)),
                      to);
    }
};

void need(bool fact) {
    if (!fact) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using header = io::safetensors_header;
    std::string_view const file(reinterpret_cast<char const*>(data), size);
    auto const raw = std::as_bytes(std::span(file));
    try {
        auto const length = header::length(raw.first(std::min<std::size_t>(size, header::prefix)),
                                           std::ssize(file), "file");
        auto const h = header::parse(file.substr(header::prefix, static_cast<std::size_t>(length)),
                                     std::ssize(file), "file");
        memory const source{raw, h.tensors};
        index_t total = header::prefix + length;
        for (auto const& t : h.tensors) {
            need(source.find(t.name) == &t);
            need(t.offset >= header::prefix + length && t.offset + t.bytes <= std::ssize(file));
            need(t.count() * io::bits_of(t.type) == t.bytes * 8);
            total += t.bytes;
            if (!io::reads_as_float(t.type)) continue;
            std::vector<float> floats(static_cast<std::size_t>(t.count()));
            source.read(t, 0, floats);
        }
        need(total == std::ssize(file));
        io::check_values(source);
    } catch (error const& e) {
        need(!e.subject().empty());
    }
    return 0;
}
