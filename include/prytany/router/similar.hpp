// SPDX-License-Identifier: MIT
// Similar tokens choose similar experts.
#pragma once

#include <algorithm>
#include <limits>
#include <span>

#include "prytany/format/tensor.hpp"
#include "prytany/kernel/dot.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/mixture.hpp"
#include "prytany/router/detail/project.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Lets each token of a sequence choose by what tokens like it would choose.
///
///     S_ij = softmax_j(u_i · W u_j / t);   q_i = (1 - mix) · r_i + mix · Σ_j S_ij softmax(s_j)
///
/// W = identity, or Lᵀ L with a learned L [Rank, model]. The inner router gets the logits log q, so
/// that softmax gives q back: all experts, or renormalised over the chosen. `mix` 0 is that router.
/// Source    Graph of Tokens, §Similarity-Aware MoE
/// Models    router_policy
/// Writes    what the inner router writes; a mute token (`detail::mixture`) is left as it is; an
///           expert at -inf for a token alone may run for it, if tokens like it have it open
/// Cost      O(tokens² · (model + experts)) a sequence in O(tokens · experts) memory, no allocation
/// Compile   the inner router, Rank, causal: j ≤ i        Run   temperature, mix, router
/// Throws    error at construction: temperature or mix out of range
/// Test      tests/router/similar.test.cpp
template <router_policy R, index_t Rank = 0>
struct similar {
    R router;
    bool causal = false;

    struct params {
        float temperature = 1.0f;
        float mix = 1.0f;
        params_of<R> router{};
    };
    struct weights {
        packed<dense<float>{}> similarity;
        [[no_unique_address]] weights_of<R> router{};
    };
    struct scratch {
        detail::mixture mixed;
        matrix_view<float> keys;  // L u
        matrix_view<float> heard; // by the tokens of one block
        scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            mixed.lay_out(memory, size, tokens);
            if (Rank > 0) keys = memory.take<float>(tokens, Rank);
            heard = memory.take<float>(block, tokens);
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
        detail::check_divisor("similar.temperature", own.temperature);
        detail::check_mix("similar.mix", own.mix);
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        if (Rank > 0)
            visit(tensor{tensor_name{"router", "similarity"}, Rank, size.model, &own.similarity});
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        if (own.params.mix == 0 || in.logits.empty()) return R::select(in, own.router(), out);
        detail::mixture& mixed = own.scratch.mixed;
        mixed.read(in);
        matrix_view<float const> keys = in.rows;
        if constexpr (Rank > 0) keys = write_keys(in, own.weights.similarity, own.scratch.keys);
        in.each_sequence([&](index_t first, index_t count) {
            for (index_t from = 0; from < count; from += block) {
                index_t const to = std::min(count, from + block);
                hear<My>(keys.part(first, count), from, to, own.scratch.heard);
                for (index_t i = from; i < to; ++i) {
                    std::span const heard(own.scratch.heard.row(i - from),
                                          static_cast<std::size_t>(My.causal ? i + 1 : count));
                    soften(heard, &mixed.speaks[static_cast<std::size_t>(first)],
                           own.params.temperature);
                    mixed.write(in, first + i, first, heard, own.params.mix);
                }
            }
        });
        seen mine = in;
        mine.logits = {mixed.logits.data, in.logits.rows, in.logits.cols, mixed.logits.stride};
        R::select(mine, own.router(), out);
    }

private:
    static constexpr index_t block = 8; // tokens for which one key is read once

    static matrix_view<float const> write_keys(seen const& in,
                                               packed<dense<float>{}> const& similarity,
                                               matrix_view<float> keys) noexcept {
        detail::project(in.rows, similarity, nullptr, keys.part(0, in.tokens()));
        return {keys.data, in.tokens(), Rank, keys.stride};
    }
    /// The products of the keys of tokens [from, to) with those of all, or of all before.
    template <auto My>
    static void hear(matrix_view<float const> keys, index_t from, index_t to,
                     matrix_view<float> heard) noexcept {
        for (index_t j = 0; j < (My.causal ? to : keys.rows); ++j)
            for (index_t i = My.causal ? std::max(from, j) : from; i < to; ++i)
                heard.row(i - from)[j] = kernel::dot(keys.row(i), keys.row(j), keys.cols);
    }
    /// Softmax over the tokens that speak, but for its sum; NaN stays NaN.
    static void soften(std::span<float> heard, std::uint8_t const* speaks,
                       float temperature) noexcept {
        float top = -std::numeric_limits<float>::infinity();
        for (std::size_t j = 0; j < heard.size(); ++j)
            if (speaks[j] && heard[j] > top) top = heard[j];
        kernel::softmax_ratios(heard.data(), static_cast<index_t>(heard.size()), top, temperature,
                               heard.data());
    }
};
template <router_policy R>
similar(R) -> similar<R>;
template <router_policy R, index_t Rank>
similar(similar<R, Rank>) -> similar<similar<R, Rank>>; // without it, a copy

} // namespace prytany::inline PRYTANY_ABI
