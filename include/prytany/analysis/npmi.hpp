// SPDX-License-Identifier: MIT
// Which experts run where a text shows that it reasons.
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
#include "prytany/core/plan.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace analysis {

/// Normalised pointwise mutual information of two events, of counts over tokens.
///
///     (log2(both / marked) + log2(tokens / runs)) / log2(tokens / both)
///
/// Writes    -1 to 1: -1 if they never meet, 0 if they meet by chance, 1 if neither comes alone;
///           0 if both are everywhere
/// Throws    error, if no table has such counts
/// Test      tests/analysis/npmi.test.cpp
inline double npmi(index_t both, index_t marked, index_t runs, index_t tokens) {
    bool const fit = both >= 0 && both <= std::min(marked, runs) &&
                     std::max(marked, runs) <= tokens && marked - both <= tokens - runs;
    if (!fit)
        throw error("npmi", "counts of one table",
                    std::to_string(both) + " of " + std::to_string(marked) + " and " +
                        std::to_string(runs) + " among " + std::to_string(tokens));
    if (both == 0) return -1;
    if (both == tokens) return 0;
    auto const k = static_cast<double>(both), m = static_cast<double>(marked),
               n = static_cast<double>(runs), all = static_cast<double>(tokens);
    return std::clamp(std::log2(k * all / (m * n)) / std::log2(all / k), -1.0, 1.0);
}

/// Counts how often experts run on marker tokens, and scores them by it.
///
///     score_e = Σ_x sign_x · nPMI(x, e)
///
/// RICE has the signs {1, -1, -1} for <think>, </think> and Alternatively.
/// A marker is the id of a token; of several tokens, that of the first. Counts are integers: those
/// of parts of a corpus, one a thread, add up with `+=`. `ranking(scores(signs), experts, 2)` are
/// the two experts whose weights to multiply (`steered`).
/// Source    RICE 2025, arXiv:2505.14681
/// Throws    error: a layer, plan, id list or signs that do not fit; a marker that never comes
/// Test      tests/analysis/npmi.test.cpp
class marker_counts {
public:
    marker_counts(index_t layers, index_t experts, std::vector<std::int32_t> markers)
        : layers_(layers), experts_(experts), markers_(std::move(markers)), tokens_(at(layers)),
          marked_(at(layers) * markers_.size()), runs_(at(layers * experts)),
          both_(runs_.size() * markers_.size()) {}

    /// Adds the tokens of a layer's plan; `ids` are their vocabulary entries.
    void add(index_t layer, plan const& closed, std::span<std::int32_t const> ids,
             std::span<std::uint8_t const> mask = {}) {
        inside("npmi.layer", layer, layers_);
        same("npmi.experts", experts_, closed.experts());
        same("npmi.ids", closed.tokens(), std::ssize(ids));
        for (index_t t = 0; t < closed.tokens(); ++t) {
            if (!mask.empty() && mask[at(t)] == 0) continue;
            ++tokens_[at(layer)];
            for (slot const& s : closed.slots_of(t))
                if (s.tier == 0) ++runs_[at(layer * experts_ + s.expert)];
            for (std::size_t x = 0; x < markers_.size(); ++x) {
                if (markers_[x] != ids[at(t)]) continue;
                ++marked_[x * at(layers_) + at(layer)];
                for (slot const& s : closed.slots_of(t))
                    if (s.tier == 0) ++both_[x * runs_.size() + at(layer * experts_ + s.expert)];
            }
        }
    }
    /// Adds what another one has counted of the same experts and markers.
    marker_counts& operator+=(marker_counts const& other) {
        if (other.layers_ != layers_ || other.experts_ != experts_ || other.markers_ != markers_)
            throw error("npmi", "counts of the same experts and markers", "others");
        for (auto const part : {&marker_counts::tokens_, &marker_counts::marked_,
                                &marker_counts::runs_, &marker_counts::both_})
            std::transform((this->*part).begin(), (this->*part).end(), (other.*part).begin(),
                           (this->*part).begin(), [](index_t a, index_t b) { return a + b; });
        return *this;
    }
    /// The nPMI of every expert with one marker, [layers · experts].
    std::vector<double> of(index_t marker) const {
        inside("npmi.marker", marker, std::ssize(markers_));
        std::vector<double> all(runs_.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            std::size_t const layer = i / at(experts_), x = at(marker);
            all[i] = npmi(both_[x * runs_.size() + i], marked_[x * at(layers_) + layer], runs_[i],
                          tokens_[layer]);
        }
        return all;
    }
    /// The scores, [layers · experts]; -inf, that has no place in a ranking, if one never ran.
    std::vector<double> scores(std::span<double const> signs) const {
        same("npmi.signs", std::ssize(markers_), std::ssize(signs));
        for (std::size_t i = 0; i < marked_.size(); ++i)
            if (marked_[i] == 0)
                throw error("npmi.marker " + std::to_string(markers_[i / at(layers_)]),
                            "tokens of it in every layer", "none");
        std::vector<double> all(runs_.size());
        for (std::size_t x = 0; x < signs.size(); ++x) {
            auto const own = of(static_cast<index_t>(x));
            for (std::size_t i = 0; i < all.size(); ++i) all[i] += signs[x] * own[i];
        }
        for (std::size_t i = 0; i < all.size(); ++i)
            if (runs_[i] == 0) all[i] = -std::numeric_limits<double>::infinity();
        return all;
    }

private:
    index_t layers_, experts_;
    std::vector<std::int32_t> markers_;
    std::vector<index_t> tokens_; // [layers]
    std::vector<index_t> marked_; // [markers, layers]
    std::vector<index_t> runs_;   // [layers, experts]
    std::vector<index_t> both_;   // [markers, layers, experts]

    static std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }
    static void inside(char const* name, index_t got, index_t count) {
        if (got < 0 || got >= count)
            throw error(name, "0 to " + std::to_string(count - 1), std::to_string(got));
    }
    static void same(char const* name, index_t wanted, index_t got) {
        if (got != wanted) throw error(name, std::to_string(wanted), std::to_string(got));
    }
};

} // namespace analysis
} // namespace prytany::inline PRYTANY_ABI
