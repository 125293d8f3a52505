// SPDX-License-Identifier: MIT
// The number types of a file, and how they become floats.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "prytany/core/error.hpp"
#include "prytany/core/scalar.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

static_assert(std::endian::native == std::endian::little, "prytany: files are little-endian");

/// The number types of a checkpoint, in the order of their alignment.
///
/// Test      tests/io/element.test.cpp
// clang-format off
enum class element : std::uint8_t {
    boolean, f4, f6_e2m3, f6_e3m2, u8, i8, f8_e5m2, f8_e4m3, f8_e8m0, f8_e4m3fnuz, f8_e5m2fnuz,
    i16, u16, f16, bf16, i32, u32, f32, c64, f64, i64, u64
};
// clang-format on

struct element_facts {
    std::string_view name; // as files write it
    index_t bits;
};

/// Indexed by `element`.
// clang-format off
inline constexpr element_facts elements[] = {
    {"BOOL", 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8}, {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
    {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16}, {"I32", 32}, {"U32", 32}, {"F32", 32},
    {"C64", 64}, {"F64", 64}, {"I64", 64}, {"U64", 64}};
// clang-format on

constexpr std::string_view name_of(element type) noexcept {
    return elements[static_cast<std::size_t>(type)].name;
}
constexpr index_t bits_of(element type) noexcept {
    return elements[static_cast<std::size_t>(type)].bits;
}
/// The type that files call `name`; nothing where there is none.
constexpr std::optional<element> element_named(std::string_view name) noexcept {
    for (std::size_t i = 0; i < std::size(elements); ++i)
        if (elements[i].name == name) return static_cast<element>(i);
    return std::nullopt;
}

/// BOOL: one byte, true if it is not 0.
struct truth {
    std::uint8_t bits = 0;
    constexpr explicit operator float() const noexcept { return bits != 0 ? 1.0f : 0.0f; }
};

/// Calls use(T{}) with the C++ type of `type`; false where C++ has none (eight bits and fewer,
/// C64).
template <class Use>
constexpr bool with_number(element type, Use use) {
    switch (type) {
    case element::boolean:
        use(truth{});
        return true;
    case element::u8:
        use(std::uint8_t{});
        return true;
    case element::i8:
        use(std::int8_t{});
        return true;
    case element::i16:
        use(std::int16_t{});
        return true;
    case element::u16:
        use(std::uint16_t{});
        return true;
    case element::f16:
        use(f16{});
        return true;
    case element::bf16:
        use(bf16{});
        return true;
    case element::i32:
        use(std::int32_t{});
        return true;
    case element::u32:
        use(std::uint32_t{});
        return true;
    case element::f32:
        use(float{});
        return true;
    case element::f64:
        use(double{});
        return true;
    case element::i64:
        use(std::int64_t{});
        return true;
    case element::u64:
        use(std::uint64_t{});
        return true;
    default:
        return false;
    }
}
constexpr bool reads_as_float(element type) noexcept {
    return with_number(type, [](auto) {});
}

/// The numbers in `from`, which may be unaligned, as floats: integers and F64 round to nearest,
/// and an F64 beyond the range of float becomes an infinity.
///
/// Pre       from.size() is to.size() elements
/// Throws    error that names the type where it has no C++ number
inline void to_floats(element type, std::span<std::byte const> from, std::span<float> to) {
    bool const known = with_number(type, [&]<class Number>(Number number) {
        for (std::size_t i = 0; i < to.size(); ++i) {
            std::memcpy(&number, from.data() + i * sizeof(Number), sizeof(Number));
            to[i] = static_cast<float>(number);
        }
    });
    if (!known)
        throw error{"dtype " + std::string(name_of(type)), "a number that converts to float",
                    "one that is read only as bytes"};
}

/// Writes floats as F64, F32, F16 or BF16, rounding to nearest even.
///
/// Pre       to.size() is from.size() elements
/// Throws    error for another type, and where a finite number would become an infinity
inline void from_floats(element type, std::span<float const> from, std::span<std::byte> to) {
    auto const put = [&]<class Number>(Number number) {
        for (std::size_t i = 0; i < from.size(); ++i) {
            number = static_cast<Number>(from[i]);
            if (std::isinf(static_cast<float>(number)) && !std::isinf(from[i]))
                throw error{"floats to write",
                            "numbers in the range of " + std::string(name_of(type)),
                            std::to_string(from[i])};
            std::memcpy(to.data() + i * sizeof(Number), &number, sizeof(Number));
        }
    };
    switch (type) {
    case element::f64:
        return put(double{});
    case element::f32:
        return put(float{});
    case element::f16:
        return put(f16{});
    case element::bf16:
        return put(bf16{});
    default:
        throw error{"floats to write", "F64, F32, F16 or BF16", std::string(name_of(type))};
    }
}

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
