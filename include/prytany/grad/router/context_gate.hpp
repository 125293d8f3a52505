// SPDX-License-Identifier: MIT
// The gate of MixER, solved from the losses of experts. Includes Eigen.
#pragma once

#include <Eigen/QR>

#include "prytany/grad/router/context_clusters.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad {

/// Writes the gate whose scores come nearest to 1 for the expert of each environment and 0 for all
/// others: of all least squares solutions the smallest.
///
///     X = [ξ + noise · N(0, 1); 1],   Y_ie = 1 if e is the expert of i, else 0
///     W = arg min |X W - Y|²;   gate [experts, width + 1] is W^T, the tensor of `context_gate`
///
/// A complete orthogonal decomposition in double; a direction below float32's precision is none.
/// Pre       finite contexts [environments, width]
/// Writes    zeros without environments
/// Throws    error: sizes that differ, an expert that the gate has not
/// Test      tests/grad/router/context_gate.test.cpp
inline void least_squares_gate(matrix_view<float const> contexts,
                               std::span<index_t const> expert_of, matrix_view<float> gate,
                               double noise = 0, std::uint64_t seed = 0) {
    index_t const count = contexts.rows, width = contexts.cols;
    if (std::ssize(expert_of) != count)
        throw error("context_gate.experts", std::to_string(count),
                    std::to_string(expert_of.size()));
    if (gate.cols != width + 1)
        throw error("context_gate.gate", dims_text(gate.rows, width + 1),
                    dims_text(gate.rows, gate.cols));
    for (index_t const e : expert_of)
        if (e < 0 || e >= gate.rows)
            throw error("context_gate.experts", "0 to " + std::to_string(gate.rows - 1),
                        std::to_string(e));
    Eigen::MatrixXd x(count, width + 1), y = Eigen::MatrixXd::Zero(count, gate.rows);
    for (index_t i = 0; i < count; ++i) {
        draws const drawn(seed, i, 0x4d495846);
        for (index_t c = 0; c < width; ++c) {
            double const shift = noise > 0 ? noise * double{drawn.normal(c)} : 0;
            x(i, c) = double{contexts.row(i)[c]} + shift;
        }
        x(i, width) = 1;
        y(i, expert_of[static_cast<std::size_t>(i)]) = 1;
    }
    Eigen::CompleteOrthogonalDecomposition<Eigen::MatrixXd> solver;
    solver.setThreshold(double{std::numeric_limits<float>::epsilon()} *
                        static_cast<double>(std::max(count, width + 1)));
    Eigen::MatrixXd w = Eigen::MatrixXd::Zero(width + 1, gate.rows);
    if (count > 0) w = solver.compute(x).solve(y);
    for (index_t e = 0; e < gate.rows; ++e)
        for (index_t c = 0; c <= width; ++c) gate.row(e)[c] = static_cast<float>(w(c, e));
}

/// The share of environments whose largest score is that of their expert; 1 without any.
///
/// Ties      the lower expert has the largest score
/// Test      tests/grad/router/context_gate.test.cpp
inline double agreement(matrix_view<float const> contexts, std::span<index_t const> expert_of,
                        matrix_view<float const> gate) {
    index_t right = 0;
    for (index_t i = 0; i < contexts.rows; ++i) {
        index_t best = 0;
        double top = -std::numeric_limits<double>::infinity();
        for (index_t e = 0; e < gate.rows; ++e) {
            double score = double{gate.row(e)[contexts.cols]};
            for (index_t c = 0; c < contexts.cols; ++c)
                score += double{gate.row(e)[c]} * double{contexts.row(i)[c]};
            if (score > top) {
                top = score;
                best = e;
            }
        }
        right += best == expert_of[static_cast<std::size_t>(i)] ? 1 : 0;
    }
    return contexts.rows == 0 ? 1 : static_cast<double>(right) / static_cast<double>(contexts.rows);
}

struct gate_solving {
    k_means clusters{};
    double noise = 1e-4;
};

/// The update of a gate between steps of training: it is solved, no gradient goes through it.
///
///     groups = K-means(ξ), as many as experts;   M = median losses of groups
///     each group takes its expert;   gate = least squares of one-hot experts
///
/// `clusters` keeps its centroids from call to call: `clusters.forget()` at the start of an epoch.
/// Source    MixER, the released code: noise 1e-2, tolerance 1e-3, iterations 30 for Lorenz
/// Writes    the gate, if the groups settled; else nothing
/// Throws    error: a number of gate_solving out of range, sizes that differ
/// Test      tests/grad/router/context_gate.test.cpp
class context_gate {
public:
    /// How K-means ended; the share of environments that the gate sends to their group's expert.
    struct report {
        grouping groups = grouping::empty;
        double agreement = 0;
    };
    context_clusters clusters;

    context_gate(index_t experts, index_t width, gate_solving const& own = {})
        : clusters(experts, width, own.clusters), noise_(own.noise) {
        if (!(noise_ >= 0 && std::isfinite(noise_)))
            throw error("context_gate.noise", "a finite number ≥ 0", std::to_string(noise_));
    }
    /// `contexts` [environments, width], `losses` [environments, experts]: of each expert alone.
    report update(matrix_view<float const> contexts, matrix_view<float const> losses,
                  matrix_view<float> gate, std::uint64_t seed = 0) {
        index_t const experts = clusters.groups();
        auto const size = [](char const* name, auto const& m, index_t rows, index_t cols) {
            if (m.rows != rows || m.cols != cols)
                throw error(name, dims_text(rows, cols), dims_text(m.rows, m.cols));
        };
        size("context_gate.losses", losses, contexts.rows, experts);
        size("context_gate.gate", gate, experts, clusters.width() + 1);
        auto const ended = clusters.find(contexts, seed);
        if (ended != grouping::settled) return {ended};
        auto const groups = clusters.group_of();
        auto const expert_of = matched_experts(median_losses(groups, experts, losses), experts);
        std::vector<index_t> own;
        for (index_t const j : groups) own.push_back(expert_of[static_cast<std::size_t>(j)]);
        least_squares_gate(contexts, own, gate, noise_, seed);
        return {ended, agreement(contexts, own, gate)};
    }

private:
    double noise_;
};

} // namespace grad
} // namespace prytany::inline PRYTANY_ABI
