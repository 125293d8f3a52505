// SPDX-License-Identifier: MIT
// How a weight matrix is stored.
#pragma once

#include <concepts>
#include <span>
#include <string_view>

#include "prytany/core/aspect.hpp"
#include "prytany/core/matrix_view.hpp"
#include "prytany/core/text.hpp"

namespace prytany::inline PRYTANY_ABI {

/// A weight matrix [outputs, inputs] in the layout of a format: each format specialises it.
template <auto Format>
class packed;

template <class F>
concept has_format_aspect = requires {
    requires std::same_as<typename F::aspect, format_aspect>;
} ||
    unsatisfied<"a weight format names its aspect: using aspect = format_aspect">();

template <class F>
concept has_format_name = requires { { F::name() } -> std::convertible_to<std::string_view>; } ||
    unsatisfied<"a weight format needs static name(): the word that errors and reports print">();

template <class F>
concept has_packed = requires(packed<F{}> m, packed<F{}> const& c, index_t i, std::span<float> out,
                              std::span<float const> in) {
    m.resize(i, i);
    m.pack(i, in);
    c.unpack(i, out);
    { c.rows() } -> std::same_as<index_t>;
    { c.cols() } -> std::same_as<index_t>;
    { c.bytes() } -> std::same_as<index_t>;
} || unsatisfied<"a weight format needs packed<F>: resize, pack, unpack, rows, cols, bytes">();

/// A weight format: a structural value that says how one matrix lies in memory.
///
/// Models    dense<float>, dense<bf16>, dense<f16>
/// Test      tests/format/concept.test.cpp
template <class F>
concept weight_format = has_format_aspect<F> && has_format_name<F> && has_packed<F>;

} // namespace prytany::inline PRYTANY_ABI
