// SPDX-License-Identifier: MIT
// What a part of a layer owns, nested by role name.
#pragma once

#include <span>
#include <type_traits>

#include "prytany/core/arena.hpp"
#include "prytany/core/shape.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Stands where a part owns nothing of a kind.
struct nothing {};

/// A policy that wraps a router, in a member named `router`.
template <class P>
constexpr bool wraps_router = requires(P policy) {
    policy.router;
};

namespace detail {

template <class T>
struct inner_router {
    [[no_unique_address]] T router{};
};

// What a wrapper leaves out is its inner router's, under the name `router`.
template <class P>
struct owned {
    static auto params() {
        if constexpr (requires { typename P::params; })
            return std::type_identity<typename P::params>{};
        else if constexpr (wraps_router<P>)
            return std::type_identity<
                inner_router<typename decltype(owned<decltype(P::router)>::params())::type>>{};
        else return std::type_identity<nothing>{};
    }
    static auto weights() {
        if constexpr (requires { typename P::weights; })
            return std::type_identity<typename P::weights>{};
        else if constexpr (wraps_router<P>)
            return std::type_identity<
                inner_router<typename decltype(owned<decltype(P::router)>::weights())::type>>{};
        else return std::type_identity<nothing>{};
    }
    static auto scratch() {
        if constexpr (requires { typename P::scratch; })
            return std::type_identity<typename P::scratch>{};
        else if constexpr (wraps_router<P>)
            return std::type_identity<
                inner_router<typename decltype(owned<decltype(P::router)>::scratch())::type>>{};
        else return std::type_identity<nothing>{};
    }
};

} // namespace detail

/// The run-time numbers, the tensors and the memory of one call that a policy owns.
template <class P>
using params_of = typename decltype(detail::owned<P>::params())::type;
template <class P>
using weights_of = typename decltype(detail::owned<P>::weights())::type;
template <class P>
using scratch_of = typename decltype(detail::owned<P>::scratch())::type;

/// What a policy value `My` finds when it works: its own numbers, tensors and memory.
///
/// A wrapper hands its inner router `own.router()`: the same kit, one role deeper.
/// Test      tests/core/kit.test.cpp
template <auto My>
struct kit {
    using policy = kind_of<My>;
    params_of<policy> const& params;
    weights_of<policy> const& weights;
    scratch_of<policy>& scratch;

    auto router() const noexcept requires wraps_router<policy> {
        return kit<My.router>{params.router, weights.router, scratch.router};
    }
};

/// Takes the memory that a policy, and what it wraps, needs for one call.
template <class P>
void lay_out_scratch(P const& policy, scratch_of<P>& scratch, arena& memory, shape const& size,
                     index_t tokens) {
    if constexpr (requires { scratch.lay_out(memory, size, tokens); })
        scratch.lay_out(memory, size, tokens);
    if constexpr (wraps_router<P>)
        lay_out_scratch(policy.router, scratch.router, memory, size, tokens);
}
/// The same for each of some workers.
template <class P>
std::span<scratch_of<P>> take_scratch(P const& policy, arena& memory, shape const& size,
                                      index_t tokens, index_t workers) {
    auto const all = memory.take<scratch_of<P>>(workers);
    for (index_t w = 0; w < workers; ++w) {
        scratch_of<P> own{};
        lay_out_scratch(policy, own, memory, size, tokens);
        if (!memory.counts_only()) all[static_cast<std::size_t>(w)] = own;
    }
    return all;
}

} // namespace prytany::inline PRYTANY_ABI
