// SPDX-License-Identifier: MIT
// Who goes to which expert with what weight.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "prytany/core/arena.hpp"

namespace prytany::inline PRYTANY_ABI {

/// One token's visit to one expert.
struct slot {
    std::int32_t expert = 0;
    float weight = 0;
    std::int32_t tier = 0; ///< 0 runs the expert; any other tier is listed but not run

    friend bool operator==(slot const&, slot const&) = default;
};

/// Who goes to which expert with what weight: a CSR by token, and the same slots grouped by expert.
///
/// A plan is *open* while routers write it: every token owns `most` places, so workers may fill
/// tokens in any order. `close` packs the slots to a CSR and groups those of tier 0 by expert, in
/// token order; afterwards it is read only.
/// Cost      close: O(tokens · most + experts), no allocation
/// Test      tests/core/plan.test.cpp
class plan {
public:
    plan() = default;

    void lay_out(arena& memory, index_t tokens, index_t most, index_t experts) {
        tokens_ = tokens;
        most_ = most;
        experts_ = experts;
        slots_ = memory.take<slot>(tokens * most);
        counts_ = memory.take<std::int32_t>(tokens);
        starts_ = memory.take<index_t>(tokens + 1);
        groups_ = memory.take<index_t>(experts + 1);
        grouped_tokens_ = memory.take<std::int32_t>(tokens * most);
        grouped_weights_ = memory.take<float>(tokens * most);
    }

    // ---- open -------------------------------------------------------------------------------
    void open() noexcept {
        std::fill(counts_.begin(), counts_.end(), 0);
        listed_ = 0;
    }
    /// Adds a slot to a token; at most `most()` times for each token.
    void put(index_t token, index_t expert, float weight, std::int32_t tier = 0) noexcept {
        auto& count = counts_[at(token)];
        slots_[at(token * most_ + count++)] = {static_cast<std::int32_t>(expert), weight, tier};
    }
    /// The slots written for a token so far; a wrapper may change them in place.
    std::span<slot> open_slots_of(index_t token) const noexcept {
        return slots_.subspan(at(token * most_), at(counts_[at(token)]));
    }
    /// Keeps only the first `count` slots of a token.
    void cut(index_t token, index_t count) noexcept {
        counts_[at(token)] =
            static_cast<std::int32_t>(std::min<index_t>(count, counts_[at(token)]));
    }
    /// The plan of `count` tokens from token `first` on, while open: what one worker writes.
    plan part(index_t first, index_t count) const noexcept {
        plan some = *this;
        some.tokens_ = count;
        some.slots_ = slots_.subspan(at(first * most_), at(count * most_));
        some.counts_ = counts_.subspan(at(first), at(count));
        return some;
    }
    void close() noexcept {
        std::fill(groups_.begin(), groups_.end(), 0);
        index_t next = 0;
        for (index_t t = 0; t < tokens_; ++t) {
            starts_[at(t)] = next;
            for (index_t j = 0; j < counts_[at(t)]; ++j) {
                slot const s = slots_[at(t * most_ + j)];
                slots_[at(next++)] = s;
                if (s.tier == 0) ++groups_[at(s.expert + 1)];
            }
        }
        starts_[at(tokens_)] = listed_ = next;
        for (index_t e = 0; e < experts_; ++e) groups_[at(e + 1)] += groups_[at(e)];
        index_t const run = groups_[at(experts_)];
        for (index_t t = tokens_; t-- > 0;) { // backwards: each group's end falls to its start
            for (index_t i = starts_[at(t + 1)]; i-- > starts_[at(t)];) {
                slot const s = slots_[at(i)];
                if (s.tier != 0) continue;
                index_t const to = --groups_[at(s.expert + 1)];
                grouped_tokens_[at(to)] = static_cast<std::int32_t>(t);
                grouped_weights_[at(to)] = s.weight;
            }
        }
        for (index_t e = 0; e < experts_; ++e) groups_[at(e)] = groups_[at(e + 1)];
        groups_[at(experts_)] = run;
    }

    // ---- closed -----------------------------------------------------------------------------
    index_t tokens() const noexcept { return tokens_; }
    index_t experts() const noexcept { return experts_; }
    /// The most slots one token may have.
    index_t most() const noexcept { return most_; }
    /// All slots, of every tier.
    index_t slots() const noexcept { return listed_; }
    /// The slots of a token, in the order the router chose them.
    std::span<slot const> slots_of(index_t token) const noexcept {
        return slots_.subspan(at(starts_[at(token)]),
                              at(starts_[at(token + 1)] - starts_[at(token)]));
    }
    /// The number of slots that run, of all experts before `expert`.
    index_t first_of(index_t expert) const noexcept { return groups_[at(expert)]; }
    /// The tokens that run through an expert, ascending, and their weights.
    std::span<std::int32_t const> tokens_of(index_t expert) const noexcept {
        return grouped_tokens_.subspan(at(groups_[at(expert)]), load(expert));
    }
    std::span<float const> weights_of(index_t expert) const noexcept {
        return grouped_weights_.subspan(at(groups_[at(expert)]), load(expert));
    }

private:
    std::span<slot> slots_;
    std::span<std::int32_t> counts_;
    std::span<index_t> starts_, groups_;
    std::span<std::int32_t> grouped_tokens_;
    std::span<float> grouped_weights_;
    index_t tokens_ = 0, most_ = 0, experts_ = 0, listed_ = 0;

    static constexpr std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }
    std::size_t load(index_t expert) const noexcept {
        return at(groups_[at(expert + 1)] - groups_[at(expert)]);
    }
};

} // namespace prytany::inline PRYTANY_ABI
