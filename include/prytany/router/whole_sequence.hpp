// SPDX-License-Identifier: MIT
// One choice of experts for all tokens of a sequence.
#pragma once

#include <cmath>
#include <limits>

#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Lets a router choose, and weigh, by the mean logits of a token's whole sequence.
///
///     s_te ← mean of s_ue over the tokens u of the sequence of t
///
///     whole_sequence{top_k{.k = 2, .weight = weighing::unit}}   the slices' outputs are added up
///
/// Padding, NaN and -inf have no part in a mean; it is NaN where nothing is left. An expert that is
/// shut for a token by -inf stays shut for it. A ranking is averaged in the same way.
/// Source    Yang et al. 2025 (Union-of-Experts), expert selection, arXiv:2503.02495
/// Models    router_policy
/// Writes    what the inner router writes, the same for all tokens of a sequence that shut the same
/// Cost      O(tokens · experts), and the inner router; no allocation
/// Compile   the inner router        Run   its params, as `router`
/// Throws    never
/// Test      tests/router/whole_sequence.test.cpp
template <router_policy R>
struct whole_sequence {
    R router;

    struct params {
        params_of<R> router{};
    };
    struct scratch {
        matrix_view<float> logits, ranking; // means, once for each token
        scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            logits = memory.take<float>(tokens, size.experts);
            ranking = memory.take<float>(tokens, size.experts);
        }
    };

    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const {
        promises said = router.promise();
        if (said.sees == scope::token) said.sees = scope::sequence;
        said.causal = false;
        return said;
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        seen of_all = in;
        of_all.logits = means(in, in.logits, own.scratch.logits);
        if (in.ranking.data != nullptr) of_all.ranking = means(in, in.ranking, own.scratch.ranking);
        R::select(of_all, own.router(), out);
    }

private:
    static constexpr float shut = -std::numeric_limits<float>::infinity();

    static matrix_view<float const> means(seen const& in, matrix_view<float const> from,
                                          matrix_view<float> room) noexcept {
        if (from.rows > 0)
            in.each_sequence([&](index_t first, index_t count) {
                for (index_t e = 0; e < from.cols; ++e) {
                    float const mean = mean_of(in, from, first, count, e);
                    for (index_t t = first; t < first + count; ++t)
                        room.row(t)[e] = from.row(t)[e] == shut ? shut : mean;
                }
            });
        return room.part(0, from.rows);
    }
    static float mean_of(seen const& in, matrix_view<float const> from, index_t first,
                         index_t count, index_t expert) noexcept {
        double sum = 0;
        index_t counted = 0;
        for (index_t t = first; t < first + count; ++t) {
            float const one = from.row(t)[expert];
            if (!in.present(t) || std::isnan(one) || one == shut) continue;
            sum += one;
            ++counted;
        }
        return static_cast<float>(sum / static_cast<double>(counted));
    }
};
template <router_policy R>
whole_sequence(R) -> whole_sequence<R>;
template <router_policy R>
whole_sequence(whole_sequence<R>) -> whole_sequence<whole_sequence<R>>; // else a copy

} // namespace prytany::inline PRYTANY_ABI
