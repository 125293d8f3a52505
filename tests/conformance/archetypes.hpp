// SPDX-License-Identifier: MIT
// The least model of each concept, and a router, a scorer and experts as a user would write them.
#pragma once

#include "prytany/expert/concept.hpp"
#include "prytany/layer/concept.hpp"
#include "prytany/router/concept.hpp"

namespace archetype {

using namespace prytany;

/// Sends every token to expert 0; has no scorer, no weights, no memory.
struct router {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 1; }
    constexpr promises promise() const { return {.unit_sum = true}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t) out.put(t, 0, 1.0f);
    }
};

/// Every logit is the first number of the row.
struct scorer {
    template <auto My>
    static void score(input const& in, kit<My>, matrix_view<float> logits) noexcept {
        for (index_t t = 0; t < logits.rows; ++t)
            for (index_t e = 0; e < logits.cols; ++e) logits.row(t)[e] = in.rows.row(t)[0];
    }
    template <class Weights, class Visit>
    void tensors(Weights&, shape const&, Visit&&) const {}
};

/// Gives back what it is given; has no matrices.
struct expert {
    struct params {};
    template <auto Format>
    struct weights {};
    struct scratch {
        void lay_out(arena&, shape const&, index_t) {}
    };
    template <class Weights, class Visit>
    void tensors(Weights&, shape const&, Visit&&) const {}
    template <auto My, auto Format, shape Fixed>
    static void apply(work const& in, expert_kit<My, Format, Fixed>, scratch&,
                      matrix_view<float> out) noexcept {
        for (index_t r = 0; r < in.count; ++r)
            for (index_t c = 0; c < out.cols; ++c) out.row(r)[c] = in.rows[r][c];
    }
};

/// Rows out are the rows in.
struct layer {
    struct scratch {};
    shape sizes() const { return {.model = 8, .hidden = 8, .experts = 1}; }
    template <class Visit>
    void for_each_tensor(Visit&&) const {}
    void lay_out(scratch&, arena&, index_t, index_t) const {}
    template <class X, class Observer = unobserved>
    void forward(input const& in, matrix_view<float> out, workspace&, X&&, Observer&& = {}) const {
        for (index_t t = 0; t < in.tokens(); ++t)
            for (index_t c = 0; c < out.cols; ++c) out.row(t)[c] = in.rows.row(t)[c];
    }
};

} // namespace archetype

namespace written {

using namespace prytany;

/// A user's router: every expert with a logit above a bar, each at weight 1, at most `most` of them.
struct above {
    index_t most = 2;
    struct params {
        float bar = 0;
    };
    struct scratch {
        std::span<index_t> passed;
        void lay_out(arena& memory, shape const& size, index_t) {
            passed = memory.take<index_t>(size.experts);
        }
    };
    constexpr archetype::scorer scorer() const { return {}; }
    constexpr index_t slots(shape const&, params const&) const { return most; }
    constexpr promises promise() const { return {}; }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        for (index_t t = 0; t < in.logits.rows; ++t) {
            index_t count = 0;
            for (index_t e = 0; e < in.logits.cols && count < My.most; ++e)
                if (in.logits.row(t)[e] > own.params.bar)
                    own.scratch.passed[static_cast<std::size_t>(count++)] = e;
            for (index_t j = 0; j < count; ++j)
                out.put(t, own.scratch.passed[static_cast<std::size_t>(j)], 1.0f);
        }
    }
};

/// A user's wrapper: halves every weight of the router inside; leaves out weights and scratch.
template <router_policy R>
struct halved {
    R router;
    struct params {
        params_of<R> router{};
    };
    constexpr index_t slots(shape const& size, params const& own) const {
        return router.slots(size, own.router);
    }
    constexpr promises promise() const { return {.positive = router.promise().positive}; }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        R::select(in, own.router(), out);
        for (index_t t = 0; t < in.tokens(); ++t)
            for (slot& s : out.open_slots_of(t)) s.weight *= 0.5f;
    }
};
template <router_policy R>
halved(R) -> halved<R>;

/// An expert that hides that its inner part comes in tiles.
template <class E>
struct untiled {
    E expert;
    using params = typename E::params;
    template <auto Format>
    using weights = typename E::template weights<Format>;
    using scratch = typename E::scratch;
    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        expert.tensors(own, size, visit);
    }
    template <auto My, auto Format, shape Fixed>
    static void apply(work const& in, expert_kit<My, Format, Fixed> own, scratch& room,
                      matrix_view<float> out) noexcept {
        E::apply(in, expert_kit<My.expert, Format, Fixed>{own.size, own.params, own.weights}, room,
                 out);
    }
};
template <class E>
untiled(E) -> untiled<E>;

} // namespace written
