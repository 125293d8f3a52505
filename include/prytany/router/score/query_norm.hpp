// SPDX-License-Identifier: MIT
// Scores of attention heads without parameters: how long their queries are.
#pragma once

#include <cmath>
#include <limits>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/kernel/dot.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Scores every head by the length of its query. A row is the queries of one token before
/// rotation, head after head: [heads · width].
///
///     s_h = |q_h| / σ,   σ² = Σ (|q_h| - mean)² / (n - 1) over the n heads from `shared` on
///
/// Where the lengths do not differ, σ is taken as 1.
/// Source    Jin et al. 2024, arXiv:2410.11842; the continue-tuned LLaMA3-8B
/// Models    scorer
/// Writes    all logits; the mean is not subtracted
/// Cost      O(tokens · heads · width); no allocation
/// Compile   shared, standardised        Run   –
/// Throws    check: error, if the row is not divided evenly among the heads
/// Test      tests/router/score/query_norm.test.cpp
struct query_norm {
    index_t shared = 0;       ///< the first heads, left out of σ
    bool standardised = true; ///< without: s_h = |q_h|

    struct params {};
    template <class Weights, class Visit>
    void tensors(Weights&, shape const&, Visit&&) const {}
    void check(shape const& size, params const&) const {
        if (size.model % size.experts != 0)
            throw error("query_norm: width of a row",
                        "a multiple of " + std::to_string(size.experts) + " heads",
                        std::to_string(size.model));
    }
    template <auto My>
    static void score(input const& in, kit<My>, matrix_view<float> logits) noexcept {
        index_t const heads = logits.cols, width = in.rows.cols / heads;
        for (index_t t = 0; t < logits.rows; ++t) {
            float* const row = logits.row(t);
            for (index_t h = 0; h < heads; ++h) {
                float const* const query = in.rows.row(t) + h * width;
                row[h] = std::sqrt(kernel::dot(query, query, width));
            }
            if constexpr (My.standardised) {
                float const deviation = deviation_of(row + My.shared, heads - My.shared);
                bool const sound = deviation > 0 && deviation <= std::numeric_limits<float>::max();
                for (index_t h = 0; sound && h < heads; ++h) row[h] /= deviation;
            }
        }
    }

private:
    static float deviation_of(float const* x, index_t count) noexcept {
        double sum = 0, squares = 0;
        for (index_t i = 0; i < count; ++i) sum += double{x[i]};
        double const mean = sum / static_cast<double>(count);
        for (index_t i = 0; i < count; ++i)
            squares += (double{x[i]} - mean) * (double{x[i]} - mean);
        return count > 1 ? static_cast<float>(std::sqrt(squares / static_cast<double>(count - 1)))
                         : 0.0f;
    }
};

} // namespace prytany::inline PRYTANY_ABI
