// SPDX-License-Identifier: MIT
// Two experts, each the best of a round and weighed among its near rivals alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/choosing.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Chooses in two rounds; each weighs its expert against those within reach of the best.
///
///     reach = {e: (z_top - z_e) / max(|z_e|, z_top) ≤ 2 · jitter};   chosen: the best in reach
///     w = softmax over reach at the chosen;   round two leaves out the first
///
/// A ranking or a bias chooses within reach: `gumbel{sparse_mixer{}}` draws there.
/// Source    Liu et al. 2024 (GRIN, SparseMixer-v2), arXiv:2409.12136; Phi-3.5-MoE
/// Models    router_policy
/// Writes    two slots a token; each weight is in [0, 1], their sum in [0, 2]
/// Ties      the lower expert number wins; NaN is chosen last; -inf is listed, weighs 0, is not run
/// Cost      O(experts) a token; no allocation
/// Compile   –        Run   jitter
/// Throws    error at construction: fewer than two experts, jitter out of range
/// Test      tests/router/sparse_mixer.test.cpp
struct sparse_mixer {
    struct params {
        float jitter = 0.01f;
    };
    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const&, params const&) const { return 2; }
    constexpr promises promise() const { return {}; }
    void check(shape const& size, params const& own) const {
        if (size.experts < 2)
            throw error("sparse_mixer: experts", "at least 2", std::to_string(size.experts));
        if (!(own.jitter >= 0 && std::isfinite(own.jitter)))
            throw error("sparse_mixer.jitter", "a finite number >= 0", std::to_string(own.jitter));
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        for (index_t t = 0; t < in.logits.rows; ++t)
            choose(in, t, choose(in, t, -1, own.params.jitter, out), own.params.jitter, out);
    }

private:
    /// One round without expert `gone`: writes its slot, returns its expert.
    static index_t choose(seen const& in, index_t token, index_t gone, float jitter,
                          plan& out) noexcept {
        constexpr float infinity = std::numeric_limits<float>::infinity();
        index_t const experts = in.logits.cols;
        float const* const logits = in.logits.row(token);
        float top = -infinity;
        for (index_t e = 0; e < experts; ++e)
            if (e != gone && logits[e] > top) top = logits[e];
        auto const within_reach = [=](index_t e) {
            float const behind = (top - logits[e]) / std::max(std::abs(logits[e]), top);
            return e != gone && !(behind > 2 * jitter); // 0 / 0 and NaN are
        };
        kernel::softmax const share(
            experts, [=](index_t e) { return within_reach(e) ? logits[e] : -infinity; });
        std::uint64_t best = 0;
        for (index_t e = 0; e < experts; ++e)
            if (within_reach(e))
                best = std::max(best, kernel::rank_key(detail::choosing(in, token, e, share), e));
        index_t const expert = kernel::index_of(best);
        out.put(token, expert, share(logits[expert]), detail::idle_tier(logits[expert]));
        return expert;
    }
};

} // namespace prytany::inline PRYTANY_ABI
