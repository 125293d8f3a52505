// SPDX-License-Identifier: MIT
// Experts that choose their tokens.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/core/rounded_up.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/choosing.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Every expert takes the C tokens it is worth most to; a token may have none, or every expert.
///
///     P = softmax over experts of s;   C = ⌈c · tokens / experts⌉
///     w_te = P_te,   where it is one of the C largest of column e
///
/// Padding is neither taken nor counted. A ranking chooses instead of P; a bias, the same for all
/// tokens of an expert, chooses nothing.
/// Source    Zhou et al. 2022, arXiv:2202.09368
/// Models    router_policy
/// Writes    0 to experts slots a token, in expert order; min(C, tokens) for every expert
/// Ties      the lower token wins; NaN is taken last; -inf is listed, weighs 0, is not run
/// Cost      O(tokens · experts); no allocation
/// Compile   among: the batch, or every sequence by itself        Run   factor, c in the formula
/// Throws    error at construction: factor not a finite number > 0
/// Test      tests/router/expert_choice.test.cpp
struct expert_choice {
    scope among = scope::batch;

    struct params {
        float factor = 2; ///< the mean number of experts a token gets
    };
    struct scratch {
        std::span<kernel::softmax> shares;
        std::span<std::uint64_t> keys;
        void lay_out(arena& memory, shape const&, index_t tokens) {
            shares = memory.take<kernel::softmax>(tokens);
            keys = memory.take<std::uint64_t>(tokens);
        }
    };

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const&) const { return size.experts; }
    constexpr promises promise() const { return {.sees = among, .causal = false}; }
    void check(shape const&, params const& own) const {
        if (among == scope::token)
            throw error("expert_choice.among", "scope::batch or scope::sequence", "scope::token");
        if (!(own.factor > 0 && std::isfinite(own.factor)))
            throw error("expert_choice.factor", "a finite number > 0", std::to_string(own.factor));
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        auto const among_these = [&](index_t first, index_t count) {
            take(in, first, count, own.params.factor, own.scratch, out);
        };
        if constexpr (My.among == scope::sequence) in.each_sequence(among_these);
        else among_these(0, in.logits.rows);
    }

private:
    /// Lets every expert take its share of tokens [first, first + count).
    static void take(seen const& in, index_t first, index_t count, float factor, scratch& room,
                     plan& out) noexcept {
        index_t const experts = in.logits.cols;
        bool const ranked = in.ranking.data != nullptr;
        index_t present = 0;
        for (index_t t = first; t < first + count; ++t) {
            if (!in.present(t)) continue;
            room.shares[static_cast<std::size_t>(t)] = {in.logits.row(t), experts};
            ++present;
        }
        auto const share = static_cast<double>(present) / static_cast<double>(experts);
        index_t const most = std::min(present, rounded_up(factor, share));
        for (index_t e = 0; e < experts; ++e) {
            auto* next = room.keys.data();
            for (index_t t = first; t < first + count; ++t) {
                if (!in.present(t)) continue;
                float const worth = room.shares[static_cast<std::size_t>(t)](in.logits.row(t)[e]);
                *next++ = kernel::rank_key(ranked ? in.ranking.row(t)[e] : worth, t);
            }
            auto* const end = room.keys.data() + most;
            std::nth_element(room.keys.data(), end, next, [](auto a, auto b) { return a > b; });
            for (auto const* key = room.keys.data(); key != end; ++key) {
                index_t const t = kernel::index_of(*key);
                float const logit = in.logits.row(t)[e];
                out.put(t, e, room.shares[static_cast<std::size_t>(t)](logit),
                        detail::idle_tier(logit));
            }
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
