// SPDX-License-Identifier: MIT
// Experts that do nothing, so that easy tokens use fewer.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/kernel/select.hpp"
#include "prytany/kernel/softmax.hpp"
#include "prytany/router/detail/choosing.hpp"
#include "prytany/router/score/linear.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Keeps the k best of all experts and of M that do nothing; only the true ones are listed.
///
///     S = k largest of [s, x · N^T],   N [nulls, model];   w = softmax of s over the experts in S
///
/// A token whose k best are all null has no slot. A ranking replaces s, a bias is added to the
/// softmax over all E + M of an expert; neither changes a null.
/// Source    Zeng et al. 2024 (AdaMoE), arXiv:2406.13233
/// Models    router_policy
/// Writes    0 to min(k, experts) slots a token, best first; the weights of a slot or more sum to 1
/// Ties      true experts before nulls, then the lower number; NaN comes last; -inf is not run
/// Cost      O(nulls · model + (experts + nulls) · k) a token; no allocation
/// Compile   nulls, k        Run   k
/// Throws    error at construction: nulls, k out of range
/// Test      tests/router/null_experts.test.cpp
struct null_experts {
    index_t nulls = 1;
    index_t k = dynamic;

    struct params {
        index_t k = dynamic;
    };
    struct weights {
        packed<dense<float>{}> null;
    };
    struct scratch {
        std::span<std::uint64_t> keys, best;
        void lay_out(arena& memory, shape const& size, index_t) {
            keys = memory.take<std::uint64_t>(size.experts);
            best = memory.take<std::uint64_t>(size.experts);
        }
    };

    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const& size, params const& own) const {
        index_t const keep = k != dynamic ? k : own.k;
        return size.experts != dynamic ? std::min(keep, size.experts) : keep;
    }
    constexpr promises promise() const { return {}; }
    void check(shape const& size, params const& own) const {
        index_t const keep = k != dynamic ? k : own.k, all = size.experts + nulls;
        if (nulls < 1) throw error("null_experts.nulls", "at least 1", std::to_string(nulls));
        if (k != dynamic && own.k != dynamic && own.k != k)
            throw error("null_experts.k", std::to_string(k), std::to_string(own.k));
        if (keep < 1 || keep > all)
            throw error("null_experts.k", "1 to " + std::to_string(all) + ", all with the nulls",
                        std::to_string(keep));
    }
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        visit(tensor{tensor_name{"router", "null"}, nulls, size.model, &own.null});
    }

    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        index_t const keep = My.k != dynamic ? My.k : own.params.k;
        std::uint64_t* const best = own.scratch.best.data();
        row_of<My, float> nulls;
        for (index_t t = 0; t < in.logits.rows; ++t) {
            score<My>(in.rows, t, own.weights, nulls);
            index_t const count = rank<My>(in, t, keep, nulls, own.scratch);
            float const* const logits = in.logits.row(t);
            auto const logit_of = [=](index_t j) { return logits[kernel::index_of(best[j])]; };
            kernel::softmax const share(count, logit_of);
            for (index_t j = 0; j < count; ++j)
                out.put(t, kernel::index_of(best[j]), share(logit_of(j)),
                        detail::idle_tier(logit_of(j)));
        }
    }

private:
    /// One number for each null.
    template <auto My, class T>
    using row_of = std::array<T, static_cast<std::size_t>(My.nulls)>;

    template <auto My>
    static void score(matrix_view<float const> rows, index_t token, weights const& own,
                      row_of<My, float>& nulls) noexcept {
        auto const write = [&](index_t, index_t panel, simd::float_pair sum) {
            index_t const first = panel * panel_lanes;
            simd::store_pair(nulls.data() + first, sum, My.nulls - first);
        };
        kernel::multiply(kernel::picked_rows{rows.row(token), rows.stride}, 1, own.null, 0,
                         own.null.panels(), write);
    }
    /// Puts the keys of the true experts among the best `keep` to the front, and counts them.
    template <auto My>
    static index_t rank(seen const& in, index_t token, index_t keep, row_of<My, float> const& nulls,
                        scratch& room) noexcept {
        index_t const experts = in.logits.cols;
        float const* const logits = in.logits.row(token);
        auto const null_of = [&](index_t i) { return nulls[static_cast<std::size_t>(i)]; };
        bool const biased = !in.bias.empty();
        kernel::softmax const share(biased ? experts + My.nulls : 0, [&](index_t i) {
            return i < experts ? logits[i] : null_of(i - experts);
        });
        for (index_t e = 0; e < experts; ++e)
            room.keys[static_cast<std::size_t>(e)] =
                kernel::rank_key(detail::choosing(in, token, e, share), e);
        index_t const most = std::min(keep, experts);
        kernel::largest(room.keys.data(), experts, most, room.best.data());

        row_of<My, std::uint64_t> keys, best;
        for (index_t i = 0; i < My.nulls; ++i)
            keys[static_cast<std::size_t>(i)] =
                kernel::rank_key(biased ? share(null_of(i)) : null_of(i), experts + i);
        index_t const most_null = std::min(keep, My.nulls);
        kernel::largest(keys.data(), My.nulls, most_null, best.data());

        index_t count = 0, null = 0;
        while (count + null < keep) {
            bool const is_null = count == most || (null < most_null &&
                                                   best[static_cast<std::size_t>(null)] >
                                                       room.best[static_cast<std::size_t>(count)]);
            ++(is_null ? null : count);
        }
        return count;
    }
};

} // namespace prytany::inline PRYTANY_ABI
