// SPDX-License-Identifier: MIT
// The feed-forward expert, plain or gated.
#pragma once

#include <algorithm>

#include "prytany/expert/concept.hpp"
#include "prytany/kernel/activation.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Whether an expert adds biases.
enum class bias { none, all };
inline constexpr bias biases = bias::all;

/// A feed-forward network, gated where its activation is.
///
///     gated:  y = (act(x·Gᵀ + g) ⊙ (x·Uᵀ + u)) · Dᵀ + d        plain:  y = act(x·Uᵀ + u) · Dᵀ + d
///
/// G, U [hidden, model], D [model, hidden]; g, u, d only with `biases`. Gate and up share panels,
/// so the activation happens in registers.
/// Source    Shazeer 2020, eq. 5–6, arXiv:2002.05202
/// Models    expert_kind, tiled_expert
/// Writes    one row for each row of work
/// Cost      O(rows · model · hidden); no allocation
/// Compile   activation, bias        Run   the params of the activation
/// Throws    never
/// Example   examples/first_layer.cpp        Test   tests/expert/ffn.test.cpp
template <class A>
struct ffn {
    A activation;
    enum bias bias = bias::none;

    using params = typename A::params;
    template <auto Format>
    struct weights {
        packed<Format> up, down;
        column up_bias, down_bias;
    };
    struct scratch {
        matrix_view<float> inner, rounded; // of what a format makes of rows, twice the room
        void lay_out(arena& memory, shape const& size, index_t rows) {
            inner = memory.take<float>(rows, ffn::inner(size));
            rounded = memory.take<float>(rows, std::max(size.model, size.hidden) + 256);
        }
    };

    template <class Weights, class Visit>
    void tensors(Weights& own, shape const& size, Visit&& visit) const {
        constexpr row_map gate{0, parts}, up{parts - 1, parts};
        auto const named = [](std::string_view role) { return tensor_name{"expert", role}; };
        if constexpr (A::gated)
            visit(tensor{named("gate"), size.hidden, size.model, &own.up, gate});
        visit(tensor{named("up"), size.hidden, size.model, &own.up, up});
        visit(tensor{named("down"), size.model, size.hidden, &own.down});
        if (bias == bias::none) return;
        if constexpr (A::gated)
            visit(tensor{named("gate_bias"), size.hidden, index_t{1}, &own.up_bias, gate, true});
        visit(tensor{named("up_bias"), size.hidden, index_t{1}, &own.up_bias, up, true});
        visit(tensor{named("down_bias"), size.model, index_t{1}, &own.down_bias, row_map{}, true});
    }

    /// The width of an inner row, filled up to whole registers.
    static index_t inner(shape const& size) { return (size.hidden + lanes - 1) / lanes * lanes; }
    static index_t inner_used(shape const& size) { return size.hidden; }
    static index_t rise_panels(shape const& size) {
        return (row_map{0, parts}.packed_rows(size.hidden) + panel_lanes - 1) / panel_lanes;
    }
    static index_t fall_panels(shape const& size) {
        return (size.model + panel_lanes - 1) / panel_lanes;
    }

    template <auto My, auto Format, shape Fixed>
    static void rise(work_of<Format> const& in, expert_kit<My, Format, Fixed> own, index_t first,
                     index_t last, matrix_view<float> inner) noexcept {
        auto const write = [&](index_t row, index_t panel, simd::float_pair sum) {
            if constexpr (My.bias == bias::all) add(own.weights.up_bias, panel, sum);
            if constexpr (A::gated) {
                simd::store(inner.row(row) + panel * lanes, A::of(own.params, sum.low, sum.high));
            } else {
                float* const to = inner.row(row) + panel * panel_lanes;
                simd::store(to, A::of(own.params, sum.low, sum.low));
                if (panel * panel_lanes + lanes < inner.cols)
                    simd::store(to + lanes, A::of(own.params, sum.high, sum.high));
            }
        };
        kernel::multiply<Format>(in.rows, in.count, own.weights.up, first, last, write);
    }
    template <auto My, auto Format, shape Fixed, class Sink>
    static void fall(work_of<Format> const& inner, expert_kit<My, Format, Fixed> own, index_t first,
                     index_t last, Sink&& sink) noexcept {
        auto const write = [&](index_t row, index_t panel, simd::float_pair sum) {
            if constexpr (My.bias == bias::all) add(own.weights.down_bias, panel, sum);
            sink(row, panel * panel_lanes, sum);
        };
        kernel::multiply<Format>(inner.rows, inner.count, own.weights.down, first, last, write);
    }
    template <auto My, auto Format, shape Fixed>
    static void apply(work const& in, expert_kit<My, Format, Fixed> own, scratch& room,
                      matrix_view<float> out) noexcept {
        auto const as_read = [&](work const& rows, index_t cols) {
            return work_of<Format>{
                kernel::as_read<Format>(rows.rows, rows.count, cols, room.rounded.data),
                rows.count};
        };
        rise(as_read(in, own.size.model), own, 0, rise_panels(own.size), room.inner);
        work const inner{{room.inner.data, room.inner.stride}, in.count};
        fall(as_read(inner, own.size.hidden), own, 0, fall_panels(own.size),
             [&](index_t row, index_t column, auto sum) {
                 simd::store_pair(out.row(row) + column, sum, out.cols - column);
             });
    }

private:
    static constexpr index_t parts = A::gated ? 2 : 1;

    static PRYTANY_INLINE void add(column const& shift, index_t panel,
                                   simd::float_pair& sum) noexcept {
        sum.low += simd::load(shift.data() + panel * panel_lanes);
        sum.high += simd::load(shift.data() + panel * panel_lanes + lanes);
    }
};
template <class A>
ffn(A) -> ffn<A>;
template <class A>
ffn(A, enum bias) -> ffn<A>;

} // namespace prytany::inline PRYTANY_ABI
