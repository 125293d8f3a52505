// SPDX-License-Identifier: MIT
// Experts that choose their tokens.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/core/rounded_up.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/choosing.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// What a token is worth to an expert, and weighs there.
enum class worth {
    among_experts, ///< softmax of its scores
    among_tokens,  ///< softmax of the expert's scores
    score,         ///< the score as it is
};

/// Every expert takes the C tokens it is worth most to; a token may have none, or every expert.
///
///     P = softmax over experts of s;   C = ⌈c · tokens / experts⌉
///     w_te = P_te,   where it is one of the C largest of column e
///
/// ProMoE: each sequence by itself, P over its tokens or s itself, C rounded down, but 1 at least.
/// Padding is neither taken nor counted. A ranking chooses instead of P; a bias, the same for all
/// tokens of an expert, chooses nothing.
/// Source    Zhou et al. 2022, arXiv:2202.09368; ProMoE, its released code
/// Models    router_policy
/// Writes    0 to experts slots a token, in expert order; min(C, tokens) for every expert
/// Ties      the lower token wins; NaN is taken last; -inf is listed, weighs 0, is not run
/// Cost      O(tokens · experts); no allocation
/// Compile   among: the batch, or every sequence by itself; weight        Run   factor: c; down
/// Throws    error at construction: factor not a finite number > 0
/// Test      tests/router/expert_choice.test.cpp
struct expert_choice {
    scope among = scope::batch;
    worth weight = worth::among_experts;

    struct params {
        float factor = 2;  ///< the mean number of experts a token gets
        bool down = false; ///< C is rounded down, to 1 at least
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
    constexpr promises promise() const {
        return {.sees = among, .causal = false, .positive = weight != worth::score};
    }
    void check(shape const&, params const& own) const {
        if (among == scope::token)
            throw error("expert_choice.among", "scope::batch or scope::sequence", "scope::token");
        if (!(own.factor > 0 && std::isfinite(own.factor)))
            throw error("expert_choice.factor", "a finite number > 0", std::to_string(own.factor));
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        auto const among_these = [&](index_t first, index_t count) {
            take<My.weight>(in, first, count, own.params, own.scratch, out);
        };
        if constexpr (My.among == scope::sequence) in.each_sequence(among_these);
        else among_these(0, in.logits.rows);
    }

private:
    /// C, of so many tokens.
    static index_t room_for(index_t tokens, index_t experts, params const& own) noexcept {
        double const share = static_cast<double>(tokens) / static_cast<double>(experts);
        if (!own.down) return std::min(tokens, rounded_up(own.factor, share));
        constexpr double with_rounding = 1 + 0x1p-23; // 0.6f · 5 is 3
        double const exact = static_cast<double>(own.factor) * share * with_rounding;
        auto const whole = static_cast<index_t>(std::min(exact, static_cast<double>(tokens)));
        return std::min(tokens, std::max<index_t>(1, whole));
    }
    /// Lets every expert take its share of tokens [first, first + count).
    template <worth Weight>
    static void take(seen const& in, index_t first, index_t count, params const& own, scratch& room,
                     plan& out) noexcept {
        index_t const experts = in.logits.cols;
        bool const ranked = in.ranking.data != nullptr;
        index_t present = 0;
        for (index_t t = first; t < first + count; ++t) {
            if (!in.present(t)) continue;
            if constexpr (Weight == worth::among_experts)
                room.shares[static_cast<std::size_t>(t)] = {in.logits.row(t), experts};
            ++present;
        }
        index_t const most = room_for(present, experts, own);
        for (index_t e = 0; e < experts; ++e) {
            auto const logit_of = [&](index_t t) { return in.logits.row(t)[e]; };
            auto const column = [&] {
                if constexpr (Weight == worth::among_tokens)
                    return kernel::softmax(count, [&](index_t i) {
                        constexpr float absent = -std::numeric_limits<float>::infinity();
                        return in.present(first + i) ? logit_of(first + i) : absent;
                    });
                else return 0;
            }();
            auto const worth_of = [&](index_t t) {
                if constexpr (Weight == worth::among_experts)
                    return room.shares[static_cast<std::size_t>(t)](logit_of(t));
                else if constexpr (Weight == worth::among_tokens) return column(logit_of(t));
                else return logit_of(t);
            };
            auto* next = room.keys.data();
            for (index_t t = first; t < first + count; ++t) {
                if (!in.present(t)) continue;
                *next++ = kernel::rank_key(ranked ? in.ranking.row(t)[e] : worth_of(t), t);
            }
            auto* const end = room.keys.data() + most;
            std::nth_element(room.keys.data(), end, next, [](auto a, auto b) { return a > b; });
            for (auto const* key = room.keys.data(); key != end; ++key) {
                index_t const t = kernel::index_of(*key);
                int const tier = detail::idle_tier(logit_of(t));
                out.put(t, e, tier == 0 ? worth_of(t) : 0.0f, tier);
            }
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
