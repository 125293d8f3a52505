// SPDX-License-Identifier: MIT
// Attention heads as experts: shared heads for every token, the best of the others beside them.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/kernel/gemm.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/score/linear_heads.hpp"

namespace prytany::inline PRYTANY_ABI {

/// How chosen heads are weighed: as the released code does, as the paper says, or all by 1.
enum class head_form { released, paper, mask };

/// Keeps the first `shared` heads of every token and the k best of the others, in two stages.
///
///     released:  g = 2a_0 · h_s · softmax(s_shared), 2a_1 · k · softmax(s over the chosen)
///     paper:     g = a_0 · softmax(s_shared),        a_1 · softmax(s over all routed)
///     mask:      g = 1;      a = softmax(x · H^T),   H [2, model]
///
/// Without shared heads, or without routed ones, there is no H: the group weighs 1.
/// Source    Jin et al. 2024 (MoH), arXiv:2410.11842
/// Models    router_policy
/// Writes    `shared` slots 0, 1, …, then k slots, the best first
/// Ties      the lower head wins; NaN is chosen last; -inf is listed, weighs 0, is not run
/// Cost      O(heads · k + model) a token; no allocation
/// Compile   shared, k, form        Run   k
/// Throws    error at construction: shared, k out of range
/// Test      tests/router/head_gate.test.cpp
struct head_gate {
    index_t shared = 0;
    index_t k = dynamic; ///< routed heads of a token
    head_form form = head_form::released;

    struct params {
        index_t k = dynamic;
    };
    struct weights {
        packed<dense<float>{}> groups;
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

    constexpr linear_heads scorer() const { return {.shared = shared}; }
    constexpr index_t slots(shape const&, params const& own) const {
        index_t const keep = k != dynamic ? k : own.k;
        return keep != dynamic ? shared + keep : dynamic;
    }
    constexpr promises promise() const { return {}; }
    void check(shape const& size, params const& own) const {
        auto const text = [](index_t n) { return std::to_string(n); };
        if (shared < 0 || shared > size.experts)
            throw error("head_gate.shared", "0 to " + text(size.experts) + " heads", text(shared));
        if (k != dynamic && own.k != dynamic && own.k != k)
            throw error("head_gate.k", text(k), text(own.k));
        index_t const keep = k != dynamic ? k : own.k, least = k != dynamic ? 0 : 1;
        if (keep < least || keep > size.experts - shared)
            throw error("head_gate.k",
                        text(least) + " to " + text(size.experts - shared) + ", the routed heads",
                        text(keep));
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        if (in_two_stages())
            visit(tensor{tensor_name{"router", "groups"}, index_t{2}, size.model, &own.groups});
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        index_t const keep = My.k != dynamic ? My.k : own.params.k;
        for (index_t t = 0; t < in.logits.rows; ++t) {
            float group[2] = {1.0f, 1.0f};
            if constexpr (My.in_two_stages()) weigh_groups(in.rows.row(t), own.weights, group);
            if constexpr (My.in_two_stages() && My.form == head_form::released)
                for (float& a : group) a *= 2.0f;
            constexpr bool scaled = My.form == head_form::released;
            put_shared<My>(in, t, scaled ? group[0] * static_cast<float>(My.shared) : group[0],
                           out);
            rank<My>(in, t, own.scratch);
            kernel::largest(own.scratch.keys.data() + My.shared, in.logits.cols - My.shared, keep,
                            own.scratch.best.data());
            put_routed<My>(in, t, keep, scaled ? group[1] * static_cast<float>(keep) : group[1],
                           own.scratch, out);
        }
    }

private:
    static constexpr float infinity = std::numeric_limits<float>::infinity();

    constexpr bool in_two_stages() const { return form != head_form::mask && shared > 0 && k != 0; }

    static void weigh_groups(float const* row, weights const& own, float* group) noexcept {
        float u[2] = {};
        kernel::multiply(
            kernel::picked_rows{row, 0}, 1, own.groups, 0, own.groups.panels(),
            [&](index_t, index_t, simd::float_pair sum) { simd::store_pair(u, sum, 2); });
        float const apart = u[0] == u[1] ? 0.0f : u[0] - u[1]; // also for equal infinities
        group[0] = 1.0f / (1.0f + std::exp(-apart));
        group[1] = 1.0f / (1.0f + std::exp(apart));
    }
    static void put(plan& out, index_t token, index_t head, float logit, float weight) noexcept {
        bool const idle = logit == -infinity;
        out.put(token, head, idle ? 0.0f : weight, idle ? 1 : 0);
    }
    template <auto My>
    static void put_shared(seen const& in, index_t token, float scale, plan& out) noexcept {
        float const* const logits = in.logits.row(token);
        if constexpr (My.shared == 1 || My.form == head_form::mask) { // -inf alone is looked at
            for (index_t h = 0; h < My.shared; ++h)
                put(out, token, h, logits[h], My.form == head_form::mask ? 1.0f : scale);
        } else if constexpr (My.shared > 1) {
            kernel::softmax const all(My.shared, [&](index_t h) { return logits[h]; });
            for (index_t h = 0; h < My.shared; ++h)
                put(out, token, h, logits[h], scale * all(logits[h]));
        }
    }
    /// The keys that choose among the routed heads.
    template <auto My>
    static void rank(seen const& in, index_t token, scratch& room) noexcept {
        index_t const heads = in.logits.cols;
        bool const ranked = in.ranking.data != nullptr;
        float const* by = ranked ? in.ranking.row(token) : in.logits.row(token);
        if (!in.bias.empty()) { // it is added to a ranking as it is, to logits after their softmax
            kernel::softmax const all(heads - My.shared,
                                      [&](index_t i) { return by[My.shared + i]; });
            for (index_t h = My.shared; h < heads; ++h)
                room.scores[static_cast<std::size_t>(h)] =
                    (ranked ? by[h] : all(by[h])) + in.bias[static_cast<std::size_t>(h)];
            by = room.scores.data();
        }
        for (index_t h = My.shared; h < heads; ++h)
            room.keys[static_cast<std::size_t>(h)] = kernel::rank_key(by[h], h);
    }
    template <auto My>
    static void put_routed(seen const& in, index_t token, index_t keep, float scale,
                           scratch const& room, plan& out) noexcept {
        float const* const logits = in.logits.row(token);
        auto const head = [&](index_t j) {
            return kernel::index_of(room.best[static_cast<std::size_t>(j)]);
        };
        if constexpr (My.form == head_form::mask) {
            for (index_t j = 0; j < keep; ++j) put(out, token, head(j), logits[head(j)], 1.0f);
            return;
        }
        bool const chosen_only = My.form == head_form::released;
        kernel::softmax const all(chosen_only ? keep : in.logits.cols - My.shared, [&](index_t i) {
            return logits[chosen_only ? head(i) : My.shared + i];
        });
        for (index_t j = 0; j < keep; ++j)
            put(out, token, head(j), logits[head(j)], scale * all(logits[head(j)]));
    }
};

} // namespace prytany::inline PRYTANY_ABI
