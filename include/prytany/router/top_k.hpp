// SPDX-License-Identifier: MIT
// The k best experts of every token.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/detail/score_functions.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

// g++ 12 says that an enumerator of a scoped enumeration hides the activation of the same name.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif
/// What makes a logit a score p:
///
///     softmax: e^(s / t) / Σ e^(s / t)    sigmoid: σ(s)    relu: max(s, 0)
///     sqrt_softplus: √log(1 + e^s)        identity: s, of either sign
enum class scoring { softmax, sigmoid, relu, sqrt_softplus, identity };
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

/// What the weights of the chosen are made of, times `scale`:
///
///     score: p_e, renormalised p_e / Σ_S p    softmax: e^(s_e / t) / Σ_S e^(s / t)
///     sigmoid: σ(s_e)                         unit: 1
enum class weighing { score, softmax, sigmoid, unit };

/// How a group of experts is scored: by its best member, or by the sum of its two best.
enum class group_score { best, two_best };

/// Keeps, for every token, the k experts with the largest score.
///
///     S = k largest of p + bias, within the best groups
///     w_e = scale · p_e,   renormalised: w_e = scale · p_e / Σ_S p      e ∈ S
///
/// Source    Shazeer et al. 2017, eq. 3–5, arXiv:1701.06538; groups: DeepSeek-V2, arXiv:2405.04434,
///           §2.2.2 (best), DeepSeek-V3, arXiv:2412.19437, §2.1.2 (two_best, bias)
/// Models    router_policy
/// Writes    exactly k slots a token; renormalised weights sum to `scale` within 1e-6
/// Ties      the lower expert number wins; NaN is chosen last; -inf, and by `relu` what weighs 0,
///           is listed and not run
/// Cost      O(experts + k²) a token, O(experts · k) at worst; no allocation
/// Compile   k, score, group, weight        Run   k, renormalise, scale, temperature, groups
/// Throws    error at construction: numbers out of range, shares of `identity`
/// Example   examples/first_layer.cpp        Test   tests/router/top_k.test.cpp
struct top_k {
    index_t k = dynamic;
    scoring score = scoring::softmax;
    group_score group = group_score::best;
    weighing weight = weighing::score;

    struct params {
        index_t k = dynamic;
        bool renormalise = true; ///< scores become shares of the chosen: softmax after selection
        float scale = 1.0f;
        float temperature = 1.0f;
        index_t groups = 1;      ///< neighbouring experts form equal groups
        index_t kept_groups = 1; ///< only the best groups may be chosen from
    };
    struct scratch {
        std::span<float> scores;
        std::span<float> parts; // of the weights of the chosen
        std::span<std::uint64_t> groups, best;
        void lay_out(arena& memory, shape const& size, index_t) {
            scores = memory.take<float>(size.experts);
            parts = memory.take<float>(size.experts);
            groups = memory.take<std::uint64_t>(size.experts);
            best = memory.take<std::uint64_t>(size.experts);
        }
    };

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const&, params const& own) const {
        return k != dynamic ? k : own.k;
    }
    constexpr promises promise() const {
        return {.positive = score != scoring::identity || weight != weighing::score};
    }
    void check(shape const& size, params const& own) const {
        auto const text = [](index_t n) { return std::to_string(n); };
        if (k != dynamic && own.k != dynamic && own.k != k)
            throw error("top_k.k", text(k), text(own.k));
        if (!(own.temperature > 0 && std::isfinite(own.temperature)))
            throw error("top_k.temperature", "a finite number > 0",
                        std::to_string(own.temperature));
        if (!std::isfinite(own.scale))
            throw error("top_k.scale", "a finite number", std::to_string(own.scale));
        if (weight == weighing::score && score == scoring::identity && own.renormalise)
            throw error("top_k.renormalise", "false: scores of either sign have no shares", "true");
        if (own.groups < 1 || size.experts % own.groups != 0)
            throw error("top_k.groups", "a divisor of " + text(size.experts) + " experts",
                        text(own.groups));
        if (own.kept_groups < 1 || own.kept_groups > own.groups)
            throw error("top_k.kept_groups", "1 to " + text(own.groups), text(own.kept_groups));
        index_t const open = size.experts / own.groups * own.kept_groups;
        if (slots(size, own) > open)
            throw error("top_k.k", "at most " + text(open) + ", the experts of the kept groups",
                        text(slots(size, own)));
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        index_t const keep = My.k != dynamic ? My.k : own.params.k;
        for (index_t t = 0; t < in.logits.rows; ++t) {
            float const* const logits = in.logits.row(t);
            choose<My>(what_chooses<My>(in, t, own.params, own.scratch), in.logits.cols, keep,
                       own.params, own.scratch);
            weigh<My>(logits, in.logits.cols, keep, own, t, out);
        }
    }

private:
    static constexpr float infinity = std::numeric_limits<float>::infinity();

    /// The largest number of a row, -inf when there is none.
    static float top_of(float const* logits, index_t count) noexcept {
        float top = -infinity;
        for (index_t e = 0; e < count; ++e) top = logits[e] > top ? logits[e] : top;
        return top;
    }
    /// The scores of a whole row.
    template <auto My>
    static void score_all(float const* logits, index_t experts, float temperature,
                          float* scores) noexcept {
        if constexpr (My.score == scoring::softmax) {
            float const top = top_of(logits, experts);
            auto const whole = static_cast<float>(
                kernel::softmax_ratios(logits, experts, top, temperature, scores));
            for (index_t e = 0; e < experts; ++e) scores[e] /= whole;
        } else {
            for (index_t e = 0; e < experts; ++e) scores[e] = score_of<My.score>(logits[e]);
        }
    }
    /// The score of one logit that needs no other.
    template <scoring Score>
    static float score_of(float z) noexcept {
        if constexpr (Score == scoring::sigmoid) return detail::sigmoid(z);
        else if constexpr (Score == scoring::relu) return detail::relu(z);
        else if constexpr (Score == scoring::sqrt_softplus) return detail::sqrt_softplus(z);
        else return z;
    }
    /// A score over that of the largest logit chosen, where the score needs no other logit.
    template <scoring Score>
    static float ratio(float z, float top) noexcept {
        if constexpr (Score == scoring::sigmoid) return detail::sigmoid_ratio(z, top);
        else if constexpr (Score == scoring::relu) return detail::relu_ratio(z, top);
        else if constexpr (Score == scoring::sqrt_softplus)
            return detail::sqrt_softplus_ratio(z, top);
        else return z;
    }

    /// What chooses: the logits where their order is that of the scores, else the scores.
    template <auto My>
    static float const* what_chooses(seen const& in, index_t token, params const& own,
                                     scratch& room) noexcept {
        index_t const experts = in.logits.cols;
        float const* const logits = in.logits.row(token);
        float* const scores = room.scores.data();
        bool const biased = !in.bias.empty();
        bool const summed = My.group == group_score::two_best && own.groups > 1;
        bool const ranked = in.ranking.data != nullptr;
        if (!ranked && !biased && !summed) return logits;
        if (ranked) std::copy_n(in.ranking.row(token), experts, scores);
        else score_all<My>(logits, experts, own.temperature, scores);
        for (index_t e = 0; e < experts; ++e) {
            if (biased) scores[e] += in.bias[static_cast<std::size_t>(e)];
            if (logits[e] == -infinity) scores[e] = -infinity; // stays shut whatever is added
        }
        return scores;
    }

    /// The keys of the best, within the best groups; `scores` may be those of the scratch.
    template <auto My>
    static void choose(float const* scores, index_t experts, index_t keep, params const& own,
                       scratch& room) noexcept {
        std::uint64_t* const best = room.best.data();
        if (own.kept_groups == own.groups) return kernel::best_of(scores, experts, keep, best);
        index_t const size = experts / own.groups;
        std::uint64_t* const groups = room.groups.data();
        for (index_t g = 0; g < own.groups; ++g)
            groups[g] = kernel::rank_key(sum_of_group<My>(scores + g * size, size), g);
        std::sort(groups, groups + own.groups, [](auto a, auto b) { return a > b; });
        std::sort(groups, groups + own.kept_groups,
                  [](auto a, auto b) { return kernel::index_of(a) < kernel::index_of(b); });
        float* const open = room.scores.data(); // the kept groups, moved together
        for (index_t i = 0; i < own.kept_groups; ++i)
            if (float const* const from = scores + kernel::index_of(groups[i]) * size;
                from != open + i * size)
                std::copy(from, from + size, open + i * size);
        kernel::best_of(open, own.kept_groups * size, keep, best);
        for (index_t j = 0; j < keep; ++j) {
            index_t const place = kernel::index_of(best[j]), group = place / size;
            best[j] = kernel::rank_key(open[place],
                                       kernel::index_of(groups[group]) * size + place % size);
        }
    }
    template <auto My>
    static float sum_of_group(float const* scores, index_t size) noexcept {
        std::uint64_t two[2] = {};
        index_t const count = std::min<index_t>(size, My.group == group_score::two_best ? 2 : 1);
        kernel::best_of(scores, size, count, two);
        float sum = scores[kernel::index_of(two[0])];
        if (count == 2) // a shut second adds nothing to an open first
            if (float const second = scores[kernel::index_of(two[1])]; second != -infinity)
                sum += second;
        return sum;
    }

    /// Writes the chosen with their weights, each from its logit alone and the sum it is part of.
    template <auto My>
    static void weigh(float const* logits, index_t experts, index_t keep, kit<My> own,
                      index_t token, plan& out) noexcept {
        constexpr bool by_score = My.weight == weighing::score;
        constexpr scoring score = by_score                         ? My.score
                                  : My.weight == weighing::softmax ? scoring::softmax
                                                                   : scoring::sigmoid;
        params const& with = own.params;
        std::uint64_t const* const best = own.scratch.best.data();
        float* const all = own.scratch.scores.data();
        float* const parts = own.scratch.parts.data();
        bool const shares = by_score ? with.renormalise : My.weight == weighing::softmax;
        for (index_t j = 0; j < keep; ++j) parts[j] = logits[kernel::index_of(best[j])];
        bool const of_all = score == scoring::softmax && !shares;
        float const top = of_all ? top_of(logits, experts) : top_of(parts, keep);
        double total = 0; // a float would lose many small weights one by one
        if (of_all) {
            total = kernel::softmax_ratios(logits, experts, top, with.temperature, all);
            for (index_t j = 0; j < keep; ++j) parts[j] = all[kernel::index_of(best[j])];
        } else if (score == scoring::softmax) {
            total = kernel::softmax_ratios(parts, keep, top, with.temperature, parts);
        } else {
            for (index_t j = 0; j < keep; ++j) {
                if (My.weight == weighing::unit) parts[j] = 1;
                else parts[j] = shares ? ratio<score>(parts[j], top) : score_of<score>(parts[j]);
                if (parts[j] > 0) total += parts[j];
            }
        }
        auto const whole = static_cast<float>(total);
        bool const divides = shares || score == scoring::softmax;
        for (index_t j = 0; j < keep; ++j) {
            index_t const expert = kernel::index_of(best[j]);
            bool const idle = logits[expert] == -infinity ||
                              (by_score && My.score == scoring::relu && logits[expert] <= 0);
            float const weight = idle ? 0.0f : with.scale * (divides ? parts[j] / whole : parts[j]);
            out.put(token, expert, weight, idle ? 1 : 0);
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
