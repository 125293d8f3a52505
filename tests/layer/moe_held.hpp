// SPDX-License-Identifier: MIT
// A layer with numbers against its twin.
#pragma once

#include <algorithm>
#include <numeric>

#include "conformance/archetypes.hpp"
#include "conformance/numbers.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/biased.hpp"
#include "prytany/router/scored.hpp"
#include "prytany/router/top_k.hpp"
#include "support/catch.hpp"

namespace numbers {

/// The layer's rows, its plan, and whether rounding chose otherwise than the twin would.
struct compared {
    double nmse = 0, worst_over_rms = 0;
    index_t rounded = 0;
};

/// Runs a layer and its twin on the stored weights. Where the twin's logits are too near to each
/// other to tell, the twin takes the layer's experts.
template <class Layer>
compared against_twin(Layer const& layer, twin::routing_rule rule, twin::activation const& act,
                      rows const& x, std::span<std::uint8_t const> mask = {}) {
    twin::row correction;
    auto const weights = twin_of(layer, &correction);
    rule.bias = correction;
    workspace ws;
    auto const got = run(layer, x, ws, sequential{}, mask);
    compared figures;
    twin::row wanted;
    for (index_t t = 0; t < x.count; ++t) {
        twin::row y(at(x.cols));
        auto const own = ws.plan().slots_of(t);
        if (!mask.empty() && mask[at(t)] == 0) {
            CHECK(own.empty());
        } else {
            auto const in = twin::doubles(x.row_of(t));
            auto const logits = twin::logits_of(in, weights);
            double margin = 0;
            auto chosen = twin::choose(logits, rule, &margin);
            std::vector<std::size_t> taken;
            for (slot const s : own) taken.push_back(at(s.expert));
            if (margin < 1e-4) {
                figures.rounded += taken != chosen;
                chosen = taken;
            }
            REQUIRE(taken == chosen);
            y = twin::moe(in, weights, twin::weigh(logits, rule, chosen), act);
        }
        wanted.insert(wanted.end(), y.begin(), y.end());
    }
    figures.nmse = twin::nmse(got, wanted);
    figures.worst_over_rms = twin::worst_over_rms(got, wanted);
    return figures;
}

} // namespace numbers
