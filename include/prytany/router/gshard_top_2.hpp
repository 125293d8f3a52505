// SPDX-License-Identifier: MIT
// The best expert of every token, and sometimes a second.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/core/philox.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/choosing.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Who comes second while training: the second best, or one drawn from all others.
enum class second_choice { best, drawn };

/// What the chance of the second is made of: its share of the pair, or of all experts.
enum class second_chance { of_pair, of_all };

/// Keeps the best expert, and while training the second only by chance.
///
///     w_1, w_2 = softmax(z_1, z_2);   the second runs with probability min(1, 2 g)
///     g = w_2 or softmax(z)_2;        drawn: the second is arg max of z_e + Gumbel, e ≠ first
///
/// Source    Lepikhin et al. 2020 (GShard), alg. 1, arXiv:2006.16668; of_all: torchscale's
///           `random`; drawn: its `sampling`, DeepSpeed's top-2 gate
/// Models    router_policy
/// Writes    two slots a token; a second left out is listed at weight 0, tier 1; w_1 stays
/// Ties      the lower expert number wins; NaN is chosen last; -inf is listed, weighs 0, is not run
/// Cost      O(experts) a token; no allocation
/// Compile   choice, chance        Run   training
/// Throws    error at construction: fewer than two experts
/// Test      tests/router/gshard_top_2.test.cpp
struct gshard_top_2 {
    second_choice choice = second_choice::best;
    second_chance chance = second_chance::of_pair;
    static constexpr std::uint32_t stream = 0x67736861; ///< draw 0: kept or not, 1 + e: expert e

    struct params {
        bool training = false; ///< not: the second best always runs
    };
    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const&, params const&) const { return 2; }
    constexpr promises promise() const { return {}; }
    void check(shape const& size, params const&) const {
        if (size.experts < 2)
            throw error("gshard_top_2: experts", "at least 2", std::to_string(size.experts));
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        bool const training = own.params.training;
        index_t const experts = in.logits.cols;
        for (index_t t = 0; t < in.logits.rows; ++t) {
            float const* const logits = in.logits.row(t);
            draws const drawn(in.seed, in.first + t, stream);
            kernel::softmax const of_all(logits, experts);
            auto const worth = [&](index_t e) { return detail::choosing(in, t, e, of_all); };
            auto const luck = [&](index_t e) { return logits[e] + drawn.gumbel(1 + e); };
            index_t const first = best(experts, -1, worth);
            bool const lucky = training && My.choice == second_choice::drawn;
            index_t const other = lucky ? best(experts, first, luck) : best(experts, first, worth);

            float const pair[] = {logits[first], logits[other]};
            kernel::softmax const of_pair(pair, 2);
            float const g =
                My.chance == second_chance::of_pair ? of_pair(pair[1]) : of_all(pair[1]);
            bool const kept = !training || drawn.uniform(0) < 2 * g;
            out.put(t, first, of_pair(pair[0]), detail::idle_tier(pair[0]));
            out.put(t, other, kept ? of_pair(pair[1]) : 0.0f,
                    kept ? detail::idle_tier(pair[1]) : 1);
        }
    }

private:
    /// The expert with the largest score but `gone`.
    template <class Score>
    static index_t best(index_t experts, index_t gone, Score&& score) noexcept {
        std::uint64_t top = 0;
        for (index_t e = 0; e < experts; ++e)
            if (e != gone) top = std::max(top, kernel::rank_key(score(e), e));
        return kernel::index_of(top);
    }
};

} // namespace prytany::inline PRYTANY_ABI
