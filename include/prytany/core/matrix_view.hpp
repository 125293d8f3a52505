// SPDX-License-Identifier: MIT
// Rows of numbers that somebody else owns.
#pragma once

#include <concepts>
#include <type_traits>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {

/// How a foreign matrix type is seen as rows; `eigen.hpp` specialises it.
template <class M>
struct rows_of;

/// A matrix whose rows are contiguous and `stride` elements apart; owns nothing.
///
///     element (r, c) is data[r · stride + c],   0 ≤ r < rows,   0 ≤ c < cols ≤ stride
///
/// Test      tests/core/matrix_view.test.cpp
template <class T>
struct matrix_view {
    T* data = nullptr;
    index_t rows = 0;
    index_t cols = 0;
    index_t stride = 0;

    constexpr matrix_view() = default;
    constexpr matrix_view(T* first, index_t row_count, index_t col_count) noexcept
        : matrix_view(first, row_count, col_count, col_count) {}
    constexpr matrix_view(T* first, index_t row_count, index_t col_count, index_t step) noexcept
        : data(first), rows(row_count), cols(col_count), stride(step) {}
    template <class M>
    requires requires(M&& m) {
        { rows_of<std::remove_cvref_t<M>>::of(m) } -> std::convertible_to<matrix_view<T>>;
    }
    constexpr matrix_view(M&& matrix) noexcept
        : matrix_view(matrix_view(rows_of<std::remove_cvref_t<M>>::of(matrix))) {}

    constexpr T* row(index_t r) const noexcept { return data + r * stride; }
    constexpr bool empty() const noexcept { return rows == 0 || cols == 0; }
    /// `count` rows from row `first` on.
    constexpr matrix_view part(index_t first, index_t count) const noexcept {
        return {data + first * stride, count, cols, stride};
    }
    /// `count` columns from column `first` on, of every row.
    constexpr matrix_view columns(index_t first, index_t count) const noexcept {
        return {rows == 0 ? data : data + first, rows, count, stride}; // no rows may mean no data
    }
    constexpr operator matrix_view<T const>() const noexcept requires(!std::is_const_v<T>) {
        return {data, rows, cols, stride};
    }
};

} // namespace prytany::inline PRYTANY_ABI
