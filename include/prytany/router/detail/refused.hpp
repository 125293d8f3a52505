// SPDX-License-Identifier: MIT
// A copy of what a router sees, in which some experts cannot be chosen.
#pragma once

#include <algorithm>
#include <limits>
#include <span>

#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// Whether a correction is added further in.
template <class Weights>
constexpr bool adds_bias() {
    if constexpr (requires(Weights own) { own.correction; }) return true;
    else if constexpr (requires(Weights own) { own.router; })
        return adds_bias<decltype(Weights::router)>();
    else return false;
}

/// Logits, ranking and bias for a call in which some experts are refused.
///
/// A logit of -inf scores 0 under a sigmoid, and a bias could still choose it: where biases are
/// added, the refused get a low one. It is finite, so that a group with one expert left comes
/// before a group with none.
struct refusal {
    matrix_view<float> logits, ranking;
    std::span<float> bias;

    void lay_out(arena& memory, shape const& size, index_t tokens) {
        logits = memory.take<float>(tokens, size.experts);
        ranking = memory.take<float>(tokens, size.experts);
        bias = memory.take<float>(size.experts);
    }
    /// What the router R sees of `in`; `in` itself where nobody is refused.
    template <class R, class Refused>
    seen of(seen const& in, index_t experts, Refused&& refused) const noexcept {
        bool any = false;
        for (index_t e = 0; e < experts; ++e) any = any || refused(e);
        if (!any) return in;
        seen some = in;
        some.logits = covered(in.logits, logits, refused);
        some.ranking = covered(in.ranking, ranking, refused);
        if (adds_bias<weights_of<R>>() || !in.bias.empty()) {
            constexpr float low = -1e30f;
            for (index_t e = 0; e < experts; ++e) {
                auto const i = static_cast<std::size_t>(e);
                bias[i] = refused(e) ? low : i < in.bias.size() ? in.bias[i] : 0.0f;
            }
            some.bias = bias.first(static_cast<std::size_t>(experts));
        }
        return some;
    }

private:
    template <class Refused>
    static matrix_view<float const> covered(matrix_view<float const> from, matrix_view<float> to,
                                            Refused&& refused) noexcept {
        if (from.data == nullptr) return from;
        matrix_view<float> const all{to.data, from.rows, from.cols, to.stride};
        for (index_t t = 0; t < from.rows; ++t)
            for (index_t e = 0; e < from.cols; ++e)
                all.row(t)[e] =
                    refused(e) ? -std::numeric_limits<float>::infinity() : from.row(t)[e];
        return all;
    }
};

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
