// SPDX-License-Identifier: MIT
// A layer some of whose experts only copy the token or add a learned row.
#pragma once

#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "prytany/core/error.hpp"
#include "prytany/format/dense.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/kernel/gemm.hpp"
#include "prytany/layer/concept.hpp"
#include "prytany/layer/detail/schedule.hpp"

namespace prytany::inline PRYTANY_ABI {

namespace detail {

/// How many constant experts the router of these numbers, or one that it wraps, has.
template <class Params>
index_t constants_of(Params const& own) {
    if constexpr (requires { own.constants; }) return own.constants;
    else return constants_of(own.router);
}

} // namespace detail

/// A layer, and what its light experts add.
///
///     y = layer(x) + Σ w · x over copies + Σ w · (a₁ x + a₂ v_e) over constants e
///     a = softmax(x · C_e^T),   C_e [2, model], v_e [model]
///
///     mixed<moe<shape{…}, light_experts{top_k{.k = 2}}, ffn{swiglu}>> layer{sizes, numbers};
///
/// A slot's tier says the kind: 2 copies, 3 is constant; the constants are the last experts.
/// Source    Jin et al. 2024 (MoE++), arXiv:2410.07348
/// Models    moe_layer
/// Cost      that of the layer, and O(model) for each copy and constant; no allocation
/// Compile   Layer        Run   its sizes and params
/// Throws    what the layer throws
/// Test      tests/layer/mixed.test.cpp
template <moe_layer Layer>
class mixed {
public:
    using params = typename Layer::params;
    using scratch = typename Layer::scratch;

    mixed() : mixed(Layer{}, params{}) {}
    explicit mixed(shape const& given, params const& numbers = {})
        : mixed(Layer(given, numbers), numbers) {}
    static bool accepts(shape const& given, params const& numbers) {
        return Layer::accepts(given, numbers);
    }

    Layer const& layer() const noexcept { return layer_; }
    shape sizes() const { return layer_.sizes(); }
    /// Those of the layer, then "constant" [model] and "mixing" [2, model] of constant experts.
    template <class Visit>
    void for_each_tensor(Visit&& visit) {
        visit_tensors(*this, visit);
    }
    template <class Visit>
    void for_each_tensor(Visit&& visit) const {
        visit_tensors(*this, visit);
    }
    void lay_out(scratch& room, arena& memory, index_t tokens, index_t workers) const {
        layer_.lay_out(room, memory, tokens, workers);
    }
    /// Computes [tokens, model] → [tokens, model].
    ///
    /// Pre       out overlaps neither the input nor the workspace
    template <executor X, class Observer = unobserved>
    void forward(input const& in, matrix_view<float> out, workspace& ws, X&& pool,
                 Observer&& watch = {}) const {
        layer_.forward(in, out, ws, pool, watch);
        add_light(ws.plan(), in, out, pool);
    }
    /// The same with memory that the caller laid out.
    template <executor X, class Observer = unobserved>
    void run(scratch& room, input const& in, matrix_view<float> out, X&& pool,
             Observer&& watch = {}) const {
        layer_.run(room, in, out, pool, watch);
        add_light(room.plan, in, out, pool);
    }

private:
    struct constant {
        column row;
        packed<dense<float>{}> mixing;
    };
    static constexpr std::int32_t copies = 2, is_constant = 3;

    Layer layer_;
    std::vector<constant> constants_; // of the last experts

    mixed(Layer layer, params const& numbers)
        : layer_(std::move(layer)),
          constants_(static_cast<std::size_t>(detail::constants_of(numbers.router))) {
        visit_constants(*this, [](auto const& t) { t.allocate(); });
    }
    template <class Self, class Visit>
    static void visit_tensors(Self& self, Visit& visit) {
        self.layer_.for_each_tensor(visit);
        visit_constants(self, visit);
    }
    template <class Self, class Visit>
    static void visit_constants(Self& self, Visit&& visit) {
        shape const size = self.sizes();
        index_t e = size.experts - static_cast<index_t>(self.constants_.size());
        for (auto& own : self.constants_) {
            visit(tensor{tensor_name{"expert", "constant", e}, size.model, index_t{1}, &own.row,
                         row_map{}, true});
            visit(tensor{tensor_name{"expert", "mixing", e}, index_t{2}, size.model, &own.mixing});
            ++e;
        }
    }

    template <class X>
    void add_light(plan const& decided, input const& in, matrix_view<float> out, X&& pool) const {
        detail::over_tokens(in.tokens(), pool, [&](index_t first, index_t count) {
            for (index_t t = first; t < first + count; ++t)
                for (slot const s : decided.slots_of(t)) add_slot(s, in.rows.row(t), out.row(t));
        });
    }
    void add_slot(slot const& s, float const* x, float* y) const noexcept {
        index_t const model = layer_.sizes().model;
        if (s.tier == copies) {
            for (index_t c = 0; c < model; ++c) y[c] = std::fma(s.weight, x[c], y[c]);
        } else if (s.tier == is_constant) {
            auto const last = static_cast<std::size_t>(layer_.sizes().experts - s.expert);
            constant const& own = constants_[constants_.size() - last];
            auto const [of_token, of_row] = shares(own, x, model);
            float const* const v = own.row.data();
            for (index_t c = 0; c < model; ++c)
                y[c] = std::fma(s.weight, of_token * x[c] + of_row * v[c], y[c]);
        }
    }
    /// a₁ and a₂.
    static std::pair<float, float> shares(constant const& own, float const* x,
                                          index_t model) noexcept {
        std::array<float, 2> z{};
        kernel::multiply(
            kernel::picked_rows{x, model}, 1, own.mixing, 0, own.mixing.panels(),
            [&](index_t, index_t, simd::float_pair sum) { simd::store_pair(z.data(), sum, 2); });
        return {1 / (1 + std::exp(z[1] - z[0])), 1 / (1 + std::exp(z[0] - z[1]))};
    }
};

} // namespace prytany::inline PRYTANY_ABI
