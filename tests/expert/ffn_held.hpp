// SPDX-License-Identifier: MIT
// A feed-forward expert against its twin.
#pragma once

#include <array>

#include "conformance/expert_held.hpp"
#include "prytany/expert/ffn.hpp"
#include "support/catch.hpp"

namespace numbers {

inline double worst_nmse = 0;

/// Near the twin on the stored weights, and its tiles are what apply gives, bit for bit.
template <auto Expert, auto Format>
void follows(twin::activation const& act, index_t model, index_t hidden, index_t count) {
    CAPTURE(model, hidden, count);
    std::vector<float> got;
    twin::row wanted;
    // other weights and rows until their cancellations are shared: one narrow sum alone may lose digits
    for (std::uint64_t seed = 0; static_cast<index_t>(seed) * count * std::min(model, hidden) < 256;
         ++seed) {
        held_expert<Expert, Format> const own(model, hidden, at(model * 7 + hidden) + seed * 1000);
        auto const x = rows::normal(count, model, seed + 3);
        twin::matrix in(at(count), at(model));
        in.all = twin::doubles(x.all);
        auto const here = own.apply(x).all;
        auto const right = twin::ffn(in, own.twin(), act).all;
        got.insert(got.end(), here.begin(), here.end());
        wanted.insert(wanted.end(), right.begin(), right.end());
        for (index_t const cut : {1, 2, 5}) REQUIRE(same_bits(own.tiles(x, cut).all, here));
    }
    double const off = twin::nmse(got, wanted);
    worst_nmse = std::max(worst_nmse, off);
    REQUIRE(off <= 1e-12);
}
template <auto Expert>
void follows_in_every_format(twin::activation const& act, index_t model, index_t hidden,
                             index_t count) {
    follows<Expert, dense<float>{}>(act, model, hidden, count);
    follows<Expert, dense<bf16>{}>(act, model, hidden, count);
    follows<Expert, dense<f16>{}>(act, model, hidden, count);
}
template <auto A>
void follows_everywhere(twin::activation const& act) {
    for (auto const& [model, hidden, count] :
         {std::array<index_t, 3>{33, 17, 5}, {64, 96, 14}, {7, 70, 1}}) {
        follows_in_every_format<ffn{A}>(act, model, hidden, count);
        follows_in_every_format<ffn{A, biases}>(act, model, hidden, count);
    }
}

} // namespace numbers
