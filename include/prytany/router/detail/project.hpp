// SPDX-License-Identifier: MIT
// Products that scorers are made of, and blocks of rows between two of them.
#pragma once

#include <algorithm>

#include "prytany/format/dense.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/kernel/gemm.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// The numbers as they are.
struct as_is {
    simd::floats operator()(simd::floats x) const noexcept { return x; }
};

/// out = f(rows · M^T + b), in float32; the same bits for a row alone and among others.
///
/// Pre       `rows` has M's columns, `out` no more columns than whole panels of M
/// Test      tests/router/detail/project.test.cpp
template <class F = as_is>
void project(matrix_view<float const> rows, packed<dense<float>{}> const& matrix,
             column const* bias, matrix_view<float> out, F const& f = {}) noexcept {
    auto const write = [&](index_t row, index_t panel, simd::float_pair sum) {
        index_t const first = panel * panel_lanes;
        if (bias != nullptr) {
            sum.low += simd::load(bias->data() + first);
            sum.high += simd::load(bias->data() + first + lanes);
        }
        simd::store_pair(out.row(row) + first, {f(sum.low), f(sum.high)}, out.cols - first);
    };
    kernel::multiply(kernel::picked_rows{rows.data, rows.stride}, rows.rows, matrix, 0,
                     matrix.panels(), write);
}
/// Calls use(f(rows · M^T + b), first row) for blocks of rows; a block lies on the stack.
///
/// Pre       M has `Width` rows
/// Test      tests/router/detail/project.test.cpp
template <index_t Width, class F, class Use>
void each_projected(matrix_view<float const> rows, packed<dense<float>{}> const& matrix,
                    column const* bias, F&& f, Use&& use) noexcept {
    constexpr index_t stride = (Width + panel_lanes - 1) / panel_lanes * panel_lanes;
    constexpr index_t block = std::clamp<index_t>(8192 / stride, 1, 32);
    alignas(64) float inner[static_cast<std::size_t>(block * stride)];
    for (index_t first = 0; first < rows.rows; first += block) {
        index_t const count = std::min(block, rows.rows - first);
        project(rows.part(first, count), matrix, bias,
                matrix_view<float>(inner, count, stride, stride), f);
        use(matrix_view<float const>(inner, count, Width, stride), first);
    }
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
