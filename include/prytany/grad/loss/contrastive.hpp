// SPDX-License-Identifier: MIT
// The loss that pulls a prototype to its own tokens and away from those of others.
#pragma once

#include <limits>

#include "prytany/grad/loss/detail/tokens.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace grad::loss {

/// Which slots make a token one of an expert's own: the first choice, or every one that runs.
enum class own_tokens { first, every };

/// The routing contrastive loss of ProMoE.
///
///     l_ij = cos(c_i, m_j) / t;   -mean_i log softmax_j(l_i)_i   over experts with tokens
///     m_j = mean of the rows of the tokens of j
///
/// Slots of experts without a prototype (such as that of unconditional tokens) are left out, and so
/// are padding tokens.
/// Source    ProMoE, "Routing Matters in MoE"; t = 0.07 there
/// Pre       rows [tokens, model], prototypes [experts, model], temperature > 0
/// Writes    ≥ 0; 0 with tokens for fewer than two experts
/// Test      tests/grad/loss/contrastive.test.cpp
inline double contrastive(matrix_view<float const> rows, matrix_view<float const> prototypes,
                          plan const& closed, double temperature = 0.07,
                          own_tokens which = own_tokens::first, token_mask mask = {}) {
    std::vector<detail::numbers> sums(detail::at(prototypes.rows),
                                      detail::numbers(detail::at(rows.cols)));
    detail::numbers tokens(sums.size());
    detail::each_present(closed.tokens(), mask, [&](index_t t) {
        auto const slots = closed.slots_of(t);
        std::size_t const most = which == own_tokens::first ? 1 : slots.size();
        for (slot const& s : slots.first(std::min(most, slots.size()))) {
            if (s.tier != 0 || s.expert >= prototypes.rows) continue;
            tokens[detail::at(s.expert)] += 1;
            for (index_t c = 0; c < rows.cols; ++c)
                sums[detail::at(s.expert)][detail::at(c)] += double{rows.row(t)[c]};
        }
    });
    auto const length = [](auto const& x, index_t count) {
        double squares = 0;
        for (index_t c = 0; c < count; ++c) {
            double const part = double{x[detail::at(c)]};
            squares += part * part;
        }
        return std::max(std::sqrt(squares), 1e-12); // of a zero row: its cosines are 0
    };
    double total = 0;
    index_t used = 0;
    for (index_t i = 0; i < prototypes.rows; ++i) {
        if (tokens[detail::at(i)] == 0) continue;
        ++used;
        std::span const prototype(prototypes.row(i), detail::at(prototypes.cols));
        auto const logit = [&](index_t j) {
            auto const mean = detail::over(sums[detail::at(j)], tokens[detail::at(j)]);
            double dot = 0;
            for (std::size_t c = 0; c < mean.size(); ++c) dot += double{prototype[c]} * mean[c];
            return dot / (length(prototype, rows.cols) * length(mean, rows.cols)) / temperature;
        };
        // log Σ_j e^(l_j - l_i), where a sum near 1 keeps its small part
        double const own = logit(i);
        detail::numbers others;
        for (index_t j = 0; j < prototypes.rows; ++j)
            if (j != i && tokens[detail::at(j)] > 0) others.push_back(logit(j) - own);
        double top = 0, rest = 0;
        for (double const d : others) top = std::max(top, d);
        for (double const d : others) rest += std::exp(d - top);
        total += top == 0 ? std::log1p(rest) : top + std::log(rest + std::exp(-top));
    }
    return used < 2 ? 0 : total / static_cast<double>(used);
}

} // namespace grad::loss
} // namespace prytany::inline PRYTANY_ABI
