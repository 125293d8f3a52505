// SPDX-License-Identifier: MIT
// All that is asked of a router: its properties, and that any layer takes it as it is.
#pragma once

#include "conformance/archetypes.hpp"
#include "conformance/router_properties.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/layer/moe.hpp"

namespace properties {

/// In a layer whose experts give back their row, a token's output is its row times its weights.
template <auto Router>
void in_a_layer(params_of<kind_of<Router>> const& own, index_t experts) {
    using layer = moe<shape{}, Router, archetype::expert{}>;
    layer const one = [&] {
        layer made({.model = question::model, .hidden = 1, .experts = experts}, {.router = own});
        numbers::fill(made);
        return made;
    }();
    luck draw(5);
    question const q(draw, 40, experts, numbers_of::finite);
    rows first(q.tokens(), question::model);
    for (index_t const width : {1, 3}) {
        thread_pool pool(width);
        workspace ws;
        rows y(q.tokens(), question::model, std::nanf(""));
        one.forward(q.view(), y.view(), ws, pool);
        if (width == 1) first = y;
        CHECK(numbers::same_bits(y.all, first.all));
        double error = 0, all = 0;
        for (index_t t = 0; t < q.tokens(); ++t) {
            double sum = 0;
            for (slot const s : ws.plan().slots_of(t)) sum += s.tier == 0 ? double{s.weight} : 0;
            for (index_t c = 0; c < question::model; ++c) {
                double const wanted = sum * double{q.x.view().row(t)[c]};
                error += std::pow(double{y.row(t)[c]} - wanted, 2);
                all += wanted * wanted;
            }
        }
        CHECK(error <= 1e-12 * all);
    }
}

template <auto Router>
void suite(params_of<kind_of<Router>> const& own, asks const& also = {}, index_t experts = 6) {
    hold<Router>(own, also);
    in_a_layer<Router>(own, experts);
}

} // namespace properties
