// SPDX-License-Identifier: MIT
// A layer that mixes its experts' weights into one expert instead of choosing.
#pragma once

#include <algorithm>
#include <concepts>
#include <span>
#include <string>
#include <vector>

#include "prytany/expert/concept.hpp"
#include "prytany/layer/concept.hpp"
#include "prytany/layer/detail/check_call.hpp"
#include "prytany/layer/detail/mix.hpp"
#include "prytany/layer/option/concept.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// The run-time numbers of a layer of merged experts.
template <class Scorer, class Expert>
struct merged_params {
    index_t segment = dynamic;  ///< tokens that share one merged expert; left out: a sequence
    bool from_previous = false; ///< merged by the segment before; the first by equal shares
    [[no_unique_address]] params_of<Scorer> scorer{};
    typename Expert::params expert{};
};

/// All experts of a segment are merged into one, which all its tokens run through.
///
///     p = softmax(score(mean of the segment's rows)),   W̄ = Σ_e p_e W_e,   y_t = f(x_t; W̄)
///
///     merged<shape{.model = 768, .hidden = 3072, .experts = 8}, linear{}, ffn{gelu}>
///
/// With `from_previous` no token's output depends on later tokens.
/// Source    Muqeeth et al. 2023 (SMEAR), arXiv:2306.03745; segments: Zhong et al. 2024 (Lory),
///           arXiv:2405.03133
/// Models    moe_layer
/// Writes    a plan with all experts of every token, each at its p
/// Cost      one expert's rows, and O(experts · weights of one) to merge for every segment; without
///           a `held` of the caller's `forward` allocates one expert
/// Compile   Fixed, Score, Expert, a format        Run   segment, from_previous, scorer
/// Throws    error: construction with sizes out of range, or shared experts; rows of other sizes; a
///           scorer that needs more than rows
/// Test      tests/layer/merged.test.cpp
template <shape Fixed, scorer auto Score, expert_kind auto Expert, layer_option auto... Options>
class merged {
    static_assert(options_for<format_aspect, Options...> <= 1,
                  "merged: two weight formats are given; keep one");
    static_assert(options_for<format_aspect, Options...> == int{sizeof...(Options)},
                  "merged: an option for an aspect that this layer does not have");
    using S = kind_of<Score>;
    using E = kind_of<Expert>;
    static constexpr auto format = option_for<format_aspect, dense<float>{}, Options...>;
    static constexpr auto plain_format = dense<float>{}; // of the merged expert

public:
    static constexpr promises promise{
        .sees = scope::sequence, .causal = false, .positive = true, .unit_sum = true};
    using params = merged_params<S, E>;
    struct scratch {
        prytany::plan plan;
        matrix_view<float> shares; // p of a segment, in the row of its first token
        matrix_view<float> pooled; // one row
        scratch_of<S> scorer;
        matrix_view<float> rows; // two of each worker: a merged weight row, and one to add
        std::span<typename E::scratch> expert;
        std::span<std::int32_t> present; // the tokens that are not masked
    };
    /// Memory for one merged expert; keep one for each thread that calls, and use it again.
    class held {
    public:
        explicit held(merged const& layer) {
            Expert.tensors(weights_, layer.sizes(), [](auto const& t) { t.allocate(); });
        }

    private:
        friend merged;
        typename E::template weights<plain_format> weights_;
    };

    explicit merged(shape const& given = Fixed, params const& numbers = {})
        : size_(given), params_(numbers), experts_(static_cast<std::size_t>(size_.experts())) {
        if (size_.shared() != 0)
            throw error("merged: shared experts", "0", std::to_string(size_.shared()));
        if (params_.segment != dynamic && params_.segment < 1)
            throw error("merged.segment", "at least 1 token", std::to_string(params_.segment));
        if (params_.from_previous && params_.segment == dynamic)
            throw error("merged.segment", "the tokens of a segment, since one before is used",
                        "none");
        check_router(Score, sizes(), params_.scorer);
        for_each_tensor([](auto const& t) { t.allocate(); });
        Expert.tensors(experts_[0], sizes(),
                       [&](auto const& t) { widest_ = std::max(widest_, t.cols); });
    }

    shape sizes() const noexcept { return size_.all(); }
    /// Calls visit(tensor): the scorer's, then experts ascending.
    template <class Visit>
    void for_each_tensor(Visit&& visit) {
        visit_tensors(*this, visit);
    }
    template <class Visit>
    void for_each_tensor(Visit&& visit) const {
        visit_tensors(*this, visit);
    }

    void lay_out(scratch& room, arena& memory, index_t tokens, index_t workers) const {
        shape const size = sizes();
        room.plan.lay_out(memory, tokens, size.experts, size.experts);
        room.shares = memory.take<float>(tokens, size.experts);
        room.pooled = memory.take<float>(1, size.model);
        lay_out_scratch(Score, room.scorer, memory, size, 1);
        room.rows = memory.take<float>(2 * workers, widest_);
        room.present = memory.take<std::int32_t>(tokens);
        room.expert = take_scratch(Expert, memory, size, tokens, workers);
    }

    /// Computes [tokens, model] → [tokens, model]; `watch` is shown the plan, and no logits.
    ///
    /// Pre       out overlaps neither the input nor the workspace
    /// Throws    error for other sizes; what an observer throws; std::bad_alloc
    template <executor X, class Observer = unobserved>
    void forward(input const& in, matrix_view<float> out, workspace& ws, X&& pool,
                 Observer&& watch = {}) const {
        held one(*this);
        forward(in, out, one, ws, pool, watch);
    }
    /// The same with memory of the caller's for the merged expert: no allocation after `reserve`.
    template <executor X, class Observer = unobserved>
    void forward(input const& in, matrix_view<float> out, held& one, workspace& ws, X&& pool,
                 Observer&& watch = {}) const {
        detail::check_call(in, out, size_.model());
        ws.reserve(*this, in.tokens(), pool);
        arena memory = ws.open();
        scratch room{};
        lay_out(room, memory, in.tokens(), pool.width());
        require_input(Score, pooled_input(room, in, 0), sizes(), params_.scorer);
        room.plan.open();
        if (in.tokens() > 0) each_segment(in, [&](auto... at) { weigh(room, in, at...); });
        room.plan.close();
        ws.keep(room.plan);
        if (in.tokens() == 0) return;
        watch(routing{in, {}, room.plan});
        each_segment(in, [&](index_t first, index_t count, bool) {
            merge(room, first, one, pool);
            apply(room, in, out, first, count, one, pool);
        });
    }

private:
    extents<Fixed> size_;
    params params_;
    index_t widest_ = 1; // columns of an expert's matrices
    [[no_unique_address]] weights_of<S> scorer_{};
    std::vector<typename E::template weights<format>> experts_;

    template <class Self, class Visit>
    static void visit_tensors(Self& layer, Visit& visit) {
        shape const size = layer.sizes();
        Score.tensors(layer.scorer_, size, visit);
        for (index_t e = 0; e < size.experts; ++e)
            Expert.tensors(layer.experts_[static_cast<std::size_t>(e)], size, [&](auto t) {
                t.name.expert = e;
                visit(t);
            });
    }
    /// Calls f(first token, tokens, whether a sequence begins).
    template <class F>
    void each_segment(input const& in, F&& f) const {
        in.each_sequence([&](index_t first, index_t count) {
            index_t const step = params_.segment != dynamic ? params_.segment : count;
            for (index_t t = 0; t < count; t += step)
                f(first + t, std::min(step, count - t), t == 0);
        });
    }

    /// p of a segment, and what the plan shows of it.
    void weigh(scratch& room, input const& in, index_t first, index_t count,
               bool begins) const noexcept {
        index_t const experts = size_.experts();
        float* const p = room.shares.row(first);
        bool const previous = params_.from_previous; // a segment before this one is a whole one
        bool const known =
            !(previous && begins) && pool_rows(room, in, previous ? first - params_.segment : first,
                                               previous ? params_.segment : count);
        if (known) {
            S::score(pooled_input(room, in, first),
                     kit<Score>{params_.scorer, scorer_, room.scorer}, room.shares.part(first, 1));
            detail::softmax_in_place(p, experts);
        } else std::fill_n(p, experts, 1.0f / static_cast<float>(experts));
        for (index_t t = first; t < first + count; ++t)
            for (index_t e = 0; in.present(t) && e < experts; ++e)
                room.plan.put(t, e, p[e], p[e] == 0 ? 1 : 0);
    }
    /// What the scorer sees of a segment: the pooled row, under the number of its first token.
    static input pooled_input(scratch const& room, input const& in, index_t first) noexcept {
        input pooled = room.pooled;
        pooled.seed = in.seed;
        pooled.first = in.first + first;
        return pooled;
    }
    /// The mean of the rows that are present; false where none is.
    bool pool_rows(scratch& room, input const& in, index_t first, index_t count) const noexcept {
        float* const mean = room.pooled.row(0);
        index_t present = 0;
        for (index_t t = first; t < first + count; ++t) present += in.present(t);
        std::fill_n(mean, room.pooled.cols, 0.0f);
        for (index_t t = first; t < first + count; ++t)
            if (in.present(t))
                detail::add_scaled(1.0f / static_cast<float>(present), in.rows.row(t), mean,
                                   room.pooled.cols);
        return present > 0;
    }
    /// W̄ of a segment, experts ascending; what has no share is not read.
    template <class X>
    void merge(scratch& room, index_t first, held& one, X&& pool) const {
        float const* const p = room.shares.row(first);
        shape const size = sizes();
        index_t which = 0;
        Expert.tensors(one.weights_, size, [&](auto const& to) {
            detail::over_cuts(to.rows, pool, [&](index_t from, index_t some, index_t worker) {
                auto const cols = static_cast<std::size_t>(to.cols);
                std::span<float> const sum{room.rows.row(2 * worker), cols};
                std::span<float> const row{room.rows.row(2 * worker + 1), cols};
                for (index_t r = from; r < from + some; ++r) {
                    std::fill(sum.begin(), sum.end(), 0.0f);
                    for (index_t e = 0; e < size.experts; ++e) {
                        if (p[e] == 0) continue;
                        index_t next = 0;
                        Expert.tensors(experts_[static_cast<std::size_t>(e)], size,
                                       [&](auto const& t) {
                                           if (next++ == which) t.store->unpack(t.place(r), row);
                                       });
                        detail::add_scaled(p[e], row.data(), sum.data(), to.cols);
                    }
                    to.pack_row(r, sum);
                }
            });
            ++which;
        });
    }
    template <class X>
    void apply(scratch& room, input const& in, matrix_view<float> out, index_t first, index_t count,
               held const& one, X&& pool) const {
        expert_kit<Expert, plain_format, Fixed> const own{sizes(), params_.expert, one.weights_};
        detail::over_cuts(count, pool, [&](index_t from, index_t some, index_t worker) {
            // the rows of those present lie side by side at the front of this stretch, then spread
            index_t const begin = first + from;
            index_t present = 0;
            for (index_t t = begin; t < begin + some; ++t)
                if (in.present(t))
                    room.present[static_cast<std::size_t>(begin + present++)] =
                        static_cast<std::int32_t>(t);
            auto const* const pick = room.present.data() + begin;
            if (present > 0)
                E::apply(work{{in.rows.data, in.rows.stride, pick}, present}, own,
                         room.expert[static_cast<std::size_t>(worker)], out.part(begin, present));
            for (index_t t = begin + some; t-- > begin;) {
                if (in.present(t)) {
                    if (begin + --present != t)
                        std::copy_n(out.row(begin + present), out.cols, out.row(t));
                } else std::fill_n(out.row(t), out.cols, 0.0f);
            }
        });
    }
};

} // namespace prytany::inline PRYTANY_ABI
