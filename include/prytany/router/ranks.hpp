// SPDX-License-Identifier: MIT
// The experts of chosen ranks, not the best ones.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/core/philox.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/choosing.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Takes, for every token, the experts at the listed places of the sorted scores.
///
///     e₀, e₁, … by falling s;   S = { e_r : r listed },   w_e = softmax_S(s) or softmax(s)
///
/// Ranks count from 0: {0, 1} are the two best. The rank E, alone, stands for one expert at random
/// with weight 1. A weak pass that lists other ranks is what SCMoE contrasts the model with.
/// Source    Shi et al. 2024 (SCMoE), arXiv:2405.14507, §3
/// Models    router_policy
/// Writes    `count` slots a token, in the order of the list
/// Ties      the lower expert number ranks first; NaN last; -inf is listed and not run
/// Cost      O(experts · largest rank) a token; no allocation
/// Compile   –        Run   count, list, renormalise, scale; the seed of a call
/// Throws    error at construction: count, a rank out of range, twice, or E beside others
/// Test      tests/router/ranks.test.cpp
struct ranks {
    static constexpr index_t most = 16;

    struct params {
        index_t count = 1;
        std::array<index_t, most> list{}; ///< its first `count` are read
        bool renormalise = true;
        float scale = 1.0f;
    };
    struct scratch {
        std::span<std::uint64_t> keys, best;
        void lay_out(arena& memory, shape const& size, index_t) {
            keys = memory.take<std::uint64_t>(size.experts);
            best = memory.take<std::uint64_t>(size.experts);
        }
    };

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const&, params const& own) const { return own.count; }
    constexpr promises promise() const { return {}; }
    void check(shape const& size, params const& own) const {
        index_t const room = std::min(most, size.experts);
        if (own.count < 1 || own.count > room)
            throw error("ranks.count", "1 to " + std::to_string(room), std::to_string(own.count));
        if (!std::isfinite(own.scale))
            throw error("ranks.scale", "a finite number", std::to_string(own.scale));
        auto const listed = std::span(own.list).first(static_cast<std::size_t>(own.count));
        index_t const last = own.count == 1 ? size.experts : size.experts - 1;
        for (std::size_t i = 0; i < listed.size(); ++i) {
            if (listed[i] < 0 || listed[i] > last)
                throw error("ranks.list", "0 to " + std::to_string(last),
                            std::to_string(listed[i]));
            for (std::size_t j = 0; j < i; ++j)
                if (listed[i] == listed[j])
                    throw error("ranks.list", "each rank once",
                                "twice " + std::to_string(listed[i]));
        }
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        index_t const experts = in.logits.cols;
        params const& with = own.params;
        auto const listed = std::span(with.list).first(static_cast<std::size_t>(with.count));
        if (listed[0] == experts) return draw(in, out);
        index_t const deepest = *std::max_element(listed.begin(), listed.end());
        std::uint64_t* const best = own.scratch.best.data();
        for (index_t t = 0; t < in.logits.rows; ++t) {
            float const* const logits = in.logits.row(t);
            kernel::softmax const share(logits, experts);
            for (index_t e = 0; e < experts; ++e)
                own.scratch.keys[static_cast<std::size_t>(e)] =
                    kernel::rank_key(detail::choosing(in, t, e, share), e);
            kernel::largest(own.scratch.keys.data(), experts, deepest + 1, best);
            auto const expert_of = [=](index_t i) {
                return kernel::index_of(best[listed[static_cast<std::size_t>(i)]]);
            };
            auto const logit_of = [=](index_t i) { return logits[expert_of(i)]; };
            auto const weight = with.renormalise ? kernel::softmax(with.count, logit_of) : share;
            for (index_t i = 0; i < with.count; ++i)
                out.put(t, expert_of(i), with.scale * weight(logit_of(i)),
                        detail::idle_tier(logit_of(i)));
        }
    }

private:
    static constexpr std::uint32_t stream = 0x52414e4b;

    /// One expert at random for each token, among those that are not shut.
    static void draw(seen const& in, plan& out) noexcept {
        for (index_t t = 0; t < in.logits.rows; ++t) {
            float const* const logits = in.logits.row(t);
            index_t open = 0, expert = 0;
            for (index_t e = 0; e < in.logits.cols; ++e) open += !detail::idle_tier(logits[e]);
            float const u = draws(in.seed, in.first + t, stream).uniform(0);
            auto place = static_cast<index_t>(u * static_cast<float>(open));
            place = std::min(place, open - 1);
            if (open == 0) {
                out.put(t, 0, 0.0f, 1);
                continue;
            }
            for (; detail::idle_tier(logits[expert]) || place > 0; ++expert)
                if (!detail::idle_tier(logits[expert])) --place;
            out.put(t, expert, 1.0f);
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
