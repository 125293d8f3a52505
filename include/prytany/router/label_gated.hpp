// SPDX-License-Identifier: MIT
// A learned row of logits for each label in place of scores of the token.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Lets a router choose by what its gate knows of the label, not by the token.
///
///     z_t = G[label_t],   G [labels, experts]:   label_gated{29, top_k{.k = 4}}
///
/// A label outside 0 … labels - 1 says that there is none: the inner router sees logits of -inf,
/// and the token gets no slot.
/// Source    gates by category, as of WISA, where they are 1 or 0.1
/// Models    router_policy
/// Writes    what the inner router writes for these logits
/// Cost      O(experts) a token and that of the inner router; no allocation, no scorer
/// Compile   labels, the inner router        Run   its params, as `router`
/// Throws    error at construction: labels < 1; in a call: no labels
/// Test      tests/router/label_gated.test.cpp
template <router_policy R>
struct label_gated {
    index_t labels;
    R router;

    struct params {
        params_of<R> router{};
    };
    struct weights {
        packed<dense<float>{}> gate;
        [[no_unique_address]] weights_of<R> router{};
    };
    struct scratch {
        matrix_view<float> logits;
        scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            logits = memory.take<float>(tokens, size.experts);
        }
    };
    constexpr nothing scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const {
        promises said = router.promise();
        said.unit_sum = false; // a token without a label has no weights
        return said;
    }
    void check(shape const&, params const&) const {
        if (labels < 1) throw error("label_gated.labels", "at least 1", std::to_string(labels));
    }
    void require(input const& in) const {
        if (static_cast<index_t>(in.labels.size()) != in.tokens())
            throw error("input.labels (label_gated)", std::to_string(in.tokens()) + ", one a token",
                        std::to_string(in.labels.size()));
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "gate"}, labels, size.experts, &own.gate});
    }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        auto const logits = own.scratch.logits.part(0, in.tokens());
        for (index_t t = 0; t < in.tokens(); ++t) {
            std::span<float> const row(logits.row(t), static_cast<std::size_t>(logits.cols));
            if (known<My>(in, t)) own.weights.gate.unpack(in.labels[at(t)], row);
            else std::fill(row.begin(), row.end(), -std::numeric_limits<float>::infinity());
        }
        seen mine = in;
        mine.logits = logits;
        R::select(mine, own.router(), out);
        for (index_t t = 0; t < in.tokens(); ++t)
            if (!known<My>(in, t)) out.cut(t, 0);
    }

private:
    static constexpr std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }
    template <auto My>
    static bool known(seen const& in, index_t token) noexcept {
        return in.labels[at(token)] >= 0 && in.labels[at(token)] < My.labels;
    }
};
template <router_policy R>
label_gated(index_t, R) -> label_gated<R>;

} // namespace prytany::inline PRYTANY_ABI
