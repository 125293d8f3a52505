// SPDX-License-Identifier: MIT
// The one best expert, weighed by how probable it is.
#pragma once

#include <algorithm>
#include <cstdint>

#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/choosing.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Keeps, for every token, the expert with the largest logit at its probability.
///
///     P = softmax(s);   e = argmax s;   w_e = P_e
///
/// Never renormalised: a lone weight of 1 would teach the router nothing. The slots of
/// top_k{.k = 1} with `.renormalise = false` to the last bit, without memory.
/// Source    Fedus, Zoph, Shazeer 2021, §2.1, arXiv:2101.03961
/// Models    router_policy
/// Writes    one slot a token
/// Ties      the lower expert number wins; NaN is chosen last; -inf is listed, weighs 0, is not run
/// Cost      O(experts) a token; no allocation
/// Compile   –        Run   –
/// Throws    never
/// Test      tests/router/switch_top_1.test.cpp
struct switch_top_1 {
    struct params {};

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const&, params const&) const { return 1; }
    constexpr promises promise() const { return {}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.logits.rows; ++t) {
            kernel::softmax const share(in.logits.row(t), in.logits.cols);
            std::uint64_t best = 0;
            for (index_t e = 0; e < in.logits.cols; ++e)
                best = std::max(best, kernel::rank_key(detail::choosing(in, t, e, share), e));
            index_t const expert = kernel::index_of(best);
            float const logit = in.logits.row(t)[expert];
            out.put(t, expert, share(logit), detail::idle_tier(logit));
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
