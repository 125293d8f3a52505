// SPDX-License-Identifier: MIT
// Experts by the share that several passes with dropout agree on.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/core/philox.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/router/detail/calibration.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// What makes the samples of several passes a weight: the mean share over its deviation, or the
/// mean direction of whitened samples, as MoFME's code has it.
enum class calibration { deviation, whitening };

/// Keeps the k experts with the largest share that passes with dropout agree on.
///
///     g_m = softmax(G (x ⊙ b_m) / (1 - p) + bias);   u = mean(g) / (σ(g) + 1e-5);   w = u / Σ_S u
///
/// b_m keeps a feature with probability 1 - p, drawn for (seed, token, m). Not `sampled`: softmax
/// over the k best of G x + bias. It has its own scores: logits, rankings and biases play no part.
/// Source    MoFME, uncertainty-aware router; `whitening`, 0 for symmetric samples, is its code's
/// Models    router_policy
/// Writes    k slots a token, weights sum to 1; keep_ties: all as good as the k-th, too;
///           `whitening`: all experts by number, weights of any sign
/// Ties      the lower expert number wins; NaN is chosen last; a share of 0 is listed, not run
/// Cost      O(passes · experts · model) a token; no allocation
/// Compile   k, calibrated        Run   k, passes, dropout, sampled, keep_ties
/// Throws    error at construction: k, passes, dropout out of range
/// Test      tests/router/uncertain.test.cpp
struct uncertain {
    index_t k = dynamic;
    calibration calibrated = calibration::deviation;

    static constexpr index_t most_passes = 16;
    /// Of its draws: feature c of pass m is draw 4 · ⌈model / 4⌉ · m + c.
    static constexpr std::uint32_t stream = 0x756e6365;

    struct params {
        index_t k = dynamic;
        index_t passes = 5;
        float dropout = 0.1f;
        bool sampled = false; ///< in training, or where inference is to pay for it, too
        bool keep_ties = false;
    };
    struct weights {
        linear::weights score;
    };
    struct scratch {
        matrix_view<float> rows, logits;
        matrix_view<double> samples, room;
        std::span<double> scores;
        std::span<std::uint64_t> keys, best;
        void lay_out(arena& memory, shape const& size, index_t) {
            rows = memory.take<float>(most_passes, size.model);
            logits = memory.take<float>(most_passes, size.experts);
            samples = memory.take<double>(most_passes, size.experts);
            room = memory.take<double>(most_passes, most_passes);
            scores = memory.take<double>(size.experts);
            keys = memory.take<std::uint64_t>(size.experts);
            best = memory.take<std::uint64_t>(size.experts);
        }
    };

    constexpr index_t slots(shape const& size, params const& own) const {
        if (calibrated == calibration::whitening || own.keep_ties) return size.experts;
        return k != dynamic ? k : own.k;
    }
    constexpr promises promise() const {
        bool const shares = calibrated == calibration::deviation;
        return {.positive = shares, .unit_sum = shares};
    }
    void check(shape const& size, params const& own) const {
        auto const text = [](index_t n) { return std::to_string(n); };
        if (k != dynamic && own.k != dynamic && own.k != k)
            throw error("uncertain.k", text(k), text(own.k));
        index_t const keep = k != dynamic ? k : own.k;
        if (keep < 1 || keep > size.experts)
            throw error("uncertain.k", "1 to " + text(size.experts), text(keep));
        if (own.passes < 2 || own.passes > most_passes)
            throw error("uncertain.passes", "2 to " + text(most_passes), text(own.passes));
        if (!(own.dropout >= 0 && own.dropout < 1))
            throw error("uncertain.dropout", "a number ≥ 0 and < 1", std::to_string(own.dropout));
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        scores_by.tensors(own.score, size, visit);
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        params const& with = own.params;
        scratch& room = own.scratch;
        index_t const experts = own.weights.score.matrix.rows();
        index_t const model = own.weights.score.matrix.cols();
        bool const whitens = with.sampled && My.calibrated == calibration::whitening;
        for (index_t t = 0; t < in.tokens(); ++t) {
            index_t const passes = with.sampled ? with.passes : 1;
            for (index_t m = 0; m < passes && with.sampled; ++m)
                drop(in.rows.row(t), model, m, in.first + t, in.seed, with.dropout,
                     room.rows.row(m));
            matrix_view<float const> const rows =
                with.sampled ? matrix_view<float const>(room.rows) : in.rows.part(t, 1);
            nothing none;
            linear::score(matrix_view<float const>(rows.data, passes, model, rows.stride),
                          kit<scores_by>{{}, own.weights.score, none},
                          {room.logits.data, passes, experts, room.logits.stride});
            matrix_view<double> const samples = room.samples.part(0, passes);
            for (index_t m = 0; m < passes; ++m) share(room.logits.row(m), experts, samples.row(m));
            if (whitens) {
                detail::by_whitening({samples.data, passes, experts, samples.stride},
                                     {room.room.data, passes, passes, room.room.stride},
                                     room.scores);
                for (index_t e = 0; e < experts; ++e)
                    out.put(t, e, static_cast<float>(room.scores[static_cast<std::size_t>(e)]));
                continue;
            }
            float* const chosen_by = room.logits.row(0);
            if (with.sampled) {
                detail::by_deviation(samples, room.scores);
                for (index_t e = 0; e < experts; ++e)
                    chosen_by[e] = static_cast<float>(room.scores[static_cast<std::size_t>(e)]);
            } else std::copy_n(samples.row(0), experts, room.scores.begin());
            keep(My.k != dynamic ? My.k : with.k, with.keep_ties, chosen_by, room, t, out);
        }
    }

private:
    static constexpr linear scores_by{.biases = true};

    /// x ⊙ b / (1 - p) of one pass; four features share a block of random words.
    static void drop(float const* x, index_t count, index_t pass, index_t token, std::uint64_t seed,
                     float dropout, float* to) noexcept {
        index_t const blocks = (count + 3) / 4;
        float const scale = 1.0f / (1.0f - dropout);
        auto const place = static_cast<std::uint64_t>(token);
        for (index_t b = 0; b < blocks; ++b) {
            auto const words =
                philox({static_cast<std::uint32_t>(pass * blocks + b), stream,
                        static_cast<std::uint32_t>(place), static_cast<std::uint32_t>(place >> 32)},
                       {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
            for (index_t c = 4 * b; c < std::min(count, 4 * b + 4); ++c) {
                std::uint32_t const word = words[static_cast<std::size_t>(c % 4)];
                float const uniform = (static_cast<float>(word >> 9) + 0.5f) * 0x1p-23f;
                to[c] = uniform < dropout ? 0.0f : x[c] * scale;
            }
        }
    }
    /// softmax, where +inf shares with +inf alone and -inf gets 0, even where all are; NaN stays
    /// NaN and takes nothing from the others.
    static void share(float const* logits, index_t experts, double* to) noexcept {
        constexpr float shut = -std::numeric_limits<float>::infinity();
        float top = shut;
        for (index_t e = 0; e < experts; ++e) top = logits[e] > top ? logits[e] : top;
        double total = 0;
        for (index_t e = 0; e < experts; ++e) {
            to[e] = logits[e] == top ? 1.0 : std::exp(double{logits[e]} - double{top});
            if (logits[e] == shut) to[e] = 0;
            if (to[e] > 0) total += to[e];
        }
        for (index_t e = 0; e < experts; ++e) to[e] = to[e] == 0 ? 0 : to[e] / total;
    }
    /// Writes the best scores, renormalised.
    static void keep(index_t count, bool keep_ties, float const* chosen_by, scratch& room,
                     index_t token, plan& out) noexcept {
        auto const experts = static_cast<index_t>(room.scores.size());
        auto const score = [&](index_t e) { return room.scores[static_cast<std::size_t>(e)]; };
        for (index_t e = 0; e < experts; ++e)
            room.keys[static_cast<std::size_t>(e)] = kernel::rank_key(chosen_by[e], e);
        kernel::largest(room.keys.data(), experts, count, room.best.data());
        if (keep_ties) {
            auto const last = room.best[static_cast<std::size_t>(count - 1)];
            for (index_t e = kernel::index_of(last) + 1; e < experts; ++e) {
                auto const key = room.keys[static_cast<std::size_t>(e)];
                if (key >> 32 == last >> 32) room.best[static_cast<std::size_t>(count++)] = key;
            }
        }
        double total = 0;
        for (auto const key : room.best.first(static_cast<std::size_t>(count)))
            if (double const s = score(kernel::index_of(key)); s > 0) total += s;
        for (auto const key : room.best.first(static_cast<std::size_t>(count))) {
            index_t const e = kernel::index_of(key);
            bool const idle = score(e) == 0;
            out.put(token, e, idle ? 0.0f : static_cast<float>(score(e) / total), idle ? 1 : 0);
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
