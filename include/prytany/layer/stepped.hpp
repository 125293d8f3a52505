// SPDX-License-Identifier: MIT
// A layer with its residual connection.
#pragma once

#include <string>
#include <utility>

#include "prytany/core/error.hpp"
#include "prytany/layer/concept.hpp"
#include "prytany/layer/detail/check_call.hpp"
#include "prytany/layer/detail/schedule.hpp"
#include "prytany/layer/residual/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// A layer whose output is its input, moved by what it computes: one step of a residual policy.
///
///     stepped<moe<…>, heavy_ball{}> layer{inner, {.mu = 0.7f}};
///     auto& carry = memory.start(tokens);                  // a depth_memory<heavy_ball>
///     for (auto const& layer : layers) { layer.forward(x, y, carry, ws, pool); std::swap(x, y); }
///
/// The inner layer writes to `out`, where the policy then combines: no memory but the carry's. A
/// layer without this wrapper leaves a carry as it is.
/// Writes    whole rows; the sum of a padding token is zero
/// Cost      that of the layer, and one pass over the rows; no allocation
/// Compile   Layer, Residual        Run   the params of the policy
/// Throws    error: numbers out of range; a carry or rows of other sizes
/// Test      tests/layer/stepped.test.cpp
template <moe_layer Layer, residual_policy auto Residual>
class stepped {
    using P = kind_of<Residual>;

public:
    using params = typename P::params;
    using carry = typename P::carry;
    using scratch = typename Layer::scratch;

    explicit stepped(Layer layer = Layer{}, params const& numbers = {})
        : layer_(std::move(layer)), params_(numbers) {
        if constexpr (requires { P::check(params_); }) P::check(params_);
    }

    Layer const& layer() const noexcept { return layer_; }
    shape sizes() const { return layer_.sizes(); }
    template <class Visit>
    void for_each_tensor(Visit&& visit) {
        layer_.for_each_tensor(visit);
    }
    template <class Visit>
    void for_each_tensor(Visit&& visit) const {
        layer_.for_each_tensor(visit);
    }
    void lay_out(scratch& room, arena& memory, index_t tokens, index_t workers) const {
        layer_.lay_out(room, memory, tokens, workers);
    }

    /// Computes [tokens, model] → [tokens, model] and counts the layer in the carry.
    ///
    /// Pre       out overlaps neither the input nor the carry
    /// Throws    error for other sizes; the carry is then as it was
    template <executor X, class Observer = unobserved>
    void forward(input const& in, matrix_view<float> out, carry& state, workspace& ws, X&& pool,
                 Observer&& watch = {}) const {
        detail::check_call(in, out, sizes().model);
        if (state.tokens != in.tokens() || state.model != sizes().model)
            throw error("carry", dims_text(in.tokens(), sizes().model),
                        dims_text(state.tokens, state.model));
        input read = in;
        if constexpr (enters<P>) {
            detail::over_tokens(in.tokens(), pool, [&](index_t first, index_t count) {
                carry some = state.part(first, count);
                Residual.enter(params_, in.rows.part(first, count), some, some.ahead);
            });
            read.rows = state.ahead;
        }
        layer_.forward(read, out, ws, pool, watch);
        detail::over_tokens(in.tokens(), pool, [&](index_t first, index_t count) {
            carry some = state.part(first, count);
            auto const sum = out.part(first, count);
            Residual.combine(params_, in.rows.part(first, count), sum, some, sum);
        });
        ++state.depth;
    }

private:
    Layer layer_;
    [[no_unique_address]] params params_;
};

} // namespace prytany::inline PRYTANY_ABI
