// SPDX-License-Identifier: MIT
// Hands out pieces of one block of memory.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include "prytany/core/matrix_view.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Hands out pieces of one block of memory, each on a cache line of its own.
///
/// The same `lay_out(arena&, …)` code runs twice: on an arena without memory, which only counts,
/// and on one with memory. So what is reserved and what is used cannot differ.
/// Cost      O(1) a piece, no allocation
/// Test      tests/core/arena.test.cpp
class arena {
public:
    arena() = default; ///< without memory: only counts
    explicit arena(std::byte* memory) noexcept : memory_(memory) {}

    template <class T>
    std::span<T> take(index_t count) noexcept {
        static_assert(std::is_trivially_destructible_v<T>, "arena: nothing is ever destroyed");
        constexpr index_t line = 64;
        index_t const start = used_;
        used_ += (count * static_cast<index_t>(sizeof(T)) + line - 1) / line * line;
        if (memory_ == nullptr) return {};
        return {reinterpret_cast<T*>(memory_ + start), static_cast<std::size_t>(count)};
    }
    /// Rows padded to a cache line more than they need: rows a power of two apart share cache sets.
    template <class T>
    matrix_view<T> take(index_t rows, index_t cols) noexcept {
        constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
        index_t const stride = (cols + line - 1) / line * line + line;
        return {take<T>(rows * stride).data(), rows, cols, stride};
    }
    bool counts_only() const noexcept { return memory_ == nullptr; }
    index_t used() const noexcept { return used_; }

private:
    std::byte* memory_ = nullptr;
    index_t used_ = 0;
};

} // namespace prytany::inline PRYTANY_ABI
