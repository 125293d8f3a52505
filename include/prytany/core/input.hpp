// SPDX-License-Identifier: MIT
// What the caller of a layer knows of the rows that go in.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include "prytany/core/matrix_view.hpp"

namespace prytany::inline PRYTANY_ABI {

/// The rows of a call, and what the caller knows of them; everything but the rows may be left out.
///
/// `rows` is [tokens, model]. `mask` has one byte a token: a token whose byte is 0 is padding, it
/// gets no slot, runs no expert, shared ones included, and its output row is zero.
/// Test      tests/core/input.test.cpp
struct input {
    matrix_view<float const> rows;
    std::span<std::uint8_t const> mask{};

    input() = default;
    template <class M>
    requires std::convertible_to<M&&, matrix_view<float const>> input(
        M&& matrix, std::span<std::uint8_t const> present = {})
        : rows(matrix), mask(present) {}

    index_t tokens() const noexcept { return rows.rows; }
    bool present(index_t token) const noexcept {
        return mask.empty() || mask[static_cast<std::size_t>(token)] != 0;
    }
    /// `count` tokens from token `first` on.
    input part(index_t first, index_t count) const noexcept {
        input some = *this;
        some.rows = rows.part(first, count);
        if (!mask.empty())
            some.mask =
                mask.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
        return some;
    }
};

} // namespace prytany::inline PRYTANY_ABI
