// SPDX-License-Identifier: MIT
// Slices of one dense block that select the patches they process.
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

/// Gives every expert, in every sequence, the c patches that score it highest: data selection.
///
///     G = mean of softmax(s) over a patch;   R_e = G_e / Σ_S G for its k best experts S, else 0
///     expert e takes the c patches with the largest R_e;   w = R_e for each token of the patch
///
/// The mean ranking of a patch, where there is one, and a bias choose S; R chooses the patches.
/// `batch` divides instead by the sum over sequences at the same place, times ⌊factor · sequences⌋.
/// Source    Yang et al. 2025 (Union-of-Experts), arXiv:2503.02495; as released: `batch`, `unit`,
///           `process`
/// Models    router_policy
/// Writes    0 to k slots a token, in expert order; with `process` 0 to experts
/// Ties      experts: the lower number, patches: the first; NaN comes last; -inf is not run
/// Cost      O(tokens · experts · k); no allocation
/// Compile   k, normalise, weight, fill, length        Run   k, patch, factor
/// Throws    error at construction: k, patch, factor out of range
/// Test      tests/router/union_of_experts.test.cpp
struct union_of_experts {
    enum class over { experts, batch, none }; ///< what the scores of a patch are divided by
    enum class by { gate, unit };             ///< unit: weight 1, the router is not trained
    enum class pad { mask, process };         ///< process: short lists run other patches as well
    enum class list { share, longest }; ///< c = ⌈factor · patches · k / experts⌉, or no limit

    index_t k = dynamic;
    over normalise = over::experts;
    by weight = by::gate;
    pad fill = pad::mask;
    list length = list::share;

    struct params {
        index_t k = dynamic;
        index_t patch = 1; ///< tokens that are selected together
        float factor = 1;
    };
    struct scratch {
        matrix_view<float> scores;     // R; patch i of a sequence is row first + i
        matrix_view<float> sums;       // over sequences
        std::span<std::uint64_t> keys; // of experts, then of patches
        std::span<std::uint64_t> best;
        std::span<std::uint8_t> there; // whether a patch has a token that is not padding
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            scores = memory.take<float>(tokens, size.experts);
            sums = memory.take<float>(tokens, size.experts);
            keys = memory.take<std::uint64_t>(std::max(tokens, size.experts));
            best = memory.take<std::uint64_t>(size.experts);
            there = memory.take<std::uint8_t>(tokens);
        }
    };

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const& own) const {
        return fill == pad::process ? size.experts : k != dynamic ? k : own.k;
    }
    constexpr promises promise() const {
        bool const batch =
            normalise == over::batch || (fill == pad::process && length == list::longest);
        return {.sees = batch ? scope::batch : scope::sequence, .causal = false};
    }
    void check(shape const& size, params const& own) const {
        index_t const keep = k != dynamic ? k : own.k;
        if (k != dynamic && own.k != dynamic && own.k != k)
            throw error("union_of_experts.k", std::to_string(k), std::to_string(own.k));
        if (keep < 1 || keep > size.experts)
            throw error("union_of_experts.k", "1 to " + std::to_string(size.experts),
                        std::to_string(keep));
        if (own.patch < 1)
            throw error("union_of_experts.patch", "at least 1", std::to_string(own.patch));
        if (!(own.factor > 0 && std::isfinite(own.factor)))
            throw error("union_of_experts.factor", "a finite number > 0",
                        std::to_string(own.factor));
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        if (in.logits.rows == 0) return;
        index_t const keep = My.k != dynamic ? My.k : own.params.k, patch = own.params.patch;
        index_t sequences = 0;
        in.each_sequence([&](index_t first, index_t count) {
            ++sequences;
            for (index_t i = 0; i * patch < count; ++i)
                score<My>(in, {first, first + count, patch, i}, keep, own.scratch);
        });
        if constexpr (My.normalise == over::batch) {
            auto const whole = std::floor(own.params.factor * static_cast<float>(sequences));
            divide_by_batch(in, patch, whole, own.scratch);
        }
        index_t longest = 0;
        if constexpr (My.length == list::longest)
            in.each_sequence([&](index_t first, index_t count) {
                longest = std::max(longest, longest_list(first, count, patch, own.scratch));
            });
        in.each_sequence([&](index_t first, index_t count) {
            take<My>(in, first, count, keep, longest, own, out);
        });
    }

private:
    static constexpr std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }
    static bool scored(float r) noexcept { return r > 0 || std::isnan(r); }

    /// Patch i of the sequence [begin, end).
    struct place {
        index_t begin, end, length, i;
        index_t row() const noexcept { return begin + i; }
        index_t first() const noexcept { return begin + i * length; }
        index_t last() const noexcept { return std::min(end, first() + length); }
    };

    /// Writes R of one patch, up to what is divided by over the batch.
    template <auto My>
    static void score(seen const& in, place p, index_t keep, scratch& room) noexcept {
        index_t const experts = in.logits.cols;
        float* const r = room.scores.row(p.row());
        std::fill_n(r, experts, 0.0f);
        index_t present = 0;
        for (index_t t = p.first(); t < p.last(); ++t) {
            if (!in.present(t)) continue;
            ++present;
            kernel::softmax const share(in.logits.row(t), experts);
            for (index_t e = 0; e < experts; ++e) { // NaN only where no token has a number
                float const g = share(in.logits.row(t)[e]);
                if (present == 1 || std::isnan(r[e])) r[e] = g;
                else if (g > 0) r[e] += g;
            }
        }
        room.there[at(p.row())] = present > 0 ? 1 : 0;
        if (present == 0) return;
        for (index_t e = 0; e < experts; ++e) {
            r[e] /= static_cast<float>(present);
            float const by = in.ranking.data != nullptr ? mean_ranking(in, p, e) : r[e];
            room.keys[at(e)] = kernel::rank_key(in.bias.empty() ? by : by + in.bias[at(e)], e);
        }
        kernel::largest(room.keys.data(), experts, keep, room.best.data());
        auto const kept = [&](index_t e) { return room.keys[at(e)] >= room.best[at(keep - 1)]; };
        double total = 0;
        for (index_t e = 0; e < experts; ++e)
            if (kept(e) && r[e] > 0) total += r[e];
        auto const whole = static_cast<float>(total);
        for (index_t e = 0; e < experts; ++e) {
            if (!kept(e)) r[e] = 0;
            else if (My.normalise == over::experts && r[e] > 0) r[e] /= whole;
        }
    }
    static float mean_ranking(seen const& in, place p, index_t expert) noexcept {
        float sum = 0, present = 0;
        for (index_t t = p.first(); t < p.last(); ++t) {
            if (!in.present(t)) continue;
            sum += in.ranking.row(t)[expert];
            ++present;
        }
        return sum / present;
    }
    /// R ← whole · R / (Σ over sequences at the same place + 1e-8).
    static void divide_by_batch(seen const& in, index_t patch, float whole,
                                scratch& room) noexcept {
        index_t const experts = room.scores.cols;
        for (index_t t = 0; t < in.logits.rows; ++t) std::fill_n(room.sums.row(t), experts, 0.0f);
        auto const for_each = [&](auto&& f) {
            in.each_sequence([&](index_t first, index_t count) {
                for (index_t i = 0; i * patch < count; ++i)
                    for (index_t e = 0; e < experts; ++e)
                        f(room.scores.row(first + i)[e], room.sums.row(i)[e]);
            });
        };
        for_each([](float r, float& sum) { sum += r > 0 ? r : 0.0f; });
        for_each([&](float& r, float sum) { r = whole * r / (sum + 1e-8f); });
    }
    static index_t longest_list(index_t first, index_t count, index_t patch,
                                scratch const& room) noexcept {
        index_t longest = 0;
        for (index_t e = 0; e < room.scores.cols; ++e) {
            index_t scores = 0;
            for (index_t i = 0; i * patch < count; ++i)
                scores += scored(room.scores.row(first + i)[e]) ? 1 : 0;
            longest = std::max(longest, scores);
        }
        return longest;
    }
    /// Lets every expert take its patches of one sequence.
    template <auto My>
    static void take(seen const& in, index_t first, index_t count, index_t keep, index_t longest,
                     kit<My> own, plan& out) noexcept {
        scratch& room = own.scratch;
        index_t const experts = in.logits.cols, patch = own.params.patch;
        index_t patches = 0;
        for (index_t i = 0; i * patch < count; ++i) patches += room.there[at(first + i)];
        auto const share = static_cast<double>(patches * keep) / static_cast<double>(experts);
        index_t const most =
            My.length == list::longest ? longest : rounded_up(own.params.factor, share);
        for (index_t e = 0; e < experts; ++e) {
            auto* const keys = room.keys.data();
            index_t listed = 0;
            for (index_t i = 0; i * patch < count; ++i) {
                float const r = room.scores.row(first + i)[e];
                if (room.there[at(first + i)] != 0 && (My.fill == pad::process || scored(r)))
                    keys[listed++] = kernel::rank_key(r, i);
            }
            index_t const taken = std::min(listed, most);
            std::nth_element(keys, keys + taken, keys + listed,
                             [](auto a, auto b) { return a > b; });
            for (index_t j = 0; j < taken; ++j) {
                place const p{first, first + count, patch, kernel::index_of(keys[j])};
                float const r = room.scores.row(p.row())[e];
                for (index_t t = p.first(); t < p.last(); ++t) {
                    if (!in.present(t)) continue;
                    int const tier = detail::idle_tier(in.logits.row(t)[e]);
                    float const w = My.weight == by::unit ? 1.0f : r;
                    out.put(t, e, tier == 0 ? w : 0.0f, tier);
                }
            }
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
