// SPDX-License-Identifier: MIT
// Looks for NaN and infinity in what a source holds.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/io/concept.hpp"
#include "prytany/io/text.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

namespace detail {

/// The first of the numbers in `raw` with (bits & mask) == value, or how many there are.
template <class Bits>
index_t first_with(std::span<std::byte const> raw, Bits mask, Bits value) noexcept {
    index_t const count = std::ssize(raw) / static_cast<index_t>(sizeof(Bits));
    Bits bits{};
    for (index_t i = 0; i < count; ++i) {
        std::memcpy(&bits, raw.data() + static_cast<std::size_t>(i) * sizeof(Bits), sizeof(Bits));
        if ((bits & mask) == value) return i;
    }
    return count;
}

/// The first NaN or infinity in `raw`, or its number of elements: those whose exponent is all ones,
/// but for types without infinity.
inline index_t first_bad(element type, std::span<std::byte const> raw) noexcept {
    using u8 = std::uint8_t;
    using u16 = std::uint16_t;
    auto const same = [&]<class Bits>(Bits mask) { return first_with<Bits>(raw, mask, mask); };
    switch (type) {
    case element::f64:
        return same(std::uint64_t{0x7ff0'0000'0000'0000});
    case element::f32:
        return same(std::uint32_t{0x7f80'0000});
    case element::c64:
        return same(std::uint32_t{0x7f80'0000}) / 2;
    case element::f16:
        return same(u16{0x7c00});
    case element::bf16:
        return same(u16{0x7f80});
    case element::f8_e5m2:
        return same(u8{0x7c});
    case element::f8_e4m3:
        return same(u8{0x7f});
    case element::f8_e8m0:
        return same(u8{0xff});
    case element::f8_e4m3fnuz:
    case element::f8_e5m2fnuz:
        return first_with<u8>(raw, u8{0xff}, u8{0x80}); // what would be -0
    default:
        return std::ssize(raw) * 8 / bits_of(type);
    }
}

} // namespace detail

/// Throws where an element of the tensor is NaN or infinite, in any of the float types of a file.
///
/// Throws    error that names the tensor and the index of the element
/// Reads     the whole tensor, in pieces
/// Test      tests/io/check_values.test.cpp
template <tensor_source Source>
void check_values(Source const& source, stored const& tensor) {
    std::array<std::byte, 1 << 14> piece;
    for (index_t at = 0; at < tensor.bytes; at += std::ssize(piece)) {
        auto const size = std::min(std::ssize(piece), tensor.bytes - at);
        std::span const raw(piece.data(), static_cast<std::size_t>(size));
        source.read_bytes(tensor, at, raw);
        index_t const bad = detail::first_bad(tensor.type, raw);
        if (bad < size * 8 / bits_of(tensor.type))
            throw error{source.where() + ": tensor " + printable(tensor.name), "finite numbers",
                        "NaN or infinity in element " +
                            std::to_string(at * 8 / bits_of(tensor.type) + bad)};
    }
}

/// The same for every tensor of the source.
template <tensor_source Source>
void check_values(Source const& source) {
    for (stored const& tensor : source.tensors()) check_values(source, tensor);
}

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
