// SPDX-License-Identifier: MIT
// The best experts of all layers by a score.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace analysis {

/// One expert of one layer, and its score.
struct place {
    index_t layer = 0, expert = 0;
    double score = 0;

    friend bool operator==(place const&, place const&) = default;
};

/// The `most` experts with the largest scores of all layers, best first.
///
///     scores[layer · experts + expert]
///
/// Writes    fewer than `most`, if there are not more; what is NaN or -inf has no place
/// Ties      the lower layer, then the lower expert comes first
/// Test      tests/analysis/ranking.test.cpp
inline std::vector<place> ranking(std::span<double const> scores, index_t experts, index_t most) {
    std::vector<place> all;
    for (std::size_t i = 0; i < scores.size(); ++i) {
        if (!(scores[i] > -std::numeric_limits<double>::infinity())) continue;
        auto const number = static_cast<index_t>(i);
        all.push_back({number / experts, number % experts, scores[i]});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](place const& a, place const& b) { return a.score > b.score; });
    auto const room = static_cast<std::size_t>(std::max<index_t>(most, 0));
    all.resize(std::min(all.size(), room));
    return all;
}

} // namespace analysis
} // namespace prytany::inline PRYTANY_ABI
