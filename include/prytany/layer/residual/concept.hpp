// SPDX-License-Identifier: MIT
// How a layer's sum and its input become its output, and what travels over depth for it.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>

#include "prytany/core/arena.hpp"
#include "prytany/core/buffer.hpp"
#include "prytany/core/text.hpp"
#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Whether a layer's sum is added to its input, or is a gradient to step against.
enum class residual_sign { plus, minus };

/// What every carry knows: its sizes, and how many layers the rows have passed.
struct carry_sizes {
    index_t tokens = 0, model = 0, depth = 0;
};

template <class P>
concept has_residual_params = requires {
    typename P::params;
}
|| unsatisfied<"a residual policy needs a nested params struct: its run-time numbers, all "
               "defaulted">();

template <class P>
concept has_carry = requires(typename P::carry state, arena& memory, index_t i) {
    requires std::derived_from<typename P::carry, carry_sizes>;
    state.lay_out(memory, i, i);
    state.start();
    { state.part(i, i) } -> std::same_as<typename P::carry>;
}
|| unsatisfied<"a residual policy needs a nested carry, derived from carry_sizes, with "
               "lay_out(arena, tokens, model), start() and part(first, count)">();

template <class P>
concept has_combine = requires(P const policy, typename P::params const& own,
                               matrix_view<float const> rows, typename P::carry& state,
                               matrix_view<float> out) {
    { policy.combine(own, rows, rows, state, out) }
    noexcept;
}
|| unsatisfied<"a residual policy needs combine(params, input, sum, carry&, output) const "
               "noexcept; sum and output may be the same rows">();

/// A structural value that combines a layer's sum with its input, over all layers of one pass.
///
/// A carry lives as long as one pass: zero before the first layer, handed from layer to layer, in
/// float32. Optional: `enter(params, input, carry, rows)`, which writes the rows that the layer is
/// to read instead of its input, to the carry's `ahead`; `check(params)`, which throws.
/// Models    plain, heavy_ball, adam, robust
/// Test      tests/layer/residual/concept.test.cpp
template <class P>
concept residual_policy = has_residual_params<P> && has_carry<P> && has_combine<P>;

template <class P>
concept enters = requires(P const policy, typename P::params const& own,
                          matrix_view<float const> rows, typename P::carry& state) {
    { policy.enter(own, rows, state, state.ahead) }
    noexcept;
};

/// Memory for what a policy carries through one pass; kept and used again.
///
///     depth_memory<heavy_ball> momentum(most_tokens, model);
///     auto& carry = momentum.start(tokens);          // before the first layer of every pass
///
/// Cost      start: one pass over the memory; no allocation
/// Throws    std::bad_alloc
/// Test      tests/layer/residual/concept.test.cpp
template <residual_policy P>
class depth_memory {
public:
    depth_memory(index_t most_tokens, index_t model) : model_(model) {
        arena count;
        carry_.lay_out(count, most_tokens, model);
        memory_ = buffer<std::byte>(count.used());
    }
    depth_memory(depth_memory const&) = delete;
    /// What is carried at the first layer: zero, for at most `most_tokens` tokens.
    typename P::carry& start(index_t tokens) noexcept {
        arena memory(memory_.data());
        carry_.lay_out(memory, tokens, model_);
        carry_.start();
        return carry_;
    }

private:
    buffer<std::byte> memory_;
    index_t model_;
    typename P::carry carry_{};
};

namespace detail {

/// Calls f(row, column, left) for all registers of rows; the last of a row has `left` < lanes.
template <class F>
PRYTANY_INLINE void over_registers(matrix_view<float> rows, F&& f) noexcept {
    for (index_t t = 0; t < rows.rows; ++t)
        for (index_t i = 0; i < rows.cols; i += lanes) f(t, i, rows.cols - i);
}
inline void clear(matrix_view<float> rows) noexcept {
    for (index_t t = 0; t < rows.rows; ++t) std::fill_n(rows.row(t), rows.cols, 0.0f);
}
template <residual_sign Sign>
PRYTANY_INLINE simd::floats signed_sum(simd::floats x, simd::floats step) noexcept {
    if constexpr (Sign == residual_sign::plus) return x + step;
    else return x - step;
}

} // namespace detail

} // namespace prytany::inline PRYTANY_ABI
