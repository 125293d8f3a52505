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
#include "prytany/router/concept.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// What makes a logit a weight: softmax over all experts, or each expert's own sigmoid.
enum class scoring { softmax, sigmoid };

/// How a group of experts is scored: by its best member, or by the sum of its two best.
enum class group_score { best, two_best };

/// Keeps, for every token, the k experts with the largest score.
///
///     p = softmax(s / t) or σ(s);   S = k largest of p + bias, within the best groups
///     w_e = scale · p_e,   renormalised: w_e = scale · p_e / Σ_S p      e ∈ S
///
/// Source    Shazeer et al. 2017, eq. 3–5, arXiv:1701.06538; groups: DeepSeek-V2, arXiv:2405.04434,
///           §2.2.2 (best), DeepSeek-V3, arXiv:2412.19437, §2.1.2 (two_best, bias)
/// Models    router_policy
/// Writes    exactly k slots a token; renormalised weights sum to `scale` within 1e-6
/// Ties      the lower expert number wins; NaN is chosen last; -inf is listed, weighs 0, is not run
/// Cost      O(experts · k) a token; no allocation
/// Compile   k, score, group        Run   k, renormalise, scale, temperature, groups, kept_groups
/// Throws    error at construction: k, groups, temperature, scale out of range
/// Example   examples/first_layer.cpp        Test   tests/router/top_k.test.cpp
struct top_k {
    index_t k = dynamic;
    scoring score = scoring::softmax;
    group_score group = group_score::best;

    struct params {
        index_t k = dynamic;
        bool renormalise = true; ///< softmax over the chosen alone: softmax after selection
        float scale = 1.0f;
        float temperature = 1.0f;
        index_t groups = 1;      ///< neighbouring experts form equal groups
        index_t kept_groups = 1; ///< only the best groups may be chosen from
    };
    struct scratch {
        std::span<float> scores;
        std::span<std::uint64_t> keys, best;
        void lay_out(arena& memory, shape const& size, index_t) {
            scores = memory.take<float>(size.experts);
            keys = memory.take<std::uint64_t>(size.experts);
            best = memory.take<std::uint64_t>(size.experts);
        }
    };

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const&, params const& own) const {
        return k != dynamic ? k : own.k;
    }
    constexpr promises promise() const { return {.unit_sum = false}; }
    void check(shape const& size, params const& own) const {
        auto const text = [](index_t n) { return std::to_string(n); };
        if (k != dynamic && own.k != dynamic && own.k != k)
            throw error("top_k.k", text(k), text(own.k));
        if (!(own.temperature > 0 && std::isfinite(own.temperature)))
            throw error("top_k.temperature", "a finite number > 0",
                        std::to_string(own.temperature));
        if (!std::isfinite(own.scale))
            throw error("top_k.scale", "a finite number", std::to_string(own.scale));
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
            rank<My>(logits, in, t, own.params, own.scratch);
            kernel::largest(own.scratch.keys.data(), in.logits.cols, keep, own.scratch.best.data());
            weigh<My>(logits, in.logits.cols, keep, own, t, out);
        }
    }

private:
    static constexpr float infinity = std::numeric_limits<float>::infinity();

    static float sigmoid(float x) noexcept { return 1.0f / (1.0f + std::exp(-x)); }
    /// log σ(x), exact where σ(x) itself is 0 or 1.
    static float log_sigmoid(float x) noexcept {
        return std::min(x, 0.0f) - std::log1p(std::exp(-std::abs(x)));
    }
    /// The largest number of a row, -inf when there is none.
    static float top_of(float const* logits, index_t count) noexcept {
        float top = -infinity;
        for (index_t e = 0; e < count; ++e) top = logits[e] > top ? logits[e] : top;
        return top;
    }
    /// e^((s - top) / t), where +inf shares with +inf alone.
    static float raised(float logit, float top, float temperature) noexcept {
        if (logit == top) return 1.0f;
        return std::exp((logit - top) / temperature);
    }

    /// The keys that choose: by the logits where their order is that of the scores, else by scores.
    template <auto My>
    static void rank(float const* logits, seen const& in, index_t token, params const& own,
                     scratch& room) noexcept {
        index_t const experts = in.logits.cols;
        float* const scores = room.scores.data();
        bool const biased = !in.bias.empty();
        bool const summed = My.group == group_score::two_best && own.groups > 1;
        bool const ranked = in.ranking.data != nullptr;
        float const* chosen_by = ranked ? in.ranking.row(token) : logits;
        if (ranked && biased) {
            for (index_t e = 0; e < experts; ++e)
                scores[e] = chosen_by[e] + in.bias[static_cast<std::size_t>(e)];
            chosen_by = scores;
        } else if (!ranked && (biased || summed)) {
            if constexpr (My.score == scoring::sigmoid) {
                for (index_t e = 0; e < experts; ++e) scores[e] = sigmoid(logits[e]);
            } else {
                float const top = top_of(logits, experts);
                double total = 0;
                for (index_t e = 0; e < experts; ++e) {
                    scores[e] = raised(logits[e], top, own.temperature);
                    if (scores[e] > 0) total += scores[e];
                }
                auto const whole = static_cast<float>(total);
                for (index_t e = 0; e < experts; ++e) scores[e] /= whole;
            }
            if (biased)
                for (index_t e = 0; e < experts; ++e)
                    scores[e] += in.bias[static_cast<std::size_t>(e)];
            chosen_by = scores;
        }
        for (index_t e = 0; e < experts; ++e)
            room.keys[static_cast<std::size_t>(e)] = kernel::rank_key(chosen_by[e], e);
        if (own.kept_groups < own.groups) refuse_groups<My>(chosen_by, experts, own, room);
    }

    /// Refuses the experts outside the best groups.
    template <auto My>
    static void refuse_groups(float const* scores, index_t experts, params const& own,
                              scratch& room) noexcept {
        index_t const size = experts / own.groups;
        std::uint64_t* const best = room.best.data(); // first the groups' keys, then the kept ones
        std::uint64_t* const keys = room.keys.data();
        for (index_t g = 0; g < own.groups; ++g) {
            std::uint64_t two[2] = {};
            index_t const of_two =
                std::min<index_t>(size, My.group == group_score::two_best ? 2 : 1);
            kernel::largest(keys + g * size, size, of_two, two);
            float sums = 0;
            for (index_t i = 0; i < of_two; ++i) sums += scores[kernel::index_of(two[i])];
            best[g] = kernel::rank_key(sums, g);
        }
        std::sort(best, best + own.groups, [](auto a, auto b) { return a > b; });
        for (index_t i = own.kept_groups; i < own.groups; ++i) {
            index_t const first = kernel::index_of(best[i]) * size;
            for (index_t e = first; e < first + size; ++e) keys[e] = kernel::refused_key(e);
        }
    }

    /// Writes the chosen with their weights, each from its logit alone and the sum it is part of.
    template <auto My>
    static void weigh(float const* logits, index_t experts, index_t keep, kit<My> own,
                      index_t token, plan& out) noexcept {
        params const& with = own.params;
        std::uint64_t const* const best = own.scratch.best.data();
        float* const raised_to = own.scratch.scores.data();
        float top = -infinity;
        double total = 0; // a float would lose many small weights one by one
        auto const logit_of = [&](index_t j) { return logits[kernel::index_of(best[j])]; };
        if (My.score == scoring::softmax && !with.renormalise) {
            top = top_of(logits, experts);
            for (index_t e = 0; e < experts; ++e) {
                float const p = raised(logits[e], top, with.temperature);
                if (p > 0) total += p;
            }
        } else {
            for (index_t j = 0; j < keep; ++j) top = logit_of(j) > top ? logit_of(j) : top;
        }
        bool const by_logs = My.score == scoring::sigmoid && with.renormalise;
        for (index_t j = 0; j < keep; ++j) {
            float const logit = logit_of(j);
            if (by_logs)
                raised_to[j] =
                    logit == top ? 1.0f : std::exp(log_sigmoid(logit) - log_sigmoid(top));
            else if (My.score == scoring::sigmoid) raised_to[j] = sigmoid(logit);
            else raised_to[j] = raised(logit, top, with.temperature);
            if (logit == -infinity) raised_to[j] = 0;
            if (with.renormalise && raised_to[j] > 0) total += raised_to[j];
        }
        auto const whole = static_cast<float>(total);
        bool const divides = My.score == scoring::softmax || with.renormalise;
        for (index_t j = 0; j < keep; ++j) {
            index_t const expert = kernel::index_of(best[j]);
            bool const idle = logits[expert] == -infinity;
            float const weight =
                idle ? 0.0f : with.scale * (divides ? raised_to[j] / whole : raised_to[j]);
            out.put(token, expert, weight, idle ? 1 : 0);
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
