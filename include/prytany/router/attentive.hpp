// SPDX-License-Identifier: MIT
// Tokens choose by what they attend to.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>

#include "prytany/router/detail/mixture.hpp"

namespace prytany::inline PRYTANY_ABI {

/// How much each head of attention says: all the same, by how well its output explains the token,
/// or only the head that explains it best.
enum class head_share { uniform, posterior, best };

/// Lets each token of a sequence choose by what the tokens it attends to would choose.
///
///     a_ij = Σ_h π_ih A_h[i, j];   q_i = (1 - mix) · r_i + mix · Σ_j a_ij softmax(s_j) / Σ_j a_ij
///     π_i = 1 / H, or softmax_h(-|u_i - o_hi|² / 2σ²), or 1 for the largest of these
///
/// The inner router gets the logits log q, so that softmax gives q back. `mix` 0 is that router.
/// Source    Graph of Tokens, §Attention-Aware MoE
/// Models    router_policy
/// Writes    what the inner router writes; a mute token (`detail::mixture`) is left as it is
/// Ties      best: the lower head number wins; a head at a distance of NaN says nothing
/// Cost      O(tokens² · (heads + experts)) a sequence in O(tokens · experts) memory, no allocation
/// Compile   the inner router, share, causal: j ≤ i        Run   variance (σ²), mix, router
/// Throws    error: variance or mix out of range; a call without attention, or the heads it needs
/// Test      tests/router/attentive.test.cpp
template <router_policy R>
struct attentive {
    R router;
    head_share share = head_share::uniform;
    bool causal = false; ///< masks the maps of attention that looks ahead

    struct params {
        float variance = 1.0f;
        float mix = 1.0f;
        params_of<R> router{};
    };
    struct scratch {
        detail::mixture mixed;
        std::span<float> heard; // by one token
        scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            mixed.lay_out(memory, size, tokens);
            heard = memory.take<float>(tokens);
        }
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const {
        promises said = router.promise();
        said.sees = std::max(said.sees, scope::sequence);
        said.causal = said.causal && causal;
        return said;
    }
    void check(shape const&, params const& own) const {
        detail::check_divisor("attentive.variance", own.variance);
        detail::check_mix("attentive.mix", own.mix);
    }
    void require(input const& in) const {
        if (in.tokens() == 0) return;
        if (in.attention.empty())
            throw error("attentive: input.attention", "a map for each head", "none");
        if (share != head_share::uniform && in.heads.size() != in.attention.size())
            throw error("attentive: input.heads",
                        "the outputs of " + std::to_string(in.attention.size()) + " heads",
                        in.heads.empty() ? "none" : std::to_string(in.heads.size()));
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        if (own.params.mix == 0 || in.logits.empty()) return R::select(in, own.router(), out);
        detail::mixture& mixed = own.scratch.mixed;
        mixed.read(in);
        in.each_sequence([&](index_t first, index_t count) {
            for (index_t t = first; t < first + count; ++t) {
                index_t const heard = My.causal ? t - first + 1 : count;
                auto const weights = own.scratch.heard.first(static_cast<std::size_t>(heard));
                std::fill(weights.begin(), weights.end(), 0.0f);
                each_share<My>(in, t, own.params.variance, [&](std::size_t head, float part) {
                    float const* const map = in.attention[head].row(t) + first;
                    for (std::size_t j = 0; j < weights.size(); ++j)
                        if (map[j] > 0) weights[j] += part * map[j];
                });
                mixed.write(in, t, first, weights, own.params.mix);
            }
        });
        seen mine = in;
        mine.logits = {mixed.logits.data, in.logits.rows, in.logits.cols, mixed.logits.stride};
        R::select(mine, own.router(), out);
    }

private:
    /// Calls f(head, share) for the heads that say something of a token; shares are π but for a
    /// factor, which the mixture divides out.
    template <auto My, class F>
    static void each_share(seen const& in, index_t token, float variance, F&& f) noexcept {
        if constexpr (My.share == head_share::uniform) {
            for (std::size_t h = 0; h < in.attention.size(); ++h) f(h, 1.0f);
        } else {
            std::size_t const heads = std::min(in.attention.size(), in.heads.size());
            std::size_t best = heads;
            double nearest = std::numeric_limits<double>::infinity();
            for (std::size_t h = 0; h < heads; ++h)
                if (double const d = distance(in, token, h); d < nearest) nearest = d, best = h;
            if (best == heads) return;
            if constexpr (My.share == head_share::best) return f(best, 1.0f);
            for (std::size_t h = 0; h < heads; ++h) {
                double const further = distance(in, token, h) - nearest;
                auto const part = static_cast<float>(std::exp(-further / (2 * double{variance})));
                if (part > 0) f(h, part);
            }
        }
    }
    /// |u - o|² of a token and of what a head makes of it.
    static double distance(seen const& in, index_t token, std::size_t head) noexcept {
        float const *const u = in.rows.row(token), *const o = in.heads[head].row(token);
        double sum = 0;
        for (index_t c = 0; c < in.rows.cols; ++c) {
            double const apart = double{u[c]} - double{o[c]};
            sum += apart * apart;
        }
        return sum;
    }
};
template <router_policy R>
attentive(R) -> attentive<R>;
template <router_policy R>
attentive(attentive<R>) -> attentive<attentive<R>>; // without it, a copy

} // namespace prytany::inline PRYTANY_ABI
