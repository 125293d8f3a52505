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
/// A router that needs what is left out says which.
/// Test      tests/core/input.test.cpp
struct input {
    matrix_view<float const> rows;
    std::span<std::uint8_t const> mask{};
    std::span<index_t const> sequences{};   ///< the first token of each; empty: all are one
    std::span<std::int32_t const> labels{}; ///< a class or category for each token
    std::span<std::int32_t const> ids{};    ///< the vocabulary entry of each token
    std::span<matrix_view<float const> const> attention{}; ///< of each head, [tokens, tokens]
    std::span<matrix_view<float const> const> heads{};     ///< their outputs, [tokens, model]
    matrix_view<float const> previous_logits{};            ///< of the layer before, one row a token
    std::uint64_t seed = 0;                                ///< of all that is drawn in the call
    index_t first = 0; ///< the number of the first row: a part draws what the whole would

    input() = default;
    template <class M>
    requires std::convertible_to<M&&, matrix_view<float const>> input(
        M&& matrix, std::span<std::uint8_t const> present = {})
        : rows(matrix), mask(present) {}

    index_t tokens() const noexcept { return rows.rows; }
    bool present(index_t token) const noexcept {
        return mask.empty() || mask[static_cast<std::size_t>(token)] != 0;
    }
    /// Calls f(first, count) for every sequence.
    template <class F>
    void each_sequence(F&& f) const {
        std::size_t const count = sequences.empty() ? 1 : sequences.size();
        for (std::size_t s = 0; s < count; ++s) {
            index_t const begin = sequences.empty() ? 0 : sequences[s];
            index_t const end = s + 1 < sequences.size() ? sequences[s + 1] : tokens();
            f(begin, end - begin);
        }
    }
    /// `count` tokens from token `from` on. What relates tokens to each other stays with the whole.
    input part(index_t from, index_t count) const noexcept {
        auto const cut = [&](auto all) {
            return all.empty() ? all
                               : all.subspan(static_cast<std::size_t>(from),
                                             static_cast<std::size_t>(count));
        };
        input some = *this;
        some.rows = rows.part(from, count);
        some.mask = cut(mask);
        some.labels = cut(labels);
        some.ids = cut(ids);
        some.sequences = {};
        some.attention = some.heads = {};
        if (!previous_logits.empty()) some.previous_logits = previous_logits.part(from, count);
        some.first = first + from;
        return some;
    }
};

} // namespace prytany::inline PRYTANY_ABI
