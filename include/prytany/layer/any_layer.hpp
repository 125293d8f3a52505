// SPDX-License-Identifier: MIT
// One of a few compiled layers, chosen at run time.
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "prytany/core/error.hpp"
#include "prytany/layer/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

namespace detail {

inline std::string sizes_text(shape const& s) {
    return "model " + std::to_string(s.model) + ", hidden " + std::to_string(s.hidden) +
           ", experts " + std::to_string(s.experts) + ", shared " + std::to_string(s.shared);
}

} // namespace detail

/// The run-time twin of a layer: holds one of several compiled ones.
///
///     using fixed = moe<shape{128, 64, 16}, top_k{.k = 4}, ffn{swiglu}>;
///     any_layer<fixed, moe<shape{}, top_k{}, ffn{swiglu}>> layer{sizes, numbers}; // first fit
///
/// Layers of other kinds are put in as they are: `any_layer<A, B> layer{B{…}}`. It does what the
/// held layer does, with the same bits.
/// Models    moe_layer
/// Cost      one indirect jump a call
/// Throws    error, if no compiled layer accepts the sizes and numbers
/// Test      tests/layer/any_layer.test.cpp
template <moe_layer... Layers>
class any_layer {
public:
    using scratch = std::variant<typename Layers::scratch...>;

    template <class L>
    requires(std::is_same_v<std::remove_cvref_t<L>, Layers> || ...) explicit any_layer(L&& layer)
        : held_(std::forward<L>(layer)) {}
    template <class Params>
    any_layer(shape const& size, Params const& numbers) : held_(first(size, numbers)) {}

    /// Which of the layers it holds, counted from 0.
    index_t which() const noexcept { return static_cast<index_t>(held_.index()); }
    /// Calls f with the held layer.
    template <class F>
    decltype(auto) visit(F&& f) const {
        return std::visit(std::forward<F>(f), held_);
    }
    shape sizes() const {
        return visit([](auto const& layer) { return layer.sizes(); });
    }
    template <class Visit>
    void for_each_tensor(Visit&& f) {
        std::visit([&](auto& layer) { layer.for_each_tensor(f); }, held_);
    }
    template <class Visit>
    void for_each_tensor(Visit&& f) const {
        visit([&](auto const& layer) { layer.for_each_tensor(f); });
    }
    void lay_out(scratch& room, arena& memory, index_t tokens, index_t workers) const {
        visit([&]<class L>(L const& layer) {
            layer.lay_out(room.template emplace<typename L::scratch>(), memory, tokens, workers);
        });
    }
    template <executor X, class Observer = unobserved>
    void forward(input const& in, matrix_view<float> out, workspace& ws, X&& pool,
                 Observer&& watch = {}) const {
        visit([&](auto const& layer) { layer.forward(in, out, ws, pool, watch); });
    }
    void require(input const& in) const {
        visit([&](auto const& layer) {
            if constexpr (requires { layer.require(in); }) layer.require(in);
        });
    }
    template <executor X, class Observer = unobserved>
    void run(scratch& room, input const& in, matrix_view<float> out, X&& pool,
             Observer&& watch = {}) const {
        visit([&]<class L>(L const& layer) {
            layer.run(std::get<typename L::scratch>(room), in, out, pool, watch);
        });
    }

private:
    std::variant<Layers...> held_;

    template <class Params>
    static std::variant<Layers...> first(shape const& size, Params const& numbers) {
        std::optional<std::variant<Layers...>> made;
        std::optional<error> refused; // by the last that accepts the sizes: it fixes the least
        auto const attempt = [&]<class L>(std::type_identity<L>) {
            if constexpr (std::is_constructible_v<L, shape const&, Params const&>)
                if (!made && L::accepts(size, numbers)) {
                    try {
                        made.emplace(std::in_place_type<L>, size, numbers);
                    } catch (error const& e) {
                        refused = e;
                    }
                }
        };
        (attempt(std::type_identity<Layers>{}), ...);
        if (!made && refused) throw *refused;
        if (!made)
            throw error("any_layer",
                        "one of the " + std::to_string(sizeof...(Layers)) + " compiled layers",
                        detail::sizes_text(size));
        return std::move(*made);
    }
};

} // namespace prytany::inline PRYTANY_ABI
