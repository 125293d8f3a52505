// SPDX-License-Identifier: MIT
// Experts by what the caller says a token is.
#pragma once

#include <cstdint>
#include <string>

#include "prytany/core/error.hpp"
#include "prytany/router/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Sends every token to the expert of its label, at weight 1.
///
///     e = label,   0 ≤ label < experts
///
/// A label outside says that there is none: the token gets no slot, so no routed expert runs.
/// Source    experts of known categories: PI-HC-MoE's subdomains, WISA's kinds of physics
/// Models    router_policy
/// Writes    one slot a token, none for a label outside
/// Cost      O(1) a token; no allocation
/// Compile   –        Run   –
/// Throws    error in a call: no labels
/// Test      tests/router/labelled.test.cpp
struct labelled {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 1; }
    constexpr promises promise() const { return {}; }
    void require(input const& in) const {
        if (static_cast<index_t>(in.labels.size()) != in.tokens())
            throw error("input.labels (labelled)", std::to_string(in.tokens()) + ", one a token",
                        std::to_string(in.labels.size()));
    }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t) {
            std::int32_t const label = in.labels[static_cast<std::size_t>(t)];
            if (label >= 0 && label < out.experts()) out.put(t, label, 1.0f);
        }
    }
};

} // namespace prytany::inline PRYTANY_ABI
