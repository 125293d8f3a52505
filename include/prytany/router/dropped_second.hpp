// SPDX-License-Identifier: MIT
// A second expert only where it weighs enough.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/by_weight.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Which tokens keep their second expert whatever it weighs: the most important of a sequence.
enum class protection {
    none,
    received, ///< c_j = Σ |x_j| times the mean attention that j gets from itself and those after it
    released, ///< c_j = Σ |x_j| / (N - j), which is what the released code does
};

/// Drops the second of two experts where it weighs too little beside the first.
///
///     w₁ ≥ w₂;   e₂ is dropped where w₂ < beta · w₁,   renormalised: then w₁ ← w₁ + w₂
///     not in the ⌊share · N⌋ tokens with the largest c of N in a sequence, with `Protects`
///
/// Source    Online Dynamic Pruning (MC-MoE): beta is measured for each layer, 0.4 to 0.6
/// Models    router_policy
/// Writes    one or two slots a token, the heavier first
/// Ties      at equality both stay; of equal weights the lower expert number is first; of equal
///           c the lower token number; NaN is least important
/// Cost      that of the inner router; `received`: O(heads · tokens²) a sequence; no allocation
/// Compile   the inner router, Protects        Run   beta, renormalise, share; router
/// Throws    error at construction: an inner router with other than two slots, beta or share out
///           of range; `received`, in a call: no attention
/// Test      tests/router/dropped_second.test.cpp
template <router_policy R, protection Protects = protection::none>
struct dropped_second {
    R router;

    struct params {
        float beta = 0.5f;
        bool renormalise = true;
        float share = 0.02f; ///< of the tokens of a sequence, protected
        params_of<R> router{};
    };
    struct scratch {
        std::span<double> received; // attention, by each token
        std::span<std::uint64_t> keys, best;
        [[no_unique_address]] scratch_of<R> router{};
        void lay_out(arena& memory, shape const&, index_t tokens) {
            if (Protects == protection::none) return;
            received = memory.take<double>(tokens);
            keys = memory.take<std::uint64_t>(tokens);
            best = memory.take<std::uint64_t>(tokens);
        }
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const {
        promises said = router.promise();
        said.unit_sum = false;
        if (Protects == protection::none) return said;
        said.sees = std::max(said.sees, scope::sequence);
        said.causal = false;
        return said;
    }
    void check(shape const& size, params const& own) const {
        if (slots(size, own) != 2)
            throw error("dropped_second.router", "two slots a token",
                        std::to_string(slots(size, own)));
        if (!(own.beta >= 0 && std::isfinite(own.beta)))
            throw error("dropped_second.beta", "a finite number ≥ 0", std::to_string(own.beta));
        if (!(own.share >= 0 && own.share <= 1))
            throw error("dropped_second.share", "0 to 1", std::to_string(own.share));
    }
    void require(input const& in) const {
        if (Protects == protection::received && in.tokens() > 0 && in.attention.empty())
            throw error("dropped_second: input.attention", "a map for each head", "none");
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        R::select(in, own.router(), out);
        if constexpr (Protects == protection::none) {
            for (index_t t = 0; t < in.tokens(); ++t) shorten(own.params, t, false, out);
        } else {
            in.each_sequence([&](index_t first, index_t count) {
                auto const keys = own.scratch.keys.subspan(at(first), at(count));
                std::uint64_t const bar = weigh(in, first, keys, own.scratch, own.params.share);
                for (index_t t = first; t < first + count; ++t)
                    shorten(own.params, t, keys[at(t - first)] >= bar, out);
            });
        }
    }

private:
    static constexpr std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }

    static void shorten(params const& own, index_t token, bool kept, plan& out) noexcept {
        auto const pair = out.open_slots_of(token);
        detail::sort_by_weight(pair);
        if (kept || pair.size() < 2 || !(pair[1].weight < own.beta * pair[0].weight)) return;
        if (own.renormalise) pair[0].weight += pair[1].weight;
        out.cut(token, 1);
    }
    /// Writes a key for the c of each token of a sequence and returns the least one protected.
    /// Padding has no c, gives no attention and is not counted.
    static std::uint64_t weigh(seen const& in, index_t first, std::span<std::uint64_t> keys,
                               scratch& room, float share) noexcept {
        auto const count = static_cast<index_t>(keys.size());
        if constexpr (Protects == protection::received) receive(in, first, count, room.received);
        index_t left = 0; // present tokens from this one on
        for (index_t t = first + count; t-- > first;) {
            std::uint64_t& key = keys[at(t - first)] = kernel::refused_key(t);
            if (!in.present(t)) continue;
            double const heads = static_cast<double>(in.attention.size());
            double const got =
                Protects == protection::received ? room.received[at(t - first)] / heads : 1.0;
            double norm = 0;
            for (index_t c = 0; c < in.rows.cols; ++c) norm += std::abs(double{in.rows.row(t)[c]});
            key = kernel::rank_key(static_cast<float>(got / static_cast<double>(++left) * norm), t);
        }
        auto const keep = std::min(left, static_cast<index_t>(share * static_cast<float>(left)));
        if (keep == 0) return std::numeric_limits<std::uint64_t>::max();
        kernel::largest(keys.data(), count, keep, room.best.data());
        return room.best[at(keep - 1)];
    }
    /// Sums what each token gets from itself and those after it, over all heads; only what is > 0.
    static void receive(seen const& in, index_t first, index_t count,
                        std::span<double> received) noexcept {
        std::fill_n(received.begin(), count, 0.0);
        for (auto const& map : in.attention)
            for (index_t i = 0; i < count; ++i) {
                if (!in.present(first + i)) continue;
                float const* const row = map.row(first + i) + first;
                for (index_t j = 0; j <= i; ++j)
                    if (row[j] > 0) received[at(j)] += double{row[j]};
            }
    }
};
template <router_policy R>
dropped_second(R) -> dropped_second<R>;
template <router_policy R, protection Protects>
dropped_second(dropped_second<R, Protects>) -> dropped_second<dropped_second<R, Protects>>;

} // namespace prytany::inline PRYTANY_ABI
