// SPDX-License-Identifier: MIT
// Environments grouped by their contexts, and one expert for every group.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "prytany/core/error.hpp"
#include "prytany/core/matrix_view.hpp"
#include "prytany/core/philox.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad {

/// How K-means ended: with groups, with a group of nobody, or with centroids that still move.
enum class grouping { settled, empty, restless };

struct k_means {
    index_t iterations = 20;
    double tolerance = 1e-4;
};

/// K-means over the contexts of environments; each call goes on from where the last one ended.
///
///     group of i = arg min_j mean_c |ξ_ic - m_jc|;   m_j ← mean of group j
///     settled: |m' - m| ≤ tolerance + 1e-5 |m| for every number, in fewer than `iterations` rounds
///
/// The first call, and one after a call that did not settle or after `forget`, starts from
/// centroids drawn uniformly from ±1e-3. A group of nobody ends the call.
/// Source    MixER, the released code: what settles in the last round counts as restless there
/// Ties      an environment goes to the lower group; NaN is far from all, and never settles
/// Throws    error at construction: a number of k_means out of range; contexts of another width
/// Test      tests/grad/router/context_clusters.test.cpp
class context_clusters {
public:
    context_clusters(index_t groups, index_t width, k_means const& own = {})
        : groups_(groups), width_(width), own_(own) {
        if (groups < 1)
            throw error("context_clusters.groups", "at least 1", std::to_string(groups));
        if (width < 1) throw error("context_clusters.width", "at least 1", std::to_string(width));
        if (own.iterations < 2)
            throw error("context_clusters.iterations", "at least 2",
                        std::to_string(own.iterations));
        if (!(own.tolerance >= 0 && std::isfinite(own.tolerance)))
            throw error("context_clusters.tolerance", "a finite number ≥ 0",
                        std::to_string(own.tolerance));
    }

    index_t groups() const noexcept { return groups_; }
    index_t width() const noexcept { return width_; }
    /// The centroids [groups, width] that the next call starts from; empty: it draws them.
    std::span<double const> centroids() const noexcept { return centroids_; }
    /// The group of every environment, as the last call left it, and how many rounds that took.
    std::span<index_t const> group_of() const noexcept { return group_of_; }
    index_t rounds() const noexcept { return rounds_; }

    void forget() noexcept { centroids_.clear(); }
    void start_from(std::vector<double> centroids) {
        if (std::ssize(centroids) != groups_ * width_)
            throw error("context_clusters.centroids", std::to_string(groups_ * width_),
                        std::to_string(centroids.size()));
        centroids_ = std::move(centroids);
    }
    /// Groups the contexts [environments, width]; the seed is that of centroids that are drawn.
    grouping find(matrix_view<float const> contexts, std::uint64_t seed = 0) {
        if (contexts.cols != width_)
            throw error("context_clusters.contexts", dims_text(contexts.rows, width_),
                        dims_text(contexts.rows, contexts.cols));
        if (centroids_.empty()) draw(seed);
        group_of_.assign(at(contexts.rows), 0);
        for (rounds_ = 1; rounds_ <= own_.iterations; ++rounds_) {
            for (index_t i = 0; i < contexts.rows; ++i) group_of_[at(i)] = nearest(contexts.row(i));
            auto means = means_of(contexts);
            if (means.empty()) return failed(grouping::empty);
            bool const still = near(means);
            centroids_ = std::move(means);
            if (still && rounds_ < own_.iterations) return grouping::settled;
        }
        --rounds_;
        return failed(grouping::restless);
    }

private:
    index_t groups_, width_, rounds_ = 0;
    k_means own_;
    std::vector<double> centroids_;
    std::vector<index_t> group_of_;

    static constexpr std::uint32_t stream = 0x4d495845;
    static std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }

    void draw(std::uint64_t seed) {
        for (index_t j = 0; j < groups_; ++j)
            for (index_t c = 0; c < width_; ++c)
                centroids_.push_back(1e-3 * (2.0 * draws(seed, j, stream).uniform(c) - 1));
    }
    index_t nearest(float const* context) const noexcept {
        index_t best = 0;
        double least = std::numeric_limits<double>::infinity();
        for (index_t j = 0; j < groups_; ++j) {
            double far = 0;
            for (index_t c = 0; c < width_; ++c)
                far += std::abs(double{context[c]} - centroids_[at(j * width_ + c)]);
            if (far < least) {
                least = far;
                best = j;
            }
        }
        return best;
    }
    /// The mean of every group; nothing, if one is empty.
    std::vector<double> means_of(matrix_view<float const> contexts) const {
        std::vector<double> means(at(groups_ * width_)), members(at(groups_));
        for (index_t i = 0; i < contexts.rows; ++i) {
            index_t const j = group_of_[at(i)];
            ++members[at(j)];
            for (index_t c = 0; c < width_; ++c)
                means[at(j * width_ + c)] += double{contexts.row(i)[c]};
        }
        for (index_t j = 0; j < groups_; ++j) {
            if (members[at(j)] == 0) return {};
            for (index_t c = 0; c < width_; ++c) means[at(j * width_ + c)] /= members[at(j)];
        }
        return means;
    }
    bool near(std::span<double const> means) const noexcept {
        for (std::size_t i = 0; i < means.size(); ++i) {
            double const old = centroids_[i];
            if (!(std::abs(means[i] - old) <= own_.tolerance + 1e-5 * std::abs(old))) return false;
        }
        return true;
    }
    grouping failed(grouping how) noexcept {
        forget();
        return how;
    }
};

/// The median loss of every expert over the environments of every group, [groups, experts].
///
///     losses [environments, experts]; of an even number the mean of the middle two
///
/// Writes    what is no loss, NaN or -inf, counts as +inf; a group of nobody has +inf
/// Test      tests/grad/router/context_clusters.test.cpp
inline std::vector<double> median_losses(std::span<index_t const> group_of, index_t groups,
                                         matrix_view<float const> losses) {
    constexpr double worst = std::numeric_limits<double>::infinity();
    std::vector<double> medians, own;
    for (index_t j = 0; j < groups; ++j)
        for (index_t e = 0; e < losses.cols; ++e) {
            own.clear();
            for (index_t i = 0; i < losses.rows; ++i) {
                if (group_of[static_cast<std::size_t>(i)] != j) continue;
                auto const loss = double{losses.row(i)[e]};
                own.push_back(loss > -worst ? loss : worst);
            }
            std::sort(own.begin(), own.end());
            std::size_t const half = own.size() / 2;
            medians.push_back(own.empty()          ? worst
                              : own.size() % 2 > 0 ? own[half]
                                                   : (own[half - 1] + own[half]) / 2);
        }
    return medians;
}

/// The expert of every group: in the order of the groups, the least median that is not yet taken.
///
/// Pre       medians [groups, groups]: as many experts
/// Ties      the lower expert
/// Test      tests/grad/router/context_clusters.test.cpp
inline std::vector<index_t> matched_experts(std::span<double const> medians, index_t groups) {
    std::vector<index_t> expert_of;
    std::vector<bool> taken(static_cast<std::size_t>(groups));
    for (index_t j = 0; j < groups; ++j) {
        index_t best = -1;
        auto const median = [&](index_t e) {
            return medians[static_cast<std::size_t>(j * groups + e)];
        };
        for (index_t e = 0; e < groups; ++e)
            if (!taken[static_cast<std::size_t>(e)] && (best < 0 || median(e) < median(best)))
                best = e;
        taken[static_cast<std::size_t>(best)] = true;
        expert_of.push_back(best);
    }
    return expert_of;
}

} // namespace grad
} // namespace prytany::inline PRYTANY_ABI
