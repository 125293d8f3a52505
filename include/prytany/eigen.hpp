// SPDX-License-Identifier: MIT
// Eigen matrices, Maps, Refs and blocks as rows, and rows as an Eigen Map.
#pragma once

#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include "prytany/core/matrix_view.hpp"

namespace prytany::inline PRYTANY_ABI {

namespace detail {

template <class Derived>
void derives(Eigen::EigenBase<Derived> const*);

template <class M>
constexpr bool is_eigen = requires(M const* m) {
    detail::derives(m);
};
template <class M>
constexpr bool is_dense = requires {
    int{M::Flags};
    M::IsRowMajor;
};

template <class M>
constexpr bool has_float = std::is_same_v<typename M::Scalar, float>;
template <class M>
constexpr bool has_storage = [] {
    if constexpr (is_dense<M>) return (int{M::Flags} & int{Eigen::DirectAccessBit}) != 0;
    else return false;
}();
template <class M>
constexpr bool has_rows = [] {
    if constexpr (has_storage<M>) return bool{M::IsVectorAtCompileTime} || bool{M::IsRowMajor};
    else return false;
}();
template <class M>
constexpr bool has_neighbours = [] {
    if constexpr (has_storage<M>) return int{M::InnerStrideAtCompileTime} == 1;
    else return false;
}();

/// What a matrix lets its holder write: float const for a Map or a block of something const. What
/// does not fit at all is let through, so that the sentence in `rows_of` is the only error.
template <class M>
struct written_through {
    using type = float;
};
template <class M>
requires(has_rows<M>&& has_float<M>) struct written_through<M> {
    using type = std::remove_pointer_t<decltype(std::declval<M&>().data())>;
};
template <class M>
using never_written = std::conditional_t<has_rows<M> && has_float<M>, float const, float>;

} // namespace detail

/// What Eigen keeps row-major in float goes in and out of a layer as it is, without a copy.
///
///     layer.forward(X, Y, ws, pool);
///     layer.forward(X.topRows(3), Y.middleRows(5, 3), ws, pool);
///
/// A matrix, Map, Ref or block whose rows are contiguous; its outer stride is kept. A vector at
/// compile time, row or column, is one row: one token. Where each column of a column-major matrix
/// is a token, `m.transpose()` has them as rows. All else is an error that says what to write.
/// Test      tests/eigen.test.cpp, tests/must_fail/eigen
template <class M>
requires(detail::is_eigen<M>) struct rows_of<M> {
    static auto of(M& m) noexcept -> matrix_view<typename detail::written_through<M>::type> {
        if constexpr (fits()) return view<typename detail::written_through<M>::type>(m);
        else return {};
    }
    static matrix_view<detail::never_written<M>> of(M const& m) noexcept {
        if constexpr (fits()) return view<float const>(m);
        else return {};
    }

private:
    static constexpr bool fits() noexcept {
        constexpr bool floats = detail::has_float<M>, storage = detail::has_storage<M>,
                       rows = detail::has_rows<M>, tight = detail::has_neighbours<M>;
        static_assert(floats, "eigen: rows are of float: write m.cast<float>().eval()");
        static_assert(!floats || storage,
                      "eigen: an expression has no storage: write (expression).eval()");
        static_assert(
            !floats || !storage || rows,
            "eigen: rows are row-major: write Eigen::Matrix<float, Eigen::Dynamic, "
            "Eigen::Dynamic, Eigen::RowMajor>, or m.transpose() where tokens are columns");
        static_assert(
            !floats || !rows || tight,
            "eigen: the numbers of a row lie side by side (inner stride 1): write m.eval()");
        return floats && rows && tight;
    }
    template <class T, class Matrix>
    static matrix_view<T> view(Matrix& m) noexcept {
        if constexpr (M::IsVectorAtCompileTime) return {m.data(), 1, m.size()};
        else return {m.data(), m.rows(), m.cols(), m.outerStride()};
    }
};

/// Rows as Eigen sees them; a Map, that owns nothing.
///
///     as_eigen(view).rowwise().sum()
///
/// Test      tests/eigen.test.cpp
template <class T>
auto as_eigen(matrix_view<T> rows) noexcept {
    using plain =
        Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using seen = std::conditional_t<std::is_const_v<T>, plain const, plain>;
    return Eigen::Map<seen, Eigen::Unaligned, Eigen::OuterStride<>>(
        rows.data, rows.rows, rows.cols, Eigen::OuterStride<>(rows.stride));
}

} // namespace prytany::inline PRYTANY_ABI
