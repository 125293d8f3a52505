// SPDX-License-Identifier: MIT
// A learned correction of who is chosen.
#pragma once

#include <span>

#include "prytany/format/tensor.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Adds a number to each expert's score when experts are chosen, not when they are weighed.
///
///     biased{top_k{.k = 8, .score = scoring::sigmoid}}
///
/// Source    Wang et al. 2024, arXiv:2408.15664; DeepSeek-V3, arXiv:2412.19437, eq. 16
/// Models    router_policy
/// Writes    what the inner router writes
/// Cost      that of the inner router; no allocation
/// Compile   the inner router        Run   its params, as `router`
/// Throws    never
/// Test      tests/router/biased.test.cpp
template <router_policy R>
struct biased {
    R router;

    struct params {
        params_of<R> router{};
    };
    struct weights {
        column correction;
        [[no_unique_address]] weights_of<R> router{};
    };
    struct scratch {
        std::span<float> sums; // of this bias and one from outside
        scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t) {
            sums = memory.take<float>(size.experts);
        }
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const { return router.promise(); }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "correction"}, size.experts, index_t{1}, &own.correction,
                     row_map{}, true});
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        seen corrected = in;
        auto const experts = static_cast<std::size_t>(in.logits.cols);
        corrected.bias = {own.weights.correction.data(), experts};
        if (!in.bias.empty()) { // what a wrapper around this one adds stays added
            for (std::size_t e = 0; e < experts; ++e)
                own.scratch.sums[e] = in.bias[e] + corrected.bias[e];
            corrected.bias = own.scratch.sums;
        }
        R::select(corrected, own.router(), out);
    }
};
template <router_policy R>
biased(R) -> biased<R>;
template <router_policy R>
biased(biased<R>) -> biased<biased<R>>; // without it, biased{biased{…}} would be a copy

} // namespace prytany::inline PRYTANY_ABI
