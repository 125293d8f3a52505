// SPDX-License-Identifier: MIT
// The Mixture-of-Experts layer: where a router and an expert kind meet.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "prytany/core/aspect.hpp"
#include "prytany/expert/concept.hpp"
#include "prytany/kernel/dot.hpp"
#include "prytany/layer/concept.hpp"
#include "prytany/layer/detail/check_call.hpp"
#include "prytany/layer/detail/schedule.hpp"
#include "prytany/layer/option/concept.hpp"
#include "prytany/layer/option/shared.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

namespace detail {

struct shared_like_routed {
    using aspect = shared_format_aspect;
};
struct uncapped {
    using aspect = capacity_aspect;
    static constexpr bool drops() noexcept { return false; }
};
/// What only the type can tell is judged at compile time; the constructor judges the rest.
template <class R>
constexpr bool fits(R const& router, shape const& size) {
    index_t const most = router.slots(size, params_of<R>{});
    return size.experts == dynamic || most == dynamic || (most > 0 && most <= size.experts);
}

} // namespace detail

/// The run-time numbers of a layer, by role.
template <class Router, class Scorer, class Expert, class Capacity = nothing>
struct moe_params {
    params_of<Router> router{};
    [[no_unique_address]] params_of<Scorer> scorer{};
    typename Expert::params expert{};
    [[no_unique_address]] params_of<Capacity> capacity{};
};

/// A Mixture-of-Experts layer: a shape, a router, an expert kind, then options in any order.
///
///     y_t = Σ over the slots (e, w) of t of w · expert_e(x_t)   [+ g(x_t) · shared(x_t)]
///
///     moe<shape{.model = 2048, .hidden = 1408, .experts = 64, .shared = 2}, top_k{.k = 6},
///         ffn{swiglu}, dense<bf16>{}>
///
/// Threads may share one layer, each with its own workspace. Slots are added in expert order, so a
/// token has the same bits in any batch and with any number of threads.
/// Models    moe_layer
/// Compile   all of its arguments        Run   dynamic sizes; params of router, scorer, expert
/// Throws    error: construction with sizes or numbers out of range; forward with rows of other
///           sizes
/// Example   examples/first_layer.cpp        Test   tests/layer/moe.test.cpp
template <shape Fixed, router_policy auto Router, expert_kind auto Expert,
          layer_option auto... Options>
class moe {
    static_assert(options_for<format_aspect, Options...> <= 1,
                  "moe: two weight formats are given; keep one");
    static_assert(options_for<shared_format_aspect, Options...> <= 1,
                  "moe: shared_as is given twice; keep one");
    static_assert(options_for<shared_gate_aspect, Options...> <= 1,
                  "moe: shared_gate is given twice; keep one");
    static_assert(options_for<capacity_aspect, Options...> <= 1,
                  "moe: two capacities are given; keep one");
    static_assert(options_for<format_aspect, Options...> +
                          options_for<shared_format_aspect, Options...> +
                          options_for<shared_gate_aspect, Options...> +
                          options_for<capacity_aspect, Options...> ==
                      int{sizeof...(Options)},
                  "moe: an option for an aspect that this layer does not have");
    static_assert(detail::fits(Router, Fixed),
                  "moe: the router keeps more experts than the shape has (k > experts)");

    using R = kind_of<Router>;
    using E = kind_of<Expert>;
    static constexpr auto own_scorer = scorer_of(Router);
    using S = kind_of<own_scorer>;
    static constexpr bool scores = !std::same_as<S, nothing>;
    static constexpr bool gated_shared = options_for<shared_gate_aspect, Options...> == 1;
    static constexpr auto capacity = option_for<capacity_aspect, detail::uncapped{}, Options...>;
    static constexpr bool drops = capacity.drops();
    using C = kind_of<capacity>;
    static constexpr bool token_by_token = Router.promise().sees == scope::token;
    static constexpr auto format = option_for<format_aspect, dense<float>{}, Options...>;
    static_assert(weight_format<kind_of<format>>);
    static constexpr auto shared_format = [] {
        constexpr auto own =
            option_for<shared_format_aspect, detail::shared_like_routed{}, Options...>;
        if constexpr (requires { own.format; }) return own.format;
        else return format;
    }();
    static constexpr bool rounds = kernel::rounds<format>();
    static constexpr bool shared_rounds = kernel::rounds<shared_format>();
    static constexpr bool one_format = std::same_as<packed<format>, packed<shared_format>>;
    static constexpr shape shared_fixed = [] {
        shape own = Fixed;
        bool const known = own.shared != dynamic && own.shared_hidden != dynamic;
        own.hidden = known ? own.shared * own.shared_hidden : dynamic;
        return own;
    }();

public:
    /// Whether the layer runs in two phases over tiles; if not, expert by expert.
    static constexpr bool tiled = tiled_expert<E>;
    /// That of the router, unless a full expert makes tokens depend on each other.
    static constexpr promises promise = [] {
        promises own = Router.promise();
        if (drops) own.sees = scope::batch, own.causal = own.unit_sum = false;
        return own;
    }();

    using params = moe_params<R, S, E, C>;
    /// The memory of one call.
    struct scratch {
        prytany::plan plan;
        matrix_view<float> logits, inner, rows;
        matrix_view<kernel::input_of<format>> read, read_inner; // what products read, if rounded
        matrix_view<kernel::input_of<shared_format>> shared_read, shared_read_inner;
        std::span<scratch_of<R>> router;
        std::span<scratch_of<S>> scorer;
        [[no_unique_address]] scratch_of<C> capacity;
        std::span<typename E::scratch> expert;
        std::span<std::int32_t> present; // the tokens that are not masked
        std::span<float> shared_weights;
        std::span<detail::unit> units;
    };

    explicit moe(shape const& given = Fixed, params const& numbers = {})
        : size_(given), params_(numbers), experts_(static_cast<std::size_t>(size_.experts())),
          shared_(size_.shared() > 0 ? 1 : 0) {
        index_t const most = Router.slots(sizes(), params_.router);
        if (most < 1 || most > size_.experts())
            throw error("experts per token (k)", "1 to " + std::to_string(size_.experts()),
                        most == dynamic ? "none" : std::to_string(most));
        check_router(Router, sizes(), params_.router);
        check_router(own_scorer, sizes(), params_.scorer);
        if constexpr (drops) capacity.check(params_.capacity);
        for_each_tensor([](auto const& t) { t.allocate(); });
    }

    /// Whether the sizes and slots that the type fixes agree with these.
    static bool accepts(shape const& given, params const& numbers) {
        auto const agrees = [](index_t fixed, index_t got) {
            return fixed == dynamic || got == dynamic || fixed == got;
        };
        return agrees(Fixed.model, given.model) && agrees(Fixed.hidden, given.hidden) &&
               agrees(Fixed.experts, given.experts) && agrees(Fixed.shared, given.shared) &&
               agrees(Fixed.shared_hidden, given.shared_hidden) &&
               agrees(Router.slots(Fixed, params_of<R>{}), Router.slots(given, numbers.router));
    }
    shape sizes() const noexcept { return size_.all(); }
    /// The most slots one token may get.
    index_t slots() const noexcept { return Router.slots(sizes(), params_.router); }
    /// Calls visit(tensor) for every logical matrix: router, experts ascending, shared.
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
        index_t const most = slots(), with_shared = size.shared > 0 ? tokens : 0;
        room.plan.lay_out(memory, tokens, most, size.experts);
        room.present = memory.take<std::int32_t>(tokens);
        if constexpr (scores) room.logits = memory.take<float>(tokens, size.experts);
        if constexpr (gated_shared) room.shared_weights = memory.take<float>(tokens);
        if constexpr (drops) room.capacity.lay_out(memory, tokens, most, size.experts);
        index_t const routers = token_by_token ? workers : 1;
        room.router = take_scratch(Router, memory, size, tokens, routers);
        if constexpr (scores) room.scorer = take_scratch(own_scorer, memory, size, tokens, routers);
        if constexpr (tiled) {
            index_t const wide =
                std::max(E::inner(size), with_shared > 0 ? E::inner(shared_sizes()) : 0);
            room.inner = memory.take<float>(tokens * most + with_shared, wide);
            if (rounds || stages(tokens, size.model))
                room.read = take_read<format>(memory, tokens, size.model);
            if constexpr (rounds) {
                room.read_inner = take_read<format>(memory, tokens * most, E::inner_used(size));
            }
            if constexpr (shared_rounds) {
                shape const shared = shared_sizes();
                if (!one_format)
                    room.shared_read = take_read<shared_format>(memory, with_shared, size.model);
                room.shared_read_inner =
                    take_read<shared_format>(memory, with_shared, E::inner_used(shared));
            }
            room.units = memory.take<detail::unit>(
                detail::most_units(std::min(size.experts, tokens * most), E::rise_panels(size),
                                   with_shared > 0 ? E::rise_panels(shared_sizes()) : 0));
        } else {
            room.rows = memory.take<float>(tokens * most + with_shared, size.model);
            room.expert =
                take_scratch(Expert, memory, with_shared > 0 ? widest() : size, tokens, workers);
        }
    }

    /// Computes [tokens, model] → [tokens, model]; `watch` is shown the routing of the call.
    ///
    /// Pre       out overlaps neither the input nor the workspace
    /// Throws    error for other sizes; what an observer throws
    template <executor X, class Observer = unobserved>
    void forward(input const& in, matrix_view<float> out, workspace& ws, X&& pool,
                 Observer&& watch = {}) const {
        detail::check_call(in, out, size_.model());
        require(in);
        ws.reserve(*this, in.tokens(), pool);
        arena memory = ws.open();
        scratch room{};
        lay_out(room, memory, in.tokens(), pool.width());
        run(room, in, out, pool, watch);
        ws.keep(room.plan);
    }
    /// Throws what a call lacks that router or scorer need.
    void require(input const& in) const {
        require_input(Router, in, sizes(), params_.router);
        require_input(own_scorer, in, sizes(), params_.scorer);
    }
    /// The same with memory that the caller laid out, after `require`: what a stack calls.
    template <executor X, class Observer = unobserved>
    void run(scratch& room, input const& in, matrix_view<float> out, X&& pool,
             Observer&& watch = {}) const {
        if (in.tokens() == 0) {
            room.plan.open();
            room.plan.close();
            return;
        }
        route(room, in, pool);
        watch(routing{in, room.logits, room.plan});
        if constexpr (tiled) run_tiles(room, in, out, pool);
        else run_experts(room, in, out, pool);
    }

private:
    extents<Fixed> size_;
    params params_;
    [[no_unique_address]] weights_of<R> router_{};
    [[no_unique_address]] weights_of<S> scorer_{};
    std::vector<typename E::template weights<format>> experts_;
    std::vector<typename E::template weights<shared_format>> shared_; // all of them, fused to one
    column shared_gate_;

    shape shared_sizes() const noexcept {
        shape own = sizes();
        own.hidden = own.shared * own.shared_hidden;
        return own;
    }
    shape widest() const noexcept {
        shape own = sizes();
        own.hidden = std::max(own.hidden, own.shared * own.shared_hidden);
        return own;
    }
    auto expert_of(index_t e) const noexcept {
        return expert_kit<Expert, format, Fixed>{sizes(), params_.expert,
                                                 experts_[static_cast<std::size_t>(e)]};
    }
    auto shared_kit() const noexcept {
        return expert_kit<Expert, shared_format, shared_fixed>{shared_sizes(), params_.expert,
                                                               shared_[0]};
    }
    template <class Self, class Visit>
    static void visit_tensors(Self& layer, Visit& visit) {
        shape const size = layer.sizes();
        if constexpr (scores) own_scorer.tensors(layer.scorer_, size, visit);
        router_tensors(Router, layer.router_, size, visit);
        for (index_t e = 0; e < size.experts; ++e)
            Expert.tensors(layer.experts_[static_cast<std::size_t>(e)], size, [&](auto t) {
                t.name.expert = e;
                visit(t);
            });
        if (size.shared == 0) return;
        Expert.tensors(layer.shared_[0], layer.shared_sizes(), [&](auto t) {
            t.name.part = "shared";
            visit(t);
        });
        if constexpr (gated_shared)
            visit(tensor{tensor_name{"shared", "weight"}, size.model, index_t{1},
                         &layer.shared_gate_, row_map{}, true});
    }

    /// Scores and selects; workers take tokens, unless the router has to see them all.
    template <class X>
    void route(scratch& room, input const& in, X&& pool) const {
        index_t const tokens = in.tokens();
        room.plan.open();
        auto const some = [&](index_t first, index_t count, index_t worker) {
            auto const w = static_cast<std::size_t>(worker);
            seen mine{count == tokens ? in : in.part(first, count)};
            if constexpr (scores) {
                auto const logits = room.logits.part(first, count);
                kit<own_scorer> const own{params_.scorer, scorer_, room.scorer[w]};
                detail::score_on<S>(pool, mine, own, logits);
                mine.logits = logits;
            }
            if constexpr (tiled) read_tokens(room, in, first, count);
            prytany::plan part = room.plan.part(first, count);
            R::select(mine, kit<Router>{params_.router, router_, room.router[w]}, part);
            for (index_t t = 0; t < count; ++t)
                if (!mine.present(t)) part.cut(t, 0);
            if constexpr (gated_shared)
                for (index_t t = first; t < first + count && !shared_.empty(); ++t) {
                    float const s = kernel::dot(in.rows.row(t), shared_gate_.data(), in.rows.cols);
                    room.shared_weights[static_cast<std::size_t>(t)] = 1.0f / (1.0f + std::exp(-s));
                }
        };
        constexpr index_t least = 8; // tokens that are worth a worker's while
        index_t const cuts = token_by_token ? std::min(pool.width() * 2, tokens / least) : 1;
        if (cuts <= 1) some(0, tokens, 0);
        else
            pool.for_each(cuts, [&](index_t i, index_t worker) {
                index_t const first = tokens * i / cuts;
                some(first, tokens * (i + 1) / cuts - first, worker);
            });
        if constexpr (drops) capacity.apply(room.plan, in, params_.capacity, room.capacity);
        room.plan.close();
    }
    /// The rows that the shared experts read: all of them, or those that are not masked.
    work shared_work(scratch& room, input const& in) const noexcept {
        if (in.mask.empty()) return {{in.rows.data, in.rows.stride}, in.tokens()};
        index_t count = 0;
        for (index_t t = 0; t < in.tokens(); ++t)
            if (in.present(t))
                room.present[static_cast<std::size_t>(count++)] = static_cast<std::int32_t>(t);
        return {{in.rows.data, in.rows.stride, room.present.data()}, count};
    }
    template <auto F>
    static matrix_view<kernel::input_of<F>> take_read(arena& memory, index_t rows, index_t cols) {
        return memory.take<kernel::input_of<F>>(rows, kernel::read_stride<F>(cols));
    }
    /// Makes what the products of the first phase read, while it is in the cache for the router.
    void read_tokens(scratch& room, input const& in, index_t first, index_t count) const noexcept {
        index_t const cols = in.rows.cols;
        for (index_t t = first; t < first + count; ++t) {
            if constexpr (rounds)
                kernel::rounded_row<format>::write(in.rows.row(t), cols, room.read.row(t));
            else if (!room.read.empty()) std::copy_n(in.rows.row(t), cols, room.read.row(t));
            if constexpr (shared_rounds && !one_format)
                if (!shared_.empty())
                    kernel::rounded_row<shared_format>::write(in.rows.row(t), cols,
                                                              room.shared_read.row(t));
        }
    }
    /// Rounds the inner rows, routed ones first, then those of the shared experts.
    template <class X>
    void round_inner(scratch& room, index_t routed, index_t shared, X&& pool) const {
        index_t const first = rounds ? 0 : routed, last = shared_rounds ? routed + shared : routed;
        constexpr index_t together = 4;
        pool.for_each((last - first + together - 1) / together, [&](index_t i, index_t) {
            index_t const from = first + i * together;
            for (index_t r = from; r < std::min(last, from + together); ++r) {
                float const* const row = room.inner.row(r);
                if (r < routed) {
                    if constexpr (rounds)
                        kernel::rounded_row<format>::write(row, E::inner_used(sizes()),
                                                           room.read_inner.row(r));
                } else if constexpr (shared_rounds)
                    kernel::rounded_row<shared_format>::write(
                        row, E::inner_used(shared_sizes()), room.shared_read_inner.row(r - routed));
            }
        });
    }
    /// Whether many float rows are copied: a power of two apart they share few sets of a cache.
    static constexpr bool stages(index_t tokens, index_t cols) noexcept {
        constexpr index_t few = 4, apart = 256;
        return !kernel::rounds<format>() && tokens > few && cols % apart == 0;
    }
    /// The same rows as `of`, as products with format F read them.
    template <auto F>
    static work_of<F> read_as(work const& of, matrix_view<kernel::input_of<F>> rounded) noexcept {
        if constexpr (!kernel::rounds<F>())
            if (rounded.empty()) return of;
        return {{rounded.data, rounded.stride, of.rows.pick}, of.count};
    }
    work_of<shared_format> shared_read(scratch const& room, work const& all) const noexcept {
        if constexpr (one_format || (!rounds && !shared_rounds))
            return read_as<shared_format>(all, room.read);
        else return read_as<shared_format>(all, room.shared_read);
    }
    work expert_work(scratch const& room, input const& in, index_t e) const noexcept {
        auto const tokens = room.plan.tokens_of(e);
        return {{in.rows.data, in.rows.stride, tokens.data()}, static_cast<index_t>(tokens.size())};
    }
    float shared_weight(scratch const& room, index_t token) const noexcept {
        if constexpr (gated_shared) return room.shared_weights[static_cast<std::size_t>(token)];
        else return 1.0f;
    }

    /// Inner rows [first, first + count) as products read them; rounded ones begin at `from`.
    template <auto F>
    static work_of<F> inner_rows(matrix_view<float> inner, matrix_view<kernel::input_of<F>> rounded,
                                 index_t first, index_t from, index_t count) noexcept {
        if constexpr (kernel::rounds<F>())
            return {{rounded.row(first - from), rounded.stride}, count};
        else return {{inner.row(first), inner.stride}, count};
    }
    /// Inner rows by tiles, rounded where a format says so, then output columns, experts ascending.
    template <class X>
    void run_tiles(scratch& room, input const& in, matrix_view<float> out, X&& pool) const {
        index_t const experts = size_.experts(), routed = room.plan.first_of(experts);
        work const all = shared_.empty() ? work{} : shared_work(room, in);
        auto const load = [&](index_t e) {
            return e < experts ? expert_work(room, in, e).count : all.count;
        };
        auto const panels = [&](index_t e) {
            return e < experts ? E::rise_panels(sizes()) : E::rise_panels(shared_sizes());
        };
        auto const units = detail::cut_units(room.units, experts + 1, load, panels, pool.width());
        pool.for_each(static_cast<index_t>(units.size()), [&](index_t i, index_t) {
            auto const u = units[static_cast<std::size_t>(i)];
            if (u.expert == experts)
                E::rise(shared_read(room, all), shared_kit(), u.first, u.last,
                        room.inner.part(routed, all.count));
            else {
                work const own = expert_work(room, in, u.expert);
                E::rise(read_as<format>(own, room.read), expert_of(u.expert), u.first, u.last,
                        room.inner.part(room.plan.first_of(u.expert), own.count));
            }
        });
        if constexpr (rounds || shared_rounds) round_inner(room, routed, all.count, pool);
        index_t const columns = E::fall_panels(sizes());
        index_t const cut = detail::columns_per_item(columns, pool.width(), in.tokens());
        pool.for_each((columns + cut - 1) / cut, [&](index_t i, index_t) {
            index_t const first = i * cut, last = std::min(columns, first + cut);
            index_t const from = first * panel_lanes, to = std::min(last * panel_lanes, out.cols);
            for (index_t t = 0; t < out.rows; ++t)
                std::fill(out.row(t) + from, out.row(t) + to, 0.0f);
            for (index_t e = 0; e < experts; ++e) {
                auto const tokens = room.plan.tokens_of(e);
                if (tokens.empty()) continue;
                auto const weights = room.plan.weights_of(e);
                auto const count = static_cast<index_t>(tokens.size());
                E::fall(inner_rows<format>(room.inner, room.read_inner, room.plan.first_of(e), 0,
                                           count),
                        expert_of(e), first, last, [&](index_t row, index_t column, auto sum) {
                            auto const r = static_cast<std::size_t>(row);
                            detail::add_slot(out.row(tokens[r]) + column, weights[r], sum,
                                             out.cols - column);
                        });
            }
            if (all.count == 0) return;
            E::fall(inner_rows<shared_format>(room.inner, room.shared_read_inner, routed, routed,
                                              all.count),
                    shared_kit(), first, last, [&](index_t row, index_t column, auto sum) {
                        index_t const token = all.rows.pick == nullptr ? row : all.rows.pick[row];
                        detail::add_slot(out.row(token) + column, shared_weight(room, token), sum,
                                         out.cols - column);
                    });
        });
    }

    /// Expert by expert, for kinds that do not come in tiles: the same sums in the same order.
    template <class X>
    void run_experts(scratch& room, input const& in, matrix_view<float> out, X&& pool) const {
        index_t const experts = size_.experts(), routed = room.plan.first_of(experts);
        work const all = shared_.empty() ? work{} : shared_work(room, in);
        pool.for_each(experts + (all.count > 0 ? 1 : 0), [&](index_t e, index_t worker) {
            auto& own = room.expert[static_cast<std::size_t>(worker)];
            if (e == experts)
                return E::apply(all, shared_kit(), own, room.rows.part(routed, all.count));
            work const mine = expert_work(room, in, e);
            if (mine.count > 0)
                E::apply(mine, expert_of(e), own,
                         room.rows.part(room.plan.first_of(e), mine.count));
        });
        for (index_t t = 0; t < out.rows; ++t) std::fill_n(out.row(t), out.cols, 0.0f);
        auto const add = [&](index_t token, float weight, index_t row) {
            for (index_t c = 0; c < out.cols; ++c)
                out.row(token)[c] = std::fma(weight, room.rows.row(row)[c], out.row(token)[c]);
        };
        for (index_t e = 0; e < experts; ++e) {
            auto const tokens = room.plan.tokens_of(e);
            for (std::size_t i = 0; i < tokens.size(); ++i)
                add(tokens[i], room.plan.weights_of(e)[i],
                    room.plan.first_of(e) + static_cast<index_t>(i));
        }
        for (index_t i = 0; i < all.count; ++i) {
            index_t const token = all.rows.pick == nullptr ? i : all.rows.pick[i];
            add(token, shared_weight(room, token), routed + i);
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
