// SPDX-License-Identifier: MIT
// A choice that is balanced by optimal transport.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Lets a router choose by scores that give all tokens, and all experts, nearly the same total.
///
///     d₀ = 1 / (T Σ_e d₁C),   d₁ = 1 / (E (Σ_t d₀C + 1e-8)),   C = e^s   from d₁ = 1 to its rest
///     chosen by d₀ C d₁, weighed by s:   sinkhorn{top_k{.k = 1, .score = scoring::sigmoid}}
///
/// Each row is raised from its own maximum: nothing overflows, d₀ takes the factor away again.
/// Padding, and tokens with NaN or +inf, are not transported: their logits choose.
/// Source    Clark et al. 2022 (S-BASE), arXiv:2202.01169
/// Models    router_policy
/// Writes    what the inner router writes
/// Cost      O(iterations · tokens · experts), and the inner router; no allocation
/// Compile   the inner router        Run   training, tolerance, iterations; its params, as `router`
/// Throws    error at construction: tolerance, iterations out of range
/// Test      tests/router/sinkhorn.test.cpp
template <router_policy R>
struct sinkhorn {
    R router;

    struct params {
        bool training = false;    ///< not: the inner router alone
        float tolerance = 1e-4f;  ///< rests when the mean change of d₁ is not above it
        index_t iterations = 100; ///< at most
        params_of<R> router{};
    };
    struct scratch {
        matrix_view<float> scores;       // [tokens, experts]: C, then what chooses
        std::span<double> rows, columns; // d₀, where 0 marks what is not transported; d₁
        std::span<double> sums;          // Σ_t d₀C
        scratch_of<R> router{};
        void lay_out(arena& memory, shape const& size, index_t tokens) {
            scores = memory.take<float>(tokens, size.experts);
            rows = memory.take<double>(tokens);
            columns = memory.take<double>(size.experts);
            sums = memory.take<double>(size.experts);
        }
    };

    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const {
        promises said = router.promise();
        said.sees = scope::batch;
        said.causal = false;
        return said;
    }
    void check(shape const&, params const& own) const {
        if (!(own.tolerance >= 0 && std::isfinite(own.tolerance)))
            throw error("sinkhorn.tolerance", "a finite number ≥ 0", std::to_string(own.tolerance));
        if (own.iterations < 1)
            throw error("sinkhorn.iterations", "at least 1", std::to_string(own.iterations));
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        seen balanced = in;
        if (own.params.training && in.logits.rows > 0) {
            auto const from = in.ranking.data != nullptr ? in.ranking : in.logits;
            index_t const transported = raise(in, from, own.scratch);
            if (transported > 0) transport(from.rows, transported, own.params, own.scratch);
            balanced.ranking = scale(from, own.scratch);
        }
        R::select(balanced, own.router(), out);
    }

private:
    static constexpr float infinity = std::numeric_limits<float>::infinity();
    static constexpr std::size_t at(index_t i) noexcept { return static_cast<std::size_t>(i); }

    /// Writes C of every token that takes part, and counts them.
    static index_t raise(seen const& in, matrix_view<float const> from, scratch& room) noexcept {
        index_t transported = 0;
        for (index_t t = 0; t < from.rows; ++t) {
            float const* const s = from.row(t);
            float top = -infinity;
            bool ordinary = in.present(t);
            for (index_t e = 0; e < from.cols; ++e) {
                ordinary = ordinary && s[e] < infinity; // false for NaN, too
                top = s[e] > top ? s[e] : top;
            }
            ordinary = ordinary && top > -infinity;
            room.rows[at(t)] = ordinary ? 1.0 : 0.0;
            transported += ordinary ? 1 : 0;
            for (index_t e = 0; ordinary && e < from.cols; ++e)
                room.scores.row(t)[e] = std::exp(s[e] - top);
        }
        return transported;
    }
    /// Finds d₀ and d₁ in turn.
    static void transport(index_t tokens, index_t transported, params const& with,
                          scratch& room) noexcept {
        index_t const experts = room.scores.cols;
        auto const count = static_cast<double>(transported), kinds = static_cast<double>(experts);
        for (double& d : room.columns) d = 1;
        double change = infinity;
        for (index_t i = 0; i < with.iterations && change > with.tolerance; ++i) {
            for (double& sum : room.sums) sum = 0;
            for (index_t t = 0; t < tokens; ++t) {
                if (room.rows[at(t)] == 0) continue;
                float const* const c = room.scores.row(t);
                double sum = 0;
                for (index_t e = 0; e < experts; ++e) sum += room.columns[at(e)] * c[e];
                double const d = room.rows[at(t)] = 1 / (count * sum);
                for (index_t e = 0; e < experts; ++e) room.sums[at(e)] += d * c[e];
            }
            change = 0;
            for (index_t e = 0; e < experts; ++e) {
                double const d = 1 / (kinds * (room.sums[at(e)] + 1e-8));
                change += std::abs(d - room.columns[at(e)]) / kinds;
                room.columns[at(e)] = d;
            }
        }
    }
    /// What chooses: d₀ C d₁, -inf where an expert is shut, or what came in.
    static matrix_view<float const> scale(matrix_view<float const> from, scratch& room) noexcept {
        for (index_t t = 0; t < from.rows; ++t) {
            float* const c = room.scores.row(t);
            double const d = room.rows[at(t)];
            for (index_t e = 0; e < from.cols; ++e)
                c[e] = d == 0 || from.row(t)[e] == -infinity
                           ? from.row(t)[e]
                           : static_cast<float>(d * c[e] * room.columns[at(e)]);
        }
        return room.scores.part(0, from.rows);
    }
};
template <router_policy R>
sinkhorn(R) -> sinkhorn<R>;
template <router_policy R>
sinkhorn(sinkhorn<R>) -> sinkhorn<sinkhorn<R>>; // without it, sinkhorn{sinkhorn{…}} would be a copy

} // namespace prytany::inline PRYTANY_ABI
