// SPDX-License-Identifier: MIT
// What the shares of several passes say of each expert.
#pragma once

#include <cmath>
#include <span>

#include "prytany/core/matrix_view.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// The mean of each column.
inline double mean_of(matrix_view<double const> samples, index_t column) noexcept {
    double sum = 0;
    for (index_t m = 0; m < samples.rows; ++m) sum += samples.row(m)[column];
    return sum / static_cast<double>(samples.rows);
}

/// How large an expert's share is beside what it varies by.
///
///     u_e = ḡ_e / (σ_e + 1e-5),   ḡ and σ (unbiased) over the samples, [passes, experts]
///
/// Pre       at least two samples
/// Test      tests/router/uncertain.test.cpp
inline void by_deviation(matrix_view<double const> samples, std::span<double> u) noexcept {
    constexpr double epsilon = 1e-5;
    auto const freedom = static_cast<double>(samples.rows - 1);
    for (index_t e = 0; e < samples.cols; ++e) {
        double const mean = mean_of(samples, e);
        double squares = 0;
        for (index_t m = 0; m < samples.rows; ++m) {
            double const apart = samples.row(m)[e] - mean;
            squares += apart * apart;
        }
        u[static_cast<std::size_t>(e)] = mean / (std::sqrt(squares / freedom) + epsilon);
    }
}

/// Turns samples g_m to t_m = (Σ + 1e-5 I)⁻¹ (g_m - ḡ), Σ their unbiased covariance.
///
///     T = (D Dᵀ / (M - 1) + 1e-5 I)⁻¹ D,   rows of D: g_m - ḡ
///
/// This is the same: it inverts [M, M], not [experts, experts], and rounding along the null vector
/// of Σ (shares sum to 1) stays small.
/// Pre       at least two samples; `room` is [M, M]
/// Cost      O(M² experts + M³)
/// Test      tests/router/uncertain.test.cpp
inline void whiten(matrix_view<double> samples, matrix_view<double> room) noexcept {
    constexpr double epsilon = 1e-5;
    index_t const passes = samples.rows, experts = samples.cols;
    for (index_t e = 0; e < experts; ++e) {
        double const mean = mean_of(samples, e);
        for (index_t m = 0; m < passes; ++m) samples.row(m)[e] -= mean;
    }
    // Cholesky: room = L with L Lᵀ = D Dᵀ / (M - 1) + ε I, then L y = D and Lᵀ t = y in place
    for (index_t i = 0; i < passes; ++i)
        for (index_t j = 0; j <= i; ++j) {
            double sum = 0;
            for (index_t e = 0; e < experts; ++e) sum += samples.row(i)[e] * samples.row(j)[e];
            sum = sum / static_cast<double>(passes - 1) + (i == j ? epsilon : 0);
            for (index_t l = 0; l < j; ++l) sum -= room.row(i)[l] * room.row(j)[l];
            room.row(i)[j] = i == j ? std::sqrt(sum) : sum / room.row(j)[j];
        }
    auto const take = [&](index_t from, index_t times_row, double factor) {
        for (index_t e = 0; e < experts; ++e)
            samples.row(from)[e] -= factor * samples.row(times_row)[e];
    };
    auto const divide = [&](index_t row) {
        for (index_t e = 0; e < experts; ++e) samples.row(row)[e] /= room.row(row)[row];
    };
    for (index_t i = 0; i < passes; ++i) {
        for (index_t l = 0; l < i; ++l) take(i, l, room.row(i)[l]);
        divide(i);
    }
    for (index_t i = passes; i-- > 0;) {
        for (index_t l = i + 1; l < passes; ++l) take(i, l, room.row(l)[i]);
        divide(i);
    }
}

/// The mean direction of whitened samples: w = mean_m t_m / (|t_m| + 1e-5).
///
/// Whitens the samples in place.
/// Test      tests/router/uncertain.test.cpp
inline void by_whitening(matrix_view<double> samples, matrix_view<double> room,
                         std::span<double> w) noexcept {
    constexpr double epsilon = 1e-5;
    whiten(samples, room);
    for (double& x : w) x = 0;
    for (index_t m = 0; m < samples.rows; ++m) {
        double const* const t = samples.row(m);
        double squares = 0;
        for (index_t e = 0; e < samples.cols; ++e) squares += t[e] * t[e];
        double const by = (std::sqrt(squares) + epsilon) * static_cast<double>(samples.rows);
        for (std::size_t e = 0; e < w.size(); ++e) w[e] += t[e] / by;
    }
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
