// SPDX-License-Identifier: MIT
// What may follow the router and the expert in a layer's type.
#pragma once

#include <concepts>

#include "prytany/core/config.hpp"
#include "prytany/core/text.hpp"

namespace prytany::inline PRYTANY_ABI {

/// A structural value for exactly one aspect of a layer.
///
/// Models    dense (format_aspect), shared_as (shared_format_aspect), shared_gate
///           (shared_gate_aspect), capacity (capacity_aspect)
/// Test      tests/layer/option/concept.test.cpp
template <class O>
concept layer_option = requires { typename O::aspect; } ||
    unsatisfied<"a layer option names its aspect: using aspect = format_aspect, or another of "
                "core/aspect.hpp">();

/// Whether an option of this aspect is among them, and how many.
template <class Aspect, auto... Options>
constexpr int options_for =
    (0 + ... + int{std::same_as<typename decltype(Options)::aspect, Aspect>});

namespace detail {

template <class Aspect, auto Default>
constexpr auto find_option() {
    return Default;
}
template <class Aspect, auto Default, auto First, auto... Rest>
constexpr auto find_option() {
    if constexpr (std::same_as<typename decltype(First)::aspect, Aspect>) return First;
    else return find_option<Aspect, Default, Rest...>();
}

} // namespace detail

/// The option of an aspect, or the default where none is given.
template <class Aspect, auto Default, auto... Options>
constexpr auto option_for = detail::find_option<Aspect, Default, Options...>();

} // namespace prytany::inline PRYTANY_ABI
