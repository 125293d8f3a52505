// SPDX-License-Identifier: MIT
// The angles between rows and the directions of the experts.
#pragma once

#include <algorithm>

#include "prytany/router/detail/measured_rows.hpp"
#include "prytany/router/detail/project.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// x · e_i / max(‖e_i‖, least).
inline void along(matrix_view<float const> rows, measured_rows const& directions, float least,
                  matrix_view<float> out) noexcept {
    project(rows, directions.matrix(), nullptr, out);
    float const* const lengths = directions.lengths();
    for (index_t t = 0; t < out.rows; ++t) {
        float* const row = out.row(t);
        for (index_t e = 0; e < out.cols; ++e) row[e] /= std::max(lengths[e], least);
    }
}
/// factor · x · e_i / (max(‖x‖, 10^-12) max(‖e_i‖, 10^-12)).
///
/// Test      tests/router/score/cosine.test.cpp, tests/router/score/prototypes.test.cpp
inline void cosines(matrix_view<float const> rows, measured_rows const& directions, float factor,
                    matrix_view<float> out) noexcept {
    constexpr float least = 1e-12f;
    along(rows, directions, least, out);
    for (index_t t = 0; t < out.rows; ++t) {
        float const length = std::max(length_of(rows.row(t), rows.cols), least);
        float* const row = out.row(t);
        for (index_t e = 0; e < out.cols; ++e) row[e] = factor * (row[e] / length);
    }
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
