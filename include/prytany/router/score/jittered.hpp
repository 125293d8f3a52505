// SPDX-License-Identifier: MIT
// Scores of rows that are stretched a little, number by number, while training.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/core/philox.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Multiplies every number that the scorer reads by one drawn about 1; experts read clean rows.
///
///     x'_c = x_c · U[1 - spread, 1 + spread]        scored{jittered{linear{}}, top_k{.k = 1}}
///
/// The number for column c of a token is its draw c, whatever the batch. Spread 0 is the scorer.
/// Source    Fedus et al. 2022 (Switch), arXiv:2101.03961; DeepSpeed's `Jitter`
/// Models    scorer
/// Writes    what the scorer writes for x'
/// Cost      that of the scorer, and a draw for each number; memory for 32 rows, no allocation
/// Compile   the scorer        Run   spread; the scorer's params, as `scorer`
/// Throws    error at construction: spread outside 0 to 1, what the scorer throws
/// Test      tests/router/score/jittered.test.cpp
template <scorer S>
struct jittered {
    static constexpr std::uint32_t stream = 0x6a697474; ///< of its draws

    S scorer;

    struct params {
        float spread = 0.01f;
        [[no_unique_address]] params_of<S> scorer{};
    };
    using weights = weights_of<S>;
    struct scratch {
        matrix_view<float> rows; // of one block
        [[no_unique_address]] scratch_of<S> scorer{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            rows = memory.take<float>(std::min(block, tokens), size.model);
            if constexpr (requires { scorer.lay_out(memory, size, tokens); })
                scorer.lay_out(memory, size, tokens);
        }
    };
    void check(shape const& size, params const& own) const {
        if (!(own.spread >= 0 && own.spread <= 1))
            throw error("jittered.spread", "0 to 1", std::to_string(own.spread));
        check_router(scorer, size, own.scorer);
    }
    void require(input const& in, shape const& size, params const& own) const {
        require_input(scorer, in, size, own.scorer);
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        scorer.tensors(own, size, visit);
    }
    template <auto My>
    static void score(input const& in, kit<My> own, matrix_view<float> logits) noexcept {
        kit<My.scorer> const inner{own.params.scorer, own.weights, own.scratch.scorer};
        if (own.params.spread == 0) return S::score(in, inner, logits);
        for (index_t first = 0; first < in.tokens(); first += block) {
            input some = in.part(first, std::min(block, in.tokens() - first));
            auto const rows = own.scratch.rows.part(0, some.tokens());
            for (index_t t = 0; t < rows.rows; ++t)
                stretch(some, t, own.params.spread, rows.row(t));
            some.rows = rows;
            S::score(some, inner, logits.part(first, rows.rows));
        }
    }

private:
    static constexpr index_t block = 32;

    /// Writes x' of a token; four columns share a block of random words, as `draws` has them.
    static void stretch(input const& in, index_t token, float spread, float* to) noexcept {
        auto const low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
        auto const place = static_cast<std::uint64_t>(in.first + token);
        float const* const x = in.rows.row(token);
        for (index_t c = 0; c < in.rows.cols; c += 4) {
            auto const words = philox(
                {low(static_cast<std::uint64_t>(c / 4)), stream, low(place), low(place >> 32)},
                {low(in.seed), low(in.seed >> 32)});
            for (index_t i = c; i < std::min(in.rows.cols, c + 4); ++i) {
                float const uniform =
                    (static_cast<float>(words[static_cast<std::size_t>(i - c)] >> 9) + 0.5f) *
                    0x1p-23f;
                to[i] = x[i] * std::fma(spread, 2 * uniform - 1, 1.0f); // 2u - 1 is exact
            }
        }
    }
};
template <scorer S>
jittered(S) -> jittered<S>;
template <scorer S>
jittered(jittered<S>) -> jittered<jittered<S>>; // without it, a copy

} // namespace prytany::inline PRYTANY_ABI
