// SPDX-License-Identifier: MIT
// How many tokens an expert takes, and who is dropped where it is full.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "prytany/core/aspect.hpp"
#include "prytany/core/error.hpp"
#include "prytany/core/input.hpp"
#include "prytany/core/philox.hpp"
#include "prytany/core/plan.hpp"
#include "prytany/core/rounded_up.hpp"
#include "prytany/core/shape.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/layer/option/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Who keeps a place where an expert has fewer than it was chosen for.
enum class capacity_rule {
    none,              ///< all: nothing is dropped
    sequential,        ///< first choices before second ones, then tokens in order
    batch_prioritised, ///< first choices before second ones, then tokens with the largest weight
    random,            ///< the slots with the largest draw
    probability,       ///< the slots with the largest weight
};

/// Lets every expert run at most C tokens.
///
///     C = max(minimum, ⌈factor · tokens · k / experts⌉), up to a multiple of `multiple`
///
/// k is the most slots of a token, or as given: a router that may choose all of E experts, such as
/// `top_p`, has room for every token otherwise.
///
///     w ← w · Σ all / Σ kept   for the kept of a token that lost a slot, with `renormalise`
///
/// A dropped slot stays listed with weight 0 and tier 1. What fills a place, or is dropped, depends
/// on all tokens; padding has no slots, is not counted and fills none.
/// Source    GShard, arXiv:2006.16668; V-MoE, arXiv:2106.05974 (batch_prioritised);
///           DeepSpeed-MoE (random)
/// Models    layer_option
/// Ties      lower tokens keep their place; NaN weighs least
/// Cost      O(slots + tokens · log tokens); no allocation
/// Compile   rule        Run   factor, minimum, renormalise, k, multiple
/// Throws    error at construction: factor, minimum, k, multiple out of range
/// Test      tests/layer/option/capacity.test.cpp
struct capacity {
    using aspect = capacity_aspect;
    capacity_rule rule = capacity_rule::sequential;

    struct params {
        float factor = 1;
        index_t minimum = 0;
        bool renormalise = false;
        index_t k = dynamic;
        index_t multiple = 1;
    };
    struct scratch {
        std::span<std::uint64_t> keys; // of the slots of every expert, one expert after the other
        std::span<index_t> starts;     // where those of an expert start
        std::span<std::uint64_t> order;
        std::span<std::uint32_t> turns; // of every token, in batch_prioritised
        std::span<float> totals;        // of the weights of every token

        void lay_out(arena& memory, index_t tokens, index_t most, index_t experts) {
            keys = memory.take<std::uint64_t>(tokens * most);
            starts = memory.take<index_t>(experts + 1);
            order = memory.take<std::uint64_t>(tokens);
            turns = memory.take<std::uint32_t>(tokens);
            totals = memory.take<float>(tokens);
        }
    };

    constexpr bool drops() const noexcept { return rule != capacity_rule::none; }
    static void check(params const& own) {
        if (!(own.factor >= 0 && std::isfinite(own.factor)))
            throw error("capacity.factor", "a finite number ≥ 0", std::to_string(own.factor));
        if (own.minimum < 0)
            throw error("capacity.minimum", "at least 0", std::to_string(own.minimum));
        if (own.k != dynamic && own.k < 1)
            throw error("capacity.k", "at least 1", std::to_string(own.k));
        if (own.multiple < 1 || own.multiple > largest_multiple)
            throw error("capacity.multiple", "1 to " + std::to_string(largest_multiple),
                        std::to_string(own.multiple));
    }
    /// C, for tokens that are not padding, where a token has `most` slots at most.
    static index_t of(index_t tokens, index_t most, index_t experts, params const& own) noexcept {
        index_t const k = own.k == dynamic ? most : own.k;
        double const share = static_cast<double>(tokens) * static_cast<double>(k);
        index_t const places =
            std::max(own.minimum, rounded_up(own.factor, share / static_cast<double>(experts)));
        index_t const over = places % own.multiple;
        return over == 0 ? places : places + own.multiple - over;
    }

    /// Drops what is over C from a plan that is open, and counts it.
    ///
    /// Pre       masked tokens have no slots; `room` was laid out for the plan's tokens and more
    index_t apply(plan& open, input const& in, params const& own, scratch& room) const noexcept {
        if (rule == capacity_rule::none) return 0;
        index_t const places = sort_in(open, in, room);
        index_t const most = of(places, open.most(), open.experts(), own);
        index_t dropped = 0;
        for (index_t e = 0; e < open.experts(); ++e) {
            std::uint64_t* const first = room.keys.data() + room.starts[at(e)];
            std::uint64_t* const last = room.keys.data() + room.starts[at(e + 1)];
            if (last - first <= most) continue;
            std::nth_element(first, first + most, last, [](auto a, auto b) { return a > b; });
            for (auto const* key = first + most; key != last; ++key, ++dropped) {
                index_t const place = kernel::index_of(*key);
                slot& lost = open.open_slots_of(place / open.most())[at(place % open.most())];
                lost.weight = 0;
                lost.tier = 1;
            }
        }
        if (own.renormalise && dropped > 0) renormalise(open, room);
        return dropped;
    }

private:
    static constexpr std::uint32_t stream = 0x63617061; ///< of its draws
    static constexpr index_t largest_multiple = index_t{1} << 30;
    static constexpr std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }

    static float total_of(std::span<slot const> slots) noexcept {
        double total = 0;
        for (slot const s : slots)
            if (s.tier == 0) total += s.weight;
        return static_cast<float>(total);
    }
    /// Sorts the keys of the slots that run by expert, and counts the tokens that are there.
    index_t sort_in(plan const& open, input const& in, scratch& room) const noexcept {
        index_t const experts = open.experts();
        index_t present = 0;
        std::fill(room.starts.begin(), room.starts.end(), 0);
        for (index_t t = 0; t < open.tokens(); ++t) {
            present += in.present(t) ? 1 : 0;
            room.totals[at(t)] = total_of(open.open_slots_of(t));
            for (slot const s : open.open_slots_of(t))
                if (s.tier == 0) ++room.starts[at(s.expert)];
        }
        index_t end = 0;
        for (index_t e = 0; e < experts; ++e) room.starts[at(e)] = end += room.starts[at(e)];
        room.starts[at(experts)] = end;
        if (rule == capacity_rule::batch_prioritised) take_turns(open, room);
        for (index_t t = open.tokens(); t-- > 0;) {
            draws const drawn(in.seed, in.first + t, stream);
            auto const slots = open.open_slots_of(t);
            for (index_t j = 0; j < static_cast<index_t>(slots.size()); ++j)
                if (slots[at(j)].tier == 0)
                    room.keys[at(--room.starts[at(slots[at(j)].expert)])] =
                        key(open, t, j, slots[at(j)], drawn, room);
        }
        return present;
    }
    /// The larger the key, the longer a slot keeps its place; its lower half says which slot it is.
    std::uint64_t key(plan const& open, index_t token, index_t rank, slot const& s,
                      draws const& drawn, scratch const& room) const noexcept {
        index_t const place = token * open.most() + rank;
        if (rule == capacity_rule::random) return kernel::rank_key(drawn.uniform(s.expert), place);
        if (rule == capacity_rule::probability) return kernel::rank_key(s.weight, place);
        index_t const turn = rule == capacity_rule::batch_prioritised
                                 ? static_cast<index_t>(room.turns[at(token)])
                                 : token;
        auto const before = static_cast<std::uint32_t>(rank * open.tokens() + turn);
        return std::uint64_t{0xffffffffu - before} << 32 | kernel::refused_key(place);
    }
    /// Gives the tokens turns by their largest weight.
    static void take_turns(plan const& open, scratch& room) noexcept {
        auto const order = room.order.first(at(open.tokens()));
        for (index_t t = 0; t < open.tokens(); ++t) {
            std::uint64_t best = kernel::refused_key(t);
            for (slot const s : open.open_slots_of(t))
                if (s.tier == 0) best = std::max(best, kernel::rank_key(s.weight, t));
            order[at(t)] = best;
        }
        std::sort(order.begin(), order.end(), [](auto a, auto b) { return a > b; });
        for (std::size_t i = 0; i < order.size(); ++i)
            room.turns[at(kernel::index_of(order[i]))] = static_cast<std::uint32_t>(i);
    }
    static void renormalise(plan const& open, scratch const& room) noexcept {
        for (index_t t = 0; t < open.tokens(); ++t) {
            auto const slots = open.open_slots_of(t);
            float const total = room.totals[at(t)], kept = total_of(slots);
            if (kept == total || !(kept > 0)) continue;
            for (slot& s : slots)
                if (s.tier == 0) s.weight = s.weight / kept * total;
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
