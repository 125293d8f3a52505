// SPDX-License-Identifier: MIT
// Options for the experts that run for every token.
#pragma once

#include "prytany/core/aspect.hpp"
#include "prytany/format/concept.hpp"
#include "prytany/layer/option/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Stores the shared experts in a format of their own.
///
///     moe<…, dense<bf16>{}, shared_as{dense<float>{}}>
///
/// Models    layer_option
/// Test      tests/layer/option/shared.test.cpp
template <class Format>
struct shared_as {
    static_assert(weight_format<Format>);
    using aspect = shared_format_aspect;
    Format format;
};
template <class Format>
shared_as(Format) -> shared_as<Format>;

/// Weighs the shared experts' output by one learned number a token.
///
///     y = Σ routed + σ(x·g) · shared(x),   g [model]
///
/// Source    Qwen1.5-MoE and Qwen2-MoE
/// Models    layer_option
/// Test      tests/layer/option/shared.test.cpp
struct shared_gate {
    using aspect = shared_gate_aspect;
};

} // namespace prytany::inline PRYTANY_ABI
