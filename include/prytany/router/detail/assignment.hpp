// SPDX-License-Identifier: MIT
// The best assignment of tokens to experts under equal loads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "prytany/kernel/select.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// What speaks for an expert: its ranking or else its logit, and its bias.
inline float affinity(seen const& in, index_t token, index_t expert) noexcept {
    float const* const row = (in.ranking.data != nullptr ? in.ranking : in.logits).row(token);
    return in.bias.empty() ? row[expert] : row[expert] + in.bias[static_cast<std::size_t>(expert)];
}

/// Gives every token one expert: Σ affinity is the largest there is for loads that differ by ≤ 1.
///
/// Tokens come one after the other. Where the best expert of a token is full, the cheapest chain of
/// moves a → b → … → one with room is found (Bellman and Ford on the experts): moving from a to b
/// costs what the best token of a loses there. Chains keep the loss of all tokens so far minimal.
/// Every expert has ⌊T / E⌋ places of its own; the T mod E others are one node more, the `spare`,
/// that takes at most one token of each expert.
/// Affinities are counted in units of 2⁻⁴⁴ of the power of two above the largest: sums are exact.
/// Cost      O(tokens · experts² · rounds) where experts overflow, rounds ≤ experts + 1
/// Error     the total is below the optimum by at most 2⁻⁴² · tokens · max |affinity|
/// Test      tests/router/balanced.test.cpp
class assignment {
public:
    void lay_out(arena& memory, index_t tokens, index_t experts) {
        index_t const nodes = experts + 1;
        expert_of_ = memory.take<std::int32_t>(tokens);
        place_of_ = memory.take<std::int32_t>(tokens);
        members_ = memory.take<std::int32_t>(tokens + 2 * experts);
        counts_ = memory.take<index_t>(experts);
        loss_ = memory.take<std::int64_t>(nodes);
        before_ = memory.take<std::int32_t>(nodes);
        mover_ = memory.take<std::int32_t>(experts * experts);
        extra_ = memory.take<std::uint8_t>(experts);
    }
    void solve(seen const& in) noexcept {
        open(in);
        for (index_t t = 0; t < in.logits.rows; ++t)
            if (in.present(t)) assign(in, t);
    }
    /// The expert of a token, `dynamic` for padding.
    index_t expert_of(index_t token) const noexcept { return expert_of_[at(token)]; }

private:
    std::span<std::int32_t> expert_of_, place_of_; // of a token: its expert, where it is a member
    std::span<std::int32_t> members_; // the tokens of every expert, `room_` places each
    std::span<index_t> counts_;
    std::span<std::int64_t> loss_;   // of the cheapest chain to a node; the last one is the spare
    std::span<std::int32_t> before_; // the node before it in that chain
    std::span<std::int32_t> mover_;  // [from, to]: the token of `from` that loses least in `to`
    std::span<std::uint8_t> extra_;  // whether an expert holds one of the spare places
    index_t experts_ = 0, own_ = 0, room_ = 0, spare_ = 0;
    double least_ = 0, units_ = 1; // the smallest finite affinity; units in 1

    static constexpr std::int32_t nobody = -1;
    static constexpr auto never = std::int64_t{1} << 62;
    static constexpr std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }
    static_assert(dynamic == nobody);

    void open(seen const& in) noexcept {
        experts_ = in.logits.cols;
        index_t present = 0;
        double widest = 0;
        least_ = std::numeric_limits<double>::infinity();
        for (index_t t = 0; t < in.logits.rows; ++t) {
            expert_of_[at(t)] = nobody;
            if (!in.present(t)) continue;
            ++present;
            for (index_t e = 0; e < experts_; ++e) {
                double const a = affinity(in, t, e);
                if (!std::isfinite(a)) continue;
                least_ = std::min(least_, a);
                widest = std::max(widest, std::abs(a));
            }
        }
        if (!std::isfinite(least_)) least_ = 0;
        int above = 0;
        std::frexp(widest, &above); // widest < 2^above
        units_ = std::ldexp(1.0, 44 - above);
        own_ = present / experts_;
        room_ = own_ + 1;
        spare_ = present - own_ * experts_;
        std::fill(counts_.begin(), counts_.end(), 0);
        std::fill(extra_.begin(), extra_.end(), std::uint8_t{0});
        std::fill(mover_.begin(), mover_.end(), nobody);
    }
    std::int64_t worth(seen const& in, index_t token, index_t expert) const noexcept {
        double const a = affinity(in, token, expert);
        return static_cast<std::int64_t>(std::nearbyint((std::isfinite(a) ? a : least_) * units_));
    }
    /// What the best token of `from` loses in `to`.
    std::int64_t moving(seen const& in, index_t from, index_t to) const noexcept {
        auto const t = mover_[at(from * experts_ + to)];
        return t == nobody ? never : worth(in, t, from) - worth(in, t, to);
    }
    /// Whether an expert has a place of its own that is free.
    bool has_room(index_t e) const noexcept { return counts_[at(e)] - extra_[at(e)] < own_; }

    void assign(seen const& in, index_t token) noexcept {
        index_t best = 0;
        for (index_t e = 1; e < experts_; ++e)
            if (worth(in, token, e) > worth(in, token, best)) best = e;
        if (has_room(best)) return put(in, token, best);
        find_chains(in, token);
        index_t last = spare_ > 0 ? experts_ : dynamic; // the cheapest node with room
        for (index_t e = experts_; e-- > 0;)
            if (has_room(e) && (last == dynamic || loss_[at(e)] <= loss_[at(last)])) last = e;
        follow(in, token, last);
    }
    void find_chains(seen const& in, index_t token) noexcept {
        for (index_t e = 0; e < experts_; ++e) {
            loss_[at(e)] = -worth(in, token, e);
            before_[at(e)] = nobody;
        }
        loss_[at(experts_)] = never;
        bool changed = true;
        auto const relax = [&](index_t from, index_t to, std::int64_t cost) {
            auto const chain = loss_[at(from)] + cost;
            if (chain >= loss_[at(to)]) return;
            loss_[at(to)] = chain;
            before_[at(to)] = static_cast<std::int32_t>(from);
            changed = true;
        };
        for (index_t round = 0; changed && round <= experts_; ++round) {
            changed = false;
            for (index_t from = 0; from < experts_; ++from) {
                for (index_t to = 0; to < experts_; ++to)
                    if (to != from) relax(from, to, moving(in, from, to));
                if (extra_[at(from)] == 0) relax(from, experts_, 0);
            }
            for (index_t to = 0; to < experts_; ++to) // takes the spare place of another
                if (extra_[at(to)] != 0) relax(experts_, to, 0);
        }
    }
    /// Moves one token along every link of the chain that ends in `last`, the new one to its first.
    void follow(seen const& in, index_t token, index_t last) noexcept {
        if (last == experts_) --spare_;
        for (index_t node = last;;) {
            index_t const from = before_[at(node)];
            if (node == experts_) {
                extra_[at(from)] = 1;
            } else if (from == experts_) {
                extra_[at(node)] = 0;
            } else if (from == nobody) {
                return put(in, token, node);
            } else {
                index_t const moved = mover_[at(from * experts_ + node)];
                take(in, moved, from);
                put(in, moved, node);
            }
            node = from;
        }
    }
    void put(seen const& in, index_t token, index_t expert) noexcept {
        auto const place = counts_[at(expert)]++;
        members_[at(expert * room_ + place)] = static_cast<std::int32_t>(token);
        place_of_[at(token)] = static_cast<std::int32_t>(place);
        expert_of_[at(token)] = static_cast<std::int32_t>(expert);
        for (index_t to = 0; to < experts_; ++to) offer(in, token, expert, to);
    }
    void take(seen const& in, index_t token, index_t expert) noexcept {
        auto const place = at(expert * room_ + place_of_[at(token)]);
        auto const end = members_[at(expert * room_ + --counts_[at(expert)])];
        members_[place] = end;
        place_of_[at(end)] = place_of_[at(token)];
        for (index_t to = 0; to < experts_; ++to) {
            auto& mover = mover_[at(expert * experts_ + to)];
            if (mover != token) continue;
            mover = nobody;
            for (index_t i = 0; i < counts_[at(expert)]; ++i)
                offer(in, members_[at(expert * room_ + i)], expert, to);
        }
    }
    /// Makes a token the one that moves, if it loses less or, losing the same, comes before.
    void offer(seen const& in, index_t token, index_t from, index_t to) noexcept {
        auto const loss = worth(in, token, from) - worth(in, token, to);
        auto const now = moving(in, from, to);
        auto& mover = mover_[at(from * experts_ + to)];
        if (loss < now || (loss == now && token < mover)) mover = static_cast<std::int32_t>(token);
    }
};

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
