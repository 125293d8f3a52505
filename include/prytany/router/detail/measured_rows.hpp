// SPDX-License-Identifier: MIT
// A packed matrix that knows the length of each of its rows.
#pragma once

#include <cmath>
#include <span>

#include "prytany/format/dense.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/kernel/dot.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// √Σ x_i²; in double where the squares leave the range of float.
inline float length_of(float const* x, index_t count) noexcept {
    float const squares = kernel::dot(x, x, count);
    if (squares > 1e-30f && squares < 1e38f) return std::sqrt(squares);
    double exact = 0;
    for (index_t i = 0; i < count; ++i) exact += double{x[i]} * double{x[i]};
    return static_cast<float>(std::sqrt(exact));
}

/// One point or direction for each expert: measured once, when it is packed.
///
/// Test      tests/router/detail/measured_rows.test.cpp
class measured_rows {
public:
    void resize(index_t rows, index_t cols) {
        matrix_.resize(rows, cols);
        lengths_.resize(rows, 1);
    }
    void pack(index_t row, std::span<float const> from) noexcept {
        matrix_.pack(row, from);
        float const length = length_of(from.data(), cols());
        lengths_.pack(row, {&length, 1});
    }
    void unpack(index_t row, std::span<float> to) const noexcept { matrix_.unpack(row, to); }
    index_t rows() const noexcept { return matrix_.rows(); }
    index_t cols() const noexcept { return matrix_.cols(); }
    index_t bytes() const noexcept { return matrix_.bytes() + lengths_.bytes(); }

    packed<dense<float>{}> const& matrix() const noexcept { return matrix_; }
    /// The length of every row.
    float const* lengths() const noexcept { return lengths_.data(); }
    /// ‖x - row‖², term by term.
    double distance_squared(float const* x, index_t row) const noexcept {
        float const* const w = matrix_.panel(row / panel_lanes) + row % panel_lanes;
        double sum = 0;
        for (index_t k = 0; k < cols(); ++k) {
            double const off = double{x[k]} - double{w[k * panel_lanes]};
            sum += off * off;
        }
        return sum;
    }

private:
    packed<dense<float>{}> matrix_;
    column lengths_;
};

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
