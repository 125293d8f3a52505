// SPDX-License-Identifier: MIT
// A layer that mixes tokens into slots of experts instead of choosing.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "prytany/expert/concept.hpp"
#include "prytany/kernel/dot.hpp"
#include "prytany/layer/concept.hpp"
#include "prytany/layer/detail/check_call.hpp"
#include "prytany/layer/detail/mix.hpp"
#include "prytany/layer/option/concept.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// The run-time numbers of a layer of soft slots.
template <class Expert>
struct soft_params {
    index_t slots = dynamic;  ///< of each expert; left out: round(tokens / experts), at least 1
    index_t tokens = dynamic; ///< of a sequence, about: needed only to choose `slots`
    bool normalise = true;    ///< x and the slots' vectors to length 1
    typename Expert::params expert{};
};

/// Every slot of an expert reads a mixture of all tokens, every token gets one of all slots.
///
///     L = scale · x̂ · Φ̂^T,   x̂ = x / √(Σ x² + 1e-6),   Φ [experts · slots, model] likewise
///     D = softmax of L over the tokens of a sequence,   C = softmax of L over the slots
///     y = C · f(D^T · x),   slot s is of expert s / slots
///
/// Source    Puigcerver et al. 2024 (Soft MoE), arXiv:2308.00951; V-MoE's code
/// Models    moe_layer
/// Writes    a plan with all experts of every token, each at what C gives its slots: they sum to 1
/// Cost      O(tokens · slots · model) to mix twice, besides the experts' rows; no allocation
/// Compile   Fixed, Expert, a format        Run   slots, tokens, normalise; params of the expert
/// Throws    error: construction with sizes out of range, or shared experts; rows of other sizes
/// Test      tests/layer/soft.test.cpp
template <shape Fixed, expert_kind auto Expert, layer_option auto... Options>
class soft {
    static_assert(options_for<format_aspect, Options...> <= 1,
                  "soft: two weight formats are given; keep one");
    static_assert(options_for<format_aspect, Options...> == int{sizeof...(Options)},
                  "soft: an option for an aspect that this layer does not have");
    using E = kind_of<Expert>;
    static constexpr auto format = option_for<format_aspect, dense<float>{}, Options...>;

public:
    static constexpr promises promise{
        .sees = scope::sequence, .causal = false, .positive = true, .unit_sum = true};
    using params = soft_params<E>;
    struct scratch {
        prytany::plan plan;
        matrix_view<float> dispatch, combine; // L, then D and C: [tokens, slots]
        matrix_view<float> rows, results;     // of the slots: [slots, model]
        std::span<float> lengths, unpacked;   // of the slots' vectors
        std::span<typename E::scratch> expert;
    };

    explicit soft(shape const& given = Fixed, params const& numbers = {})
        : size_(given), params_(numbers), experts_(static_cast<std::size_t>(size_.experts())) {
        if (size_.shared() != 0)
            throw error("soft: shared experts", "0", std::to_string(size_.shared()));
        if (params_.slots == dynamic) {
            if (params_.tokens < 1)
                throw error("soft.slots", "a number, or the tokens of a sequence", "none");
            params_.slots = std::max<index_t>(1, (2 * params_.tokens + sizes().experts) /
                                                     (2 * sizes().experts));
        }
        constexpr index_t largest = index_t{1} << 30;
        if (params_.slots < 1 || params_.slots > largest / sizes().experts)
            throw error("soft.slots", "1 to " + std::to_string(largest / sizes().experts),
                        std::to_string(params_.slots));
        for_each_tensor([](auto const& t) { t.allocate(); });
        scale_.pack(0, std::span<float const>(&one, 1));
    }

    shape sizes() const noexcept { return size_.all(); }
    /// The slots of all experts.
    index_t slots() const noexcept { return params_.slots * size_.experts(); }
    /// Calls visit(tensor): the slots' vectors, their scale, experts ascending.
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
        room.dispatch = memory.take<float>(tokens, slots());
        room.combine = memory.take<float>(tokens, slots());
        room.rows = memory.take<float>(slots(), size.model);
        room.results = memory.take<float>(slots(), size.model);
        room.lengths = memory.take<float>(slots());
        room.unpacked = memory.take<float>(size.model);
        room.expert = memory.take<typename E::scratch>(workers);
        for (index_t w = 0; w < workers; ++w) {
            typename E::scratch own{};
            own.lay_out(memory, size, params_.slots);
            if (!memory.counts_only()) room.expert[static_cast<std::size_t>(w)] = own;
        }
    }

    /// Computes [tokens, model] → [tokens, model]; `watch` is shown the plan, and no logits.
    ///
    /// Pre       out overlaps neither the input nor the workspace
    /// Throws    error for other sizes; what an observer throws
    template <executor X, class Observer = unobserved>
    void forward(input const& in, matrix_view<float> out, workspace& ws, X&& pool,
                 Observer&& watch = {}) const {
        detail::check_call(in, out, size_.model());
        ws.reserve(*this, in.tokens(), pool);
        arena memory = ws.open();
        scratch room{};
        lay_out(room, memory, in.tokens(), pool.width());
        run(room, in, out, pool, watch);
        ws.keep(room.plan);
    }
    /// The same with memory that the caller laid out.
    template <executor X, class Observer = unobserved>
    void run(scratch& room, input const& in, matrix_view<float> out, X&& pool,
             Observer&& watch = {}) const {
        room.plan.open();
        if (in.tokens() > 0) {
            measure_slots(room);
            detail::over_cuts(in.tokens(), pool, [&](index_t first, index_t count, index_t) {
                score(room, in, first, count);
            });
        }
        room.plan.close();
        if (in.tokens() == 0) return;
        watch(routing{in, {}, room.plan});
        in.each_sequence(
            [&](index_t first, index_t count) { mix(room, in, out, first, count, pool); });
    }

private:
    static constexpr float one = 1.0f, epsilon = 1e-6f;
    extents<Fixed> size_;
    params params_;
    packed<dense<float>{}> vectors_; // Φ
    column scale_;
    std::vector<typename E::template weights<format>> experts_;

    template <class Self, class Visit>
    static void visit_tensors(Self& layer, Visit& visit) {
        shape const size = layer.sizes();
        visit(tensor{tensor_name{"router", "slots"}, layer.slots(), size.model, &layer.vectors_});
        visit(tensor{tensor_name{"router", "scale"}, index_t{1}, index_t{1}, &layer.scale_,
                     row_map{}, true});
        for (index_t e = 0; e < size.experts; ++e)
            Expert.tensors(layer.experts_[static_cast<std::size_t>(e)], size, [&](auto t) {
                t.name.expert = e;
                visit(t);
            });
    }
    static float over_length(float const* x, index_t count) noexcept {
        return 1.0f / std::sqrt(kernel::dot(x, x, count) + epsilon);
    }

    /// What a product with each slot's vector is multiplied by.
    void measure_slots(scratch& room) const noexcept {
        for (index_t s = 0; s < slots(); ++s) {
            float& length = room.lengths[static_cast<std::size_t>(s)];
            length = scale_.data()[0];
            if (!params_.normalise) continue;
            vectors_.unpack(s, room.unpacked);
            length *= over_length(room.unpacked.data(), size_.model());
        }
    }
    /// L of some tokens, C, and what the plan shows of it.
    void score(scratch& room, input const& in, index_t first, index_t count) const noexcept {
        kernel::multiply(
            kernel::picked_rows{in.rows.row(first), in.rows.stride}, count, vectors_, 0,
            vectors_.panels(), [&](index_t row, index_t panel, simd::float_pair sum) {
                index_t const slot = panel * panel_lanes;
                simd::store_pair(room.dispatch.row(first + row) + slot, sum, slots() - slot);
            });
        for (index_t t = first; t < first + count; ++t) {
            if (!in.present(t)) continue;
            float* const logits = room.dispatch.row(t);
            float* const shares = room.combine.row(t);
            float const length =
                params_.normalise ? over_length(in.rows.row(t), in.rows.cols) : 1.0f;
            for (index_t s = 0; s < slots(); ++s)
                shares[s] = logits[s] *= length * room.lengths[static_cast<std::size_t>(s)];
            detail::softmax_in_place(shares, slots());
            for (index_t e = 0; e < size_.experts(); ++e) {
                double sum = 0;
                for (index_t s = e * params_.slots; s < (e + 1) * params_.slots; ++s)
                    sum += double{shares[s]};
                room.plan.put(t, e, static_cast<float>(sum));
            }
        }
    }
    /// One sequence: its tokens to slots, the experts, slots to tokens.
    template <class X>
    void mix(scratch& room, input const& in, matrix_view<float> out, index_t first, index_t count,
             X&& pool) const {
        detail::over_cuts(slots(), pool, [&](index_t from, index_t some, index_t) {
            for (index_t s = from; s < from + some; ++s) gather(room, in, first, count, s);
        });
        pool.for_each(size_.experts(), [&](index_t e, index_t worker) {
            auto const mine = room.rows.part(e * params_.slots, params_.slots);
            E::apply(work{{mine.data, mine.stride}, params_.slots},
                     expert_kit<Expert, format, Fixed>{sizes(), params_.expert,
                                                       experts_[static_cast<std::size_t>(e)]},
                     room.expert[static_cast<std::size_t>(worker)],
                     room.results.part(e * params_.slots, params_.slots));
        });
        detail::over_cuts(count, pool, [&](index_t from, index_t some, index_t) {
            for (index_t t = first + from; t < first + from + some; ++t) {
                std::fill_n(out.row(t), out.cols, 0.0f);
                for (index_t s = 0; in.present(t) && s < slots(); ++s)
                    detail::add_scaled(room.combine.row(t)[s], room.results.row(s), out.row(t),
                                       out.cols);
            }
        });
    }
    /// D of one slot, and the row of the slot.
    void gather(scratch& room, input const& in, index_t first, index_t count,
                index_t slot) const noexcept {
        float* const row = room.rows.row(slot);
        std::fill_n(row, in.rows.cols, 0.0f);
        float* const column = room.dispatch.row(first) + slot;
        constexpr float nothing_of_it = -std::numeric_limits<float>::infinity();
        for (index_t t = 0; t < count; ++t)
            if (!in.present(first + t)) column[t * room.dispatch.stride] = nothing_of_it;
        detail::softmax_in_place(column, count, room.dispatch.stride);
        for (index_t t = 0; t < count; ++t)
            if (in.present(first + t))
                detail::add_scaled(column[t * room.dispatch.stride], in.rows.row(first + t), row,
                                   in.rows.cols);
    }
};

} // namespace prytany::inline PRYTANY_ABI
