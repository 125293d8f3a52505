// SPDX-License-Identifier: MIT
// What an expert does to rows.
#pragma once

#include <concepts>

#include "prytany/core/arena.hpp"
#include "prytany/core/shape.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/kernel/gemm.hpp"

namespace prytany::inline PRYTANY_ABI {

/// One expert's share of a call: the rows it reads. It knows neither slot weights nor other
/// experts.
template <class T>
struct work_on {
    kernel::picked<T> rows;
    index_t count = 0;
};
using work = work_on<float>;
/// The rows that products with a format read: floats, or rounded once for the whole call.
template <auto Format>
using work_of = work_on<kernel::input_of<Format>>;

/// What an expert value `My` with weights in `Format` finds when it works.
///
/// `size` has the widths of this expert; `Fixed` those of them that the type knows.
template <auto My, auto Format, shape Fixed = shape{}>
struct expert_kit {
    using kind = kind_of<My>;
    static constexpr shape fixed = Fixed;
    shape size;
    typename kind::params const& params;
    typename kind::template weights<Format> const& weights;
};

template <class E>
concept has_expert_params = requires { typename E::params; } ||
    unsatisfied<"an expert needs a nested params struct: its run-time numbers, all defaulted">();

template <class E>
concept has_weights = requires { typename E::template weights<dense<float>{}>; } ||
    unsatisfied<"an expert needs a nested template <auto Format> struct weights: its matrices">();

template <class E>
concept has_tensors = requires(E const e, typename E::template weights<dense<float>{}>& w,
                               shape size) {
    e.tensors(w, size, [](auto) {});
} || unsatisfied<"an expert needs tensors(weights, shape, visit): its matrices by name">();

template <class E>
concept has_scratch = requires(typename E::scratch& room, arena& memory, shape size, index_t rows) {
    room.lay_out(memory, size, rows);
} || unsatisfied<"an expert needs a nested scratch with lay_out(arena, shape, rows)">();

template <class E>
concept has_apply = requires(work const& rows, expert_kit<E{}, dense<float>{}> own,
                             typename E::scratch& room, matrix_view<float> out) {
    { E::apply(rows, own, room, out) } noexcept;
} || unsatisfied<"an expert needs static void apply(work, kit, scratch, rows) noexcept: "
                 "write one output row for each row of work">();

/// A structural value that turns rows into rows: [count, model] → [count, model].
///
/// Models    ffn
/// Test      tests/expert/concept.test.cpp, tests/conformance/expert.test.cpp
template <class E>
concept expert_kind =
    has_expert_params<E> && has_weights<E> && has_tensors<E> && has_scratch<E> && has_apply<E>;

namespace detail {
struct any_sink {
    void operator()(index_t, index_t, simd::float_pair) const noexcept {}
};
} // namespace detail

/// An expert whose result comes in two phases that may be cut into tiles, with the same bits.
///
/// `rise` writes columns of the inner rows, `fall` turns whole inner rows into columns of the
/// output; both count columns in panels. `fall` hands `sink(row, column, sums)` two registers of
/// outputs. Both read `work_of<Format>`: where the format rounds activations, the caller has
/// rounded the rows, and rounds inner rows of width `inner_used(size)` between the two.
/// Models    ffn
/// Test      tests/expert/concept.test.cpp
template <class E>
concept tiled_expert =
    expert_kind<E> && requires(work const& rows, expert_kit<E{}, dense<float>{}> own, shape size,
                               index_t i, matrix_view<float> inner, detail::any_sink sink) {
        { E::inner(size) } -> std::same_as<index_t>;
        { E::inner_used(size) } -> std::same_as<index_t>;
        { E::rise_panels(size) } -> std::same_as<index_t>;
        { E::fall_panels(size) } -> std::same_as<index_t>;
        { E::rise(rows, own, i, i, inner) } noexcept;
        { E::fall(rows, own, i, i, sink) } noexcept;
    };

} // namespace prytany::inline PRYTANY_ABI
