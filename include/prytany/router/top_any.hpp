// SPDX-License-Identifier: MIT
// How many of the chosen experts a token needs.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/core/philox.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/kernel/gemm.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/by_weight.hpp"

namespace prytany::inline PRYTANY_ABI {

/// How a mask is chosen: the best one, or in training with Gumbel noise, softly or hard.
enum class pruning { best, soft, drawn };

/// Which of a token's experts may be dropped together.
enum class mask_family {
    prefix, ///< the lowest: mask j drops the last j, 0 ≤ j < k
    every,  ///< any but all: mask j drops slot i if j has bit k - 1 - i, 0 ≤ j < 2^k - 1, k ≤ 8
    pairs,  ///< each by itself: slot i is dropped if a_(2i + 1) > a_(2i)
};

/// Drops, for every token, those of its experts that a small head says: the lowest, or any.
///
///     a = head([x; w]),  w falling;   j = arg max a;   S = what mask j leaves of k slots
///     drawn: j = arg max (a + g);   soft: y = softmax((a + g) / t), w_i ← w_i · Σ y_j, j keeps i
///
/// The head is linear, or with `hidden` numbers between: B · relu(A · [x; w] + a) + b.
/// Source    Online Top-any Pruning (MC#)
/// Models    router_policy
/// Writes    0 to k slots a token, prefix: 1 to k, by falling weight; renormalised: with the sum of
///           all k
/// Ties      the lower mask number, pairs: kept; of equal weights the lower expert number first
/// Cost      that of the inner router and head, O(k · masks) a token; no allocation
/// Compile   the inner router with its k, hidden, masks        Run   mode, temperature, renormalise
/// Throws    error at construction: k known only at run time, or > 8 for `every`; temperature
/// Test      tests/router/top_any.test.cpp
template <router_policy R>
struct top_any {
    static constexpr std::uint32_t stream = 0x4f5450;

    R router;
    index_t hidden = 0;
    mask_family masks = mask_family::prefix;

    struct params {
        pruning mode = pruning::best;
        float temperature = 1.0f;
        bool renormalise = true;
        params_of<R> router{};
    };
    struct weights {
        packed<dense<float>{}> rise, fall;
        column rise_bias, fall_bias;
        [[no_unique_address]] weights_of<R> router{};
    };
    struct scratch {
        std::span<float> row, logits, noise, shares;
        [[no_unique_address]] scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t) {
            row = memory.take<float>(size.model + size.experts);
            index_t const most = std::max(2 * size.experts, logits_of_every(most_for_every));
            logits = memory.take<float>(most);
            noise = memory.take<float>(most);
            shares = memory.take<float>(most);
        }
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const {
        promises said = router.promise();
        said.unit_sum = false;
        return said;
    }
    void check(shape const& size, params const& own) const {
        if (slots(size, own) != slots(size, {}))
            throw error("top_any.router", "as many slots by its type as by its params",
                        std::to_string(slots(size, own)));
        if (masks == mask_family::every && slots(size, own) > most_for_every)
            throw error("top_any.router",
                        "at most " + std::to_string(most_for_every) + " slots, of which any drop",
                        std::to_string(slots(size, own)));
        if (!(own.temperature > 0 && std::isfinite(own.temperature)))
            throw error("top_any.temperature", "a finite number > 0",
                        std::to_string(own.temperature));
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        index_t const k = slots(size, {}), wide = hidden > 0 ? hidden : size.model + k;
        if (hidden > 0) {
            visit(tensor{tensor_name{"router", "prune_rise"}, hidden, size.model + k, &own.rise});
            visit(tensor{tensor_name{"router", "prune_rise_bias"}, hidden, index_t{1},
                         &own.rise_bias, row_map{}, true});
        }
        index_t const count = masks == mask_family::every   ? logits_of_every(k)
                              : masks == mask_family::pairs ? 2 * k
                                                            : k;
        visit(tensor{tensor_name{"router", "prune"}, count, wide, &own.fall});
        visit(tensor{tensor_name{"router", "prune_bias"}, count, index_t{1}, &own.fall_bias,
                     row_map{}, true});
    }

    /// y = softmax((a + g) / t): how likely each mask is.
    static void relax(std::span<float const> a, std::span<float const> g, float t,
                      std::span<float> y) noexcept {
        float top = a[0] + g[0];
        for (std::size_t i = 1; i < y.size(); ++i) top = std::max(top, a[i] + g[i]);
        double total = 0;
        for (std::size_t i = 0; i < y.size(); ++i) {
            y[i] = std::exp((a[i] + g[i] - top) / t);
            total += double{y[i]};
        }
        for (float& share : y) share = static_cast<float>(share / total);
    }
    /// The number of the largest a + g.
    static index_t best_of(std::span<float const> a, std::span<float const> g) noexcept {
        std::uint64_t best = 0;
        for (std::size_t i = 0; i < a.size(); ++i)
            best = std::max(best, kernel::rank_key(a[i] + g[i], static_cast<index_t>(i)));
        return kernel::index_of(best);
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        R::select(in, own.router(), out);
        auto const count = static_cast<std::size_t>(own.weights.fall.rows());
        auto const a = own.scratch.logits.first(count), g = own.scratch.noise.first(count);
        for (index_t t = 0; t < in.tokens(); ++t) {
            auto const slots = out.open_slots_of(t);
            detail::sort_by_weight(slots);
            score(in.rows.row(t), own, slots, a);
            draws const drawn(in.seed, in.first + t, stream);
            for (std::size_t i = 0; i < count; ++i)
                g[i] =
                    own.params.mode == pruning::best ? 0.0f : drawn.gumbel(static_cast<index_t>(i));
            double const before = detail::sum_of(slots);
            if (own.params.mode == pruning::soft)
                soften<My>(slots, a, g, own.params.temperature, own.scratch.shares.first(count));
            else out.cut(t, leave<My>(slots, a, g));
            auto const left = out.open_slots_of(t);
            if (own.params.renormalise) detail::scale_to(left, before);
        }
    }

private:
    static constexpr index_t most_for_every = 8;

    static constexpr index_t logits_of_every(index_t k) { return (index_t{1} << k) - 1; }
    template <auto My>
    static index_t slots_of(index_t count) noexcept {
        if (My.masks == mask_family::pairs) return count / 2;
        if (My.masks == mask_family::prefix) return count;
        return static_cast<index_t>(std::bit_width(static_cast<std::uint64_t>(count)));
    }
    /// Whether mask j, of `count`, keeps slot i.
    template <auto My>
    static bool keeps(std::size_t j, std::size_t i, std::size_t count) noexcept {
        auto const k = static_cast<std::size_t>(slots_of<My>(static_cast<index_t>(count)));
        return My.masks == mask_family::every ? (j >> (k - 1 - i) & 1) == 0 : j + i < k;
    }
    /// Multiplies weights with what the masks that keep them are worth.
    template <auto My>
    static void soften(std::span<slot> slots, std::span<float const> a, std::span<float const> g,
                       float t, std::span<float> y) noexcept {
        constexpr bool pairs = My.masks == mask_family::pairs;
        if constexpr (pairs)
            for (std::size_t i = 0; i < y.size(); i += 2)
                relax(a.subspan(i, 2), g.subspan(i, 2), t, y.subspan(i, 2));
        else relax(a, g, t, y);
        for (std::size_t i = 0; i < slots.size(); ++i) {
            double share = pairs ? double{y[2 * i]} : 0;
            for (std::size_t j = 0; j < y.size() && !pairs; ++j)
                if (keeps<My>(j, i, y.size())) share += double{y[j]};
            slots[i].weight *= static_cast<float>(share);
        }
    }
    /// Moves what is kept to the front and counts it.
    template <auto My>
    static index_t leave(std::span<slot> slots, std::span<float const> a,
                         std::span<float const> g) noexcept {
        constexpr bool pairs = My.masks == mask_family::pairs;
        auto const best = pairs ? std::size_t{0} : static_cast<std::size_t>(best_of(a, g));
        std::size_t count = 0;
        for (std::size_t i = 0; i < slots.size(); ++i) {
            bool const kept = pairs ? !(a[2 * i + 1] + g[2 * i + 1] > a[2 * i] + g[2 * i])
                                    : keeps<My>(best, i, a.size());
            if (kept) slots[count++] = slots[i];
        }
        return static_cast<index_t>(count);
    }
    /// a = head([x; w]).
    template <auto My>
    static void score(float const* x, kit<My> own, std::span<slot const> slots,
                      std::span<float> a) noexcept {
        auto const& first = My.hidden > 0 ? own.weights.rise : own.weights.fall;
        index_t const k = slots_of<My>(static_cast<index_t>(a.size())), model = first.cols() - k;
        float* const row = own.scratch.row.data();
        std::copy_n(x, model, row);
        for (index_t i = 0; i < k; ++i) {
            auto const s = static_cast<std::size_t>(i);
            row[model + i] = s < slots.size() ? slots[s].weight : 0.0f;
        }
        if constexpr (My.hidden > 0) {
            float inner[My.hidden];
            map(row, own.weights.rise, own.weights.rise_bias, inner);
            for (float& h : inner) h = h < 0 ? 0.0f : h;
            map(inner, own.weights.fall, own.weights.fall_bias, a.data());
        } else map(row, own.weights.fall, own.weights.fall_bias, a.data());
    }
    static void map(float const* row, packed<dense<float>{}> const& matrix, column const& bias,
                    float* to) noexcept {
        auto const write = [&](index_t, index_t panel, simd::float_pair sum) {
            index_t const first = panel * panel_lanes;
            sum.low += simd::load(bias.data() + first);
            sum.high += simd::load(bias.data() + first + lanes);
            simd::store_pair(to + first, sum, matrix.rows() - first);
        };
        kernel::multiply(kernel::picked_rows{row, matrix.cols()}, 1, matrix, 0, matrix.panels(),
                         write);
    }
};
template <router_policy R>
top_any(R) -> top_any<R>;
template <router_policy R>
top_any(R, index_t) -> top_any<R>;
template <router_policy R>
top_any(R, index_t, mask_family) -> top_any<R>;
template <router_policy R>
top_any(top_any<R>) -> top_any<top_any<R>>;

} // namespace prytany::inline PRYTANY_ABI
