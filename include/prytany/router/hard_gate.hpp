// SPDX-License-Identifier: MIT
// The one expert with the largest gate, or all that come as near to it as rounding.
#pragma once

#include <limits>
#include <span>

#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/concept.hpp"
#include "prytany/router/score/context_gate.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Runs the expert with the largest gate, unweighted; `tie_sum` runs all within 10^-6 of it.
///
///     G = softmax(s),   arg max G,   tie_sum: { e : G_e > max G - 10^-6 },   every weight 1
///
/// Source    MixER, the released code, which always sums ties
/// Models    router_policy
/// Writes    one slot a token, with `tie_sum` up to all experts, ascending
/// Ties      the lower expert number wins; with `tie_sum` all run; NaN is chosen only if all are
/// Cost      O(experts) a token; no allocation
/// Compile   tie_sum        Run   –
/// Throws    never
/// Test      tests/router/hard_gate.test.cpp
struct hard_gate {
    bool tie_sum = false;

    struct params {};
    struct scratch {
        std::span<float> gates;
        void lay_out(arena& memory, shape const& size, index_t) {
            gates = memory.take<float>(size.experts);
        }
    };
    constexpr context_gate scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const&) const {
        return tie_sum ? size.experts : 1;
    }
    constexpr promises promise() const { return {.unit_sum = !tie_sum}; }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        constexpr float idle = -std::numeric_limits<float>::infinity();
        constexpr float band = 1e-6f;
        index_t const experts = in.logits.cols;
        for (index_t t = 0; t < in.logits.rows; ++t) {
            float const* const logits = in.logits.row(t);
            std::uint64_t best = 0;
            kernel::best_of(logits, experts, 1, &best);
            index_t const first = kernel::index_of(best);
            float const top = logits[first];
            if (!My.tie_sum || !(top > idle)) {
                out.put(t, first, top == idle ? 0.0f : 1.0f, top == idle ? 1 : 0);
                continue;
            }
            float* const gates = own.scratch.gates.data();
            auto const whole =
                static_cast<float>(kernel::softmax_ratios(logits, experts, top, 1.0f, gates));
            float const bar = 1.0f / whole - band;
            for (index_t e = 0; e < experts; ++e)
                if (logits[e] > idle && gates[e] / whole > bar) out.put(t, e, 1.0f);
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
